//! `on.call`: a person, a program or another task offers an event by hand.

use oncely_core::Value;
use oncely_core::ids::EventKey;
use oncely_core::task::CallTrigger;
use oncely_core::time::Timestamp;

/// The key of a call: the one that it brings, else what the task's `key` says of the event.
///
/// # Errors
/// When it brings none and the task does not say, or its expression fails.
pub fn key(
    trigger: &CallTrigger,
    given: Option<&str>,
    event: &Value,
    at: Timestamp,
) -> Result<EventKey, String> {
    if let Some(given) = given {
        return Ok(given.into());
    }
    let Some(expr) = &trigger.key else {
        return Err(
            "the call brings no key, and the task has no `key` under [on.call]. Nothing \
                    was started. Give one with --key: the same key starts the task only once."
                .into(),
        );
    };
    crate::key::of(expr, event, at)
        .map_err(|error| format!("the key of the call: {error}. Nothing was started."))
}
