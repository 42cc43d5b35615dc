//! Whether a ledger is as far as its head says that it had come.

use super::backup::writable;
use super::head::{self, Beside, Head};
use super::place::with_ending;
use super::restore::{self, Restore};
use super::turn::Turn;
use super::{open, reader, verify, words};
use oncely_core::ledger::LedgerError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::time::Duration;

/// Refuses a ledger that is behind its head; gives the term of the head. A head that is missing or
/// broken is made from what is there.
pub(crate) fn check(
    path: &Path,
    conn: &Connection,
    name: &str,
    may_be_behind: bool,
) -> Result<i64, LedgerError> {
    let database = |error| words::database(path, &error);
    let failed = |error| words::file(&head::path(path), &error);
    // The head comes first: what is committed meanwhile is in the ledger before it is in there.
    let found = head::read(path).map_err(failed)?;
    if !may_be_behind && let Some(note) = unlooked(conn).map_err(database)? {
        return Err(restored(path, &note));
    }
    match found {
        // What knew of no run is nothing that could be missed.
        Beside::Head(head) if head.ledger == name || head.runs > 0 => {
            match behind(conn, name, &head).map_err(database)? {
                Some(why) if !may_be_behind => Err(refused(path, &why)),
                _ => Ok(head.term),
            }
        }
        found => {
            let new = Head::of(conn, name).map_err(database)?;
            if new.runs > 0 {
                let head = head::path(path);
                let is = match found {
                    Beside::Broken => "is no whole head",
                    _ => "is missing",
                };
                tracing::warn!(
                    "{} {is}: it was made anew from the ledger as it is. Whether the ledger had come \
                     further is not known.",
                    head.display()
                );
            }
            Ok(put(path, new))
        }
    }
}

/// Refuses a ledger whose write-ahead log has lost what was on the disk, before SQLite looks at it: when
/// it is closed nothing of the log is left. With `may_be_short` only when what there is is not whole.
pub(crate) fn check_log(path: &Path, may_be_short: bool) -> Result<(), LedgerError> {
    let Some(short) = short(path)? else {
        return Ok(());
    };
    let found = match may_be_short {
        true => first_trouble(path).map_err(|error| words::database(path, &error))?,
        false => None,
    };
    match (may_be_short, found) {
        (true, None) => Ok(()),
        (true, Some(trouble)) => Err(LedgerError::Unusable(format!(
            "{short}, and what is left of the ledger {ledger} is not whole: {trouble}. Nothing was run, and \
             nothing was changed. Put a backup in its place: `oncely ledger restore FILE`.",
            ledger = path.display()
        ))),
        (false, _) => Err(LedgerError::Unusable(format!(
            "the ledger {ledger} lost what was recorded last, and may be a mixture of before and after: \
             {short}. Nothing was run, and nothing was changed. If the right files are at hand, put both \
             back. Else put a backup in its place: `oncely ledger restore FILE`. Without one, `oncely \
             ledger repair --reason \"…\"` looks at what is left, and goes on with it if it is whole.",
            ledger = path.display()
        ))),
    }
}

/// How the write-ahead log is shorter than it was known to be on the disk, in words, if it is.
fn short(path: &Path) -> Result<Option<String>, LedgerError> {
    let found = head::read(path).map_err(|error| words::file(&head::path(path), &error))?;
    let Beside::Head(head) = found else {
        return Ok(None);
    };
    let Some(mark) = head.log else {
        return Ok(None);
    };
    let left = oncely_vfs::shorter_log(path, mark).map_err(|error| words::file(path, &error))?;
    Ok(left.map(|left| {
        format!(
            "of {} pages in its log {} that were safe on the disk, {left} can be read",
            mark.frames,
            with_ending(path, "-wal").display()
        )
    }))
}

/// The first thing that is wrong with a ledger as SQLite reads it, which leaves the log as it is.
fn first_trouble(path: &Path) -> rusqlite::Result<Option<String>> {
    let conn = as_it_lies(path)?;
    Ok(verify::verify(&conn)?.findings.into_iter().next())
}

