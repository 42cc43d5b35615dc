//! Events a second in batches of a thousand with ten thousand and with ten million keys in the ledger,
//! in turn, on both stores.

use super::Store;
use super::events::{name, offer, tallies};
use super::machine::{cpu_of_family, cpu_seconds};
use super::measure::{Bound, Measured};
use super::rig::{Rig, folder, median, runtime};
use crate::crash::Trouble;
use oncely_core::ids::Environment;
use oncely_core::run::RunStatus;
use oncely_engine::Ask;
use oncely_ledger::conformance::Server;
use rusqlite::OpenFlags;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Keys that are there before.
const FEW: u64 = 10_000;
/// The same of the other ledger.
const MANY: u64 = 10_000_000;
/// Keys are put in by so many passes over the whole index, each in its order, so that its pages are as
/// full as those that keys came to one by one.
const PASSES: u64 = 8;
/// Events of a batch.
const BATCH: usize = 1000;
/// Batches of a turn.
const BATCHES: usize = 50;
/// Turns.
const TURNS: usize = 5;
/// How often a sender that is too far ahead looks whether it may go on.
const MOMENT: Duration = Duration::from_millis(1);

/// A ledger with so many keys.
struct Place {
    rig: Rig,
    bytes: f64,
    rates: Vec<f64>,
    cpu: Vec<f64>,
    server: Option<Server>,
    _folder: TempDir,
}

pub(crate) fn run() -> Result<Vec<Measured>, Trouble> {
    let runtime = runtime()?;
    let stores = [Store::Sqlite, Store::Postgres];
    let mut places = Vec::new();
    for store in stores {
        let few = Place::make(store, FEW, &runtime)?;
        let many = Place::make(store, MANY, &runtime)?;
        places.push((store, few, many));
    }
    for turn in 0..TURNS {
        for (_, few, many) in &mut places {
            runtime.block_on(few.turn(turn))?;
            runtime.block_on(many.turn(turn))?;
        }
    }
    Ok(places.into_iter().map(said).collect())
}

fn said((store, few, many): (Store, Place, Place)) -> Measured {
    let settings = format!(
        "{BATCHES} batches of {BATCH} a turn, full sync, {}, medians of {TURNS} turns; keys are random \
         hashes, and were there before",
        name(store)
    );
    let cpu = (median(few.cpu), median(many.cpu));
    let (few, many, bytes) = (median(few.rates), median(many.rates), many.bytes);
    Measured::new(
        "keys",
        settings,
        vec![
            Bound::plain("with 10,000 keys", few, "events/s"),
            Bound::plain("with 10,000,000 keys", many, "events/s"),
            Bound::plain("share", 100.0 * many / few, "%").at_least(50.0),
            Bound::plain("CPU with 10,000 keys", cpu.0, "us/event"),
            Bound::plain("CPU with 10,000,000 keys", cpu.1, "us/event"),
            Bound::plain("on the disk", bytes, "bytes/key"),
        ],
    )
}

impl Place {
    fn make(store: Store, keys: u64, runtime: &Runtime) -> Result<Self, Trouble> {
        let folder = folder()?;
        let root = folder.path();
        let (rig, bytes, server) = match store {
            Store::Sqlite => {
                let rig = Rig::new(root, "tally", super::events::TASK)?;
                let bytes = fill_file(&root.join("ledger.db"), keys)?;
                (rig, bytes, None)
            }
            Store::Postgres => {
                let server = Server::start_in(super::rig::folder()?, &[]);
                let url = server.database();
                let rig = Rig::postgres(&url, root, "tally", super::events::TASK)?;
                let bytes = runtime.block_on(fill_server(&url, keys))?;
                (rig, bytes, Some(server))
            }
        };
        runtime.block_on(tallies(&rig))?;
        Ok(Self {
            rig,
            bytes,
            rates: Vec::new(),
            cpu: Vec::new(),
            server,
            _folder: folder,
        })
    }

