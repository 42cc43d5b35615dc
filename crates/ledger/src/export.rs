//! Everything in a ledger as JSON lines, for backups, for people, and for checkers that share no
//! code with it.
//!
//! Each line is an object with a `kind` that says what it is:
//!
//! | `kind` | what follows |
//! | --- | --- |
//! | `ledger` | `name`, `schema`: always first |
//! | `run` | the row of a run, its event as text included |
//! | `fact` | `run`, `seq` from 0, `at` and the fact |
//! | `progress` | `run`, `step` and how far it has come |
//! | `set_aside` | `run`, `step`, the item, its input and the reason |
//! | `item_fact` | `run`, `step`, the item and what happened to it |
//! | `cursor` | `source`, `cursor` |
//! | `name` | `name`, `holder`, `fence` |
//!
//! Runs come in the order of their numbers, each followed by what belongs to it. Stored content,
//! task files and holders are not written: they are no history.

use crate::memory::state::State;
use crate::sqlite::answers::{progress_row, set_aside_row};
use crate::sqlite::rows::{self, RUN, json, run_row};
use crate::sqlite::schema;
use oncely_core::fact::Recorded;
use oncely_core::ids::{Fence, HolderId, RunId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{ItemFact, RunRow};
use rusqlite::{Connection, Row};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Ledger {
        name: &'a str,
        schema: i32,
    },
    Run(&'a RunRow),
    Fact {
        run: RunId,
        seq: u64,
        #[serde(flatten)]
        recorded: &'a Recorded,
    },
    Progress {
        run: RunId,
        step: &'a str,
        #[serde(flatten)]
        progress: &'a Progress,
    },
    SetAside {
        run: RunId,
        step: &'a str,
        #[serde(flatten)]
        item: &'a SetAside,
    },
    ItemFact {
        run: RunId,
        step: &'a str,
        #[serde(flatten)]
        fact: &'a ItemFact,
    },
    Cursor {
        source: &'a str,
        cursor: &'a str,
    },
    Name {
        name: &'a str,
        holder: Option<HolderId>,
        fence: Fence,
    },
}

fn put(out: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn put_facts(out: &mut dyn Write, run: RunId, facts: &[Recorded]) -> io::Result<()> {
    for (seq, recorded) in (0..).zip(facts) {
        put(out, &Line::Fact { run, seq, recorded })?;
    }
    Ok(())
}

/// Writes a ledger in memory.
pub(crate) fn memory(state: &State, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let schema = schema::VERSION;
    put(out, &Line::Ledger { name, schema })?;
    for (id, run) in &state.runs {
        put(out, &Line::Run(&run.row))?;
        put_facts(out, *id, &run.facts)?;
        memory_items(state, *id, out)?;
    }
    for (source, cursor) in &state.cursors {
        let cursor = &cursor.0;
        put(out, &Line::Cursor { source, cursor })?;
    }
    for (name, found) in &state.names {
        let (holder, fence) = (found.holder, found.fence);
        put(
            out,
            &Line::Name {
                name,
                holder,
                fence,
            },
        )?;
    }
    Ok(())
}

fn memory_items(state: &State, id: RunId, out: &mut dyn Write) -> io::Result<()> {
    for ((run, step), progress) in state.progress.iter().filter(|((run, _), _)| *run == id) {
        let (run, step) = (*run, step.as_str());
        put(
            out,
            &Line::Progress {
                run,
                step,
                progress,
            },
        )?;
    }
    for ((run, step, _), item) in state.set_aside.iter().filter(|((run, _, _), _)| *run == id) {
        let (run, step) = (*run, step.as_str());
        put(out, &Line::SetAside { run, step, item })?;
    }
    for ((run, step), facts) in state.item_facts.iter().filter(|((run, _), _)| *run == id) {
        let mut facts: Vec<_> = facts.iter().collect();
        facts.sort_by_key(|fact| fact.item);
        for fact in facts {
            let (run, step) = (*run, step.as_str());
            put(out, &Line::ItemFact { run, step, fact })?;
        }
    }
    Ok(())
}

/// Writes a ledger in a SQLite file, from one read transaction.
pub(crate) fn sqlite(conn: &Connection, out: &mut dyn Write) -> io::Result<()> {
    let tx = conn.unchecked_transaction().map_err(io::Error::other)?;
    let name: String = tx
        .query_row(
            "select value from oncely_meta where name = 'name'",
            [],
            |row| row.get(0),
        )
        .map_err(io::Error::other)?;
    let (_, version) = schema::version(&tx).map_err(io::Error::other)?;
    put(
        out,
        &Line::Ledger {
            name: &name,
            schema: version,
        },
    )?;
    each(&tx, &format!("{RUN} order by r.id"), [], run_row, |run| {
        put(out, &Line::Run(&run))?;
        let facts = rows::facts(&tx, run.id, 0).map_err(io::Error::other)?;
        put_facts(out, run.id, &facts)?;
        sqlite_items(&tx, run.id, out)
    })?;
    sqlite_rest(&tx, out)
}

/// Reads row after row and does something with each.
fn each<T>(
    conn: &Connection,
    text: &str,
    values: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut work: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let mut statement = conn.prepare_cached(text).map_err(io::Error::other)?;
    let mut rows = statement.query(values).map_err(io::Error::other)?;
    while let Some(row) = rows.next().map_err(io::Error::other)? {
        work(read(row).map_err(io::Error::other)?)?;
    }
    Ok(())
}

fn sqlite_items(conn: &Connection, run: RunId, out: &mut dyn Write) -> io::Result<()> {
    let step = |row: &Row<'_>| row.get::<_, String>(0);
    let text = "select step, next, byte_offset, line, done, set_aside, unseen
                from oncely_progress where run = ?1 order by step";
    let read = |row: &Row<'_>| Ok((step(row)?, progress_row(row, 1)?));
    each(conn, text, [run.0], read, |(step, progress)| {
        let (step, progress) = (step.as_str(), &progress);
        put(
            out,
            &Line::Progress {
                run,
                step,
                progress,
            },
        )
    })?;
    let text = "select step, item, line, input, reason from oncely_set_aside
                where run = ?1 order by step, item";
    let read = |row: &Row<'_>| Ok((step(row)?, set_aside_row(row, 1)?));
    each(conn, text, [run.0], read, |(step, item)| {
        let (step, item) = (step.as_str(), &item);
        put(out, &Line::SetAside { run, step, item })
    })?;
    let text = "select step, body from oncely_item_facts
                where run = ?1 order by step, item, place";
    let read = |row: &Row<'_>| Ok((step(row)?, json::<ItemFact>(row, 1)?));
    each(conn, text, [run.0], read, |(step, fact)| {
        let (step, fact) = (step.as_str(), &fact);
        put(out, &Line::ItemFact { run, step, fact })
    })
}

fn sqlite_rest(conn: &Connection, out: &mut dyn Write) -> io::Result<()> {
    let pair = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let text = "select source, cursor from oncely_cursors order by source";
    each(conn, text, [], pair, |(source, cursor)| {
        let (source, cursor) = (source.as_str(), cursor.as_str());
        put(out, &Line::Cursor { source, cursor })
    })?;
    let read = |row: &Row<'_>| {
        let holder = row.get::<_, Option<i64>>(1)?.map(HolderId);
        Ok((row.get::<_, String>(0)?, holder, Fence(row.get(2)?)))
    };
    let text = "select name, holder, fence from oncely_names order by name";
    each(conn, text, [], read, |(name, holder, fence)| {
        let name = name.as_str();
        put(
            out,
            &Line::Name {
                name,
                holder,
                fence,
            },
        )
    })
}
