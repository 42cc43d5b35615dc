//! What becomes of each version of another tool's table.

use crate::project::Loaded;
use oncely_adopt::Found;
use oncely_core::ids::TaskId;
use oncely_core::ledger::RunRow;
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use oncely_engine::Known;
use oncely_sources::release;
use std::collections::BTreeMap;

/// Digits of a version at most.
pub(super) const LONGEST: usize = 32;

/// What becomes of a version of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is recorded here as imported.
    Imported,
    /// It was imported before.
    Before,
    /// It was done or skipped here: the ledger says more than the table.
    DoneHere,
    /// It was begun here and did not end well, or has not ended.
    Collides,
    /// Its task runs at every release, whatever the table says.
    Every,
    /// It is no version.
    Strange,
}

impl Fate {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Before => "imported before",
            Self::DoneHere => "done here",
            Self::Collides => "COLLISION",
            Self::Every => "every release",
            Self::Strange => "no version",
        }
    }
}

/// A version of the table.
pub(super) struct Version {
    pub(super) name: String,
    pub(super) at: Option<Timestamp>,
    /// In so many rows.
    pub(super) rows: usize,
    pub(super) fate: Fate,
    /// The file of its task, where there is one.
    pub(super) file: Option<String>,
    /// Where it stands here.
    pub(super) run: Option<RunRow>,
}

/// The versions of a table, each once.
pub(super) struct Sorted {
    pub(super) versions: Vec<Version>,
    pub(super) rows: usize,
}

impl Sorted {
    pub(super) fn of(found: &Found, rows: &BTreeMap<TaskId, RunRow>, loaded: &Loaded) -> Self {
        let mut by_name: BTreeMap<String, (usize, Option<Timestamp>)> = BTreeMap::new();
        for record in &found.rows {
            let name = record.version.clone().unwrap_or_default();
            let (seen, at) = by_name.entry(name).or_default();
            *seen += 1;
            *at = at.or(record.at);
        }
        let tasks: BTreeMap<&str, &Known> = loaded
            .tasks
            .iter()
            .map(|known| (known.task.id.as_str(), known))
            .collect();
        let versions = by_name.into_iter().map(|(name, (seen, at))| {
            let run = rows.get(&TaskId::from(name.as_str())).cloned();
            let known = tasks.get(name.as_str()).copied();
            Version {
                fate: fate(&name, run.as_ref(), known),
                file: known.map(|known| known.task.path.clone()),
                rows: seen,
                name,
                at,
                run,
            }
        });
        Self {
            versions: versions.collect(),
            rows: found.rows.len(),
        }
    }

    pub(super) fn has(&self, fate: Fate) -> usize {
        self.of_fate(fate).count()
    }

    pub(super) fn of_fate(&self, fate: Fate) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(move |v| v.fate == fate)
    }
}

fn fate(name: &str, run: Option<&RunRow>, known: Option<&Known>) -> Fate {
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    if name.is_empty() || name.len() > LONGEST || !digits {
        return Fate::Strange;
    }
    if known.is_some_and(|known| release::is_every(&known.task)) {
        return Fate::Every;
    }
    // What was done at one release does not say that it is done for ever.
    let counts = |row: &&RunRow| {
        !known.is_some_and(|known| release::is_until_recorded(&known.task))
            || release::is_once(&row.key)
    };
    match run.filter(counts).map(|row| row.status) {
        None => Fate::Imported,
        Some(RunStatus::Imported) => Fate::Before,
        Some(RunStatus::Done | RunStatus::Skipped | RunStatus::Undone) => Fate::DoneHere,
        Some(_) => Fate::Collides,
    }
}
