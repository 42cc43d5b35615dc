//! Questions that nobody could answer: `by` names somebody who is not in `[people]`, or `tell` does not
//! reach them. Task files do not say who there is, so this is found where a project is looked at whole.

use super::run::Wanted;
use crate::config::Config;
use crate::project::Loaded;
use oncely_core::ids::TaskId;
use oncely_core::ledger::RunRow;
use oncely_core::run::RunStatus;
use oncely_core::task::{Diagnostic, Task};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with the questions of the files that are asked about.
pub(super) fn among(
    config: &Config,
    loaded: &Loaded,
    is_asked: impl Fn(&str) -> bool,
) -> Vec<(Diagnostic, String)> {
    let text = |path: &str| {
        let known = loaded.tasks.iter().find(|known| known.task.path == path);
        known.map_or_else(String::new, |known| known.bundle.text.clone())
    };
    let asked = loaded.answerers.iter().filter(|who| is_asked(&who.path));
    let problems = asked.filter_map(|answerer| {
        let source = text(&answerer.path);
        let problem = answerer.check(&config.people.value, &source)?;
        Some((problem, source))
    });
    problems.collect()
}

/// The same of tasks that are to begin, for the first time or once more after they were taken back. Those
/// that have begun are none of them: people leave, and what waits for an answer has other ways out.
pub(super) fn among_new(
    config: &Config,
    loaded: &Loaded,
    wanted: &[Wanted<'_>],
    rows: &BTreeMap<TaskId, RunRow>,
) -> Vec<(Diagnostic, String)> {
    let begins = |task: &Task| {
        let row = rows.get(&task.id);
        row.is_none_or(|row| row.status == RunStatus::Undone)
    };
    let tasks = wanted.iter().map(|wanted| &wanted.known.task);
    let paths = tasks.filter(|task| begins(task)).map(|t| t.path.as_str());
    let paths: BTreeSet<&str> = paths.collect();
    among(config, loaded, |path| paths.contains(path))
}
