//! Takes a ledger from an SQLite file to a PostgreSQL database, with nothing lost.
//!
//! Nobody writes to the file meanwhile. Everything is written in one transaction and exported again
//! from inside it; it is committed only when both exports are the same, byte for byte. Only then is
//! the file closed for good, so that no program goes on with the old one and does things twice.

use crate::export;
use crate::memory::state::{Name, Run, State};
use crate::postgres::{PostgresOptions, Target};
use crate::sqlite::turn::Turn;
use crate::sqlite::{Options, SqliteLedger, close_for_good, open_to_leave, rows, whole};
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::{Answer, HolderInfo, Ledger, LedgerError, Query};
use oncely_core::run::RunState;
use oncely_core::source::Cursor;
use rusqlite::Connection;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// So many runs are written together.
const PART: usize = 500;
/// So many keys of pruned runs are written together.
const KEYS: usize = 20_000;

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Runs.
    pub runs: u64,
    /// Where they are now.
    pub place: String,
}

/// Moves a ledger.
///
/// # Errors
/// When a process is at work on the old ledger, another ledger is in the database, or either cannot
/// be read or written. Then everything is as it was before.
pub async fn move_to_postgres(
    from: &Path,
    url: &str,
    options: PostgresOptions,
) -> Result<Moved, LedgerError> {
    nobody_at_work(from).await?;
    let mut turn = Turn::open(from)?;
    turn.enter()?;
    let moved = copied(from, url, options).await;
    turn.leave();
    moved
}

async fn copied(from: &Path, url: &str, options: PostgresOptions) -> Result<Moved, LedgerError> {
    let conn = open_to_leave(from)?;
    let read = |error: io::Error| unread(from, &error);
    let name = whole::name(&conn).map_err(read)?;
    let mut before = Vec::new();
    export::sqlite_inside(&conn, &mut before).map_err(read)?;
    let mut target = Target::open(url, options).await?;
    let runs = if target.is_copy(&name, &before).await? {
        // An earlier move came this far.
        count(&conn).map_err(read)?
    } else {
        target.begin(&name).await?;
        let runs = write(&conn, &mut target).await?;
        target.commit_if_same(&name, &before).await?;
        runs
    };
    close_for_good(&conn, from)?;
    let place = target.place().to_owned();
    Ok(Moved { runs, place })
}

/// The dead are cleared away; the living must be stopped first.
async fn nobody_at_work(from: &Path) -> Result<(), LedgerError> {
    let ledger = SqliteLedger::open(from, Options::new("oncely ledger move"))?;
    ledger.renew().await?;
    let Answer::Holders(holders) = ledger.read(Query::Holders).await? else {
        return Ok(());
    };
    match holders.first() {
        None => Ok(()),
        Some(HolderInfo { pid, role, .. }) => Err(LedgerError::Unusable(format!(
            "process {pid} ({role}) is at work on the ledger. Nothing was moved. Stop it \
             (kill {pid}), then move again."
        ))),
    }
}

fn unread(from: &Path, error: &io::Error) -> LedgerError {
    LedgerError::Unusable(format!(
        "the ledger {} cannot be read: {error}. Nothing was moved.",
        from.display()
    ))
}

fn count(conn: &Connection) -> io::Result<u64> {
    let mut runs = 0;
    whole::runs(conn, |_| {
        runs += 1;
        Ok(())
    })?;
    Ok(runs)
}

async fn write(conn: &Connection, target: &mut Target) -> Result<u64, LedgerError> {
    let failed = |error: io::Error| LedgerError::Unusable(error.to_string());
    let mut ids = Vec::new();
    whole::runs(conn, |row| {
        ids.push(row.id);
        Ok(())
    })
    .map_err(failed)?;
    for part in ids.chunks(PART) {
        target.write(runs(conn, part).map_err(failed)?).await?;
    }
    target.write(rest(conn).map_err(failed)?).await?;
    for part in kept(conn).map_err(failed)?.chunks(KEYS) {
        let mut state = State::default();
        state.kept.extend(part.iter().copied());
        target.write(state).await?;
    }
    Ok(ids.len() as u64)
}

/// Some runs and what belongs to them.
fn runs(conn: &Connection, ids: &[RunId]) -> io::Result<State> {
    let mut state = State::default();
    for id in ids {
        let row = rows::run(conn, *id).map_err(io::Error::other)?;
        let Some(row) = row else { continue };
        let run = Run {
            facts: rows::facts(conn, *id, 0).map_err(io::Error::other)?,
            row,
            state: RunState::default(),
            broken: false,
        };
        state.runs.insert(*id, run);
        items(conn, *id, &mut state)?;
    }
    Ok(state)
}

fn items(conn: &Connection, run: RunId, state: &mut State) -> io::Result<()> {
    whole::progress(conn, run, |step, progress| {
        state.progress.insert((run, step.into()), progress);
        Ok(())
    })?;
    whole::set_aside(conn, run, |step, item| {
        let place = (run, StepId::from(step), item.item);
        state.set_aside.insert(place, item);
        Ok(())
    })?;
    whole::item_facts(conn, run, |step, fact| {
        let facts = state.item_facts.entry((run, step.into())).or_default();
        facts.push(fact);
        Ok(())
    })
}

/// Keys whose runs were pruned.
fn kept(conn: &Connection) -> io::Result<Vec<([u8; 16], RunId)>> {
    let mut kept = Vec::new();
    whole::kept(conn, |hash, run| {
        kept.push((hash, run));
        Ok(())
    })?;
    Ok(kept)
}

/// What belongs to no run.
fn rest(conn: &Connection) -> io::Result<State> {
    let mut state = State::default();
    whole::cursors(conn, |source, cursor| {
        state.cursors.insert(source, Cursor(cursor));
        Ok(())
    })?;
    whole::names(conn, |name, holder, fence| {
        state.names.insert(name, Name { holder, fence });
        Ok(())
    })?;
    whole::raised(conn, |hash, highest| {
        state.raised.insert(hash, highest);
        Ok(())
    })?;
    whole::prunes(conn, |prune| {
        state.prunes.insert(prune.number, prune);
        Ok(())
    })?;
    whole::gone(conn, |gone| {
        state.gone.push(gone);
        Ok(())
    })?;
    whole::stored(conn, |hash, content| {
        state.store.insert(hash, Arc::from(content));
        Ok(())
    })?;
    Ok(state)
}
