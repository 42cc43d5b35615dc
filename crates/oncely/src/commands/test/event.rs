//! The event of a test: read from a file, and completed by what its trigger knows.

use crate::catch::JumpClock;
use crate::cli::Test;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::suggestion;
use oncely_core::Value;
use oncely_core::event::checked_json;
use oncely_core::ids::EventKey;
use oncely_core::source::{Cursor, Room, Source};
use oncely_core::task::fields::{Shape, event_of};
use oncely_core::task::{CallTrigger, ScheduleTrigger, Task, Trigger, WebhookTrigger};
use oncely_core::time::{Clock, Timestamp};
use oncely_sources::release::{self, Release};
use oncely_sources::{Ticks, webhook};
use std::path::Path;
use std::sync::Arc;

/// The release of a test.
const RELEASE: &str = "test";
/// The key of an event that says none.
const KEY: &str = "test";

/// What happened.
pub(super) enum Happened {
    /// Something that starts the task.
    Event { key: EventKey, data: Value },
    /// A request that the task does not wait for.
    PassedOver,
}

/// The event that a test is about.
pub(super) fn happened(
    task: &Task,
    args: &Test,
    config: &Config,
    clock: &Arc<JumpClock>,
) -> Result<Happened, Failure> {
    if args.file.is_some() && !matches!(task.on, Trigger::Object(_)) {
        return Err(Failure::usage(format!(
            "--file is for a task that watches a folder, and `{}` is started by on.{}: give its \
             event with --event. Nothing was run.",
            task.id,
            task.on.name()
        )));
    }
    let said = match &args.event {
        Some(path) => super::super::call::event(Some(path))?,
        None => serde_json::json!({}),
    };
    known_names(task, args, &said)?;
    let found = match &task.on {
        Trigger::Release(_) => at_release(task, config, &said),
        Trigger::Schedule(trigger) => tick(trigger, clock, &said)?,
        Trigger::Object(_) => object(args, config, &said)?,
        Trigger::Call(trigger) => call(trigger, args, said, clock.now())?,
        Trigger::Webhook(trigger) => match request(trigger, args, said, clock.now())? {
            Some(found) => found,
            None => return Ok(Happened::PassedOver),
        },
    };
    let (key, data) = found;
    let key = args.key.as_deref().map_or(key, EventKey::from);
    checked_json(&key, &data).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(Happened::Event { key, data })
}

/// Whether the names of the event are ones that its trigger gives.
fn known_names(task: &Task, args: &Test, said: &Value) -> Result<(), Failure> {
    let Shape::Known(fields) = event_of(&task.on) else {
        return Ok(());
    };
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let wrong = said.as_object().into_iter().flat_map(|table| table.keys());
    match wrong.into_iter().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Failure::usage(format!(
            "{}: an event of on.{} has no `{key}`.{} Nothing was run.",
            shown(args),
            task.on.name(),
            suggestion(key, names)
        ))),
    }
}

/// What the event is called in messages.
pub(super) fn shown(args: &Test) -> String {
    let path = args.event.as_deref().or(args.file.as_deref());
    path.map_or_else(|| "the event".into(), |path| path.display().to_string())
}

fn over(usual: Value, said: &Value) -> Value {
    let mut data = usual;
    if let (Some(table), Some(said)) = (data.as_object_mut(), said.as_object()) {
        table.extend(said.clone());
    }
    data
}

fn at_release(task: &Task, config: &Config, said: &Value) -> (EventKey, Value) {
    let id = said.get("release").and_then(Value::as_str);
    let release = Release {
        id: id.unwrap_or(RELEASE).to_owned(),
        environment: config.environment.value.clone(),
        phase: None,
    };
    let data = release::event(task, &release, false);
    (release::key(task, &release), over(data, said))
}