/// Gives a ledger its first head, where it has none.
pub(crate) fn begin(path: &Path, conn: &Connection) -> Result<(), LedgerError> {
    if let Ok(Beside::Nothing) = head::read(path) {
        let name = open::name(path, conn)?;
        let new = Head::of(conn, &name).map_err(|error| words::database(path, &error))?;
        put(path, new);
    }
    Ok(())
}

/// Somebody says that the ledger is what it is: its head is made from it.
pub(crate) fn renew(path: &Path, conn: &Connection) -> Result<Head, LedgerError> {
    let name = open::name(path, conn)?;
    let new = Head::of(conn, &name).map_err(|error| words::database(path, &error))?;
    let changed = head::change(path, |_| Some(new.clone()));
    changed.map_err(|error| words::file(&head::path(path), &error))?;
    Ok(new)
}

/// How long it waits for those who write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives a ledger that lost its end another name. Marks in other databases, and links, that were made
/// under the claims and questions of before are another ledger's from then on: its numbers are given
/// again, and say nothing about theirs.
pub(crate) fn rename(path: &Path) -> Result<(), LedgerError> {
    let known = |error| words::database(path, &error);
    let conn = writable(path).map_err(known)?;
    conn.busy_timeout(PATIENCE).map_err(known)?;
    let mut turn = Turn::open(path)?;
    turn.enter()?;
    let renamed = named_anew(&conn);
    turn.leave();
    renamed.map_err(known)
}

fn named_anew(conn: &Connection) -> rusqlite::Result<()> {
    let tx = conn.unchecked_transaction()?;
    let text = "update oncely_meta set value = ?1 where name = 'name'";
    tx.execute(text, [open::new_name()])?;
    looked_at(&tx)?;
    tx.commit()
}

/// By what a restored ledger says that nobody has looked what was done since.
const UNLOOKED: &str = "nobody_looked";

/// A ledger that was restored says that what was done since is not known.
pub(crate) fn nobody_looked(conn: &Connection) -> rusqlite::Result<()> {
    let text = "insert into oncely_meta (name, value) values (?1, '') on conflict do nothing";
    conn.execute(text, [UNLOOKED]).map(drop)
}

/// Nothing of it is unknown, or somebody takes it as it is.
pub(crate) fn looked_at(conn: &Connection) -> rusqlite::Result<()> {
    let text = "delete from oncely_meta where name = ?1";
    conn.execute(text, [UNLOOKED]).map(drop)
}

/// Of which restore nobody has looked what was done since.
fn unlooked(conn: &Connection) -> rusqlite::Result<Option<Restore>> {
    let text = "select count(*) from oncely_meta where name = ?1";
    let found: i64 = conn.query_row(text, [UNLOOKED], |row| row.get(0))?;
    match found {
        0 => Ok(None),
        _ => restore::last(conn),
    }
}

/// Whether a copy is as far as the ledger had come, by its head and, where it can be read, by itself.
pub(crate) fn is_as_far(ledger: &Path, copy: &Connection) -> rusqlite::Result<bool> {
    let Ok(Beside::Head(head)) = head::read(ledger) else {
        return Ok(false);
    };
    if behind(copy, &open::named(copy)?, &head)?.is_some() {
        return Ok(false);
    }
    // The last second may not be in the head.
    match as_it_lies(ledger).and_then(|there| has_moved_since(&there, copy)) {
        Ok(moved) => Ok(!moved),
        Err(_) => Ok(true),
    }
}

/// Opens a ledger so that its log is left as it is.
fn as_it_lies(path: &Path) -> rusqlite::Result<Connection> {
    let conn = reader::open(path)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(conn)
}

