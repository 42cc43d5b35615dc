//! `oncely logs`: what happened, in the order it happened.

use super::progress::{self, Followed, Speed};
use crate::cli::Logs;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count, moment, plain};
use oncely_core::Value;
use oncely_core::fact::{Fact, ItemsBecame, Outcome, Recorded, Request, Settlement};
use oncely_core::ids::RunId;
use oncely_core::ledger::{Change, Filter, RunRow};
use oncely_core::question::{Answer, Identity};
use oncely_core::round::Named;
use oncely_core::run::RunStatus;
use oncely_core::time::Clock;
use oncely_engine::{Ask, Stop, listed};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often streams are looked at that are followed.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Logs) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely logs", false)?;
    house.block_on(async {
        let stop = Stop::default();
        house.stop_on_signals(&stop);
        let mut told = BTreeMap::new();
        let mut streams = Followed::default();
        let mut change = Change::default();
        loop {
            let rows = tell(voice, &house, args, &mut told).await?;
            let ended = args.run.is_some() && rows.iter().all(|row| row.status.is_ended());
            if !args.follow || ended {
                return Ok(Exit::Done);
            }
            let running = rows.iter().filter(|row| row.status == RunStatus::Running);
            let running: Vec<&RunRow> = running.collect();
            for row in &running {
                stream(voice, &house, row, &mut streams).await?;
            }
            tokio::select! {
                seen = house.ledger().watch(change) => change = seen,
                () = tokio::time::sleep(LOOK), if !running.is_empty() => {}
                () = stop.stopped() => return Ok(Exit::Done),
            }
        }
    })
}

/// Says how far the streams of a run are, every so often: they leave no facts on their way.
async fn stream(
    voice: Voice,
    house: &House,
    row: &RunRow,
    streams: &mut Followed,
) -> Result<(), Failure> {
    for (standing, speed) in streams.news(house, row.id).await? {
        let mut record = standing.record();
        record["run"] = row.id.0.into();
        record["task"] = row.task.as_str().into();
        record["speed"] = speed.map_or(Value::Null, Speed::record);
        voice.record(&record);
        voice.say(format!(
            "{}  run {} {}  `{}` {}",
            voice.dim(moment(house.clock.now())),
            row.id,
            house.label(&row.task),
            standing.step,
            progress::sentence(&standing, speed)
        ));
    }
    Ok(())
}

/// Tells what is new of the runs that were asked for, and gives these.
pub(super) async fn tell(
    voice: Voice,
    house: &House,
    args: &Logs,
    told: &mut BTreeMap<RunId, usize>,
) -> Result<Vec<RunRow>, Failure> {
    let ask = Ask(house.ledger());
    let rows = match args.run {
        Some(run) => {
            vec![super::drive::Stands::read(house, RunId(run)).await?.row]
        }
        None => {
            let filter = Filter {
                environment: Some(house.config.environment.value.clone()),
                limit: args.limit.clamp(1, Filter::MOST),
                ..Filter::default()
            };
            ask.runs(filter).await?
        }
    };
    let mut lines: Vec<(RunRow, Recorded)> = Vec::new();
    for row in &rows {
        let facts = ask.facts(row.id).await?;
        let before = told.insert(row.id, facts.len()).unwrap_or(0);
        lines.extend(
            facts
                .into_iter()
                .skip(before)
                .map(|fact| (row.clone(), fact)),
        );
    }
    lines.sort_by_key(|(row, fact)| (fact.at, row.id));
    for (row, fact) in lines {
        let mut record = serde_json::to_value(&fact).unwrap_or_default();
        if let Some(table) = record.as_object_mut() {
            table.insert("run".into(), row.id.0.into());
            table.insert("task".into(), row.task.as_str().into());
        }
        voice.record(&record);
        let who = format!("run {} {}", row.id, house.label(&row.task));
        voice.say(format!(
            "{}  {}  {}",
            voice.dim(moment(fact.at)),
            who,
            sentence(&fact.fact)
        ));
    }
    Ok(rows)
}

