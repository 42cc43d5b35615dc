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
//! | `generation` | `hash` and `highest`, of each key that was done more than once |
//! | `prune` | who removed old runs, when and why, and how many |
//! | `gone` | the numbers `first` to `last` of runs that a `prune` removed |
//! | `key` | `hash` and `run`, of each key whose run was pruned |
//!
//! Runs come in the order of their numbers, each followed by what belongs to it. Stored content,
//! task files and holders are not written: they are no history.

use crate::memory::state::State;
use crate::sqlite::{rows, schema, whole};
use oncely_core::fact::Recorded;
use oncely_core::ids::{Fence, Generation, HolderId, RunId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{ItemFact, RunRow};
use oncely_core::prune::{Gone, PruneRecord};
use rusqlite::Connection;
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
    Generation {
        hash: String,
        highest: Generation,
    },
    Prune(&'a PruneRecord),
    Gone(&'a Gone),
    Key {
        hash: String,
        run: RunId,
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
        put(out, &name_line(name, found.holder, found.fence))?;
    }
    memory_kept(state, out)
}

/// What is kept of pruned runs.
fn memory_kept(state: &State, out: &mut dyn Write) -> io::Result<()> {
    for (hash, highest) in &state.raised {
        let (hash, highest) = (hex(hash), *highest);
        put(out, &Line::Generation { hash, highest })?;
    }
    for prune in state.prunes.values() {
        put(out, &Line::Prune(prune))?;
    }
    let mut gone: Vec<&Gone> = state.gone.iter().collect();
    gone.sort_by_key(|gone| gone.last);
    for gone in gone {
        put(out, &Line::Gone(gone))?;
    }
    for (hash, run) in &state.kept {
        let (hash, run) = (hex(hash), *run);
        put(out, &Line::Key { hash, run })?;
    }
    Ok(())
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn memory_items(state: &State, id: RunId, out: &mut dyn Write) -> io::Result<()> {
    for ((run, step), progress) in state.progress.iter().filter(|((run, _), _)| *run == id) {
        put(out, &progress_line(*run, step.as_str(), progress))?;
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
    sqlite_inside(&tx, out)
}

/// Writes a ledger in a SQLite file, from the open transaction.
pub(crate) fn sqlite_inside(conn: &Connection, out: &mut dyn Write) -> io::Result<()> {
    let (_, schema) = schema::version(conn).map_err(io::Error::other)?;
    let name = &whole::name(conn)?;
    put(out, &Line::Ledger { name, schema })?;
    whole::runs(conn, |run| {
        put(out, &Line::Run(&run))?;
        let facts = rows::facts(conn, run.id, 0).map_err(io::Error::other)?;
        put_facts(out, run.id, &facts)?;
        sqlite_items(conn, run.id, out)
    })?;
    whole::cursors(conn, |source, cursor| {
        let (source, cursor) = (source.as_str(), cursor.as_str());
        put(out, &Line::Cursor { source, cursor })
    })?;
    whole::names(conn, |name, holder, fence| {
        put(out, &name_line(&name, holder, fence))
    })?;
    sqlite_kept(conn, out)
}

fn sqlite_kept(conn: &Connection, out: &mut dyn Write) -> io::Result<()> {
    whole::raised(conn, |hash, highest| {
        let hash = hex(&hash);
        put(out, &Line::Generation { hash, highest })
    })?;
    whole::prunes(conn, |prune| put(out, &Line::Prune(&prune)))?;
    whole::gone(conn, |gone| put(out, &Line::Gone(&gone)))?;
    whole::kept(conn, |hash, run| {
        let hash = hex(&hash);
        put(out, &Line::Key { hash, run })
    })
}

fn sqlite_items(conn: &Connection, run: RunId, out: &mut dyn Write) -> io::Result<()> {
    whole::progress(conn, run, |step, progress| {
        put(out, &progress_line(run, step, &progress))
    })?;
    whole::set_aside(conn, run, |step, item| {
        let item = &item;
        put(out, &Line::SetAside { run, step, item })
    })?;
    whole::item_facts(conn, run, |step, fact| {
        let fact = &fact;
        put(out, &Line::ItemFact { run, step, fact })
    })
}

fn progress_line<'a>(run: RunId, step: &'a str, progress: &'a Progress) -> Line<'a> {
    Line::Progress {
        run,
        step,
        progress,
    }
}

fn name_line(name: &str, holder: Option<HolderId>, fence: Fence) -> Line<'_> {
    Line::Name {
        name,
        holder,
        fence,
    }
}
