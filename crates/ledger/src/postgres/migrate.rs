//! Brings an older ledger in PostgreSQL to the schema of this program: in one transaction, so that it is
//! all done or not at all.

use super::db::{Db, Stop, in_time};
use super::options::{self, PostgresOptions};
use super::slice::{Slice, take_turn};
use super::text::RUN;
use super::{connect, schema, server, words};
use crate::sqlite::schema::VERSION;
use oncely_core::ids::{ContentHash, RunId};
use oncely_core::ledger::LedgerError;
use std::time::Duration;

/// Runs whose chains are computed together.
const PAGE: i64 = 500;

/// What is added to the tables; the defaults stand only until every run has its own.
const ADD: &str = "
alter table oncely_runs add column chain bytea not null default ''::bytea;
alter table oncely_admissions add column event_hash bytea not null default ''::bytea;
";
const WITHOUT_DEFAULTS: &str = "
alter table oncely_runs alter column chain drop default;
alter table oncely_admissions alter column event_hash drop default;
";

/// Migrates; says from which version, or that there was nothing to do.
///
/// # Errors
/// When the server cannot be reached, there is no ledger, it is newer than this program, or a process
/// is at work on it. Then nothing was changed.
pub async fn migrate_postgres(
    url: &str,
    options: PostgresOptions,
) -> Result<Option<i32>, LedgerError> {
    let address = options::address(url, &options)?;
    let (place, patience) = (address.place(), options.patience());
    let said = |stop: Stop| match stop {
        Stop::Database(error) => words::database(&place, &error),
        Stop::Silent => words::silent(&place),
        other => words::gave_up(&place, other, Duration::ZERO),
    };
    let mut db = connect::connect(&address, patience).await.map_err(said)?;
    let asked = in_time(patience.answer, async {
        server::check(&mut db, &place).await?;
        schema::version(&mut db).await
    });
    let from = asked.await.map_err(said)?;
    if from == 0 || from >= VERSION {
        schema::open(&mut db, &place, false).await.map_err(said)?;
        return Ok(None);
    }
    let done = inside(&mut db, &place).await;
    if done.is_err() {
        db.roll_back().await;
    }
    done.map_err(said)
}

/// In one transaction. Another process may have migrated before this one had its turn.
async fn inside(db: &mut Db, place: &str) -> Result<Option<i32>, Stop> {
    db.simple("begin").await?;
    take_turn(db).await?;
    let from = schema::version(db).await?;
    if from >= VERSION {
        db.commit().await?;
        return Ok(None);
    }
    nobody_at_work(db, place).await?;
    db.simple(ADD).await?;
    db.simple(super::prune::TABLES).await?;
    db.simple(super::kept::TABLES).await?;
    chains(db).await?;
    db.simple(WITHOUT_DEFAULTS).await?;
    let (text, to) = (
        "update oncely_meta set value = $1 where name = 'schema'",
        VERSION,
    );
    db.run(text, &[&to.to_string()]).await?;
    db.commit().await?;
    Ok(Some(from))
}

/// A process at work would go on with the schema that it knows.
async fn nobody_at_work(db: &mut Db, place: &str) -> Result<(), Stop> {
    let text = "select pid, role from oncely_holders
                where (extract(epoch from clock_timestamp()) * 1000)::bigint - renewed < lease_ms";
    let rows = db.rows(text, &[]).await?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let (pid, role): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    Err(LedgerError::Unusable(format!(
        "process {pid} ({role}) is at work on the ledger in {place}. Nothing was changed. Stop it, \
         wait until its lease is over, then migrate again."
    ))
    .into())
}

async fn chains(db: &mut Db) -> Result<(), Stop> {
    let mut last = 0_i64;
    loop {
        let text = format!("{RUN} where r.id > $1 order by r.id limit $2");
        let rows = db.rows(&text, &[&last, &PAGE]).await?;
        let mut slice = Slice::empty();
        slice.add_rows(&rows)?;
        let ids: Vec<i64> = slice.state.runs.keys().map(|id| id.0).collect();
        let Some(end) = ids.last() else { return Ok(()) };
        last = *end;
        let mut events = Vec::with_capacity(ids.len());
        for run in slice.state.runs.values_mut() {
            run.row.event_hash = ContentHash::of(run.row.event.as_bytes());
            events.push(run.row.event_hash.0.to_vec());
        }
        let heads = heads(db, &slice, &ids).await?;
        let text = "update oncely_runs r set chain = n.chain
                    from unnest($1::bigint[], $2::bytea[]) as n (id, chain) where r.id = n.id";
        db.run(text, &[&ids, &heads]).await?;
        let text = "update oncely_admissions a set event_hash = n.hash
                    from unnest($1::bigint[], $2::bytea[]) as n (run, hash) where a.run = n.run";
        db.run(text, &[&ids, &events]).await?;
    }
}

/// The heads of the chains of runs. One that cannot be read gets a head that nothing fits.
async fn heads(db: &mut Db, slice: &Slice, ids: &[i64]) -> Result<Vec<Vec<u8>>, Stop> {
    let readings = slice.read_facts(db, ids).await?;
    let head = |id: &i64| {
        let run = RunId(*id);
        let seq = slice.state.runs.get(&run).map(|run| run.row.seq);
        let whole = readings
            .get(&run)
            .filter(|reading| Some(reading.facts.len() as u64) == seq);
        whole.map_or_else(|| vec![0; 16], |reading| reading.chain.0.to_vec())
    };
    Ok(ids.iter().map(head).collect())
}
