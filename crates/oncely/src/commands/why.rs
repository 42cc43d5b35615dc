//! `oncely why KEY`: whether an event arrived, what it started, or why it did not.

use super::drive::Stands;
use crate::cli::Why;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment};
use crate::project;
use oncely_core::ids::EventKey;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::task::Trigger;
use oncely_engine::Ask;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Why) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely why", false)?;
    house.block_on(async {
        let rows = matching(&house, &args.key).await?;
        let exact = rows.iter().any(|row| row.key.as_str() == args.key);
        if !exact && pruned(voice, &house, &args.key).await? {
            return Ok(Exit::Done);
        }
        if rows.is_empty() {
            return absent(voice, &house.config, &args.key);
        }
        for row in &rows {
            let stands = Stands::read(&house, row.id).await?;
            voice.record(&super::runs::record(row));
            voice.say(format!(
                "{} arrived at {} UTC and started run {} of {}: {}",
                row.key,
                moment(row.admitted),
                row.id,
                house.label(&row.task),
                voice.status(row.status)
            ));
            let reason = stands.reason();
            if !reason.is_empty() {
                voice.say(format!("  {reason}"));
            }
        }
        voice.say("Should it arrive again, nothing is started: a key starts a task once.");
        Ok(Exit::Done)
    })
}

/// Runs of this key; else of keys that begin like it, or of a task of this name.
async fn matching(house: &House, key: &str) -> Result<Vec<RunRow>, Failure> {
    let environment = Some(house.config.environment.value.clone());
    let exact = Filter {
        environment: environment.clone(),
        key: Some(EventKey::from(key)),
        ..Filter::default()
    };
    let ask = Ask(house.ledger());
    let rows = ask.runs(exact).await?;
    if !rows.is_empty() {
        return Ok(rows);
    }
    let all = ask
        .runs(Filter {
            environment,
            ..Filter::default()
        })
        .await?;
    let task = house.task_named(key);
    let like = |row: &RunRow| row.key.as_str().starts_with(key) || row.task == task;
    Ok(all.into_iter().filter(like).take(20).collect())
}

/// Says of a key whose run was pruned that it is known.
async fn pruned(voice: Voice, house: &House, key: &str) -> Result<bool, Failure> {
    let environment = &house.config.environment.value;
    let ask = Ask(house.ledger());
    let mut found = false;
    for known in &project::load(&house.config)?.tasks {
        let (here, task) = (environment.clone(), known.task.id.clone());
        for run in ask.admitted(here, task, EventKey::from(key)).await? {
            if let Some(prune) = ask.prune_of(run).await? {
                voice.say(format!("{key} started {}.", project::label(&known.task)));
                super::prune::say_gone(voice, run, &prune);
                found = true;
            }
        }
    }
    if found {
        voice.say("Should it arrive again, nothing is started: a key starts a task once.");
    }
    Ok(found)
}

fn absent(voice: Voice, config: &Config, key: &str) -> Result<Exit, Failure> {
    let environment = &config.environment.value;
    voice.record(&serde_json::json!({ "key": key, "arrived": false }));
    voice.say(format!(
        "No event with the key {key} was admitted in {environment}."
    ));
    for (problem, _) in &project::load(config)?.problems {
        voice.say(format!(
            "  {problem}: that task starts nothing before it is mended."
        ));
    }
    let loaded = project::load(config)?;
    for known in &loaded.tasks {
        let name = project::label(&known.task);
        if project::stem(key) == name || known.task.id.as_str() == key {
            voice.say(format!("  `{name}` is a task that has not started here; `oncely plan` says what it would do."));
        }
        if let Trigger::Object(object) = &known.task.on
            && let Some(why) = object_reason(config, key, &object.folder, &object.pattern)
        {
            voice.say(format!("  {name}: {why}"));
        }
    }
    Ok(Exit::Done)
}

/// Why a file that lies in a watched folder started nothing.
fn object_reason(config: &Config, key: &str, folder: &str, pattern: &str) -> Option<String> {
    let name = key.split('#').next().unwrap_or(key);
    let name = name
        .strip_prefix(folder)
        .map_or(name, |rest| rest.trim_start_matches('/'));
    let path = config.root.join(folder).join(name);
    if !path.exists() {
        return Some(format!("there is no {folder}/{name}"));
    }
    if !oncely_sources::matches(pattern, name) {
        return Some(format!(
            "{folder}/{name} is there, but does not match {pattern:?}"
        ));
    }
    Some(format!(
        "{folder}/{name} is there and waits: is `oncely serve` running?"
    ))
}