/// Whether any run of a ledger has come further than a copy of it knows. Runs that were pruned since the
/// copy was made are in the copy alone: those had ended.
fn has_moved_since(ledger: &Connection, copy: &Connection) -> rusqlite::Result<bool> {
    let mut runs = ledger.prepare("select id, moves from oncely_runs")?;
    let mut runs = runs.query([])?;
    while let Some(row) = runs.next()? {
        let (run, now): (i64, i64) = (row.get(0)?, row.get(1)?);
        if moves_of(copy, run)?.is_none_or(|known| known < now) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How often a run has moved, if it is there.
fn moves_of(conn: &Connection, run: i64) -> rusqlite::Result<Option<i64>> {
    let mut found = conn.prepare_cached("select moves from oncely_runs where id = ?1")?;
    found.query_row([run], |row| row.get(0)).optional()
}

/// Refuses to make a ledger where one was. `is_gone` is asked after the head was read: another process
/// may have made both meanwhile.
pub(crate) fn refuse_anew(path: &Path, is_gone: impl FnOnce() -> bool) -> Result<(), LedgerError> {
    match head::read(path) {
        Ok(Beside::Head(head)) if head.runs > 0 && is_gone() => {
            Err(LedgerError::Unusable(format!(
                "the ledger {ledger} is gone: {head} says that one with runs up to {runs} was here. Nothing \
             was run, and no other was made, which would do everything again. Put it back, from a \
             backup with `oncely ledger restore FILE`; or delete {head} to begin with nothing known.",
                ledger = path.display(),
                head = head::path(path).display(),
                runs = head.runs
            )))
        }
        _ => Ok(()),
    }
}

/// Puts a first head there, unless another process has just done so. Without one a ledger works too.
fn put(path: &Path, new: Head) -> i64 {
    let mut term = new.term;
    let changed = head::change(path, |found| match found {
        Beside::Head(head) if head.ledger == new.ledger => {
            term = head.term;
            None
        }
        _ => Some(new),
    });
    if let Err(error) = changed {
        let head = head::path(path);
        tracing::warn!(%error, "{} cannot be written", head.display());
    }
    term
}

/// How a ledger is behind its head, in words, if it is.
pub(crate) fn said(path: &Path, conn: &Connection) -> rusqlite::Result<Option<String>> {
    if let Some(note) = unlooked(conn)? {
        let since = "and what was done since that was made is not known";
        return Ok(Some(format!("it was restored from {}, {since}", note.from)));
    }
    match (head::read(path), short(path)) {
        (_, Ok(Some(short))) => Ok(Some(short)),
        (Ok(Beside::Head(head)), _) => behind(conn, &open::named(conn)?, &head),
        _ => Ok(None),
    }
}

/// How a ledger is behind its head.
fn behind(conn: &Connection, name: &str, head: &Head) -> rusqlite::Result<Option<String>> {
    if head.ledger != name {
        return Ok(Some(format!(
            "the ledger here was {}, and this one is {name}",
            head.ledger
        )));
    }
    let text = "select coalesce(max(id), 0) from oncely_runs";
    let runs: i64 = conn.query_row(text, [], |row| row.get(0))?;
    if runs < head.runs {
        return Ok(Some(format!(
            "run {} was admitted, and the last one that it knows of is {runs}",
            head.runs
        )));
    }
    for (run, moves) in &head.moved {
        // One that is not there any more has been taken out: the number of runs is as high as it was.
        if moves_of(conn, *run)?.is_some_and(|found| found < *moves) {
            return Ok(Some(format!("run {run} had come further than it knows of")));
        }
    }
    Ok(None)
}

fn refused(path: &Path, why: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "the ledger {ledger} is not as far as it had come: {why}. An older copy was put in its place, or \
         its end was lost. Nothing was run, and nothing was changed. If the right file is at hand, put \
         it back. To go on with this one all the same: `oncely ledger repair --reason \
         \"…\"`, which says what that means.",
        ledger = path.display(),
    ))
}

fn restored(path: &Path, note: &Restore) -> LedgerError {
    LedgerError::Unusable(format!(
        "the ledger {ledger} was restored from {from}, and what was done since that was made is not known. \
         Nothing was run, and nothing was changed. To go on with it: `oncely ledger repair --reason \
         \"…\"`, which says what that means.",
        ledger = path.display(),
        from = note.from
    ))
}
