//! `oncely schema`: the JSON Schema of task files, for editors.

use crate::failure::{Exit, Failure};

pub(crate) fn run() -> Result<Exit, Failure> {
    let schema = oncely_core::task::json_schema();
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|e| Failure::failed(format!("the schema cannot be written: {e}")))?;
    crate::output::print_line(&text);
    Ok(Exit::Done)
}
