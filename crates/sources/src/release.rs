//! `on.release`: tasks that are due at a release, found as a set difference and never by a
//! high-water mark, in the order of their versions.

use oncely_core::Value;
use oncely_core::ids::{Environment, EventKey, TaskId};
use oncely_core::task::{Phase, Task, Trigger};
use std::collections::BTreeSet;

/// The key of what runs once in each environment.
const ONCE: &str = "release";

/// What is known of the release that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What was deployed, as people name it.
    pub id: String,
    /// Where.
    pub environment: Environment,
    /// Tasks of one phase only; none means all.
    pub phase: Option<Phase>,
}

/// A release task that has not been admitted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The task.
    pub task: TaskId,
    /// A later version was admitted before it.
    pub late: bool,
}

/// The key of a release task: it runs once in each environment whatever the release, or once at each.
#[must_use]
pub fn key(task: &Task, release: &Release) -> EventKey {
    match is_repeated(task) {
        true => key_at(&release.id),
        false => EventKey::from(ONCE),
    }
}

/// The key of what was done once, for ever.
#[must_use]
pub fn for_ever() -> EventKey {
    EventKey::from(ONCE)
}

/// The key of a task that runs at every release.
fn key_at(release: &str) -> EventKey {
    EventKey::from(format!("{ONCE}:{release}"))
}

/// Whether a run of this key is that of a task that runs once in each environment.
#[must_use]
pub fn is_once(key: &EventKey) -> bool {
    key.as_str() == ONCE
}

/// Whether a run of this key answers for its task at this release: it is done once for ever, or it
/// was done at this one.
#[must_use]
pub fn answers(key: &EventKey, release: &str) -> bool {
    key.as_str() == ONCE || *key == key_at(release)
}

/// Whether a task runs at every release.
#[must_use]
pub fn is_every(task: &Task) -> bool {
    matches!(&task.on, Trigger::Release(release) if release.every)
}

/// Whether a task runs at every release only as long as the table of the tool that it comes from
/// does not have its version.
#[must_use]
pub fn is_until_recorded(task: &Task) -> bool {
    matches!(&task.on, Trigger::Release(release) if release.until_recorded)
}

/// Whether a run of a task answers for one release only.
#[must_use]
pub fn is_repeated(task: &Task) -> bool {
    is_every(task) || is_until_recorded(task)
}

/// The version of a release task.
#[must_use]
pub fn version(task: &Task) -> Option<&str> {
    match &task.on {
        Trigger::Release(release) => Some(&release.version),
        Trigger::Object(_) | Trigger::Call(_) | Trigger::Schedule(_) | Trigger::Webhook(_) => None,
    }
}

/// The tasks that are due, in order.
#[must_use]
pub fn due<'t>(
    tasks: impl IntoIterator<Item = &'t Task>,
    admitted: &BTreeSet<TaskId>,
    release: &Release,
) -> Vec<Due> {
    let mut wanted: Vec<(&str, &Task)> = tasks
        .into_iter()
        .filter(|task| concerns(task, release) && !admitted.contains(&task.id))
        .filter_map(|task| Some((version(task)?, task)))
        .collect();
    wanted.sort_by_key(|(version, _)| *version);
    let newest = admitted
        .iter()
        .map(TaskId::as_str)
        .max()
        .unwrap_or_default();
    let due = wanted.into_iter().map(|(version, task)| Due {
        task: task.id.clone(),
        late: version < newest,
    });
    due.collect()
}

fn concerns(task: &Task, release: &Release) -> bool {
    let here = task.environments.is_empty() || task.environments.contains(&release.environment);
    let Trigger::Release(trigger) = &task.on else {
        return false;
    };
    here && release.phase.is_none_or(|phase| phase == trigger.phase)
}

/// The event's fields.
#[must_use]
pub fn event(task: &Task, release: &Release, late: bool) -> Value {
    let phase = match &task.on {
        Trigger::Release(trigger) => trigger.phase,
        Trigger::Object(_) | Trigger::Call(_) | Trigger::Schedule(_) | Trigger::Webhook(_) => {
            Phase::After
        }
    };
    serde_json::json!({
        "release": release.id,
        "environment": release.environment,
        "phase": phase,
        "version": version(task),
        "late": late,
    })
}