/// A fact as a sentence.
pub(crate) fn sentence(fact: &Fact) -> String {
    match fact {
        Fact::Forgotten { by, reason, .. } => format!("forgotten by {by}{}", with_note(reason)),
        Fact::Began { text, .. } => format!("began with text {}", short(&text.to_string())),
        Fact::Skipped { step, why } => format!("`{step}` skipped: {why}"),
        Fact::Intent { step, attempt, .. } => {
            format!("{} about to act{}", Named(step), nth(*attempt))
        }
        Fact::Interrupted { step, .. } => {
            format!(
                "{} interrupted: its process went away, nobody knows whether it acted",
                Named(step)
            )
        }
        Fact::Outcome {
            step,
            attempt,
            outcome,
        } => outcome_sentence(step, *attempt, outcome),
        Fact::Probed { step, answer, .. } => {
            format!("{} looked up without an answer: {answer}", Named(step))
        }
        Fact::ProbeAsked {
            step, by, reason, ..
        } => format!(
            "{} is to be looked up, says {by}{}",
            Named(step),
            with_note(reason)
        ),
        Fact::Judged {
            step, held: true, ..
        } => format!("`{step}` holds"),
        Fact::Judged { step, message, .. } => format!("`{step}` does not hold: {message}"),
        Fact::RoundsOver {
            step,
            rounds,
            held: true,
        } => format!(
            "`{step}` over after {}: `until` holds",
            count(*rounds as usize, "round")
        ),
        Fact::RoundsOver { step, rounds, .. } => format!(
            "`{step}` over after {}: there is no further one, and `until` does not hold",
            count(*rounds as usize, "round")
        ),
        Fact::Held { step, until } => format!("`{step}` held until {} UTC", moment(*until)),
        Fact::Asked { step, question } => format!("`{step}` asks: {}", plain(&question.text)),
        Fact::Linked {
            step,
            person,
            expires,
            by,
            ..
        } => format!(
            "`{step}` link for {person} made by {by}, until {} UTC",
            moment(*expires)
        ),
        Fact::Answered { step, answer } => answer_sentence(step, answer),
        Fact::Settled {
            step,
            settlement,
            by,
            reason,
            ..
        } => {
            let became = match settlement {
                Settlement::Happened { .. } => "it happened",
                Settlement::DidNotHappen => "it did not happen",
            };
            let step = Named(step);
            format!("{step} settled by {by}: {became}{}", with_note(reason))
        }
        Fact::ItemsSettled {
            step,
            items,
            became,
            by,
            reason,
            ..
        } => {
            let which = match items.as_slice() {
                [] => "all items in doubt".to_owned(),
                [one] => format!("item {one}"),
                _ => format!("items {}", listed(items)),
            };
            let (step, note) = (Named(step), with_note(reason));
            match became {
                ItemsBecame::Happened => {
                    format!("{step}, {which} settled by {by}: it happened{note}")
                }
                ItemsBecame::DidNotHappen => {
                    format!("{step}, {which} settled by {by}: it did not happen{note}")
                }
                ItemsBecame::LookUp => format!("{step}, {which} to be looked up, says {by}{note}"),
            }
        }
        Fact::SkipAsked { step, by, reason } => {
            format!("`{step}` is to be skipped, says {by}{}", with_note(reason))
        }
        Fact::Requested {
            what: Request::Start,
            by,
            reason,
        } => format!("started by {by}{}", with_note(reason)),
        Fact::Requested { what, by, reason } => {
            let what = format!("{what:?}").to_lowercase();
            format!("{what} asked for by {by}{}", with_note(reason))
        }
        Fact::Undoes(undoing) => format!(
            "takes back run {}, asked for by {}{}",
            undoing.run,
            undoing.by,
            with_note(&undoing.reason)
        ),
        Fact::EndLost {
            hold, by, reason, ..
        } => {
            let then = match hold.as_str() {
                "" => "each step is taken for one that may have been done".to_owned(),
                why => format!("held: {why}"),
            };
            format!(
                "the end of the ledger was lost; {then}, says {by}{}",
                with_note(reason)
            )
        }
        Fact::Undone { by } => format!("taken back by run {by}"),
        Fact::Ended { end, reason } => {
            format!(
                "ended: {}{}",
                format!("{end:?}").to_lowercase(),
                with_note(reason)
            )
        }
    }
}

fn answer_sentence(step: &oncely_core::ids::StepId, answer: &Answer) -> String {
    let verdict = if answer.approved {
        "approved"
    } else {
        "rejected"
    };
    let role = answer.entitled.as_ref().filter(|word| **word != answer.by);
    let role = role.map_or_else(String::new, |role| format!(" as {role}"));
    let how = match answer.identity {
        Identity::Claimed => "",
        Identity::Link => " with a link",
    };
    let by = &answer.by;
    format!(
        "`{step}` {verdict} by {by}{role}{how}{}",
        with_note(&answer.note)
    )
}

fn outcome_sentence(step: &oncely_core::ids::StepId, attempt: u32, outcome: &Outcome) -> String {
    let step = Named(step);
    match outcome {
        Outcome::Done { .. } => format!("{step} done{}", nth(attempt)),
        Outcome::Failed { error, again, .. } => {
            let after = if *again { ", may be tried again" } else { "" };
            format!("{step} failed{}{after}: {error}", nth(attempt))
        }
        Outcome::Unknown { error } => format!("{step} unknown{}: {error}", nth(attempt)),
    }
}

fn nth(attempt: u32) -> String {
    if attempt > 1 {
        format!(" (attempt {attempt})")
    } else {
        String::new()
    }
}

fn with_note(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!(" ({note})")
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
