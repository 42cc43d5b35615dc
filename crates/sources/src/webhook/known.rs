//! Which requests start the task, and what they are known by.

use crate::key;
use oncely_core::Value;
use oncely_core::ids::EventKey;
use oncely_core::task::WebhookTrigger;
use oncely_core::time::Timestamp;

/// The key of a request with this data; none where it is not one that starts the task.
///
/// # Errors
/// When `when` or `key` of the task cannot be evaluated: which, and why.
pub fn known(
    trigger: &WebhookTrigger,
    data: &Value,
    at: Timestamp,
) -> Result<Option<EventKey>, String> {
    let wrong = |name, why: String| format!("`{name}` of the task: {why}; nothing was started");
    if let Some(when) = &trigger.when {
        let holds = key::over(data, at, |context| when.holds(context));
        if !holds.map_err(|why| wrong("when", why))? {
            return Ok(None);
        }
    }
    let key = key::of(&trigger.key, data, at).map_err(|why| wrong("key", why))?;
    Ok(Some(key))
}
