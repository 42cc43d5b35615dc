//! `oncely status`: each task, its last run, and what needs a person.

use super::drive::{self, Stands};
use super::run::{concerns, newest};
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, plain, rfc3339, span, table};
use crate::project;
use oncely_core::ids::TaskId;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::task::{Task, Trigger};
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::Ask;
use std::collections::BTreeMap;

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely status", false)?;
    let loaded = project::load(&house.config)?;
    let environment = house.config.environment.value.clone();
    house.block_on(async {
        let rows = newest(&house, &environment).await?;
        let mut lines = Vec::new();
        for known in &loaded.tasks {
            if concerns(&known.task, &environment) {
                lines.push(line(voice, &house, &known.task, rows.get(&known.task.id)).await?);
            }
        }
        lines.extend(gone(voice, &loaded, &rows));
        if lines.is_empty() {
            voice.say("There are no tasks yet. `oncely new NAME` writes one.");
        } else {
            tell(voice, lines);
        }
        people(voice, &house).await?;
        Ok::<_, Failure>(())
    })?;
    if !loaded.problems.is_empty() {
        voice.say(format!(
            "\n{}",
            project::render(&loaded.problems, voice.colour)
        ));
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

/// The table of tasks. When something happens next stands there where something does.
fn tell(voice: Voice, mut lines: Vec<Vec<String>>) {
    let mut head = vec![
        "state",
        "version",
        "task",
        "last run (UTC)",
        "took",
        "next (UTC)",
    ];
    let none = |line: &Vec<String>| line.last().is_none_or(String::is_empty);
    if lines.iter().all(none) {
        head.pop();
        lines.iter_mut().for_each(|line| drop(line.pop()));
    }
    voice.say(table(&head, &lines));
}

/// When the clock starts a task next, while a server is running.
fn next_tick(house: &House, task: &Task) -> Option<Timestamp> {
    match &task.on {
        Trigger::Schedule(trigger) => trigger.schedule.next_after(house.clock.now()),
        _ => None,
    }
}

async fn line(
    voice: Voice,
    house: &House,
    task: &Task,
    row: Option<&RunRow>,
) -> Result<Vec<String>, Failure> {
    let version = match &task.on {
        Trigger::Release(release) => release.version.clone(),
        other => other.name().to_owned(),
    };
    let label = project::label(task);
    let name = label
        .strip_prefix(&format!("{version}_"))
        .unwrap_or(&label)
        .to_owned();
    let tick = next_tick(house, task);
    let next = tick.map(moment).unwrap_or_default();
    let tick = tick.map(rfc3339);
    let Some(row) = row else {
        let state = if matches!(task.on, Trigger::Release(_)) {
            "pending"
        } else {
            "ready"
        };
        voice.record(&serde_json::json!({
            "task": task.id, "file": task.path, "state": state, "next": tick,
        }));
        return Ok(vec![
            voice.dim(state),
            version,
            name,
            String::new(),
            String::new(),
            next,
        ]);
    };
    let stands = Stands::read(house, row.id).await?;
    let rounds = stands.rounds().map(|(step, done, due)| {
        serde_json::json!({ "step": step, "done": done, "next": due.map(rfc3339) })
    });
    voice.record(&serde_json::json!({
        "task": task.id, "file": task.path, "state": row.status, "run": row.id,
        "last_run": rfc3339(row.changed), "millis": stands.took(), "next": tick, "rounds": rounds,
        "needs_person": (stands.waits_for_person()
            && !stands.question_is_over(house.clock.now()))
            || matches!(row.status, RunStatus::Unknown | RunStatus::Failed),
    }));
    let took = if row.status.is_ended() {
        span(stands.took())
    } else {
        String::new()
    };
    Ok(vec![
        voice.status(row.status),
        version,
        name,
        moment(row.changed),
        took,
        next,
    ])
}

/// Tasks that ran here and whose files are gone.
fn gone(
    voice: Voice,
    loaded: &project::Loaded,
    rows: &BTreeMap<TaskId, RunRow>,
) -> Vec<Vec<String>> {
    let there = |id: &TaskId| loaded.tasks.iter().any(|known| known.task.id == *id);
    let gone = rows.values().filter(|row| !there(&row.task));
    gone.map(|row| {
        voice.record(&serde_json::json!({
            "task": row.task, "file": null, "state": row.status, "run": row.id,
        }));
        let name = "(no file)".to_owned();
        vec![
            voice.status(row.status),
            row.task.to_string(),
            name,
            moment(row.changed),
            String::new(),
            String::new(),
        ]
    })
    .collect()
}

/// What waits for a person, with the command that answers it.
async fn people(voice: Voice, house: &House) -> Result<(), Failure> {
    let filter = Filter {
        environment: Some(house.config.environment.value.clone()),
        status: vec![RunStatus::Waiting, RunStatus::Unknown],
        ..Filter::default()
    };
    for row in Ask(house.ledger()).runs(filter).await? {
        let stands = Stands::read(house, row.id).await?;
        let (id, task) = (row.id, house.label(&row.task));
        if stands.waits_for_person() && stands.question_is_over(house.clock.now()) {
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
        }
        if row.status == RunStatus::Unknown {
            voice.say(format!(
                "\nRun {id} of {task} is unknown: {}\n  oncely settle {id} done|not-done --reason \"…\"",
                stands.reason()
            ));
        }
    }
    failed(voice, house).await
}

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
