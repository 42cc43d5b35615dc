//! What an answers file says of another task that is started while a run waits, and cancels it.

use oncely_core::ids::TaskId;
use oncely_core::task::{Task, parse_duration};

/// Another task is started for the same thing, as `cancel_on` waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cancelled {
    pub(crate) by: TaskId,
    /// So long after the run began.
    pub(crate) after_ms: i64,
}

impl Cancelled {
    /// Reads `[cancelled]` of an answers file.
    pub(super) fn read(value: &toml::Value, task: &Task) -> Result<Self, String> {
        let table = value
            .as_table()
            .ok_or("a table with `after` was expected.")?;
        if let Some(key) = table
            .keys()
            .find(|key| !["by", "after"].contains(&key.as_str()))
        {
            return Err(format!(
                "there is no `{key}`; `after` says when, and `by` which task."
            ));
        }
        let after = table.get("after").and_then(toml::Value::as_str);
        let after = after.and_then(parse_duration).filter(|ms| *ms > 0);
        let after_ms =
            after.ok_or("`after` says how long after the beginning, such as \"20d\".")?;
        let by = by(table.get("by").and_then(toml::Value::as_str), task)?;
        Ok(Self { by, after_ms })
    }
}

/// Which of the tasks that cancel this one; the first, where none is named.
fn by(named: Option<&str>, task: &Task) -> Result<TaskId, String> {
    let mut all = task.cancel_on.iter().map(|cancel| &cancel.task);
    let names: Vec<String> = all.clone().map(|id| format!("`{id}`")).collect();
    let found = match named {
        Some(name) => all.find(|id| id.as_str() == name),
        None => all.next(),
    };
    found.cloned().ok_or_else(|| match names.is_empty() {
        true => format!("`{}` has no `cancel_on`, and nothing cancels it.", task.id),
        false => format!("`cancel_on` of `{}` names {}.", task.id, names.join(", ")),
    })
}
