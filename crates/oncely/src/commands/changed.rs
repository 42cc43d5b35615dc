//! Release tasks whose files were edited or renamed after they ran: what was done stays done, and
//! people are told, so that nobody waits for an edit that no run will ever read.

use super::run::newest;
use crate::config::Flags;
use crate::failure::Failure;
use crate::house::House;
use crate::output::{Voice, count};
use crate::overview::{self, Brief};
use crate::place::Place;
use crate::project;
use oncely_core::Value;
use oncely_core::ids::{RunId, TaskId};
use oncely_core::ledger::{Begun, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::task::Bundle;
use oncely_engine::{Ask, Known};
use std::collections::{BTreeMap, HashMap};

/// Tasks that are told to people one by one; others are counted.
const SHOWN: usize = 10;

/// A task whose file is not as it was when its newest run began.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) task: TaskId,
    path: String,
    run: RunId,
    status: RunStatus,
    /// The name that the file had then, where that was another.
    was: Option<String>,
    /// Its text, or that of a file that it names, is another.
    edited: bool,
}

impl Changed {
    /// For programs.
    pub(crate) fn record(&self) -> Value {
        serde_json::json!({
            "changed": self.path, "task": self.task, "run": self.run, "edited": self.edited,
            "was": self.was,
        })
    }

    /// For people.
    fn said(&self) -> String {
        let (path, run) = (&self.path, self.run);
        let stays = match self.status {
            RunStatus::Pending | RunStatus::Running | RunStatus::Waiting | RunStatus::Unknown => {
                format!("which is {} and goes on with the text of then", self.status)
            }
            status => format!("which is {status} and stays so"),
        };
        let was = self.was.as_deref().unwrap_or_default();
        let what = match (was, self.edited) {
            ("", _) => format!("{path} was edited after run {run} began, {stays}."),
            (was, true) => format!(
                "{path} was edited after run {run} began, {stays}; the file was called {was} then."
            ),
            (was, false) => {
                return format!(
                    "{path} was called {was} when run {run} began, {stays}: the version is the same."
                );
            }
        };
        format!("{what}\n  As the file is now: oncely rerun {run} --reason \"…\"")
    }
}

/// Those of these tasks whose files are not as they were when their newest runs began.
pub(crate) async fn since(
    house: &House,
    tasks: &[Brief],
    rows: &BTreeMap<TaskId, RunRow>,
    begun: &HashMap<RunId, Begun>,
) -> Result<Vec<Changed>, Failure> {
    let mut found = Vec::new();
    let others = tasks.iter().filter_map(|brief| {
        let row = rows.get(&brief.id).filter(|row| is_to_stay(row))?;
        let begun = begun.get(&row.id)?;
        (overview::mark(begun.text) != brief.mark?).then_some((brief, row, begun))
    });
    let others: Vec<_> = others.collect();
    let paths = others.iter().map(|(brief, ..)| brief.path.as_str());
    let now = project::bundles(&house.config, &paths.collect())?;
    for (brief, row, begun) in others {
        let (Some(now), Some(then)) = (now.get(&brief.path), text(house, begun).await?) else {
            continue;
        };
        found.extend(compare(row, now, &then));
    }
    Ok(found)
}

/// What was taken back is done anew as its file is now.
fn is_to_stay(row: &RunRow) -> bool {
    row.undoes().is_none() && row.status != RunStatus::Undone
}

async fn text(house: &House, begun: &Begun) -> Result<Option<Bundle>, Failure> {
    let stored = Ask(house.ledger()).stored(begun.text).await?;
    Ok(stored.and_then(|bytes| Bundle::from_bytes(&bytes).ok()))
}

fn compare(row: &RunRow, now: &Bundle, then: &Bundle) -> Option<Changed> {
    let was = (now.path != then.path).then(|| then.path.clone());
    // What stands beside a script is renamed with it.
    let files = match was {
        None => now.files == then.files,
        Some(_) => now.files.values().eq(then.files.values()),
    };
    let edited = now.text != then.text || now.executable != then.executable || !files;
    (edited || was.is_some()).then(|| Changed {
        task: row.task.clone(),
        path: now.path.clone(),
        run: row.id,
        status: row.status,
        was,
        edited,
    })
}

/// The same for tasks that were read, from what the ledger says of them.
pub(crate) async fn of(house: &House, tasks: &[Known]) -> Result<Vec<Changed>, Failure> {
    let rows = newest(house, &house.config.environment.value).await?;
    let runs = rows.values().map(|row| row.id).collect();
    let begun = Ask(house.ledger()).began(runs).await?.into_iter();
    let begun = begun.map(|begun| (begun.run, begun)).collect();
    let tasks: Vec<Brief> = tasks.iter().map(|k| overview::brief(&k.task)).collect();
    since(house, &tasks, &rows, &begun).await
}

/// The same for a command that only reads files. It asks a ledger in a file of this machine, and goes
/// without where there is none that it can read: it is a help, and no reason to fail.
pub(crate) fn beside(flags: &Flags, tasks: &[Known]) -> Vec<Changed> {
    let found = || {
        let house = House::open(flags, "oncely check", false)?;
        house.block_on(of(&house, tasks))
    };
    found().unwrap_or_else(|failure| {
        tracing::debug!("{}", failure.message);
        Vec::new()
    })
}

/// Whether the ledger is where a command that only reads files asks it.
pub(crate) fn is_near(place: &Place) -> bool {
    matches!(place, Place::File(path) if path.is_file())
}

/// Tells them to people.
pub(crate) fn say(voice: Voice, changed: &[Changed]) {
    for one in changed.iter().take(SHOWN) {
        voice.say(format!("\n{}", one.said()));
    }
    if changed.len() > SHOWN {
        let more = count(changed.len() - SHOWN, "more file");
        voice.say(format!(
            "\n{more} changed since they ran: oncely --json status"
        ));
    }
}

/// Tells them to people and programs, a line each.
pub(crate) fn tell(voice: Voice, changed: &[Changed]) {
    for one in changed {
        voice.record(&one.record());
    }
    say(voice, changed);
}
