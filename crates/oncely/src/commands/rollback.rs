//! `oncely rollback --to RELEASE`: takes back, in reverse, the release tasks that ran first in later
//! releases.

use super::people::{people, who};
use super::run::{Named, Turn, releases_seen};
use super::{drive, terminal, undo};
use crate::cli::{OnBusy, Rollback, Taking};
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project;
use oncely_core::Value;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_engine::{Ask, Engine, Undo};
use oncely_sources::{Releases, release};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) fn run(voice: Voice, flags: &Flags, args: Rollback) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely rollback", false)?;
    if !args.how.dry_run {
        let here = &house.config.environment.value;
        let command = format!("{}rollback --to {}", flags.env(), args.to);
        let protected = &house.config.protected;
        protected.reason(here, &args.how.reason, &command)?;
    }
    house.block_on(async {
        let loaded = project::load(&house.config)?;
        let engine = house.engine(loaded.tasks)?;
        let renewing = tokio::spawn(Arc::clone(&engine).renew());
        house.ledger().renew().await?;
        let outcome = in_turn(voice, &house, &engine, &args).await;
        renewing.abort();
        outcome
    })
}

/// Nothing is released while a release is taken back.
async fn in_turn(
    voice: Voice,
    house: &House,
    engine: &Arc<Engine>,
    args: &Rollback,
) -> Result<Exit, Failure> {
    let turn = Turn {
        house,
        voice,
        on_busy: OnBusy::Wait,
    };
    let Some(named): Option<Named> = turn.take(engine).await? else {
        return Ok(Exit::Done);
    };
    let outcome = back_to(voice, house, engine, args).await;
    turn.give_back(named).await?;
    outcome
}

async fn back_to(
    voice: Voice,
    house: &House,
    engine: &Arc<Engine>,
    args: &Rollback,
) -> Result<Exit, Failure> {
    let later = later(&releases_seen(house).await?, &args.to)?;
    let mut undos = Vec::new();
    for row in ran_first_in(house, &later).await? {
        undos.push(people(house).undo_plan(row.id).await?);
    }
    if undos.is_empty() {
        voice.record(&serde_json::json!({ "undone": 0 }));
        voice.say(format!(
            "Nothing to take back: no task ran first after {}.",
            args.to
        ));
        return Ok(Exit::Done);
    }
    for found in &undos {
        undo::show(voice, house, found);
    }
    for found in &undos {
        found.check(args.how.partly || args.how.dry_run)?;
    }
    let runs = count(undos.len(), "run");
    if args.how.dry_run {
        voice.say(format!("\n{runs} would be taken back. Nothing was done."));
        return Ok(Exit::Done);
    }
    undo::agreed(&args.how, &format!("Take back {runs}?"))?;
    let taking = TakeBack {
        voice,
        house,
        engine,
        how: &args.how,
        reason: reason(args),
    };
    taking.all(&undos).await
}

fn reason(args: &Rollback) -> String {
    match args.how.reason.trim() {
        "" => format!("rollback to {}", args.to),
        reason => format!("rollback to {}: {reason}", args.to),
    }
}

struct TakeBack<'a> {
    voice: Voice,
    house: &'a House,
    engine: &'a Arc<Engine>,
    how: &'a Taking,
    reason: String,
}

impl TakeBack<'_> {
    /// One after the other, and none after one that did not end well.
    async fn all(&self, undos: &[Undo]) -> Result<Exit, Failure> {
        self.voice.say("");
        for (place, found) in undos.iter().enumerate() {
            let exit = self.one(found.row.id).await?;
            if exit != Exit::Done {
                let left = undos.len() - place - 1;
                self.voice.say(format!(
                    "{} not taken back. Mend what is wrong, resume that run, and say `oncely \
                     rollback` again.",
                    count(left, "run")
                ));
                return Ok(exit);
            }
        }
        self.voice
            .record(&serde_json::json!({ "undone": undos.len() }));
        self.voice.say(format!(
            "{} taken back. The next `oncely run` whose files have these tasks does them again.",
            count(undos.len(), "run")
        ));
        Ok(Exit::Done)
    }

    async fn one(&self, run: RunId) -> Result<Exit, Failure> {
        let by = who(self.how.by.clone());
        let people = people(self.house);
        let undo = people.undo(run, &by, &self.reason, self.how.partly).await?;
        let stands = terminal::to_rest(self.voice, self.house, self.engine, undo).await?;
        let label = self.house.label(&stands.row.task);
        let environment = &self.house.config.environment.value;
        drive::say(self.voice, &label, &stands, environment);
        Ok(match stands.row.status {
            RunStatus::Done => Exit::Done,
            RunStatus::Unknown => Exit::Unknown,
            _ => Exit::Failed,
        })
    }
}

fn later(releases: &Releases, to: &str) -> Result<BTreeSet<String>, Failure> {
    match releases.after(to) {
        Some(after) => Ok(after.iter().map(|seen| seen.id.clone()).collect()),
        None => {
            let known: Vec<&str> = releases
                .newest_first()
                .take(10)
                .map(|seen| seen.id.as_str())
                .collect();
            let known = match known.is_empty() {
                true => "None was named so far: `oncely run --release ID` names one.".to_owned(),
                false => format!("The newest ones: {}.", known.join(", ")),
            };
            Err(Failure::usage(format!(
                "no release {to} was made here as far as the ledger knows. Nothing was done. {known}"
            )))
        }
    }
}

/// The runs that were the first of their task in one of these releases, the newest first. What runs
/// at every release, and what oncely did not do, stays.
async fn ran_first_in(house: &House, releases: &BTreeSet<String>) -> Result<Vec<RunRow>, Failure> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = Ask(house.ledger())
            .runs(Filter {
                environment: Some(house.config.environment.value.clone()),
                before,
                ..Filter::default()
            })
            .await?;
        before = page.last().map(|row| row.id);
        found.extend(page.into_iter().filter(|row| is_of(row, releases)));
        if before.is_none() {
            return Ok(found);
        }
    }
}

fn is_of(row: &RunRow, releases: &BTreeSet<String>) -> bool {
    let done_here = !matches!(
        row.status,
        RunStatus::Undone | RunStatus::Skipped | RunStatus::Imported
    );
    let named = || {
        let event: Value = serde_json::from_str(&row.event).unwrap_or_default();
        let id = event.get("release").and_then(Value::as_str);
        id.is_some_and(|id| releases.contains(id))
    };
    row.trigger == "release" && release::is_once(&row.key) && done_here && named()
}
