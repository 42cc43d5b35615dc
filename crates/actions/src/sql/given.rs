//! What statements gave, as an output: rows within its bound, and how many were changed.

use crate::excerpt::TEXT_BYTES;
use oncely_core::Value;
use oncely_core::action::Failure;
use serde_json::json;

/// Most rows of an output.
const ROWS: usize = 1000;

/// The rows that a statement gave.
#[derive(Debug)]
pub(crate) struct Read {
    rows: Vec<Value>,
    /// There were more rows.
    pub(crate) truncated: bool,
    room: usize,
}

impl Default for Read {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            truncated: false,
            room: TEXT_BYTES,
        }
    }
}

impl Read {
    /// Keeps a row, if there is room for it.
    pub(crate) fn push(&mut self, row: Value) {
        let bytes = row.to_string().len() + 1;
        if bytes > self.room || self.rows.len() == ROWS {
            self.truncated = true;
            return;
        }
        self.room -= bytes;
        self.rows.push(row);
    }
}

/// What the statements of a step gave, one after another.
#[derive(Debug, Default)]
pub(crate) struct Given {
    any: bool,
    changed: Option<u64>,
    read: Option<Read>,
}

impl Given {
    /// There was a statement.
    pub(crate) fn any(&mut self) {
        self.any = true;
    }

    /// It gave rows: those of the last one count.
    pub(crate) fn read(&mut self, read: Read) {
        self.read = Some(read);
    }

    /// It changed so many rows.
    pub(crate) fn changed(&mut self, rows: u64) {
        *self.changed.get_or_insert(0) += rows;
    }

    /// The output of the step.
    pub(crate) fn output(self) -> Result<Value, Failure> {
        if !self.any {
            return Err(Failure::permanent("the text holds no statement"));
        }
        let mut output = json!({});
        if let Some(read) = self.read {
            output["rows"] = read.rows.into();
            output["truncated"] = read.truncated.into();
        }
        if let Some(changed) = self.changed {
            output["changed"] = changed.into();
        }
        Ok(output)
    }
}
