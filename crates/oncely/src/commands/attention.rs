//! What needs a person, below the table of `oncely status`: questions, attempts that nobody knows about,
//! and what failed, each with the command that goes on.

use super::drive::{self, Stands};
use super::progress;
use crate::failure::Failure;
use crate::house::House;
use crate::output::{Voice, moment, plain};
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::time::Clock;
use oncely_engine::Ask;

/// What waits for a person, with the command that answers it.
pub(super) async fn people(voice: Voice, house: &House) -> Result<(), Failure> {
    let filter = Filter {
        environment: Some(house.config.environment.value.clone()),
        status: vec![RunStatus::Waiting, RunStatus::Unknown],
        ..Filter::default()
    };
    for row in Ask(house.ledger()).runs(filter).await? {
        let stands = Stands::read(house, row.id).await?;
        let (id, task) = (row.id, house.label(&row.task));
        if stands.broken {
            if !is_superseded(house, &row).await? {
                voice.say(format!(
                    "\nRun {id} of {task} is unknown: {}\n  {}",
                    stands.reason(),
                    drive::ways_on_broken(&row)
                ));
            }
            continue;
        }
        if let Some(asked) = stands.asked_of_it() {
            voice.say(format!("\nRun {id} of {task} {asked}"));
        } else if stands.waits_for_person() && stands.question_is_over(house.clock.now()) {
            voice.say(format!(
                "\nRun {id} of {task}: nobody answered in time, which counts as no. The next \
                 `oncely run` or `oncely serve` ends it."
            ));
        } else if let (Some(asked), true) = (stands.asked(), stands.waits_for_person()) {
            voice.say(format!(
                "\nRun {id} of {task} asks: {}",
                plain(&asked.question.text)
            ));
            for line in drive::asking(&asked.question) {
                voice.say(format!("  {line}"));
            }
            let tick = drive::tick_all(&asked.question);
            voice.say(format!(
                "  oncely approve {id}{tick}   or: oncely reject {id}"
            ));
        } else if let Some(until) = stands.held_until() {
            voice.say(format!(
                "\nRun {id} of {task} is held until {} UTC",
                moment(until)
            ));
        } else if let Some(rounds) = stands.rounds_said() {
            voice.say(format!("\nRun {id} of {task}: {rounds}"));
        } else if let Some(waits) = stands.tried_again() {
            voice.say(format!("\nRun {id} of {task} waits: {}", waits.sentence()));
        }
        if row.status == RunStatus::Unknown {
            voice.say(format!(
                "\nRun {id} of {task} is unknown: {}\n  oncely settle {id} done|not-done --reason \"…\"",
                stands.reason()
            ));
        }
    }
    pausing(voice, house).await?;
    failed(voice, house).await
}

/// Streams that pause since their `while` does not hold.
async fn pausing(voice: Voice, house: &House) -> Result<(), Failure> {
    let filter = Filter {
        environment: Some(house.config.environment.value.clone()),
        status: vec![RunStatus::Running],
        limit: RUNNING,
        ..Filter::default()
    };
    for row in Ask(house.ledger()).runs(filter).await? {
        let stands = Stands::read(house, row.id).await?;
        let standing = progress::under_way(house, &stands).await?;
        if let Some(pauses) = standing.and_then(|standing| standing.pauses()) {
            let (id, task) = (row.id, house.label(&row.task));
            voice.say(format!("\nRun {id} of {task}: {pauses}"));
        }
    }
    Ok(())
}

/// Runs at work that are looked into.
const RUNNING: usize = 50;

/// Failed runs that are shown to people; `oncely runs --state failed` has them all.
const SHOWN: usize = 10;

/// What failed and was not done once more since, with the commands that go on.
async fn failed(voice: Voice, house: &House) -> Result<(), Failure> {
    let filter = Filter {
        environment: Some(house.config.environment.value.clone()),
        status: vec![RunStatus::Failed],
        limit: SHOWN + 1,
        ..Filter::default()
    };
    let rows = Ask(house.ledger()).runs(filter).await?;
    for row in rows.iter().take(SHOWN) {
        if is_superseded(house, row).await? {
            continue;
        }
        let stands = Stands::read(house, row.id).await?;
        let (id, task) = (row.id, house.label(&row.task));
        let (what, rerun) = match row.undoes() {
            Some(first) => (
                format!(", the undo of run {first} of {task},"),
                String::new(),
            ),
            None => (
                format!(" of {task}"),
                format!("   or: oncely rerun {id} --reason \"…\""),
            ),
        };
        voice.say(format!(
            "\nRun {id}{what} failed: {}\n  oncely show {id}   then: oncely resume {id}{rerun}",
            stands.reason()
        ));
    }
    if rows.len() > SHOWN {
        voice.say("\nMore runs failed: oncely runs --state failed");
    }
    Ok(())
}

/// Whether there is a later generation of the same task and key.
async fn is_superseded(house: &House, row: &RunRow) -> Result<bool, Failure> {
    let filter = Filter {
        environment: Some(row.environment.clone()),
        task: Some(row.task.clone()),
        key: Some(row.key.clone()),
        limit: 1,
        ..Filter::default()
    };
    let newest = Ask(house.ledger()).runs(filter).await?;
    Ok(newest.iter().any(|other| other.generation > row.generation))
}
