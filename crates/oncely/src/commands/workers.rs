//! `oncely workers`: the processes at work on the ledger, and what each of them holds.

use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, rfc3339, table};
use oncely_core::ledger::{Filter, HolderInfo, RunRow};
use oncely_engine::Ask;

/// So many of the runs that a process holds are named; the rest is counted.
const NAMED: usize = 3;

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely workers", false)?;
    let workers = house.block_on(workers(&house))?;
    for (holder, held) in &workers {
        voice.record(&record(&house, holder, held));
    }
    if workers.is_empty() {
        voice.say("Nobody is at work here. `oncely serve` starts a worker.");
        return Ok(Exit::Done);
    }
    let lines: Vec<Vec<String>> = workers
        .iter()
        .map(|(holder, held)| line(&house, holder, held))
        .collect();
    voice.say(table(&["process", "what", "since (UTC)", "holds"], &lines));
    Ok(Exit::Done)
}

async fn workers(house: &House) -> Result<Vec<(HolderInfo, Vec<RunRow>)>, Failure> {
    let ask = Ask(house.ledger());
    let mut workers = Vec::new();
    for holder in ask.holders().await? {
        let filter = Filter {
            holder: Some(holder.id),
            ..Filter::default()
        };
        let held = ask.runs(filter).await?;
        workers.push((holder, held));
    }
    workers.sort_by_key(|(holder, _)| (holder.since, holder.id));
    Ok(workers)
}

fn record(house: &House, holder: &HolderInfo, held: &[RunRow]) -> serde_json::Value {
    let held = held.iter().map(|row| {
        serde_json::json!({
            "run": row.id, "task": house.label(&row.task), "environment": row.environment,
            "key": row.key,
        })
    });
    serde_json::json!({
        "pid": holder.pid, "role": holder.role, "since": rfc3339(holder.since),
        "holds": held.collect::<Vec<_>>(),
    })
}

fn line(house: &House, holder: &HolderInfo, held: &[RunRow]) -> Vec<String> {
    let mut names: Vec<String> = held
        .iter()
        .take(NAMED)
        .map(|row| format!("run {} ({})", row.id, house.label(&row.task)))
        .collect();
    if held.len() > NAMED {
        names.push(format!("{} more", held.len() - NAMED));
    }
    let holds = match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    };
    vec![
        holder.pid.to_string(),
        holder.role.clone(),
        moment(holder.since),
        holds,
    ]
}
