//! Looks a ledger in a file over: the database, then run after run.

use super::guards::admitted;
use super::rows;
use crate::memory::state::Run;
use crate::verify::{COME, Come, Verified};
use oncely_core::ids::RunId;
use oncely_core::run::RunState;
use rusqlite::{Connection, params};

/// Runs that are looked over in one transaction, so that the write-ahead log can be cut in between.
const PAGE: i64 = 500;
/// Most things that the database's own check says.
const MOST: u32 = 100;

/// Looks everything over. The database's own check is one transaction.
pub(crate) fn verify(conn: &Connection) -> rusqlite::Result<Verified> {
    let mut verified = Verified::default();
    database(conn, &mut verified)?;
    let mut last = RunId(0);
    loop {
        let tx = conn.unchecked_transaction()?;
        let text = "select id from oncely_runs where id > ?1 order by id limit ?2";
        let ids: Vec<RunId> = tx
            .prepare_cached(text)?
            .query_map(params![last.0, PAGE], |row| row.get(0).map(RunId))?
            .collect::<rusqlite::Result<_>>()?;
        for id in &ids {
            run(&tx, *id, &mut verified)?;
        }
        tx.commit()?;
        match ids.last() {
            Some(id) => last = *id,
            None => break,
        }
    }
    keys_without_runs(conn, &mut verified)?;
    progress(conn, &mut verified)?;
    Ok(verified)
}

fn database(conn: &Connection, verified: &mut Verified) -> rusqlite::Result<()> {
    let mut check = conn.prepare(&format!("pragma integrity_check({MOST})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        let line = line?;
        if line != "ok" {
            verified.found(format!("the database: {line}"));
        }
    }
    verified.database = true;
    verified.checksums = Some(oncely_vfs::is_reserved(conn)?);
    Ok(())
}

fn run(conn: &Connection, id: RunId, verified: &mut Verified) -> rusqlite::Result<()> {
    let Some(row) = rows::run(conn, id)? else {
        verified.found(format!("run {id}: what was admitted is lost"));
        return Ok(());
    };
    let hash = row.known_by();
    let keyed = admitted(conn, &hash)?;
    let facts = rows::intact(conn, &row)?;
    let folded = facts.as_deref().map(RunState::fold);
    let broken = !matches!(folded, Some(Ok(_)));
    let run = Run {
        row,
        facts: facts.unwrap_or_default(),
        state: folded.and_then(Result::ok).unwrap_or_default(),
        broken,
    };
    verified.run(&run, keyed);
    Ok(())
}

fn keys_without_runs(conn: &Connection, verified: &mut Verified) -> rusqlite::Result<()> {
    let text = "select k.run from oncely_keys k left join oncely_runs r on r.id = k.run
                where r.id is null and not exists
                (select 1 from (select first from oncely_pruned where last >= k.run order by last limit 1)
                 g where g.first <= k.run) order by k.run";
    let mut lost = conn.prepare(text)?;
    let mut lost = lost.query([])?;
    while let Some(row) = lost.next()? {
        let id: i64 = row.get(0)?;
        verified.found(format!("run {id}: its key is known, and the run is lost"));
    }
    Ok(())
}

fn progress(conn: &Connection, verified: &mut Verified) -> rusqlite::Result<()> {
    let mut steps = conn.prepare(COME)?;
    let mut steps = steps.query([])?;
    while let Some(row) = steps.next()? {
        verified.step(&Come {
            run: row.get(0)?,
            step: row.get(1)?,
            next: row.get(2)?,
            done: row.get(3)?,
            set_aside: row.get(4)?,
            found: row.get(5)?,
            has_run: row.get(6)?,
        });
    }
    Ok(())
}
