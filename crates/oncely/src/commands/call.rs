//! `oncely call TASK`: an event offered by hand.

use super::dev::{Handed, hand_over};
use super::drive;
use super::terminal;
use crate::cli::Call;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment};
use crate::project::{self, Loaded};
use oncely_core::Value;
use oncely_core::ids::RunId;
use oncely_core::limits;
use oncely_core::task::Trigger;
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::{Ask, Known, Offer, Offered};
use oncely_ledger::SystemClock;
use std::io::Read;
use std::path::Path;

pub(crate) fn run(voice: Voice, flags: &Flags, args: Call) -> Result<Exit, Failure> {
    if args.dev {
        return to_dev(voice, flags, &args);
    }
    let house = House::open(flags, "oncely call", true)?;
    let loaded = project::load(&house.config)?;
    let known = called(voice, &house.config, &loaded, &args)?;
    let event = event(args.event.as_deref())?;
    let key = key(&known, &args, &event, house.clock.now())?;
    let by = super::people::who(None);
    let starter = house.config.people.value.name_of(&by);
    let offer =
        Offer::new(known.task.id.clone(), key.clone(), event).started_by(starter, "oncely call");
    house.block_on(async {
        let engine = house.engine(loaded.tasks.clone())?;
        let offered = house.intake(&engine).offer(vec![offer]).await?.pop();
        let run = match offered {
            Some(Offered::Admitted(run)) => run,
            Some(Offered::Duplicate(run)) if unfinished(&house, run).await? => {
                voice.say(format!(
                    "{key} started run {run} before, which has not ended."
                ));
                run
            }
            Some(Offered::Duplicate(run)) => {
                let pruned = Ask(house.ledger()).prune_of(run).await?;
                let mut record = serde_json::json!({ "run": run, "key": key, "duplicate": true });
                if let (Some(prune), Some(record)) = (&pruned, record.as_object_mut()) {
                    record.insert("pruned".into(), super::prune::as_json(prune));
                }
                voice.record(&record);
                voice.say(format!(
                    "Nothing to do: {key} started run {run} of {} before{}.",
                    project::label(&known.task),
                    pruned.map_or_else(String::new, |prune| format!(
                        "; it was pruned on {} UTC",
                        moment(prune.at)
                    ))
                ));
                return Ok(Exit::Done);
            }
            Some(Offered::Refused(why)) => return Err(Failure::usage(why)),
            None => {
                return Err(Failure::failed(
                    "the ledger did not say what became of the call.",
                ));
            }
        };
        if args.detach {
            voice.record(&serde_json::json!({ "run": run, "key": key, "duplicate": false }));
            let who = super::servers::who_does_it(&house).await?;
            voice.say(format!("Admitted as run {run}. {who}"));
            return Ok(Exit::Done);
        }
        let renewing = tokio::spawn(std::sync::Arc::clone(&engine).renew());
        house.stop_on_signals(&engine.stopper());
        let stands = terminal::to_rest(voice, &house, &engine, run).await?;
        renewing.abort();
        let environment = &house.config.environment.value;
        drive::say(voice, &project::label(&known.task), &stands, environment);
        Ok(stands.exit(args.strict_exit))
    })
}

/// Hands the call to a developer's server.
fn to_dev(voice: Voice, flags: &Flags, args: &Call) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let loaded = project::load(&config)?;
    let known = called(voice, &config, &loaded, args)?;
    let event = event(args.event.as_deref())?;
    let key = key(&known, args, &event, SystemClock.now())?;
    let task = known.task.id.clone();
    let by = super::people::who(None);
    let handed = Handed {
        task: task.clone(),
        key: key.clone(),
        event,
        by,
    };
    let pid = hand_over(&config, &handed)?;
    voice.record(&serde_json::json!({ "handed_to": pid, "task": task, "key": key }));
    voice.say(format!(
        "Handed to process {pid} (oncely dev) with the key {key}; it says there what comes of it."
    ));
    Ok(Exit::Done)
}

/// The task that is called.
fn called(voice: Voice, config: &Config, loaded: &Loaded, args: &Call) -> Result<Known, Failure> {
    match project::named(loaded, &args.task) {
        Ok(known) => Ok(known.clone()),
        Err(failure) if loaded.problems.is_empty() => Err(failure),
        // It may be one of those that cannot be read.
        Err(failure) => match project::load_clean(config, voice.colour) {
            Err(problems) => Err(problems),
            Ok(_) => Err(failure),
        },
    }
}

/// Whether a run was left in the middle: its process was killed, and it may go on at once.
async fn unfinished(house: &House, run: RunId) -> Result<bool, Failure> {
    house.ledger().renew().await?;
    let row = Ask(house.ledger()).run(run).await?;
    Ok(row.is_some_and(|row| row.holder.is_none() && row.due.is_some()))
}

fn key(
    known: &Known,
    args: &Call,
    event: &Value,
    now: Timestamp,
) -> Result<oncely_core::ids::EventKey, Failure> {
    let name = project::label(&known.task);
    match &known.task.on {
        Trigger::Call(trigger) => {
            oncely_sources::call::key(trigger, args.key.as_deref(), event, now)
                .map_err(Failure::usage)
        }
        Trigger::Release(_) => Err(Failure::usage(format!(
            "`{name}` is started by releases, not by calls. Use `oncely run`. Nothing was started."
        ))),
        Trigger::Schedule(trigger) => Err(Failure::usage(format!(
            "`{name}` is started by the clock ({}), not by calls. `oncely serve` does it when it is \
             due. Nothing was started.",
            trigger.schedule
        ))),
        Trigger::Webhook(trigger) => Err(Failure::usage(format!(
            "`{name}` is started by requests to {}, not by calls. Send it one while `oncely serve` \
             is running. Nothing was started.",
            trigger.path
        ))),
        Trigger::Object(_) => Err(Failure::usage(format!(
            "`{name}` is started by objects that land, not by calls. Put a file into its folder. \
             Nothing was started."
        ))),
    }
}

pub(super) fn event(path: Option<&Path>) -> Result<Value, Failure> {
    let Some(path) = path else {
        return Ok(serde_json::json!({}));
    };
    let shown = path.display();
    let mut text = Vec::new();
    let most = limits::EVENT_BYTES as u64;
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(most + 1)
            .read_to_end(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|e| {
            Failure::usage(format!(
                "the event {shown} cannot be read: {e}. Nothing was started."
            ))
        })?;
        file.take(most + 1).read_to_end(&mut text)
    };
    let read = read.map_err(|e| {
        Failure::usage(format!(
            "the event {shown} cannot be read: {e}. Nothing was started."
        ))
    })?;
    if read as u64 > most {
        return Err(Failure::usage(format!(
            "the event {shown} has more than {most} bytes. Nothing was started. Put the content \
             into a file of its own and let the event name it."
        )));
    }
    let value: Value = serde_json::from_slice(&text).map_err(|e| {
        Failure::usage(format!(
            "the event {shown} is not JSON: {e}. Nothing was started."
        ))
    })?;
    if !value.is_object() {
        return Err(Failure::usage(format!(
            "the event {shown} is not a JSON object. Nothing was started."
        )));
    }
    Ok(value)
}
