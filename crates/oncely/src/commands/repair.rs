//! `oncely ledger repair`: goes on with a ledger that is not as far as it had come. What may have gone on
//! since is held, so that nothing is done twice before somebody has looked.

use super::drive;
use super::people::{people, who};
use crate::cli::Repair;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::store::Store;
use oncely_core::fact::Request;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::{RunState, RunStatus};
use oncely_engine::Ask;
use serde_json::json;

/// Runs that are held in one turn.
const PAGE: usize = 200;
/// Runs that are named to people; `oncely runs` has them all.
const SHOWN: usize = 20;

/// What was done about runs that had not ended.
#[derive(Default)]
struct Done {
    held: Vec<RunRow>,
    broken: Vec<RunRow>,
}

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Repair) -> Result<Exit, Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::usage(
            "a reason is needed: --reason \"…\". Nothing was changed.",
        ));
    }
    let house = House::open(flags, "oncely ledger repair", false)?;
    let store = match house.store() {
        Store::Sqlite(store) => store,
        Store::Nothing(_) => {
            return Err(Failure::usage(
                "there is no ledger here that could be repaired. Nothing was changed. `oncely ledger \
                 restore FILE` puts a backup into its place.",
            ));
        }
        Store::Postgres(_) => {
            return Err(Failure::usage(
                "the ledger is in a PostgreSQL database, of which oncely does not know how far it had \
                 come. Nothing was changed. `oncely ledger verify` looks it over.",
            ));
        }
    };
    let Some(why) = store.behind()? else {
        voice.record(&json!({ "behind": null }));
        voice.say(
            "The ledger is as far as it had come: there is nothing to repair. `oncely ledger verify` \
             looks it over.",
        );
        return Ok(Exit::Done);
    };
    let done = house.block_on(hold_all(&house, args))?;
    store.take_as_it_is()?;
    say(voice, &house, &why, &done);
    Ok(Exit::Done)
}

/// Holds every run that has not ended.
async fn hold_all(house: &House, args: &Repair) -> Result<Done, Failure> {
    let mut done = Done::default();
    let mut before = None;
    loop {
        let filter = Filter {
            status: vec![
                RunStatus::Pending,
                RunStatus::Running,
                RunStatus::Waiting,
                RunStatus::Unknown,
            ],
            before,
            limit: PAGE,
            ..Filter::default()
        };
        let rows = Ask(house.ledger()).runs(filter).await?;
        let Some(last) = rows.last() else {
            return Ok(done);
        };
        before = Some(last.id);
        let ids = rows.iter().map(|row| row.id).collect();
        let broken = Ask(house.ledger()).broken(ids).await?;
        for row in rows {
            if broken.contains(&row.id) {
                done.broken.push(row);
            } else {
                hold(house, args, row.id).await?;
                done.held.push(row);
            }
        }
    }
}

/// Holds a run, unless it is held already.
async fn hold(house: &House, args: &Repair, run: RunId) -> Result<(), Failure> {
    let facts = Ask(house.ledger()).facts(run).await?;
    let state = RunState::fold(&facts)
        .map_err(|error| Failure::failed(format!("run {run} cannot be read: {error}")))?;
    if state.paused {
        return Ok(());
    }
    let reason = format!("the end of the ledger was lost: {}", args.reason);
    people(house)
        .request(run, Request::Pause, &who(args.by.clone()), &reason)
        .await?;
    Ok(())
}

fn say(voice: Voice, house: &House, why: &str, done: &Done) {
    let numbers = |rows: &[RunRow]| rows.iter().map(|row| row.id.0).collect::<Vec<_>>();
    voice.record(&json!({
        "behind": why, "held": numbers(&done.held), "broken": numbers(&done.broken),
    }));
    voice.say(format!(
        "The ledger is gone on with as it is, though {why}.\n\
         What was admitted since is not known: it is done again when it arrives again. Which runs ended \
         since is not known either."
    ));
    if !done.held.is_empty() {
        voice.say(format!(
            "{} had not ended when the ledger was as it is now, and may have gone on since. Nothing more is \
             done before you say so:",
            count(done.held.len(), "run")
        ));
        list(voice, house, &done.held, |row| {
            format!("oncely show {}", row.id)
        });
        voice.say(
            "Look what became of each. Then `oncely resume RUN` goes on with the next step that it does not \
             know to be done, and `oncely cancel RUN` ends it.",
        );
    }
    if !done.broken.is_empty() {
        voice.say(format!(
            "{} cannot be gone on with: facts or events are not those that were recorded.",
            count(done.broken.len(), "run")
        ));
        list(voice, house, &done.broken, drive::ways_on_broken);
    }
}

fn list(voice: Voice, house: &House, rows: &[RunRow], way: impl Fn(&RunRow) -> String) {
    for row in rows.iter().take(SHOWN) {
        voice.say(format!(
            "  run {} of {} (key {}), {}: {}",
            row.id,
            house.label(&row.task),
            row.key,
            row.status,
            way(row)
        ));
    }
    if rows.len() > SHOWN {
        voice.say(format!("  … and {} more", rows.len() - SHOWN));
    }
}
