//! Events a second from acceptance to done, for a one-step task whose row shares the ledger's
//! commit: in batches, and one a call from many callers.

use super::Store;
use super::machine::{cpu_of_family, cpu_seconds};
use super::measure::{Bound, Measured};
use super::rig::{Rig, folder, median, runtime};
use crate::crash::Trouble;
use oncely_core::action::Statement;
use oncely_core::ids::Environment;
use oncely_core::ledger::{Op, Unit};
use oncely_core::run::RunStatus;
use oncely_engine::{Ask, Engine, Offer};
use oncely_ledger::conformance::Server;
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

/// Events of a batch.
const BATCH: usize = 1000;
/// Batches that are measured.
const BATCHES: usize = 100;
/// Callers at the same time.
const CALLERS: usize = 64;
/// Events of each caller.
const EACH: usize = 200;
/// Commits of one row that are measured.
const SINGLES: usize = 500;
/// Commits that an event needs: its admission with the intent, its outcome with the row.
const COMMITS: f64 = 2.0;
/// How often a sender that is too far ahead looks whether it may go on.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);
/// What batches must reach, in events a second. No more is asked of single calls, however fast the
/// disk commits: beyond this the processor is the bound, and not how often anything is committed.
const BATCHED: f64 = 30_000.0;
/// The same with a ledger in PostgreSQL.
const BATCHED_POSTGRES: f64 = 20_000.0;
/// Times that both are measured, in turn.
const TURNS: usize = 3;

pub(crate) const TASK: &str = r#"title = "A row in the commit of its own record"
[on.call]
key = "event.id"
[[step]]
id  = "count"
  [step.sql]
  db   = "ledger"
  text = "insert into tallies (id) values (:id)"
  bind = { id = "{{ event.id }}" }
"#;

/// A ledger and its engine, and the server that the ledger is in.
struct Place {
    rig: Rig,
    server: Option<Server>,
    folder: TempDir,
}

/// What was used so far: seconds of CPU here and in the server, and commits.
#[derive(Default, Clone, Copy)]
struct Used {
    here: f64,
    server: f64,
    commits: u64,
}

impl Place {
    async fn used(&self) -> Used {
        let pid = self.server.as_ref().and_then(Server::pid);
        Used {
            here: cpu_seconds(),
            server: pid.map_or(0.0, cpu_of_family),
            commits: self.rig.commits().await,
        }
    }
}

/// What several turns found, each for one event.
#[derive(Default)]
struct Turns {
    rates: Vec<f64>,
    here: Vec<f64>,
    server: Vec<f64>,
    commits: Vec<f64>,
}

impl Turns {
    #[allow(clippy::cast_precision_loss)]
    async fn add(&mut self, place: &Place, before: Used, events: usize, seconds: f64) {
        let after = place.used().await;
        let events = events as f64;
        self.rates.push(events / seconds);
        self.here.push((after.here - before.here) * 1e6 / events);
        self.server
            .push((after.server - before.server) * 1e6 / events);
        self.commits
            .push((after.commits - before.commits) as f64 * 1e3 / events);
    }

    /// What does not depend on what else the machine does.
    fn costs(self, store: Store) -> Vec<Bound> {
        let mut costs = vec![Bound::plain(
            "CPU of the engine",
            median(self.here),
            "us/event",
        )];
        if store == Store::Postgres {
            costs.push(Bound::plain(
                "CPU of the server",
                median(self.server),
                "us/event",
            ));
        }
        let commits = median(self.commits);
        costs.push(Bound::plain("commits for 1,000 events", commits, ""));
        costs
    }
}

fn place(store: Store) -> Result<Place, Trouble> {
    let folder = folder()?;
    let root = folder.path();
    let (rig, server) = match store {
        Store::Sqlite => (Rig::new(root, "tally", TASK)?, None),
        Store::Postgres => {
            let server = Server::start_in(super::rig::folder()?, &[]);
            let rig = Rig::postgres(&server.database(), root, "tally", TASK)?;
            (rig, Some(server))
        }
    };
    runtime()?.block_on(tallies(&rig))?;
    Ok(Place {
        rig,
        server,
        folder,
    })
}

/// Makes the table for the rows.
pub(crate) async fn tallies(rig: &Rig) -> Result<(), Trouble> {
    let table = Statement {
        text: "create table tallies (id bigint)".into(),
        bind: Vec::new(),
    };
    let made = Unit {
        guards: Vec::new(),
        ops: vec![Op::Sql(vec![table])],
    };
    rig.ledger.commit(vec![made]).await?;
    Ok(())
}

fn wanted(store: Store) -> f64 {
    match store {
        Store::Sqlite => BATCHED,
        Store::Postgres => BATCHED_POSTGRES,
    }
}

