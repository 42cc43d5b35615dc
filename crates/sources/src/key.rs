//! The key that a task says an event has.

use oncely_core::Value;
use oncely_core::ids::EventKey;
use oncely_core::template::{Context, Expr, Scope};
use oncely_core::time::Timestamp;

/// Evaluates `key` or another expression over an event that has no run yet.
pub(crate) fn over<T>(
    event: &Value,
    at: Timestamp,
    evaluate: impl FnOnce(&Context<'_>) -> Result<T, oncely_core::template::RenderError>,
) -> Result<T, String> {
    let steps = serde_json::Map::new();
    let run = Value::Null;
    let scope = Scope {
        event,
        steps: &steps,
        run: &run,
        at,
    };
    evaluate(&Context::new(scope)).map_err(|error| error.to_string())
}

/// What `key` gives for an event.
///
/// # Errors
/// When the expression fails, or gives neither a text nor a number. The words hold nothing of the
/// event.
pub(crate) fn of(expr: &Expr, event: &Value, at: Timestamp) -> Result<EventKey, String> {
    match over(event, at, |context| expr.value(context))? {
        Value::String(text) => Ok(text.into()),
        Value::Number(number) => Ok(number.to_string().into()),
        other => Err(format!(
            "`{}` is {}, not a text or number",
            expr.source(),
            kind(&other)
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
        Value::String(_) | Value::Number(_) => "a text or number",
    }
}
