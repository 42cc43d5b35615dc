//! `oncely runs`: runs, newest first.

use crate::cli::Runs;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, rfc3339, suggestion, table};
use crate::project;
use oncely_core::ids::TaskId;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_engine::Ask;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Runs) -> Result<Exit, Failure> {
    let status = args.state.as_deref().map(status).transpose()?;
    let house = House::open(flags, "oncely runs", false)?;
    let task = args.task.as_deref().map(|name| task(&house, name));
    let filter = Filter {
        environment: Some(house.config.environment.value.clone()),
        task: task.transpose()?,
        status: status.into_iter().collect(),
        limit: args.limit.clamp(1, Filter::MOST),
        ..Filter::default()
    };
    let rows = house.block_on(async { Ask(house.ledger()).runs(filter).await })?;
    for row in &rows {
        voice.record(&record(row));
    }
    if rows.is_empty() {
        voice.say("No runs.");
        return Ok(Exit::Done);
    }
    let lines: Vec<Vec<String>> = rows.iter().map(|row| line(voice, &house, row)).collect();
    voice.say(table(
        &["run", "state", "task", "key", "admitted (UTC)"],
        &lines,
    ));
    Ok(Exit::Done)
}

fn status(name: &str) -> Result<RunStatus, Failure> {
    RunStatus::parse(name).ok_or_else(|| {
        let names = RunStatus::ALL.iter().map(|s| s.name());
        Failure::usage(format!(
            "there is no state `{name}`.{}",
            suggestion(name, names)
        ))
    })
}

/// The task that people know by this name: it has a file, or ran here once.
fn task(house: &House, name: &str) -> Result<TaskId, Failure> {
    let environment = house.config.environment.value.clone();
    let ran = house.block_on(async { Ask(house.ledger()).newest(environment).await })?;
    let ran = ran.into_iter().map(|row| row.task);
    let mut known = project::labels(&house.config);
    for id in ran {
        known.entry(id.clone()).or_insert_with(|| id.to_string());
    }
    let found = known
        .iter()
        .find(|(id, label)| id.as_str() == name || *label == name);
    found.map(|(id, _)| id.clone()).ok_or_else(|| {
        let near = suggestion(name, known.values().map(String::as_str));
        Failure::usage(format!("there is no task `{name}`.{near}"))
    })
}

fn line(voice: Voice, house: &House, row: &RunRow) -> Vec<String> {
    let mut key = row.key.to_string();
    if row.generation.0 > 1 {
        key.push_str(&format!(" (time {})", row.generation));
    }
    vec![
        row.id.to_string(),
        voice.status(row.status),
        house.label(&row.task),
        key,
        moment(row.admitted),
    ]
}

/// A run's row for programs.
pub(crate) fn record(row: &RunRow) -> oncely_core::Value {
    serde_json::json!({
        "run": row.id, "state": row.status, "task": row.task, "key": row.key,
        "generation": row.generation, "environment": row.environment, "trigger": row.trigger,
        "admitted": rfc3339(row.admitted), "changed": rfc3339(row.changed),
        "due": row.due.map(rfc3339), "parent": row.parent,
    })
}
