//! Rows of a table as items: paged by a unique key in its order, so that nothing is held open
//! between two pages and rows may come and go.

use crate::Value;
use crate::action::Failure;
use crate::ids::{RunId, StepId};
use crate::items::OwnedCell;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The key of a row, as the database gave it. Numbers come before texts, as databases have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RowKey {
    /// An integer.
    Int(i64),
    /// A text, compared by its bytes.
    Text(String),
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A row that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// Its key.
    pub key: RowKey,
    /// Its values in the order of the columns, or why it cannot be an item.
    pub cells: Result<Vec<OwnedCell>, String>,
}

/// A select whose rows are items.
///
/// Calls block: the engine makes them on a thread of their own. Each page is a question of its own.
pub trait RowSource: Send {
    /// The names of the columns.
    fn columns(&self) -> &[String];

    /// The next rows behind this key, by rising keys: at most so many, fewer where they are large,
    /// none only at the end.
    ///
    /// # Errors
    /// When the database cannot be asked, or the keys are no keys.
    fn page(&mut self, after: Option<&RowKey>, most: usize) -> Result<Vec<TableRow>, Failure>;

    /// How many rows there are now; none where counting takes too long.
    fn count(&mut self) -> Option<u64>;
}

/// Where a step stands that pages through rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowsAt {
    /// The key of the last row that was dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    /// How many rows there were when the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Rows behind the key that are being worked: after a crash these are gone on with, as they
    /// were, whatever has become of them in their table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
}

/// A row that is being worked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// Its key.
    pub key: RowKey,
    /// What it holds, by column; none where it cannot be an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Value>,
    /// Why it cannot be an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<String>,
}

/// The name under which the ledger keeps, beside the cursors of sources, where a step stands.
#[must_use]
pub fn cursor_name(run: RunId, step: &StepId) -> String {
    format!("rows/{run}/{step}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_step_stands_is_read_as_it_was_written() {
        let at = RowsAt {
            key: Some(RowKey::Text("7".into())),
            total: Some(9),
            taken: vec![Taken {
                key: RowKey::Int(8),
                row: Some(serde_json::json!({ "id": 8 })),
                bad: None,
            }],
        };
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(serde_json::from_str::<RowsAt>(&text).unwrap(), at);
        let nothing = serde_json::from_str::<RowsAt>("{}").unwrap();
        assert_eq!(nothing, RowsAt::default());
    }

    #[test]
    fn numbers_come_before_texts_and_texts_go_by_bytes() {
        let text = |t: &str| RowKey::Text(t.into());
        assert!(RowKey::Int(i64::MAX) < text(""));
        assert!(text("B") < text("a") && RowKey::Int(9) < RowKey::Int(10));
    }
}
