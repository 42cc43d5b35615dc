//! `oncely serve`: watches the sources and does what is due until told to stop.

use super::front_door::FrontDoor;
use super::people::people;
use super::watching::Watching;
use crate::cli::Serve;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::links;
use crate::output::{Voice, count};
use crate::project;
use axum::Router;
use oncely_engine::{Engine, Stop};
use oncely_gateway::{Answers, Label, answers};
use std::sync::Arc;
use std::time::Duration;

/// How often the task folder is looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often copies that nobody needs any more are removed.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Serve) -> Result<Exit, Failure> {
    if let Some(workers) = args.workers {
        return super::crew::run(voice, flags, args, workers);
    }
    let house = House::open(flags, "oncely serve", true)?;
    let loaded = project::load(&house.config)?;
    house.block_on(async {
        let engine = house.engine(loaded.tasks.clone())?;
        house.stop_on_signals(&engine.stopper());
        let door = FrontDoor::bind(voice, &house).await?;
        let mut watching = Watching::new(voice, &house, &engine);
        watching.take(&loaded);
        // It is tried again while it serves.
        if let Err(error) = super::servers::attend(&house).await {
            tracing::warn!("it does not stand as the server here yet: {error}");
        }
        let tasks = count(loaded.tasks.len(), "task");
        let sources = count(watching.sources(), "source");
        voice.record(&serde_json::json!({
            "serving": loaded.tasks.len(), "sources": watching.sources(), "pid": std::process::id(),
            "listening": door.as_ref().and_then(FrontDoor::address),
        }));
        voice.say(format!(
            "Serving {tasks} in {}, watching {sources}. Stop with Ctrl-C.",
            house.config.environment.value
        ));
        let bounds = house.config.gateway.value.bounds;
        let hooks = oncely_gateway::hooks(Arc::clone(&house.doors));
        let pages = door.as_ref().map(|_| pages(&house)).transpose()?.flatten();
        let ledger = house.shared_ledger();
        let is_full = Arc::new(move || ledger.is_full() == Some(true));
        let parts = pages.into_iter().chain([hooks]);
        let router = oncely_gateway::router_with(parts, bounds, is_full);
        let open = door.map(|door| door.open(router, engine.stopper()));
        if args.until_eof {
            stop_at_eof(engine.stopper());
        }
        if args.until_idle {
            tokio::spawn(stop_when_idle(Arc::clone(&engine)));
        }
        let served = tokio::select! {
            served = engine.serve() => served,
            () = look_after(&house, watching) => Ok(()),
            () = carry(voice, &house, &engine) => Ok(()),
        };
        engine.stopper().stop();
        if let Some(open) = open {
            // Everybody gets their answer, or a panic of the door's own code is passed over.
            let _ = open.await;
        }
        served?;
        voice.say("Stopped. What was not finished goes on at the next start.");
        Ok(Exit::Done)
    })
}

/// Carries on the releases that were left to this server. The end of the server is for the engine to
/// say, which lets what is held end first.
async fn carry(voice: Voice, house: &House, engine: &Arc<Engine>) {
    super::run::carry(voice, house, engine).await;
    std::future::pending().await
}

/// Takes in task files that are new or changed, and removes copies that nobody needs any more.
async fn look_after(house: &House, mut watching: Watching<'_>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut tidies = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            _ = looks.tick() => watching.look(),
            _ = tidies.tick() => {
                if let Err(failure) = super::tidy::spool(house).await {
                    tracing::warn!("{}", failure.message);
                }
            }
        }
    }
}

/// The pages behind links to questions, where something signs them.
pub(super) fn pages(house: &House) -> Result<Option<Router>, Failure> {
    let key = links::key(&house.config)?;
    let people = people(house);
    let config = house.config.clone();
    // Looked up for each page, since files come and go while a server runs.
    let label: Label = Box::new(move |task| {
        let label = project::labels(&config).remove(task);
        label.unwrap_or_else(|| task.to_string())
    });
    Ok(key.map(|key| answers(Answers { people, key, label })))
}

/// Ends the server when whoever started it is gone. A thread of its own, since nothing ends a read.
fn stop_at_eof(stop: Stop) {
    std::thread::spawn(move || {
        let read = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if let Err(error) = read {
            tracing::warn!("standard input: {error}");
        }
        stop.stop();
    });
}

/// For scripts: ends the server when nothing has been held or due for a while.
async fn stop_when_idle(engine: Arc<Engine>) {
    let mut quiet = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    while quiet < 12 {
        ticks.tick().await;
        let due = engine.next_due().await.ok().flatten();
        let busy = engine.holding() > 0 || due.is_some();
        quiet = if busy { 0 } else { quiet + 1 };
    }
    engine.stopper().stop();
}
