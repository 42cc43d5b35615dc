//! A select whose rows are items: what a task says of it, and what holds of its columns and keys.

use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::rows::RowKey;
use serde::Deserialize;
use serde_json::Map;
use std::collections::BTreeSet;

/// What a task says of the rows.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) rows: String,
    pub(crate) key: String,
    #[serde(default = "super::own")]
    pub(crate) db: String,
    #[serde(default)]
    pub(crate) bind: Map<String, Value>,
}

impl Wanted {
    /// Which column is the key.
    pub(crate) fn key_among(&self, columns: &[String]) -> Result<usize, Failure> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|name| !seen.insert(*name)) {
            return Err(Failure::permanent(format!(
                "the select of `rows` gives two columns `{twice}`: name one of them anew with `as`"
            )));
        }
        let key = columns.iter().position(|name| *name == self.key);
        key.ok_or_else(|| {
            Failure::permanent(format!(
                "the select of `rows` gives no column `{}`, which `key` names; it gives {}",
                self.key,
                columns.join(", ")
            ))
        })
    }

    /// Whether a key comes behind the last one.
    pub(crate) fn behind(&self, last: Option<&RowKey>, key: &RowKey) -> Result<(), Failure> {
        match last {
            Some(last) if last >= key => Err(Failure::permanent(format!(
                "two rows have the `{}` {key}: `key` names a column whose values are unique, or \
                 rows would be passed over. What was done before stays done",
                self.key
            ))),
            _ => Ok(()),
        }
    }

    /// What is said of a row whose key is none.
    pub(crate) fn no_key(&self, last: Option<&RowKey>, found: &str) -> Failure {
        let place = last.map_or_else(
            || "the first row".to_owned(),
            |key| format!("the row behind {key}"),
        );
        Failure::permanent(format!(
            "{place} has {found} as its `{}`: a `key` is an integer or a text, and never null. What \
             was done before stays done",
            self.key
        ))
    }
}
