//! `oncely ledger repair`: goes on with a ledger that is not as far as it had come. What can be looked up,
//! or is recognised where it was done, goes on by itself; what nobody can tell is held for a person.

use super::drive;
use super::people::{people, who};
use super::servers;
use crate::cli::Repair;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project;
use crate::store::Store;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_engine::{Ask, EndLost, Engine};
use serde_json::json;
use std::sync::Arc;

/// Runs that are looked at in one turn.
const PAGE: usize = 200;
/// Runs that are named to people; `--json` has them all.
const SHOWN: usize = 20;

/// What became of runs that had not ended.
#[derive(Default)]
struct Done {
    goes_on: Vec<RunRow>,
    held: Vec<(RunRow, String)>,
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
    let why = store.behind()?;
    match (&args.go_on, why) {
        (Some(task), None) => house.block_on(go_on(voice, &house, args, task)),
        (Some(_), Some(_)) => Err(Failure::usage(
            "the ledger is not repaired yet: without --go-on first, which says what is held. Nothing was \
             changed.",
        )),
        (None, None) => {
            voice.record(&json!({ "behind": null }));
            voice.say(
                "The ledger is as far as it had come: there is nothing to repair. `oncely ledger verify` \
                 looks it over.",
            );
            Ok(Exit::Done)
        }
        (None, Some(why)) => {
            let done = house.block_on(look(&house, args))?;
            store.take_as_it_is()?;
            say(voice, &house, &why, &done);
            Ok(Exit::Done)
        }
    }
}

/// Every run that has not ended, page after page.
struct Open<'h> {
    house: &'h House,
    before: Option<oncely_core::ids::RunId>,
}

impl Open<'_> {
    async fn page(&mut self) -> Result<Vec<RunRow>, Failure> {
        let filter = Filter {
            status: vec![
                RunStatus::Pending,
                RunStatus::Running,
                RunStatus::Waiting,
                RunStatus::Unknown,
            ],
            before: self.before,
            limit: PAGE,
            ..Filter::default()
        };
        let rows = Ask(self.house.ledger()).runs(filter).await?;
        self.before = rows.last().map(|row| row.id).or(self.before);
        Ok(rows)
    }
}

/// Says to every run that has not ended that what it did since is not known.
async fn look(house: &House, args: &Repair) -> Result<Done, Failure> {
    // Runs that have begun know their own text: what is wrong in the folder does not matter to them.
    let tasks = project::load(&house.config).map(|loaded| loaded.tasks);
    let engine = house.engine(tasks.unwrap_or_default())?;
    let mut open = Open {
        house,
        before: None,
    };
    let mut done = Done::default();
    loop {
        let rows = open.page().await?;
        if rows.is_empty() {
            return Ok(done);
        }
        let ids = rows.iter().map(|row| row.id).collect();
        let broken = Ask(house.ledger()).broken(ids).await?;
        for row in rows {
            if broken.contains(&row.id) {
                done.broken.push(row);
                continue;
            }
            match lose_end(house, &engine, args, &row).await? {
                EndLost::GoesOn => done.goes_on.push(row),
                EndLost::Held(why) => done.held.push((row, why)),
                EndLost::Paused => done.held.push((row, "it was paused before".into())),
            }
        }
    }
}

async fn lose_end(
    house: &House,
    engine: &Arc<Engine>,
    args: &Repair,
    row: &RunRow,
) -> Result<EndLost, Failure> {
    let (people, by) = (people(house), who(args.by.clone()));
    let became = engine.lose_end(&people, row, args.hold_all, &by, &args.reason);
    Ok(became.await?)
}

