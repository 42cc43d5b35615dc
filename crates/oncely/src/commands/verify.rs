//! `oncely ledger verify`: whether the ledger is what was written.

use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count, thousands};
use oncely_core::Value;
use serde_json::json;

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely ledger verify", false)?;
    let Some(found) = house.store().verify()? else {
        voice.record(&json!({ "ledger": Value::Null }));
        voice.say("There is no ledger yet; the first run makes it.");
        return Ok(Exit::Done);
    };
    voice.record(&json!({
        "runs": found.runs, "facts": found.facts, "keys": found.keys, "steps": found.steps,
        "database": found.database, "checksums": found.checksums, "wrong": found.wrong, "findings": found.findings,
    }));
    for finding in &found.findings {
        voice.say(finding);
    }
    let more = found.wrong.saturating_sub(found.findings.len() as u64);
    if more > 0 {
        voice.say(format!("… and {} more.", thousands(more)));
    }
    let database = if found.database {
        ", and the database from end to end"
    } else {
        ""
    };
    voice.say(format!(
        "Looked over: {} with {}, each with its key, its event and its chain{database}.",
        many(found.runs, "run"),
        many(found.facts, "fact")
    ));
    if found.checksums == Some(false) {
        voice.say(
            "Its pages have no checksums, as it was made before there were any: what a disk changes in one \
             may not be seen. `oncely ledger migrate` gives them, after a backup.",
        );
    }
    if found.wrong == 0 {
        voice.say("Nothing is wrong.");
        return Ok(Exit::Done);
    }
    voice.say(format!(
        "Wrong: {}. Nothing was changed. Runs whose facts were changed or lost are not worked on. \
         Copy the ledger, look at the disk, and compare with a backup.",
        thousands(found.wrong)
    ));
    Ok(Exit::Failed)
}

fn many(number: u64, word: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), word)
}
