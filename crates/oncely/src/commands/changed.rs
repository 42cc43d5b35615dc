//! Release tasks whose files were edited or renamed after they ran: what was done stays done, and
//! people are told, so that nobody waits for an edit that no run will ever read.

use super::run::newest_in_order;
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

/// The newest run of a task, and how it began where it has.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) row: RunRow,
    pub(crate) begun: Option<Begun>,
}

/// The newest run of each task of this environment, in the order of tasks.
#[derive(Debug)]
pub(crate) struct Lasts(Vec<Last>);

impl Lasts {
    pub(crate) async fn read(house: &House) -> Result<Self, Failure> {
        let rows = newest_in_order(house, &house.config.environment.value).await?;
        let runs = rows.iter().map(|row| row.id).collect();
        // In the same order, without those that have not begun.
        let mut begun = Ask(house.ledger())
            .began(runs)
            .await?
            .into_iter()
            .peekable();
        let lasts = rows.into_iter().map(|row| Last {
            begun: begun.next_if(|begun| begun.run == row.id),
            row,
        });
        let mut lasts: Vec<Last> = lasts.collect();
        // A database may have an order of texts of its own.
        lasts.sort_by(|a, b| a.row.task.cmp(&b.row.task));
        Ok(Self(lasts))
    }

    /// Each of these tasks with its newest run. Most tasks are in the order of their runs, so that the
    /// one to look at next is known.
    pub(crate) fn of<'a>(&'a self, tasks: &'a [Brief]) -> Vec<(&'a Brief, Option<&'a Last>)> {
        let mut next = 0;
        let mut find = |task: &TaskId| {
            if self.0.get(next).is_none_or(|last| last.row.task != *task) {
                next = self
                    .0
                    .binary_search_by(|last| last.row.task.cmp(task))
                    .ok()?;
            }
            next += 1;
            self.0.get(next - 1)
        };
        tasks.iter().map(|brief| (brief, find(&brief.id))).collect()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Last> {
        self.0.iter()
    }
}

/// Those of these tasks whose files are not as they were when their newest runs began.
pub(crate) async fn since(
    house: &House,
    tasks: &[(&Brief, Option<&Last>)],
) -> Result<Vec<Changed>, Failure> {
    let others = tasks.iter().filter_map(|(brief, last)| {
        let Last { row, begun } = (*last)?;
        let begun = begun.as_ref().filter(|_| is_to_stay(row))?;
        (overview::mark(begun.text) != brief.mark?).then_some((*brief, row, begun))
    });
    let others: Vec<_> = others.collect();
    let paths = others.iter().map(|(brief, ..)| brief.path.as_str());
    let now = project::bundles(&house.config, &paths.collect())?;
    let mut found = Vec::new();
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
    let lasts = Lasts::read(house).await?;
    let tasks: Vec<Brief> = tasks.iter().map(|k| overview::brief(&k.task)).collect();
    since(house, &lasts.of(&tasks)).await
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
