//! Effects a second, each with a durable commit of its own, in turn with graphile-worker on the same
//! server: events come one a call from many callers, and what is done for each is one row, inserted
//! and committed on a connection that has nothing to do with the ledger.

use super::machine::{cpu_of_family, cpu_seconds};
use super::measure::{Bound, Measured};
use super::rig::{Rig, folder, median, runtime};
use crate::crash::Trouble;
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use oncely_core::task::ActionKind;
use oncely_engine::{Actions, Engine, Offer};
use oncely_ledger::conformance::Server;
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, Statement};

/// Events of a turn.
const EVENTS: usize = 12_800;
/// Callers at the same time.
const CALLERS: usize = 64;
/// Effects at the same time: as many as an engine does of one task.
const CONCURRENT: usize = 16;
/// Events of a batch.
const BATCH: usize = 1000;
/// Times that all are measured, in turn.
const TURNS: usize = 3;
/// How often a sender that is too far ahead looks whether it may go on.
const MOMENT: Duration = Duration::from_millis(1);

const TASK: &str = r#"title = "An effect with a commit of its own"
[on.call]
key = "event.id"
[[step]]
id  = "effect"
  [step.http]
  method = "POST"
  url    = "http://127.0.0.1/effects"
  json   = { id = "{{ event.id }}" }
"#;

const PACKAGE: &str = include_str!("../../bench/graphile/package.json");
const SCRIPT: &str = include_str!("../../bench/graphile/bench.mjs");

/// Inserts a row for each call, in a transaction of its own.
struct Effects {
    clients: Vec<(Client, Statement)>,
    next: AtomicUsize,
}

impl Effects {
    async fn over(url: &str) -> Result<Self, Trouble> {
        let mut clients = Vec::new();
        for _ in 0..CONCURRENT {
            let (client, carrier) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(carrier);
            let insert = "insert into effects (id) values ($1)";
            let insert = client.prepare(insert).await?;
            clients.push((client, insert));
        }
        Ok(Self {
            clients,
            next: AtomicUsize::new(0),
        })
    }
}

impl Action for Effects {
    /// As of a request with a key by which the other side knows it again: its intent is committed
    /// before it is made, and it is made once more where its end is not known, as a job is.
    fn repeat(&self, _: &Call) -> Repeat {
        Repeat::WithKey {
            window_ms: 86_400_000,
        }
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let place = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
            let id = call.site.event.as_str().parse::<i64>();
            let (Some((client, insert)), Ok(id)) = (self.clients.get(place), id) else {
                return Err(Failure::permanent("the event has no number"));
            };
            match client.execute(insert, &[&id]).await {
                Ok(_) => Ok(Done::Output(oncely_core::Value::Null)),
                Err(error) => Err(Failure::unknown(error.to_string())),
            }
        })
    }
}

struct OnlyEffects(Arc<Effects>);

impl Actions for OnlyEffects {
    fn get(&self, kind: ActionKind) -> Option<Arc<dyn Action>> {
        (kind == ActionKind::Http).then(|| Arc::clone(&self.0) as Arc<dyn Action>)
    }
}

/// What the script found.
#[derive(Deserialize)]
struct Theirs {
    seconds: f64,
    effects: usize,
    left: usize,
    worker: String,
    node: String,
}

/// What all turns found.
#[derive(Default)]
struct Turns {
    single: Vec<f64>,
    batched: Vec<f64>,
    cpu: Vec<f64>,
    theirs: Vec<f64>,
    theirs_tuned: Vec<f64>,
    versions: String,
}

pub(crate) fn run() -> Result<Measured, Trouble> {
    let place = folder()?;
    install(place.path())?;
    let server = Server::start_in(folder()?, &["max_connections=200"]);
    let mut turns = Turns::default();
    for _ in 0..TURNS {
        turns.single.push(ours(&server, false, &mut turns.cpu)?);
        let found = theirs(&server, place.path(), "default")?;
        turns.theirs.push(rate(found.seconds));
        turns.batched.push(ours(&server, true, &mut Vec::new())?);
        let tuned = theirs(&server, place.path(), "batched")?;
        turns.theirs_tuned.push(rate(tuned.seconds));
        turns.versions = format!("graphile-worker {}, node {}", found.worker, found.node);
    }
    Ok(said(turns, &version(&server)?))
}

fn said(turns: Turns, version: &str) -> Measured {
    let settings = format!(
        "{EVENTS} events one a call from {CALLERS} callers, {CONCURRENT} effects at a time, each \
         committed by itself, full sync, {version}, {}, medians of {TURNS} turns",
        turns.versions
    );
    let (single, batched) = (median(turns.single), median(turns.batched));
    let (theirs, tuned) = (median(turns.theirs), median(turns.theirs_tuned));
    Measured::new(
        "graphile",
        settings,
        vec![
            Bound::plain("accepted to done", single, "events/s"),
            Bound::plain("the same in batches of 1,000", batched, "events/s"),
            Bound::plain("CPU of engine and server", median(turns.cpu), "us/event"),
            Bound::plain("graphile-worker", theirs, "jobs/s"),
            Bound::plain("graphile-worker, batched", tuned, "jobs/s"),
            Bound::plain("to graphile-worker", single / theirs, "times").at_least(3.0),
            Bound::plain("batches to graphile-worker", batched / theirs, "times"),
            Bound::plain("to graphile-worker, batched", single / tuned, "times"),
        ],
    )
}

