//! Rows of a table as an answers file has them, for `for_each = { rows = … }`.

use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::items::OwnedCell;
use oncely_core::rows::{RowKey, RowSource, TableRow};
use std::collections::BTreeMap;

/// The rows of each select, by its text.
pub(super) type Selects = BTreeMap<String, SaidRows>;

/// Rows that somebody says there are.
#[derive(Debug, Clone, Default)]
pub(super) struct SaidRows {
    columns: Vec<String>,
    rows: BTreeMap<RowKey, Vec<OwnedCell>>,
}

impl SaidRows {
    /// Reads a list of tables, each with this column as its key.
    pub(super) fn read(key: &str, value: Option<&Value>) -> Result<Self, String> {
        let list = value.and_then(Value::as_array);
        let list = list.ok_or("it reads rows: give them with rows = [{ … }, …].")?;
        let mut said = Self::default();
        for row in list {
            let row = row.as_object().ok_or("a row is a table by column.")?;
            if said.columns.is_empty() {
                said.columns = row.keys().cloned().collect();
            }
            let key = match row.get(key) {
                Some(Value::Number(number)) => number.as_i64().map(RowKey::Int),
                Some(Value::String(text)) => Some(RowKey::Text(text.clone())),
                _ => None,
            }
            .ok_or_else(|| format!("each row has its key, `{key}`, a whole number or a text."))?;
            let cells = said.columns.iter().map(|column| cell(row.get(column)));
            if said.rows.insert(key.clone(), cells.collect()).is_some() {
                return Err(format!("two rows have the key {key}."));
            }
            if let Some(other) = row.keys().find(|name| !said.columns.contains(name)) {
                return Err(format!("not every row has the column `{other}`."));
            }
        }
        Ok(said)
    }
}

fn cell(value: Option<&Value>) -> OwnedCell {
    match value {
        None | Some(Value::Null) => OwnedCell::Null,
        Some(Value::Bool(yes)) => OwnedCell::Int((*yes).into()),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(int) => OwnedCell::Int(int),
            None => OwnedCell::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        Some(Value::String(text)) => OwnedCell::Text(text.as_str().into()),
        Some(other) => OwnedCell::Text(other.to_string().into()),
    }
}

impl RowSource for SaidRows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn page(&mut self, after: Option<&RowKey>, most: usize) -> Result<Vec<TableRow>, Failure> {
        let behind = |key: &RowKey| after.is_none_or(|after| key > after);
        let rows = self.rows.iter().filter(|(key, _)| behind(key)).take(most);
        let rows = rows.map(|(key, cells)| TableRow {
            key: key.clone(),
            cells: Ok(cells.clone()),
        });
        Ok(rows.collect())
    }

    fn count(&mut self) -> Option<u64> {
        Some(self.rows.len() as u64)
    }
}
