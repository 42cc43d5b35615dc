//! `oncely forget KEY`: removes the data of the runs of a key, and keeps that they were done.

use super::people::who;
use crate::cli::Forget as Args;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project;
use crate::store::Wiped;
use oncely_core::forget::Forget;
use oncely_core::ids::{EventKey, RunId, TaskId};
use oncely_core::ledger::RunRow;
use oncely_core::limits;
use oncely_core::prune::{Old, Place, Prune};
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::Ask;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Args) -> Result<Exit, Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::usage(format!(
            "what is forgotten is gone: say why with --reason. Nothing was forgotten.\n        oncely \
             forget {} --reason \"…\"",
            args.key
        )));
    }
    let house = House::open(flags, "oncely forget", false)?;
    let forgotten = house.block_on(forget(&house, args))?;
    let wiped = house.store().wipe(args.rewrite)?;
    voice.record(&json!({
        "forgotten": forgotten.runs, "callers": forgotten.callers, "wiped": wiped != Wiped::Later,
    }));
    say(voice, args, &forgotten, wiped);
    Ok(Exit::Done)
}

/// What was forgotten.
struct Forgotten {
    runs: Vec<RunId>,
    /// Runs that called for them, and may hold what they gave.
    callers: Vec<RunId>,
}

async fn forget(house: &House, args: &Args) -> Result<Forgotten, Failure> {
    let found = found(house, args).await?;
    let old: Vec<&RunRow> = found.values().filter(|row| !row.is_forgotten()).collect();
    let runs: Vec<RunId> = old.iter().map(|row| row.id).collect();
    let at = house.clock.now();
    if !runs.is_empty() {
        let wanted = Forget {
            runs: runs.clone(),
            by: who(args.by.clone()),
            reason: args.reason.clone(),
            at,
        };
        let done = house.ledger().forget(wanted).await;
        done.map_err(|error| Failure::usage(error.to_string()))?;
    }
    // Also what a command that was killed has left.
    items(house, at).await?;
    let parents: BTreeSet<RunId> = old.iter().filter_map(|row| row.parent).collect();
    let callers = parents.into_iter().filter(|id| !found.contains_key(id));
    Ok(Forgotten {
        runs,
        callers: callers.collect(),
    })
}

/// The runs of the key, and everything that they called for or that takes them back.
async fn found(house: &House, args: &Args) -> Result<BTreeMap<RunId, RunRow>, Failure> {
    let ask = Ask(house.ledger());
    let mut left = Vec::new();
    let mut known = false;
    for task in tasks(house, args).await? {
        let here = house.config.environment.value.clone();
        let key = EventKey::from(args.key.as_str());
        for run in ask.admitted(here, task, key).await? {
            known = true;
            left.extend(ask.run(run).await?);
        }
    }
    if !known {
        return Err(Failure::usage(format!(
            "no event with the key {} was admitted in {}. Nothing was forgotten. `oncely runs` lists \
             what was.",
            args.key, house.config.environment.value
        )));
    }
    let mut found = BTreeMap::new();
    while let Some(row) = left.pop() {
        left.extend(ask.children(row.id).await?);
        found.insert(row.id, row);
    }
    Ok(found)
}

/// The task that was named; else all that the project or the ledger knows.
async fn tasks(house: &House, args: &Args) -> Result<BTreeSet<TaskId>, Failure> {
    if let Some(name) = &args.task {
        return Ok(BTreeSet::from([house.task_named(name)]));
    }
    let here = house.config.environment.value.clone();
    let newest = Ask(house.ledger()).newest(here).await?;
    let files = project::load(&house.config)?.tasks;
    let of_files = files.into_iter().map(|known| known.task.id.clone());
    Ok(newest
        .into_iter()
        .map(|row| row.task)
        .chain(of_files)
        .collect())
}

/// Removes what is kept of their items, so many at a time.
async fn items(house: &House, at: Timestamp) -> Result<(), Failure> {
    let mut part = Prune {
        old: Old {
            environment: house.config.environment.value.clone(),
            task: None,
            except: Vec::new(),
            before: Timestamp(i64::MIN),
            failed: false,
        },
        by: String::new(),
        reason: String::new(),
        at,
        number: None,
        from: Place::Items,
        runs: 0,
        rows: limits::PRUNE_ROWS,
        dry: false,
    };
    while let Some(Place::Items) = house.ledger().prune(part.clone()).await?.next {
        part.from = Place::Items;
    }
    Ok(())
}

fn say(voice: Voice, args: &Args, forgotten: &Forgotten, wiped: Wiped) {
    let runs: Vec<String> = forgotten.runs.iter().map(RunId::to_string).collect();
    voice.say(match runs.len() {
        0 => format!("{} was forgotten before.", args.key),
        many => format!(
            "Forgot {} ({}): what was given, called, answered and set aside is removed. Which steps were \
             done, when, and how they ended stays, and the key as a hash: should it arrive again, nothing \
             is started.",
            count(many, "run"),
            runs.join(", ")
        ),
    });
    for run in &forgotten.callers {
        voice.say(format!(
            "Run {run} called for one of them and may hold the same: oncely show {run}"
        ));
    }
    voice.say(match wiped {
        Wiped::Anew => "The ledger's file was written anew, and its write-ahead log is empty.",
        Wiped::Overwritten => {
            "It was overwritten in the ledger's file, and the write-ahead log is empty. Free parts of \
             pages may hold older copies: --rewrite writes the file anew."
        }
        Wiped::Later => {
            "It was overwritten, but somebody reads the ledger: the write-ahead log has it until they \
             are done. Do this once more then."
        }
        Wiped::ByVacuum => {
            "PostgreSQL keeps old versions of rows until a vacuum, and in its write-ahead log and replicas."
        }
    });
    voice.say(
        "Backups, exports, logs, the project's spool and whatever the steps told others still have it.",
    );
}
