//! The server: what is really done and what is caught, and what it says.

use super::calls::{Calls, Handed};
use super::folder::Folder;
use super::questions::Questions;
use super::saved::Saved;
use crate::catch::{Answers, CatchRegistry, Catcher, Effect, catching};
use crate::cli::{CatchArg, Dev, Logs};
use crate::commands::front_door::FrontDoor;
use crate::commands::watching::Watching;
use crate::commands::{logs, serve};
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::links::MessageLinks;
use crate::output::{Voice, count};
use crate::project;
use crate::registry::Registry;
use oncely_core::ids::RunId;
use oncely_core::ledger::Change;
use oncely_core::task::ActionKind;
use oncely_engine::{Engine, Offer, Offered};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The environment, unless `--env` says another: what a shell or a file says of others is not meant
/// for trying things out.
const ENVIRONMENT: &str = "development";
/// How often the task folder is looked at for changes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Runs whose facts are told.
const RUNS: usize = 200;
/// What is caught, whatever else is.
const CAUGHT: [ActionKind; 3] = [ActionKind::Email, ActionKind::Slack, ActionKind::Http];

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Dev) -> Result<Exit, Failure> {
    let config = config(flags)?;
    // Dropped last, when nothing writes there any more.
    let _folder = Folder::at(config.data());
    let house = House::in_memory(config, "oncely dev")?;
    let loaded = project::load(&house.config)?;
    let kinds = kinds(&args.catch);
    house.block_on(async {
        let actions = Arc::new(actions(voice, &house, &kinds)?);
        let engine = house.engine_with(loaded.tasks.clone(), actions);
        house.stop_on_signals(&engine.stopper());
        let door = FrontDoor::bind(voice, &house).await?;
        let mut watching = Watching::new(voice, &house, &engine);
        let calls = Calls::open(&house.config)?;
        let saved = Saved::at_start(&loaded.tasks, &house.config.environment.value);
        greet(voice, &house, loaded.tasks.len(), &kinds);
        watching.take(&loaded);
        let hooks = oncely_gateway::hooks(Arc::clone(&house.doors));
        let pages = door.as_ref().map(|_| serve::pages(&house)).transpose()?;
        let routers = pages.flatten().into_iter().chain([hooks]);
        let router = oncely_gateway::router(routers, house.config.gateway.value.bounds);
        let open = door.map(|door| door.open(router, engine.stopper()));
        let questions = Questions {
            voice,
            house: &house,
            stop: engine.stopper(),
            yes: args.yes,
        };
        let mut told = BTreeMap::new();
        let served = tokio::select! {
            served = engine.serve() => served.map_err(Failure::from),
            () = look_after(voice, &house, &engine, (watching, saved, calls)) => Ok(()),
            told = tell(voice, &house, &mut told) => told,
            answered = questions.answer(), if answers(voice, args) => answered,
        };
        engine.stopper().stop();
        engine.stopper().abort();
        if let Some(open) = open {
            // Everybody gets their answer, or a panic of the door's own code is passed over.
            let _ = open.await;
        }
        served?;
        logs::tell(voice, &house, &what(), &mut told).await?;
        voice.record(&serde_json::json!({ "stopped": true }));
        voice.say("Stopped. The ledger was in memory, and nothing of it is left.");
        Ok(Exit::Done)
    })
}

/// Whether questions are looked at at all.
fn answers(voice: Voice, args: &Dev) -> bool {
    args.yes || !voice.json
}

/// The project, with nothing of its own ledger and folders in use.
fn config(flags: &Flags) -> Result<Config, Failure> {
    let named = flags.environment.as_deref().unwrap_or(ENVIRONMENT);
    let flags = Flags {
        environment: Some(named.to_owned()),
        ..flags.clone()
    };
    let mut config = Config::load(&flags)?.apart(&Folder::name());
    if config.protected.has(&config.environment.value) {
        return Err(Failure::usage(format!(
            "the environment {named} is protected, and `oncely dev` tries things out: choose \
             another with --env. Nothing was run."
        )));
    }
    // Whoever presses Ctrl-C waits for nothing.
    config.grace.value = Duration::ZERO;
    Ok(config)
}

fn kinds(also: &[CatchArg]) -> BTreeSet<ActionKind> {
    let also = also.iter().flat_map(|kind| match kind {
        CatchArg::Command => vec![ActionKind::Command],
        CatchArg::Sql => vec![ActionKind::Sql],
        CatchArg::Put => vec![ActionKind::Put],
        // A task that is called runs here too, with its effects caught.
        CatchArg::All => vec![ActionKind::Command, ActionKind::Sql, ActionKind::Put],
    });
    CAUGHT.into_iter().chain(also).collect()
}

