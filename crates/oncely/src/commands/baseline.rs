//! `oncely baseline`: release tasks that were done before oncely came are recorded as skipped.

use super::people::who;
use super::run::{in_order, newest, release_id};
use crate::cli::Baseline;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project;
use oncely_core::ids::EventKey;
use oncely_core::task::Task;
use oncely_engine::{Engine, Known, Offer, Offered};
use oncely_sources::release::{self, Release};
use std::sync::Arc;

/// Why, where nobody says.
const BEFORE_ONCELY: &str = "done before oncely came";

pub(crate) fn run(voice: Voice, flags: &Flags, args: Baseline) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely baseline", !args.dry_run)?;
    let loaded = project::load_clean(&house.config, voice.colour)?;
    let environment = house.config.environment.value.clone();
    if !args.dry_run {
        let reason = args.reason.as_deref().unwrap_or_default();
        let before = args.before.as_ref();
        let before = before.map_or_else(String::new, |v| format!(" --before {v}"));
        let command = format!("{}baseline{before}", flags.env());
        let protected = &house.config.protected;
        protected.reason(&environment, reason, &command)?;
    }
    house.block_on(async {
        let rows = newest(&house, &environment).await?;
        let release = Release {
            id: release_id(None, &house.config),
            environment: environment.clone(),
            phase: None,
        };
        let wanted = in_order(&loaded.tasks, &rows, &release);
        let old: Vec<&Known> = wanted
            .iter()
            .map(|wanted| wanted.known)
            .filter(|known| !rows.contains_key(&known.task.id) && !release::is_every(&known.task))
            .filter(|known| is_before(known, args.before.as_deref()))
            .collect();
        for known in &old {
            voice.say(project::label(&known.task));
            voice.record(&serde_json::json!({ "task": known.task.id, "file": known.task.path }));
        }
        if old.is_empty() {
            let which = args
                .before
                .map_or_else(String::new, |v| format!(" before {v}"));
            voice.say(format!(
                "Nothing to skip: every release task{which} is recorded in {environment}."
            ));
            return Ok(Exit::Done);
        }
        let tasks = count(old.len(), "task");
        if args.dry_run {
            voice.say(format!(
                "{tasks} would be skipped in {environment}. Nothing was done."
            ));
            return Ok(Exit::Done);
        }
        let said = args.reason.filter(|reason| !reason.trim().is_empty());
        let reason = said.as_deref().unwrap_or(BEFORE_ONCELY);
        let reason = format!("{reason}, says {}", who(args.by));
        let engine = house.engine(loaded.tasks.clone())?;
        mark(&house, &engine, &old, &release, &reason).await?;
        voice.say(format!(
            "{tasks} skipped in {environment}: never done here by `oncely run`."
        ));
        Ok(Exit::Done)
    })
}

fn is_before(known: &Known, before: Option<&str>) -> bool {
    let version = release::version(&known.task).unwrap_or_default();
    before.is_none_or(|before| version < before)
}

/// The key of what is never to be done, not at later releases either.
fn once_for_ever(task: &Task, release: &Release) -> EventKey {
    match release::is_until_recorded(task) {
        true => release::for_ever(),
        false => release::key(task, release),
    }
}

/// Records tasks as skipped. One that was begun meanwhile goes on.
pub(super) async fn mark(
    house: &House,
    engine: &Arc<Engine>,
    tasks: &[&Known],
    release: &Release,
    reason: &str,
) -> Result<(), Failure> {
    let offers = tasks.iter().map(|known| Offer {
        skip: Some(reason.to_owned()),
        ..Offer::new(
            known.task.id.clone(),
            once_for_ever(&known.task, release),
            release::event(&known.task, release, false),
        )
    });
    for offered in house.intake(engine).offer(offers.collect()).await? {
        if let Offered::Refused(why) = offered {
            return Err(Failure::failed(why));
        }
    }
    Ok(())
}
