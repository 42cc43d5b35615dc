//! `oncely serve`: watches the sources and does what is due until told to stop.

use crate::cli::Serve;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project;
use crate::registry;
use oncely_core::ids::TaskId;
use oncely_engine::{Engine, Known, Notice, Notices, pump};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Serve) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely serve", true)?;
    let loaded = project::load(&house.config)?;
    if !loaded.problems.is_empty() {
        let text = project::render(&loaded.problems, voice.colour);
        voice.say(format!(
            "{text}\n\nThe other tasks go on; these start nothing before they are mended.\n"
        ));
    }
    house.block_on(async {
        let engine = house.engine(loaded.tasks.clone())?;
        house.stop_on_signals(&engine.stopper());
        let watched = watch(voice, &house, &engine, &loaded.tasks)?;
        let tasks = count(loaded.tasks.len(), "task");
        let sources = count(watched, "folder");
        voice.record(&serde_json::json!({ "serving": loaded.tasks.len(), "sources": watched, "pid": std::process::id() }));
        voice.say(format!(
            "Serving {tasks} in {}, watching {sources}. Stop with Ctrl-C.",
            house.config.environment.value
        ));
        if args.until_idle {
            tokio::spawn(stop_when_idle(Arc::clone(&engine)));
        }
        engine.serve().await?;
        voice.say("Stopped. What was not finished goes on at the next start.");
        Ok(Exit::Done)
    })
}

fn watch(
    voice: Voice,
    house: &House,
    engine: &Arc<Engine>,
    tasks: &[Known],
) -> Result<usize, Failure> {
    let notices: Notices = Arc::new(move |notice| say(voice, notice));
    let mut watched = 0;
    for known in tasks {
        if !super::run::concerns(&known.task, &house.config.environment.value) {
            continue;
        }
        let Some((name, source)) = registry::source(house, &known.task)? else {
            continue;
        };
        watched += 1;
        let task = known.task.id.clone();
        let pumping = pump(
            Arc::clone(engine),
            task.clone(),
            name,
            source,
            Arc::clone(&notices),
        );
        let notices = Arc::clone(&notices);
        tokio::spawn(async move {
            if let Err(error) = pumping.await {
                stopped_watching(&notices, task, &error.to_string());
            }
        });
    }
    Ok(watched)
}

fn stopped_watching(notices: &Notices, task: TaskId, error: &str) {
    let problem = oncely_core::source::Problem {
        about: task.to_string(),
        message: error.to_owned(),
    };
    notices(Notice::Problem(task, problem));
}

fn say(voice: Voice, notice: Notice) {
    match notice {
        Notice::Admitted(task, key) => {
            voice.record(&serde_json::json!({ "admitted": key, "task": task }));
            voice.say(format!("{task}: {key} arrived"));
        }
        Notice::Duplicate(task, key) => {
            voice.record(&serde_json::json!({ "duplicate": key, "task": task }));
            voice.say(format!("{task}: {key} was here before, nothing is started"));
        }
        Notice::Problem(task, problem) => {
            voice.record(&serde_json::json!({
                "problem": problem.message, "about": problem.about, "task": task,
            }));
            voice.say(format!("{task}: {}: {}", problem.about, problem.message));
        }
    }
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