/// The first tick after the test's beginning: time goes on to it.
fn tick(
    trigger: &ScheduleTrigger,
    clock: &Arc<JumpClock>,
    said: &Value,
) -> Result<(EventKey, Value), Failure> {
    let start = clock.now();
    let next = trigger.schedule.next_after(start).unwrap_or(start);
    clock.jump(next);
    let mut ticks = Ticks::new(trigger.clone(), Arc::clone(clock) as Arc<dyn Clock>);
    let cursor = Cursor(start.0.to_string());
    let polled = ticks.poll(Some(&cursor), Room { events: 1 });
    let batch = futures_util::FutureExt::now_or_never(polled).and_then(Result::ok);
    let event = batch.and_then(|batch| batch.events.into_iter().next());
    let event = event.ok_or_else(|| {
        Failure::usage(format!(
            "the schedule {} does not tick after the moment at which the test begins: choose \
             another with --now. Nothing was run.",
            trigger.schedule
        ))
    })?;
    Ok((event.event.key, over(event.event.data, said)))
}

/// A file of the project as the object that lands. It is read where it is.
fn object(args: &Test, config: &Config, said: &Value) -> Result<(EventKey, Value), Failure> {
    let Some(path) = &args.file else {
        let key = said.get("key").and_then(Value::as_str).unwrap_or(KEY);
        if args.event.is_none() {
            return Err(Failure::usage(
                "the task waits for objects that land: give one with --file, such as --file \
                 inbox/a.csv, or an event with --event. Nothing was run.",
            ));
        }
        return Ok((key.into(), said.clone()));
    };
    let unread = |error: std::io::Error| {
        Failure::usage(format!(
            "{} cannot be read: {error}. Nothing was run.",
            path.display()
        ))
    };
    let whole = path.canonicalize().map_err(unread)?;
    let below = whole.strip_prefix(&config.root).map_err(|_| {
        Failure::usage(format!(
            "{} does not lie in the project {}, and steps read no files outside of it: copy it \
             there. Nothing was run.",
            path.display(),
            config.root.display()
        ))
    })?;
    let mut hasher = blake3::Hasher::new();
    let file = std::fs::File::open(&whole).map_err(unread)?;
    hasher.update_reader(file).map_err(unread)?;
    let hash = hasher.finalize().to_hex().to_string();
    let size = whole.metadata().map_err(unread)?.len();
    Ok(landed(below, size, &hash))
}

/// The same event on every machine: paths start at the project's root, and the file is as old as the
/// test.
fn landed(below: &Path, size: u64, hash: &str) -> (EventKey, Value) {
    let name = below.file_name().unwrap_or_default().to_string_lossy();
    let key = format!("{name}#{}", hash.get(..32).unwrap_or(hash));
    let data = serde_json::json!({
        "key": key,
        "name": name,
        "path": below,
        "url": format!("file://{}", below.display()),
        "size": size,
        "hash": hash,
        "modified": JumpClock::START,
    });
    (key.into(), data)
}

fn call(
    trigger: &CallTrigger,
    args: &Test,
    said: Value,
    at: Timestamp,
) -> Result<(EventKey, Value), Failure> {
    let usual = trigger.key.is_none().then_some(KEY);
    let given = args.key.as_deref().or(usual);
    let key = oncely_sources::call::key(trigger, given, &said, at);
    Ok((key.map_err(Failure::usage)?, said))
}

/// A request, as it is once it was proved who sent it.
fn request(
    trigger: &WebhookTrigger,
    args: &Test,
    said: Value,
    at: Timestamp,
) -> Result<Option<(EventKey, Value)>, Failure> {
    if said.get("body").is_none() {
        return Err(Failure::usage(format!(
            "{} has no `body`: the event of a request is {{\"body\": …}}, with what was sent, and \
             \"headers\" and \"query\" where the task reads them. Nothing was run.",
            shown(args)
        )));
    }
    let data = over(serde_json::json!({ "headers": {}, "query": {} }), &said);
    let known = webhook::known(trigger, &data, at);
    let known = known.map_err(|why| Failure::usage(format!("{}: {why}.", shown(args))))?;
    Ok(known.map(|key| (key, data)))
}
