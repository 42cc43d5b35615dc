//! Which release tasks a command is about: all, only some, or all but some.

use crate::cli::Chosen;
use crate::failure::Failure;
use crate::output::suggestion;
use crate::project::{self, Loaded};
use oncely_core::ids::TaskId;
use oncely_core::task::Task;
use oncely_engine::Known;
use oncely_sources::release;
use std::collections::BTreeSet;

/// Names that were given, as tasks.
pub(super) struct Choice {
    only: BTreeSet<TaskId>,
    except: BTreeSet<TaskId>,
    tags: Vec<String>,
}

impl Chosen {
    /// Whether no task was named.
    pub(super) fn is_all(&self) -> bool {
        self.only.is_empty() && self.except.is_empty() && self.tag.is_empty()
    }
}

impl Choice {
    /// Finds the tasks that were named.
    ///
    /// # Errors
    /// When there is no release task of a name, or with a tag.
    pub(super) fn of(chosen: &Chosen, loaded: &Loaded) -> Result<Self, Failure> {
        Ok(Self {
            only: tasks(&chosen.only, loaded)?,
            except: tasks(&chosen.except, loaded)?,
            tags: tags(&chosen.tag, loaded)?,
        })
    }

    pub(super) fn has(&self, task: &Task) -> bool {
        let tagged = self.tags.is_empty() || self.tags.iter().any(|tag| task.tags.contains(tag));
        let named = self.only.is_empty() || self.only.contains(&task.id);
        tagged && named && !self.except.contains(&task.id)
    }
}

fn tasks(names: &[String], loaded: &Loaded) -> Result<BTreeSet<TaskId>, Failure> {
    names
        .iter()
        .map(|name| release_task(name, loaded))
        .collect()
}

/// A tag that no release task has is a mistake: nothing would be done, and nobody would know.
fn tags(wanted: &[String], loaded: &Loaded) -> Result<Vec<String>, Failure> {
    let release = |known: &&Known| release::version(&known.task).is_some();
    let tasks = loaded.tasks.iter().filter(release);
    let known: BTreeSet<&str> = tasks
        .flat_map(|known| known.task.tags.iter().map(String::as_str))
        .collect();
    match wanted.iter().find(|tag| !known.contains(tag.as_str())) {
        None => Ok(wanted.to_vec()),
        Some(tag) => Err(Failure::usage(format!(
            "no release task has the tag `{tag}`.{} Nothing was started.",
            suggestion(tag, known.into_iter())
        ))),
    }
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