#[allow(clippy::cast_precision_loss)]
fn rate(seconds: f64) -> f64 {
    EVENTS as f64 / seconds
}

/// A database with a table for the effects.
fn database(server: &Server) -> Result<String, Trouble> {
    let url = server.database();
    let name = url.rsplit('/').next().unwrap_or_default();
    let name = name.split('?').next().unwrap_or_default();
    server.query(name, "create table effects (id bigint)")?;
    Ok(url)
}

#[allow(clippy::cast_precision_loss)]
fn ours(server: &Server, batched: bool, cpu: &mut Vec<f64>) -> Result<f64, Trouble> {
    let url = database(server)?;
    let root = folder()?;
    runtime()?.block_on(async {
        let effects = Arc::new(Effects::over(&url).await?);
        let actions = Arc::new(OnlyEffects(Arc::clone(&effects)));
        let rig = Rig::acting(&url, root.path(), ("effect", TASK), actions)?;
        let _renewing = tokio::spawn(Arc::clone(&rig.engine).renew());
        let used = || cpu_seconds() + server.pid().map_or(0.0, cpu_of_family);
        let (begun, before) = (Instant::now(), used());
        match batched {
            true => batches(&rig.engine).await?,
            false => calls(&rig.engine).await?,
        }
        rig.engine.idle().await;
        let seconds = begun.elapsed().as_secs_f64();
        cpu.push((used() - before) * 1e6 / EVENTS as f64);
        let (client, _) = effects
            .clients
            .first()
            .ok_or(Trouble("no connection".into()))?;
        let text = "select count(distinct id), count(*) from effects";
        let row = client.query_one(text, &[]).await?;
        let found: [i64; 2] = [row.try_get(0)?, row.try_get(1)?];
        match found.map(|n| usize::try_from(n).unwrap_or_default()) {
            [EVENTS, EVENTS] => Ok(rate(seconds)),
            other => Err(Trouble(format!("{other:?} effects of {EVENTS} events"))),
        }
    })
}

fn offer(id: usize) -> Offer {
    let data = serde_json::json!({ "id": id });
    Offer::new("effect".into(), id.to_string().into(), data)
}

async fn room(engine: &Engine) {
    while engine.holding() > BATCH {
        tokio::time::sleep(MOMENT).await;
    }
}

async fn batches(engine: &Arc<Engine>) -> Result<(), Trouble> {
    for first in (0..EVENTS).step_by(BATCH) {
        let offers = (first..EVENTS.min(first + BATCH)).map(offer).collect();
        engine.offer(offers, None).await?;
        room(engine).await;
    }
    Ok(())
}

async fn calls(engine: &Arc<Engine>) -> Result<(), Trouble> {
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                for id in (caller..EVENTS).step_by(CALLERS) {
                    engine.offer(vec![offer(id)], None).await?;
                    room(&engine).await;
                }
                Ok::<_, Trouble>(())
            })
        })
        .collect();
    for caller in callers {
        caller
            .await
            .map_err(|e| Trouble(format!("a caller ended: {e}")))??;
    }
    Ok(())
}

fn theirs(server: &Server, place: &Path, how: &str) -> Result<Theirs, Trouble> {
    let url = database(server)?;
    let out = Command::new("node_modules/.bin/node")
        .current_dir(place)
        .args(["bench.mjs", &url])
        .args([EVENTS, CALLERS, CONCURRENT].map(|n| n.to_string()))
        .arg(how)
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let last = text.lines().last().unwrap_or_default();
    match serde_json::from_str::<Theirs>(last) {
        Ok(found) if found.effects == EVENTS && found.left == 0 => Ok(found),
        _ => Err(Trouble(format!(
            "bench.mjs ended with {}, and said: {text}",
            out.status
        ))),
    }
}

fn version(server: &Server) -> Result<String, Trouble> {
    let url = server.url("postgres");
    runtime()?.block_on(async {
        let (client, carrier) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(carrier);
        let row = client.query_one("show server_version", &[]).await?;
        Ok(format!("PostgreSQL {}", row.try_get::<_, String>(0)?))
    })
}

/// Puts the script into the folder, and what it needs from the npm registry.
fn install(place: &Path) -> Result<(), Trouble> {
    std::fs::write(place.join("package.json"), PACKAGE)?;
    std::fs::write(place.join("bench.mjs"), SCRIPT)?;
    eprintln!(
        "graphile-worker is installed with npm into {}, which is deleted afterwards.",
        place.display()
    );
    let said = |why: String| {
        Trouble(format!(
            "graphile-worker could not be installed: {why}. Nothing was measured. npm and node must \
             be there (`apt-get install nodejs npm`), and the npm registry must be reached."
        ))
    };
    let out = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel", "error"])
        .current_dir(place)
        .output()
        .map_err(|error| said(format!("npm does not start ({error})")))?;
    if out.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&out.stderr);
    Err(said(format!(
        "npm ended with {}: {}",
        out.status,
        words.trim()
    )))
}