    /// Seconds of CPU of the engine and the server.
    fn used(&self) -> f64 {
        let server = self.server.as_ref().and_then(Server::pid);
        cpu_seconds() + server.map_or(0.0, cpu_of_family)
    }

    #[allow(clippy::cast_precision_loss)]
    async fn turn(&mut self, turn: usize) -> Result<(), Trouble> {
        let engine = &self.rig.engine;
        let renewing = tokio::spawn(Arc::clone(engine).renew());
        let (begun, before) = (Instant::now(), self.used());
        for batch in 0..BATCHES {
            let first = (turn * BATCHES + batch) * BATCH;
            let offers = (first..first + BATCH).map(offer).collect();
            engine.offer(offers, None).await?;
            while engine.holding() > BATCH {
                tokio::time::sleep(MOMENT).await;
            }
        }
        engine.idle().await;
        let seconds = begun.elapsed().as_secs_f64();
        renewing.abort();
        let used = self.used() - before;
        self.cpu.push(used * 1e6 / (BATCH * BATCHES) as f64);
        self.rates.push((BATCH * BATCHES) as f64 / seconds);
        let wanted = (BATCH * BATCHES * (turn + 1)) as u64;
        let bench = Environment::from("bench");
        match Ask(&*self.rig.ledger).counts(bench).await?.as_slice() {
            [(RunStatus::Done, done)] if *done == wanted => Ok(()),
            other => Err(Trouble(format!("{other:?} where {wanted} were to be done"))),
        }
    }
}

/// Hashes as keys have them: sixteen bytes that nothing can be told of.
struct Hashes(u64);

impl Hashes {
    fn half(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn next(&mut self) -> [u8; 16] {
        (u128::from(self.half()) << 64 | u128::from(self.half())).to_be_bytes()
    }
}

/// Puts keys into a ledger's file; says how many bytes each takes there.
#[allow(clippy::cast_precision_loss)]
fn fill_file(path: &Path, keys: u64) -> Result<f64, Trouble> {
    let before = std::fs::metadata(path)?.len();
    let conn = oncely_vfs::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update(None, "synchronous", "off")?;
    conn.pragma_update(None, "cache_size", -512 * 1024)?;
    let mut hashes = Hashes(keys);
    for pass in 0..PASSES {
        let mut some: Vec<[u8; 16]> = (0..keys / PASSES).map(|_| hashes.next()).collect();
        some.sort_unstable();
        let whole = conn.unchecked_transaction()?;
        {
            let mut insert = conn.prepare("insert into oncely_keys (hash, run) values (?1, ?2)")?;
            for (n, hash) in (pass * (keys / PASSES)..).zip(&some) {
                insert.execute((hash, n.cast_signed()))?;
            }
        }
        whole.commit()?;
        conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    }
    let after = std::fs::metadata(path)?.len();
    Ok((after - before) as f64 / keys as f64)
}

/// Puts keys into a ledger in PostgreSQL; says how many bytes each takes there.
#[allow(clippy::cast_precision_loss)]
async fn fill_server(url: &str, keys: u64) -> Result<f64, Trouble> {
    let (client, carrier) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(carrier);
    for pass in 0..PASSES {
        let (first, last) = (pass * (keys / PASSES), (pass + 1) * (keys / PASSES) - 1);
        let text = format!(
            "insert into oncely_keys (hash, run)
             select decode(md5(n::text), 'hex') as hash, n
             from generate_series({first}, {last}) as n order by hash"
        );
        client.batch_execute(&text).await?;
    }
    client.batch_execute("vacuum analyze oncely_keys").await?;
    client.batch_execute("checkpoint").await?;
    let text = "select pg_total_relation_size('oncely_keys')::bigint";
    let bytes: i64 = client.query_one(text, &[]).await?.try_get(0)?;
    Ok(bytes as f64 / keys as f64)
}
