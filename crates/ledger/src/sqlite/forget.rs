//! Forgets the data of runs, inside the writer's transaction. What is removed is overwritten with
//! zeros; items go after it, so many at a time: see `prune.rs`.

use super::batch::Stop;
use super::rows::{self, signed};
use crate::chained;
use crate::forgetting::{self, Left};
use crate::rules;
use oncely_core::fact::Recorded;
use oncely_core::forget::Forget;
use oncely_core::ledger::LedgerError;
use rusqlite::{Connection, params};

/// Forgets all of them, or none.
pub(crate) fn forget(conn: &Connection, wanted: &Forget) -> Result<(), Stop> {
    let mut all = Vec::with_capacity(wanted.runs.len());
    for id in &wanted.runs {
        let row = rows::run(conn, *id)?.ok_or_else(|| Stop::Invalid(rules::no_run(*id)))?;
        let reading = rows::reading(conn, &row)?.unwrap_or_else(|| chained::Reading::of(row.chain));
        all.push(forgetting::forget(&row, reading, wanted).map_err(Stop::Invalid)?);
    }
    conn.pragma_update(None, "secure_delete", true)?;
    for left in &all {
        write(conn, left, wanted)?;
    }
    Ok(())
}

fn write(conn: &Connection, left: &Left, wanted: &Forget) -> Result<(), Stop> {
    let run = left.run.0;
    let execute =
        |text: &str, values: &dyn Fn(&mut rusqlite::Statement<'_>) -> rusqlite::Result<usize>| {
            values(&mut *conn.prepare_cached(text)?).map(drop)
        };
    execute(
        "insert into oncely_meta (name, value) values ('pruning', '')",
        &|s| s.execute([]),
    )?;
    execute("delete from oncely_facts where run = ?1", &|s| {
        s.execute([run])
    })?;
    execute("delete from oncely_meta where name = 'pruning'", &|s| {
        s.execute([])
    })?;
    for (first, recorded) in (0..).zip(&left.facts) {
        let body = body(recorded).map_err(Stop::Invalid)?;
        execute(
            "insert into oncely_facts (run, first, count, at, body) values (?1, ?2, 1, ?3, ?4)",
            &|s| s.execute(params![run, signed(first), recorded.at.0, body]),
        )?;
    }
    execute(
        "update oncely_admissions set key = ?2, event = '' where run = ?1",
        &|s| s.execute(params![run, left.key.as_str()]),
    )?;
    execute(
        "update oncely_runs set seq = ?2, changed = ?3, chain = ?4 where id = ?1",
        &|s| {
            let seq = signed(left.facts.len() as u64);
            s.execute(params![run, seq, wanted.at.0, left.chain.0])
        },
    )?;
    execute(
        "insert into oncely_leftovers (run) values (?1) on conflict do nothing",
        &|s| s.execute([run]),
    )?;
    Ok(())
}

fn body(recorded: &Recorded) -> Result<String, LedgerError> {
    chained::text(recorded)
        .map(|text| format!("[{text}]"))
        .map_err(|error| LedgerError::Invalid(format!("a fact cannot be written: {error}.")))
}
