//! `oncely ledger stats`: what the ledger holds and what it takes on the disk.

use super::backup::size;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, rfc3339, table, thousands};
use oncely_core::Value;
use oncely_engine::Ask;
use oncely_ledger::Stats;
use serde_json::json;

/// So many of the newest prunes are shown.
const SHOWN: usize = 10;

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely ledger stats", false)?;
    let Some(stats) = house.store().stats()? else {
        voice.record(&json!({ "ledger": Value::Null }));
        voice.say("There is no ledger yet; the first run makes it.");
        return Ok(Exit::Done);
    };
    let place = house.config.ledger.value.to_string();
    let prunes = house.block_on(Ask(house.ledger()).prunes(SHOWN))?;
    let mut record = as_json(&stats, &place);
    if let Some(record) = record.as_object_mut() {
        let prunes = prunes.iter().map(super::prune::as_json).collect();
        record.insert("prunes".into(), Value::Array(prunes));
    }
    voice.record(&record);
    say(voice, &stats, &place);
    if !prunes.is_empty() {
        voice.say("");
        voice.say(super::prune::listed(&prunes));
    }
    Ok(Exit::Done)
}

fn as_json(stats: &Stats, place: &str) -> Value {
    let map = |pairs: Vec<(String, u64)>| -> Value {
        let pairs = pairs.into_iter().map(|(name, n)| (name, n.into()));
        Value::Object(pairs.collect())
    };
    let runs = stats.runs.iter().map(|(s, n)| (s.to_string(), *n));
    let tables = stats.tables.iter().map(|t| (t.name.clone(), t.bytes));
    json!({
        "ledger": place,
        "name": stats.name,
        "schema": schema(stats),
        "runs": map(runs.collect()),
        "keys": stats.keys,
        "facts": stats.facts,
        "item_facts": stats.item_facts,
        "set_aside": stats.set_aside,
        "oldest": stats.oldest.map(rfc3339),
        "newest": stats.newest.map(rfc3339),
        "bytes": stats.bytes,
        "free_bytes": stats.free_bytes,
        "wal_bytes": stats.wal_bytes,
        "tables": map(tables.collect()),
        "restored": stats.restored.as_ref().map(|r| json!({ "at": rfc3339(r.at), "from": r.from })),
    })
}

fn schema(stats: &Stats) -> String {
    format!("{}.{}", stats.schema / 1000, stats.schema % 1000)
}

fn say(voice: Voice, stats: &Stats, place: &str) {
    voice.say(format!(
        "{place}: ledger {}, schema {}",
        stats.name,
        schema(stats)
    ));
    if let Some(restored) = &stats.restored {
        voice.say(format!(
            "restored on {} UTC from {}",
            moment(restored.at),
            restored.from
        ));
    }
    if let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) {
        voice.say(format!("from {} to {} UTC", moment(oldest), moment(newest)));
    }
    voice.say("");
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: String, n: u64| rows.push(vec![what, thousands(n)]);
    for (status, n) in &stats.runs {
        row(format!("runs {status}"), *n);
    }
    row("keys".into(), stats.keys);
    row("facts".into(), stats.facts);
    row("facts of items".into(), stats.item_facts);
    row("items set aside".into(), stats.set_aside);
    voice.say(table(&["what", "how many"], &rows));
    voice.say("");
    let mut rows: Vec<Vec<String>> = Vec::new();
    for table in &stats.tables {
        rows.push(vec![table.name.clone(), size(table.bytes)]);
    }
    rows.push(vec!["all".into(), size(stats.bytes)]);
    if stats.free_bytes > 0 {
        rows.push(vec!["of it free".into(), size(stats.free_bytes)]);
    }
    if let Some(wal) = stats.wal_bytes {
        rows.push(vec!["write-ahead log".into(), size(wal)]);
    }
    voice.say(table(&["table", "size"], &rows));
}
