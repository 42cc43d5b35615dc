//! Which runs of other tasks a run cancels before it begins, as their `cancel_on` says.

use oncely_core::Value;
use oncely_core::ids::TaskId;
use oncely_core::template::{Context, Scope};
use oncely_core::time::Timestamp;
use oncely_engine::Known;

/// A run of another task that is cancelled, if there is one.
pub(super) struct Cancels {
    pub(super) task: TaskId,
    pub(super) key: String,
}

/// What a run of this task cancels with this event. An event that gives no key cancels nothing.
pub(super) fn by(task: &TaskId, event: &Value, at: Timestamp, all: &[Known]) -> Vec<Cancels> {
    let (steps, run) = (serde_json::Map::new(), Value::Null);
    let context = Context::new(Scope {
        event,
        steps: &steps,
        run: &run,
        at,
    });
    let waiting = all.iter().flat_map(|known| {
        let named = known.task.cancel_on.iter();
        named.map(|cancel| (&known.task.id, cancel))
    });
    let here = waiting.filter(|(_, cancel)| cancel.task == *task);
    let cancels = here.filter_map(|(task, cancel)| {
        let key = match cancel.key.value(&context).ok()? {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        let task = task.clone();
        Some(Cancels { task, key })
    });
    cancels.collect()
}
