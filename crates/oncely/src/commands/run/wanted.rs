//! Which release tasks an environment wants, in order, and how each stands there.

use super::name::UNKNOWN;
use crate::failure::Failure;
use crate::house::House;
use oncely_core::ids::{Environment, EventKey, TaskId};
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::task::Task;
use oncely_engine::{Ask, Known};
use oncely_sources::release::{self, Release};
use std::collections::{BTreeMap, BTreeSet};

/// A release task of this environment and phase.
pub(crate) struct Wanted<'t> {
    pub(crate) known: &'t Known,
    pub(crate) late: bool,
}

/// The release tasks that concern this release, in order, those done before included.
pub(crate) fn in_order<'t>(
    tasks: &'t [Known],
    rows: &BTreeMap<TaskId, RunRow>,
    release: &Release,
) -> Vec<Wanted<'t>> {
    let admitted: BTreeSet<TaskId> = rows
        .values()
        .filter(|row| row.trigger == "release" || row.undoes().is_some())
        .map(|row| row.task.clone())
        .collect();
    let due = release::due(tasks.iter().map(|k| &*k.task), &BTreeSet::new(), release);
    let newest = admitted
        .iter()
        .map(TaskId::as_str)
        .max()
        .unwrap_or_default();
    due.iter()
        .filter_map(|due| {
            let known = tasks.iter().find(|known| known.task.id == due.task)?;
            let late = !admitted.contains(&due.task) && due.task.as_str() < newest;
            let late = late && !release::is_every(&known.task);
            Some(Wanted { known, late })
        })
        .collect()
}

/// Whether the tasks after it may be done. What was taken back is to be done again.
pub(crate) fn is_behind(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Done | RunStatus::Skipped | RunStatus::Imported
    )
}

/// Whether a task that stands like this is done at this release. What runs at every release and was
/// taken back runs again at the next.
pub(crate) fn is_done(task: &Task, status: RunStatus) -> bool {
    is_behind(status) || (status == RunStatus::Undone && release::is_repeated(task))
}

/// The newest run of each task of the environment.
pub(crate) async fn newest(
    house: &House,
    environment: &Environment,
) -> Result<BTreeMap<TaskId, RunRow>, Failure> {
    let rows = newest_in_order(house, environment).await?.into_iter();
    Ok(rows.map(|row| (row.task.clone(), row)).collect())
}

/// The newest run of each task, in the order of tasks. While a run is being taken back it is the run
/// that does that; afterwards it is the one that was taken back.
pub(crate) async fn newest_in_order(
    house: &House,
    environment: &Environment,
) -> Result<Vec<RunRow>, Failure> {
    let ask = Ask(house.ledger());
    let mut rows = ask.newest(environment.clone()).await?;
    for row in &mut rows {
        if let Some(first) = row.undoes().filter(|_| row.status == RunStatus::Done)
            && let Some(undone) = ask.run(first).await?
        {
            *row = undone;
        }
    }
    Ok(rows)
}

/// The run of each task that counts at this release: of a task that runs at every release that of
/// this one, of the others the newest. What another tool's table has is done once for ever.
pub(crate) async fn standing(
    house: &House,
    tasks: &[Known],
    release: &Release,
) -> Result<BTreeMap<TaskId, RunRow>, Failure> {
    let mut rows = newest(house, &release.environment).await?;
    let repeated = |known: &&Known| release::is_repeated(&known.task);
    for task in tasks.iter().filter(repeated).map(|known| &known.task) {
        let Some(newest) = rows.remove(&task.id) else {
            continue;
        };
        let row = if !release::is_until_recorded(task) {
            run_of(house, &newest, release::key(task, release)).await?
        } else if release::is_once(&newest.key) {
            Some(newest)
        } else {
            match run_of(house, &newest, release::for_ever()).await? {
                Some(row) => Some(row),
                None => run_of(house, &newest, release::key(task, release)).await?,
            }
        };
        rows.extend(row.map(|row| (task.id.clone(), row)));
    }
    Ok(rows)
}

/// The newest run of the same task with this key.
async fn run_of(house: &House, row: &RunRow, key: EventKey) -> Result<Option<RunRow>, Failure> {
    let filter = Filter {
        environment: Some(row.environment.clone()),
        task: Some(row.task.clone()),
        key: Some(key),
        limit: 1,
        ..Filter::default()
    };
    Ok(Ask(house.ledger()).runs(filter).await?.pop())
}

/// What runs at every release needs to know which one this is.
pub(crate) fn named_release(pending: &[Wanted<'_>], release: &Release) -> Result<(), Failure> {
    let mut every = pending
        .iter()
        .filter(|wanted| release::is_repeated(&wanted.known.task));
    match every.next() {
        Some(wanted) if release.id == UNKNOWN => Err(Failure::usage(format!(
            "{} runs at every release, and which one this is is not known. Nothing was run. Name \
             it with --release ID; HEROKU_RELEASE_VERSION, KAMAL_VERSION, GITHUB_SHA or a git \
             checkout name it too.",
            wanted.known.task.path
        ))),
        _ => Ok(()),
    }
}

/// The tasks' own view of a task, for commands that list them.
pub(crate) fn concerns(task: &Task, environment: &Environment) -> bool {
    is_in(&task.environments, environment)
}

/// The same, from where a task runs.
pub(crate) fn is_in(environments: &[Environment], environment: &Environment) -> bool {
    environments.is_empty() || environments.contains(environment)
}
