//! Which release tasks a command is about: all, only some, or all but some.

use crate::cli::Chosen;
use crate::failure::Failure;
use crate::project::{self, Loaded};
use oncely_core::ids::TaskId;
use oncely_core::task::Task;
use oncely_sources::release;
use std::collections::BTreeSet;

/// Names that were given, as tasks.
pub(super) struct Choice {
    only: BTreeSet<TaskId>,
    except: BTreeSet<TaskId>,
}

impl Chosen {
    /// Whether no task was named.
    pub(super) fn is_all(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }
}

impl Choice {
    /// Finds the tasks that were named.
    ///
    /// # Errors
    /// When there is no release task of a name.
    pub(super) fn of(chosen: &Chosen, loaded: &Loaded) -> Result<Self, Failure> {
        Ok(Self {
            only: tasks(&chosen.only, loaded)?,
            except: tasks(&chosen.except, loaded)?,
        })
    }

    pub(super) fn has(&self, task: &Task) -> bool {
        (self.only.is_empty() || self.only.contains(&task.id)) && !self.except.contains(&task.id)
    }
}

fn tasks(names: &[String], loaded: &Loaded) -> Result<BTreeSet<TaskId>, Failure> {
    names
        .iter()
        .map(|name| release_task(name, loaded))
        .collect()
}

fn release_task(name: &str, loaded: &Loaded) -> Result<TaskId, Failure> {
    let task = &project::named(loaded, name)?.task;
    if release::version(task).is_none() {
        return Err(Failure::usage(format!(
            "`{name}` is no release task: it starts by {}. Nothing was started.",
            task.on.name()
        )));
    }
    Ok(task.id.clone())
}
