//! `oncely show RUN`: one run, whole.

use super::drive::Stands;
use super::logs;
use super::progress::{self, Standing};
use crate::cli::RunArg;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, thousands};
use oncely_core::Value;
use oncely_core::ids::{RunId, StepId};
use oncely_core::items::{Progress, SetAside};
use oncely_engine::Ask;

/// Items set aside that are shown to people; `--json` has them all.
const SHOWN: usize = 10;

/// Items asked of the ledger at once.
const PAGE: usize = 1000;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &RunArg) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely show", false)?;
    house.block_on(async {
        let run = RunId(args.run);
        if let Some(prune) = Ask(house.ledger()).prune_of(run).await? {
            super::prune::say_gone(voice, run, &prune);
            return Ok(Exit::Done);
        }
        let stands = Stands::read(&house, run).await?;
        let facts = Ask(house.ledger()).facts(run).await?;
        voice.record(&super::runs::record(&stands.row));
        header(voice, &house, &stands);
        for fact in &facts {
            voice.record(&serde_json::to_value(fact).unwrap_or_default());
            voice.say(format!(
                "  {}  {}",
                voice.dim(moment(fact.at)),
                logs::sentence(&fact.fact)
            ));
        }
        if let Some(rounds) = stands.rounds_said() {
            voice.say(format!("\nStep {rounds}"));
        } else if let Some(waits) = stands.tried_again() {
            voice.say(format!("\nWaits: {}", waits.sentence()));
        }
        outputs(voice, &stands);
        progress(voice, &house, &stands).await?;
        set_aside(voice, &house, run).await
    })
}

fn header(voice: Voice, house: &House, stands: &Stands) {
    let row = &stands.row;
    voice.say(format!(
        "Run {} of {}  {}",
        row.id,
        voice.bold(house.label(&row.task)),
        voice.status(row.status)
    ));
    voice.say(format!(
        "key {}   environment {}   admitted {} UTC",
        row.key,
        row.environment,
        moment(row.admitted)
    ));
    if let Ok(event) = serde_json::from_str::<Value>(&row.event) {
        voice.say(format!("event {event}\n"));
    }
}

fn outputs(voice: Voice, stands: &Stands) {
    if stands.state.outputs.is_empty() {
        return;
    }
    voice.say("\nOutputs");
    for (step, output) in &stands.state.outputs {
        voice.say(format!("  {step}: {output}"));
    }
}

async fn progress(voice: Voice, house: &House, stands: &Stands) -> Result<(), Failure> {
    for standing in progress::of(house, stands).await? {
        voice.record(&standing.record());
        voice.say(format!("\n{}", sentence(&standing)));
        if let Some(pauses) = standing.pauses() {
            voice.say(format!("  {pauses}"));
        }
    }
    Ok(())
}

fn sentence(standing: &Standing) -> String {
    let Progress {
        done, set_aside, ..
    } = standing.progress;
    let items = match standing.open {
        true => standing.items(),
        false => format!("{} items", thousands(standing.progress.next)),
    };
    format!(
        "Step `{}`: {items}, {} done, {} set aside",
        standing.step,
        thousands(done),
        thousands(set_aside)
    )
}

async fn set_aside(voice: Voice, house: &House, run: RunId) -> Result<Exit, Failure> {
    let mut from = 0;
    loop {
        let page = Ask(house.ledger()).set_aside(run, from, PAGE).await?;
        for (place, (step, item)) in page.iter().enumerate() {
            voice.record(&serde_json::json!({ "step": step, "set_aside": item }));
            if place as u64 + from < SHOWN as u64 {
                voice.say(line(step, item));
            }
        }
        from += page.len() as u64;
        if page.len() < PAGE {
            break;
        }
    }
    if from > SHOWN as u64 {
        let more = from - SHOWN as u64;
        voice.say(format!(
            "  … and {} more: oncely show {run} --json",
            thousands(more)
        ));
    }
    Ok(Exit::Done)
}

fn line(step: &StepId, item: &SetAside) -> String {
    let place = match item.line {
        // By its number it is settled.
        Some(line) if item.reason.starts_with("unknown: ") => {
            format!("item {}, line {line}", item.item)
        }
        Some(line) => format!("line {line}"),
        None => format!("item {}", item.item),
    };
    let input: String = item.input.chars().take(80).collect();
    format!(
        "  set aside by `{step}`, {place}: {}\n      {input}",
        item.reason
    )
}
