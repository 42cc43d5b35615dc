//! Looks a ledger in PostgreSQL over, run after run. The database has checks of its own.

use super::db::{Db, Stop};
use super::slice::Slice;
use super::text::RUN;
use crate::verify::{COME, Come, Verified};
use oncely_core::ids::RunId;
use std::collections::BTreeMap;

/// Runs that are looked over together.
const PAGE: i64 = 500;

/// Looks everything over, in short transactions.
pub(crate) async fn verify(db: &mut Db) -> Result<Verified, Stop> {
    let mut verified = Verified::default();
    let mut last = 0_i64;
    loop {
        db.simple("begin isolation level repeatable read read only")
            .await?;
        let done = page(db, last, &mut verified).await;
        db.roll_back().await;
        match done? {
            Some(end) => last = end,
            None => break,
        }
    }
    without(db, &mut verified).await?;
    for row in db.rows(COME, &[]).await? {
        verified.step(&Come {
            run: row.try_get(0)?,
            step: row.try_get(1)?,
            next: row.try_get(2)?,
            done: row.try_get(3)?,
            set_aside: row.try_get(4)?,
            found: row.try_get(5)?,
            has_run: row.try_get(6)?,
        });
    }
    Ok(verified)
}

async fn page(db: &mut Db, last: i64, verified: &mut Verified) -> Result<Option<i64>, Stop> {
    let mut slice = Slice::empty();
    let text = format!("{RUN} where r.id > $1 order by r.id limit $2");
    slice.add_rows(&db.rows(&text, &[&last, &PAGE]).await?)?;
    let ids: Vec<i64> = slice.state.runs.keys().map(|id| id.0).collect();
    slice.load_facts(db, &ids).await?;
    let mut hashes = BTreeMap::new();
    for run in slice.state.runs.values() {
        let row = &run.row;
        let hash = row.known_by();
        hashes.insert(row.id, hash.to_vec());
    }
    let wanted: Vec<&Vec<u8>> = hashes.values().collect();
    let text = "select hash, run from oncely_keys where hash = any($1)";
    let mut keyed: BTreeMap<Vec<u8>, RunId> = BTreeMap::new();
    for row in db.rows(text, &[&wanted]).await? {
        keyed.insert(row.try_get(0)?, RunId(row.try_get(1)?));
    }
    for run in slice.state.runs.values() {
        let hash = hashes.get(&run.row.id);
        verified.run(run, hash.and_then(|hash| keyed.get(hash)).copied());
    }
    Ok(ids.last().copied())
}

/// Runs without what was admitted, and keys without runs.
async fn without(db: &mut Db, verified: &mut Verified) -> Result<(), Stop> {
    let text = "select r.id from oncely_runs r left join oncely_admissions a on a.run = r.id
                where a.run is null order by r.id";
    for row in db.rows(text, &[]).await? {
        let id: i64 = row.try_get(0)?;
        verified.found(format!("run {id}: what was admitted is lost"));
    }
    let text = "select k.run from oncely_keys k left join oncely_runs r on r.id = k.run
                where r.id is null and not exists
                (select 1 from (select first from oncely_pruned where last >= k.run order by last limit 1)
                 g where g.first <= k.run) order by k.run";
    for row in db.rows(text, &[]).await? {
        let id: i64 = row.try_get(0)?;
        verified.found(format!("run {id}: its key is known, and the run is lost"));
    }
    Ok(())
}
