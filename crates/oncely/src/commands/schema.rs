//! `oncely schema`: the JSON Schema of task files, for editors.

use crate::failure::{Exit, Failure};
use std::io::Write;

pub(crate) fn run() -> Result<Exit, Failure> {
    let schema = oncely_core::task::json_schema();
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|e| Failure::failed(format!("the schema cannot be written: {e}")))?;
    // A reader that went away is no reason to complain.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(Exit::Done)
}