/// Lets every run of a task go on that was held here.
async fn go_on(voice: Voice, house: &House, args: &Repair, task: &str) -> Result<Exit, Failure> {
    let id = house.task_named(task);
    let mut open = Open {
        house,
        before: None,
    };
    let (people, by) = (people(house), who(args.by.clone()));
    let mut going = Vec::new();
    loop {
        let rows = open.page().await?;
        if rows.is_empty() {
            break;
        }
        for row in rows.iter().filter(|row| row.task == id) {
            if people.go_on_after_loss(row.id, &by, &args.reason).await? {
                going.push(row.id.0);
            }
        }
    }
    voice.record(&json!({ "task": id, "goes_on": going }));
    if going.is_empty() {
        voice.say(format!(
            "No run of {} is held since the end of the ledger was lost. Nothing was changed.",
            house.label(&id)
        ));
        return Ok(Exit::Done);
    }
    voice.say(format!(
        "{} of {} {} on with the next step that the ledger does not know to be done.",
        count(going.len(), "run"),
        house.label(&id),
        if going.len() == 1 { "goes" } else { "go" }
    ));
    voice.say(servers::who_does_it(house).await?);
    Ok(Exit::Done)
}

fn say(voice: Voice, house: &House, why: &str, done: &Done) {
    let numbers = |rows: &[RunRow]| rows.iter().map(|row| row.id.0).collect::<Vec<_>>();
    let held =
        |(row, why): &(RunRow, String)| json!({ "run": row.id, "task": row.task, "why": why });
    voice.record(&json!({
        "behind": why,
        "goes_on": numbers(&done.goes_on),
        "held": done.held.iter().map(held).collect::<Vec<_>>(),
        "broken": numbers(&done.broken),
    }));
    voice.say(format!(
        "The ledger is gone on with as it is, though {why}.\n\
         What was admitted since is not known: it is done again when it arrives again. What people said \
         since, such as answers and `cancel`, is gone. Which runs ended since is not known either.",
    ));
    if !done.goes_on.is_empty() {
        voice.say(format!(
            "{} that had not ended {} on by {} when a server starts: what may have been done since is \
             looked up, found by its mark, or sent again under the same key.",
            count(done.goes_on.len(), "run"),
            if done.goes_on.len() == 1 { "goes" } else { "go" },
            if done.goes_on.len() == 1 { "itself" } else { "themselves" },
        ));
    }
    say_held(voice, house, &done.held);
    if !done.broken.is_empty() {
        voice.say(format!(
            "{} cannot be gone on with: facts or events are not those that were recorded.",
            count(done.broken.len(), "run")
        ));
        list(voice, house, done.broken.iter(), drive::ways_on_broken);
    }
}

fn say_held(voice: Voice, house: &House, held: &[(RunRow, String)]) {
    if held.is_empty() {
        return;
    }
    voice.say(format!(
        "{} {} held, as nobody can tell but you. Nothing more is done before you say so:",
        count(held.len(), "run"),
        if held.len() == 1 { "is" } else { "are" }
    ));
    for (row, why) in held.iter().take(SHOWN) {
        voice.say(format!("  {}\n    {why}", named(house, row)));
    }
    more(voice, held.len());
    voice.say(
        "Look what became of each: `oncely show RUN`. Then `oncely resume RUN` goes on with the next step \
         that it does not know to be done, and `oncely cancel RUN` ends it. For all of a task: `oncely \
         ledger repair --go-on TASK --reason \"…\"`.",
    );
}

fn list<'r>(
    voice: Voice,
    house: &House,
    rows: impl ExactSizeIterator<Item = &'r RunRow>,
    way: impl Fn(&RunRow) -> String,
) {
    let all = rows.len();
    for row in rows.take(SHOWN) {
        voice.say(format!("  {}: {}", named(house, row), way(row)));
    }
    more(voice, all);
}

fn named(house: &House, row: &RunRow) -> String {
    format!(
        "run {} of {} (key {}), {}",
        row.id,
        house.label(&row.task),
        row.key,
        row.status
    )
}

fn more(voice: Voice, all: usize) {
    if all > SHOWN {
        voice.say(format!(
            "  … and {} more; `oncely runs` lists them",
            all - SHOWN
        ));
    }
}