fn actions(
    voice: Voice,
    house: &House,
    kinds: &BTreeSet<ActionKind>,
) -> Result<CatchRegistry, Failure> {
    let config = &house.config;
    let labels = config.clone();
    let catcher = Catcher {
        catching: catching(config),
        answers: Answers::default(),
        hear: Box::new(move |effect| show(voice, &labels, &effect)),
        undoing: AtomicBool::new(false),
    };
    CatchRegistry::new(
        config,
        Registry::new(config)?,
        kinds.iter().copied(),
        Arc::new(catcher),
        Arc::new(MessageLinks::new(config.clone())),
    )
}

fn greet(voice: Voice, house: &House, tasks: usize, kinds: &BTreeSet<ActionKind>) {
    let environment = &house.config.environment.value;
    let really = [ActionKind::Command, ActionKind::Sql, ActionKind::Put];
    let really: Vec<ActionKind> = really.into_iter().filter(|k| !kinds.contains(k)).collect();
    voice.record(&serde_json::json!({
        "developing": tasks, "environment": environment, "caught": kinds, "done": really,
        "pid": std::process::id(),
    }));
    let tasks = count(tasks, "task");
    voice.say(format!(
        "Trying out {tasks} in {environment}. The ledger is in memory, and gone when this stops."
    ));
    voice.say(format!("  Caught and shown: {}.", listed(kinds.iter())));
    if !really.is_empty() {
        voice.say(format!(
            "  Really done, here in this project: {}. --catch all catches these too.",
            listed(really.iter())
        ));
    }
    voice.say("  A release task runs when its file is saved; `oncely call TASK --dev` starts one on call.");
    voice.say("  Stop with Ctrl-C.\n");
}

fn listed<'k>(kinds: impl Iterator<Item = &'k ActionKind>) -> String {
    kinds.map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// An effect that was caught.
fn show(voice: Voice, config: &Config, effect: &Effect) {
    voice.record(&effect.record());
    let label = project::labels(config).remove(&effect.task);
    let label = label.unwrap_or_else(|| effect.task.to_string());
    let (run, title) = (effect.run, effect.title());
    voice.say(format!("caught, run {run} {label}  {title}"));
    for line in effect.text.lines() {
        voice.say(format!("    {line}").trim_end());
    }
}

/// Takes in task files that are new or changed; release tasks among them run at once. Calls come in
/// the same way.
async fn look_after(
    voice: Voice,
    house: &House,
    engine: &Arc<Engine>,
    (mut watching, mut saved, calls): (Watching<'_>, Saved, Calls),
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        watching.look();
        for handed in calls.take() {
            called(voice, house, engine, handed).await;
        }
        for (known, offer) in saved.changed(&engine.tasks().all()) {
            let label = project::label(&known.task);
            match engine
                .offer(vec![offer], None)
                .await
                .map(|mut all| all.pop())
            {
                Ok(Some(Offered::Admitted(run))) => {
                    voice.record(&serde_json::json!({ "saved": known.task.path, "run": run }));
                    voice.say(format!("{label} was saved, and is run {run}"));
                }
                Ok(Some(Offered::Refused(why))) => voice.say(format!("{label}: {why}")),
                Ok(Some(Offered::Duplicate(_)) | None) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }
}

/// Starts what somebody called in another terminal.
async fn called(voice: Voice, house: &House, engine: &Arc<Engine>, handed: Handed) {
    let Handed {
        task,
        key,
        event,
        by,
    } = handed;
    let label = house.label(&task);
    let by = house.config.people.value.name_of(&by);
    let offer = Offer::new(task.clone(), key.clone(), event).started_by(by, "oncely call --dev");
    let offered = engine.offer(vec![offer], None).await;
    match offered.map(|mut all| all.pop()) {
        Ok(Some(Offered::Admitted(run))) => {
            voice.record(&serde_json::json!({ "called": task, "key": key, "run": run }));
            voice.say(format!("{label} was called with {key}, and is run {run}"));
        }
        Ok(Some(Offered::Duplicate(run))) => {
            let record =
                serde_json::json!({ "called": task, "key": key, "run": run, "duplicate": true });
            voice.record(&record);
            voice.say(format!(
                "{label} was called with {key}, which started run {run} before; --key names another"
            ));
        }
        Ok(Some(Offered::Refused(why))) => voice.say(format!("{label}: {why}")),
        Ok(None) => {}
        Err(error) => tracing::warn!("{error}"),
    }
}

/// Tells what happens, as it happens.
async fn tell(
    voice: Voice,
    house: &House,
    told: &mut BTreeMap<RunId, usize>,
) -> Result<(), Failure> {
    let mut change = Change::default();
    loop {
        logs::tell(voice, house, &what(), told).await?;
        change = house.ledger().watch(change).await;
    }
}

/// Which runs are told of.
fn what() -> Logs {
    Logs {
        run: None,
        follow: true,
        limit: RUNS,
    }
}
