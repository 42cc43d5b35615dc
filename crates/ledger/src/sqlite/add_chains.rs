//! Schema 2.0: each run has the head of the chain of its facts, the hash of its event, and a count of its
//! moves.

use super::rows;
use oncely_core::ids::{ContentHash, RunId};
use rusqlite::{Connection, params};

/// Runs whose chains are computed together.
const PAGE: i64 = 500;

/// Adds them to a ledger of schema 1.0, from the facts and events as they are.
pub(crate) fn add(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "alter table oncely_runs add column chain blob not null default x'';
         alter table oncely_runs add column moves integer not null default 0;
         alter table oncely_admissions add column event_hash blob not null default x'';",
    )?;
    let mut last = 0;
    loop {
        let mut page =
            conn.prepare_cached("select id from oncely_runs where id > ?1 order by id limit ?2")?;
        let ids: Vec<i64> = page
            .query_map([last, PAGE], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(end) = ids.last() else { return Ok(()) };
        last = *end;
        for id in ids {
            add_to(conn, RunId(id))?;
        }
    }
}

/// A run that cannot be read is given a chain that nothing fits, so that it is set aside.
fn add_to(conn: &Connection, id: RunId) -> rusqlite::Result<()> {
    let set = |chain: [u8; 16]| {
        conn.prepare_cached("update oncely_runs set chain = ?2 where id = ?1")?
            .execute(params![id.0, chain])
    };
    set([0; 16])?;
    let Some(mut row) = rows::run(conn, id)? else {
        return Ok(());
    };
    row.event_hash = ContentHash::of(row.event.as_bytes());
    conn.prepare_cached("update oncely_admissions set event_hash = ?2 where run = ?1")?
        .execute(params![id.0, row.event_hash.0])?;
    if let Some(reading) = rows::reading(conn, &row)?
        && reading.facts.len() as u64 == row.seq
    {
        set(reading.chain.0)?;
    }
    Ok(())
}
