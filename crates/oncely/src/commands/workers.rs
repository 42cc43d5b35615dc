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
    for worker in &workers {
        voice.record(&record(&house, worker));
    }
    if workers.is_empty() {
        voice.say("Nobody is at work here. `oncely serve` starts a worker.");
        return Ok(Exit::Done);
    }
    let lines: Vec<Vec<String>> = workers.iter().map(|worker| line(&house, worker)).collect();
    voice.say(table(&["process", "what", "since (UTC)", "holds"], &lines));
    Ok(Exit::Done)
}

/// A process, and what it holds.
struct Worker {
    holder: HolderInfo,
    runs: Vec<RunRow>,
    /// The turn of releases, the place of the server, sources.
    names: Vec<String>,
}

async fn workers(house: &House) -> Result<Vec<Worker>, Failure> {
    let ask = Ask(house.ledger());
    let names = ask.names().await?;
    let mut workers = Vec::new();
    for holder in ask.holders().await? {
        let filter = Filter {
            holder: Some(holder.id),
            ..Filter::default()
        };
        let runs = ask.runs(filter).await?;
        let of_it = names.iter().filter(|(_, by)| *by == holder.id);
        let names = of_it.map(|(name, _)| name.clone()).collect();
        workers.push(Worker {
            holder,
            runs,
            names,
        });
    }
    workers.sort_by_key(|worker| (worker.holder.since, worker.holder.id));
    Ok(workers)
}

fn record(house: &House, worker: &Worker) -> serde_json::Value {
    let holder = &worker.holder;
    let held = worker.runs.iter().map(|row| {
        serde_json::json!({
            "run": row.id, "task": house.label(&row.task), "environment": row.environment,
            "key": row.key,
        })
    });
    serde_json::json!({
        "pid": holder.pid, "role": holder.role, "since": rfc3339(holder.since),
        "holds": held.collect::<Vec<_>>(), "names": worker.names,
    })
}

fn line(house: &House, worker: &Worker) -> Vec<String> {
    let (holder, held) = (&worker.holder, &worker.runs);
    let mut names: Vec<String> = held
        .iter()
        .take(NAMED)
        .map(|row| format!("run {} ({})", row.id, house.label(&row.task)))
        .collect();
    if held.len() > NAMED {
        names.push(format!("{} more", held.len() - NAMED));
    }
    names.extend(worker.names.iter().cloned());
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