pub(crate) fn name(store: Store) -> &'static str {
    match store {
        Store::Sqlite => "SQLite",
        Store::Postgres => "PostgreSQL",
    }
}

pub(crate) fn offer(id: usize) -> Offer {
    let data = serde_json::json!({ "id": id });
    Offer::new("tally".into(), id.to_string().into(), data)
}

async fn all_done(rig: &Rig, events: usize) -> Result<(), Trouble> {
    let counts = Ask(&*rig.ledger).counts(Environment::from("bench")).await?;
    match counts.as_slice() {
        [(RunStatus::Done, done)] if *done == events as u64 => Ok(()),
        other => Err(Trouble(format!("{other:?} where {events} were to be done"))),
    }
}

/// Batches of a thousand.
pub(crate) fn batched(store: Store) -> Result<Measured, Trouble> {
    let mut turns = Turns::default();
    for _ in 0..TURNS {
        let place = place(store)?;
        runtime()?.block_on(batches(&place, &mut turns))?;
    }
    let settings = format!(
        "{BATCHES} batches of {BATCH}, full sync, {}, median of {TURNS}",
        name(store)
    );
    let rate = median(std::mem::take(&mut turns.rates));
    let mut numbers =
        vec![Bound::plain("accepted to done", rate, "events/s").at_least(wanted(store))];
    numbers.extend(turns.costs(store));
    Ok(Measured::new("events", settings, numbers))
}

async fn batches(place: &Place, turns: &mut Turns) -> Result<(), Trouble> {
    let rig = &place.rig;
    let _renewing = tokio::spawn(Arc::clone(&rig.engine).renew());
    let before = place.used().await;
    let begun = Instant::now();
    for batch in 0..BATCHES {
        let offers = (0..BATCH).map(|n| offer(batch * BATCH + n)).collect();
        rig.engine.offer(offers, None).await?;
        // The next batch is taken while this one is done, and no more than there is room for.
        while rig.engine.holding() > BATCH {
            tokio::time::sleep(MOMENT).await;
        }
    }
    rig.engine.idle().await;
    let seconds = begun.elapsed().as_secs_f64();
    turns.add(place, before, BATCH * BATCHES, seconds).await;
    all_done(rig, BATCH * BATCHES).await
}

/// One event a call from many callers, in turn with single commits.
pub(crate) fn callers(store: Store) -> Result<Measured, Trouble> {
    let (mut turns, mut single) = (Turns::default(), Vec::new());
    for _ in 0..TURNS {
        let place = place(store)?;
        runtime()?.block_on(calls(&place, &mut turns))?;
        single.push(singles(place.folder.path())?);
    }
    let (ours, single) = (median(std::mem::take(&mut turns.rates)), median(single));
    #[allow(clippy::cast_precision_loss)]
    let half = 0.5 * CALLERS as f64 * single / COMMITS;
    let settings = format!(
        "{CALLERS} callers, {EACH} events each, {}, medians of {TURNS} turns",
        name(store)
    );
    let mut numbers = vec![
        Bound::plain("accepted to done", ours, "events/s").at_least(half.min(wanted(store))),
        Bound::plain("single commits", single, "commits/s"),
        Bound::plain("of 64 single commits / 2", 50.0 * ours / half, "%"),
    ];
    numbers.extend(turns.costs(store));
    Ok(Measured::new("callers", settings, numbers))
}

async fn calls(place: &Place, turns: &mut Turns) -> Result<(), Trouble> {
    let rig = &place.rig;
    let _renewing = tokio::spawn(Arc::clone(&rig.engine).renew());
    let before = place.used().await;
    let begun = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(call(Arc::clone(&rig.engine), caller)))
        .collect();
    for caller in callers {
        caller
            .await
            .map_err(|e| Trouble(format!("a caller ended: {e}")))??;
    }
    rig.engine.idle().await;
    let seconds = begun.elapsed().as_secs_f64();
    turns.add(place, before, CALLERS * EACH, seconds).await;
    all_done(rig, CALLERS * EACH).await
}

async fn call(engine: Arc<Engine>, caller: usize) -> Result<(), Trouble> {
    for n in 0..EACH {
        engine.offer(vec![offer(caller * EACH + n)], None).await?;
        while engine.holding() > BATCH {
            tokio::time::sleep(MOMENT).await;
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn singles(root: &Path) -> Result<f64, Trouble> {
    let database = Connection::open(root.join("single.db"))?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    database.execute_batch("create table tallies (id integer)")?;
    let mut insert = database.prepare("insert into tallies (id) values (?1)")?;
    let begun = Instant::now();
    for n in 0..SINGLES {
        insert.execute(params![n as i64])?;
    }
    Ok(SINGLES as f64 / begun.elapsed().as_secs_f64())
}
