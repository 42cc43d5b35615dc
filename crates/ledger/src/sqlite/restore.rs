//! Puts a backup in the place of the ledger, and keeps the ledger that was there.
//!
//! The copy is made ready beside the ledger and takes its name in one step, so that a crash leaves
//! the old ledger or the restored one. The old one says of itself that it was replaced: a process
//! that still has it open is refused at its next write. The restored one says of itself that nobody
//! knows what was done since, unless it is as far as the ledger had come: it is refused until somebody
//! takes it as it is. The head is left as it is.

use super::backup::{self, look_over, pages, sync_folder, writable};
use super::holders;
use super::place::{self, Found, with_ending};
use super::turn::Turn;
use super::{behind, reader, schema, words};
use oncely_core::ledger::LedgerError;
use oncely_core::time::Timestamp;
use oncely_vfs::naming;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a restore waits for others to close the ledger.
const WAIT: Duration = Duration::from_secs(3);

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Runs in the ledger now.
    pub runs: u64,
    /// Where the ledger is that was there before.
    pub kept: Option<PathBuf>,
    /// When the newest thing happened that the backup knows of.
    pub newest: Option<Timestamp>,
    /// The ledger had come further, or nobody knows: it is refused until it is repaired.
    pub behind: bool,
}

/// What a ledger says of its last restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// When.
    pub at: Timestamp,
    /// From which file.
    pub from: String,
}

/// Puts a backup in the place of the ledger.
///
/// # Errors
/// When the file is no whole ledger, or a process is at work on the ledger. Then everything is as it
/// was before.
pub fn restore(ledger: &Path, from: &Path, now: Timestamp) -> Result<Restored, LedgerError> {
    let there = matches!(place::look(ledger)?, Found::File);
    if let Found::Nothing = place::look(from)? {
        return Err(place::missing(from));
    }
    let runs = look_over(from)?;
    let ready = with_ending(ledger, "-restoring");
    let newest = make_ready(from, &ready, now)?;
    let mut turn = Turn::open(ledger)?;
    turn.enter()?;
    let swapped = swap(ledger, &ready, there);
    turn.leave();
    if swapped.is_err() {
        backup::remove(&ready);
    }
    let (kept, behind) = swapped?;
    Ok(Restored {
        runs,
        kept,
        newest,
        behind,
    })
}

/// Copies the backup beside the ledger, on the same disk, as a ledger that can be worked on.
fn make_ready(from: &Path, ready: &Path, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
    backup::remove(ready);
    place::make_private(ready)?;
    let known = |error| words::database(ready, &error);
    let source = reader::open(from).map_err(|error| words::database(from, &error))?;
    let mut conn = writable(ready).map_err(known)?;
    pages(&source, &mut conn, -1).map_err(known)?;
    let note = Restore {
        at: now,
        from: whole(from).display().to_string(),
    };
    let newest = prepare(&conn, &note).map_err(known)?;
    // Closing the last connection leaves one file.
    conn.close().map_err(|(_, error)| known(error))?;
    File::open(ready)
        .and_then(|file| file.sync_all())
        .map_err(|error| words::file(ready, &error))?;
    Ok(newest)
}

fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn prepare(conn: &Connection, note: &Restore) -> rusqlite::Result<Option<Timestamp>> {
    let note = super::rows::to_json(note)?;
    let tx = conn.unchecked_transaction()?;
    tx.execute(
        "insert into oncely_meta (name, value) values ('restored', ?1)
         on conflict do update set value = excluded.value",
        [note],
    )?;
    if schema::version(&tx)?.1 == schema::REPLACED {
        let text = "select value from oncely_meta where name = 'schema_before'";
        let before: String = tx.query_row(text, [], |row| row.get(0))?;
        let before: i32 = before.parse().unwrap_or(schema::VERSION);
        tx.pragma_update(None, "user_version", before)?;
    }
    behind::nobody_looked(&tx)?;
    let text = "select max(changed) from oncely_runs";
    let newest: Option<i64> = tx.query_row(text, [], |row| row.get(0))?;
    tx.commit()?;
    conn.query_row("pragma journal_mode = wal", [], |_| Ok(()))?;
    Ok(newest.map(Timestamp))
}

/// What a ledger says of its last restore, if it was restored.
pub(crate) fn last(conn: &Connection) -> rusqlite::Result<Option<Restore>> {
    let text = "select value from oncely_meta where name = 'restored'";
    let note: Option<String> = conn.query_row(text, [], |row| row.get(0)).optional()?;
    Ok(note.and_then(|note| serde_json::from_str(&note).ok()))
}

/// Swaps the two while it is this process's turn.
fn swap(ledger: &Path, ready: &Path, there: bool) -> Result<(Option<PathBuf>, bool), LedgerError> {
    refuse_at_work(ledger)?;
    let behind = !is_as_far(ledger, ready)?;
    let failed = |error: io::Error| words::file(ledger, &error);
    let kept = there.then(|| free_name(ledger));
    // Nobody can read the old one while its name changes hands.
    let mut held = None;
    if let Some(kept) = &kept {
        held = retire(ledger, kept)?;
        naming(kept, || std::fs::hard_link(ledger, kept)).map_err(failed)?;
    }
    naming(ledger, || std::fs::rename(ready, ledger)).map_err(failed)?;
    drop(held);
    let synced = || {
        sync_folder(ledger);
        Ok(())
    };
    naming(ledger, synced).map_err(failed)?;
    Ok((kept, behind))
}

/// Whether what was made ready is as far as the ledger had come; then nothing is unknown, and it says so.
fn is_as_far(ledger: &Path, ready: &Path) -> Result<bool, LedgerError> {
    let known = |error| words::database(ready, &error);
    let conn = writable(ready).map_err(known)?;
    // What is older knows of no moves before it is migrated.
    let is_new = schema::version(&conn).map_err(known)?.1 >= schema::VERSION;
    let is_as_far = is_new && behind::is_as_far(ledger, &conn).map_err(known)?;
    if is_as_far {
        behind::looked_at(&conn).map_err(known)?;
    }
    // Closing the last connection leaves one file.
    conn.close().map_err(|(_, error)| known(error))?;
    let synced = File::open(ready).and_then(|file| file.sync_all());
    synced.map_err(|error| words::file(ready, &error))?;
    Ok(is_as_far)
}

fn free_name(ledger: &Path) -> PathBuf {
    let name = |n: u32| with_ending(ledger, &format!("-replaced-{n}"));
    let free = (1..u32::MAX).map(name).find(|kept| !kept.exists());
    free.unwrap_or_else(|| name(0))
}

/// A process at work holds the lock on its file.
fn refuse_at_work(ledger: &Path) -> Result<(), LedgerError> {
    let Ok(files) = std::fs::read_dir(holders::folder(ledger)) else {
        return Ok(());
    };
    let is_held = |path: &Path| {
        File::open(path).is_ok_and(|f| flock(&f, FlockOperation::NonBlockingLockShared).is_err())
    };
    let held = files.flatten().find(|file| is_held(&file.path()));
    let Some(held) = held else { return Ok(()) };
    let who = who(ledger, &held.file_name().to_string_lossy());
    Err(LedgerError::Unusable(format!(
        "{who} is at work on the ledger. Nothing was restored. Stop it, then restore again."
    )))
}

/// The process of a holder, as far as the ledger can be read.
fn who(ledger: &Path, id: &str) -> String {
    let row = reader::open(ledger).and_then(|conn| {
        let text = "select pid, role from oncely_holders where id = ?1";
        conn.query_row(text, [id], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
        })
    });
    row.map_or_else(
        |_| "a process".to_owned(),
        |(pid, role)| format!("process {pid} ({role})"),
    )
}

/// Marks the old ledger as replaced, brings everything of it into the one file, and locks it. Where
/// it is too damaged for that, what is beside it is put beside the file that is kept.
fn retire(ledger: &Path, kept: &Path) -> Result<Option<Connection>, LedgerError> {
    match marked(ledger) {
        Ok(held) => return Ok(Some(held)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                return Err(LedgerError::Unusable(format!(
                    "another process has the ledger {} open. Nothing was restored. Try again when \
                     it has ended.",
                    ledger.display()
                )));
            }
            _ => tracing::warn!(%error, "the ledger that is replaced is damaged"),
        },
    }
    for ending in ["-wal", "-shm"] {
        let (from, to) = (with_ending(ledger, ending), with_ending(kept, ending));
        match naming(&to, || std::fs::rename(&from, &to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(words::file(&from, &error));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Marks the old ledger, and locks it as one file that nobody else has open.
fn marked(ledger: &Path) -> rusqlite::Result<Connection> {
    let conn = writable(ledger)?;
    conn.busy_timeout(WAIT)?;
    let (application, version) = schema::version(&conn)?;
    if application != schema::APPLICATION_ID {
        return Err(rusqlite::Error::InvalidQuery);
    }
    if version != schema::REPLACED {
        mark(&conn, version)?;
    }
    if let Err(error) = alone(&conn) {
        conn.pragma_update(None, "user_version", version)?;
        return Err(error);
    }
    Ok(conn)
}

fn mark(conn: &Connection, version: i32) -> rusqlite::Result<()> {
    let tx = rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
    tx.execute(
        "insert into oncely_meta (name, value) values ('schema_before', ?1)
         on conflict do update set value = excluded.value",
        [version.to_string()],
    )?;
    tx.pragma_update(None, "user_version", schema::REPLACED)?;
    tx.commit()
}

/// Without a write-ahead log a database is one file; SQLite makes it so only where nobody else has
/// it open.
fn alone(conn: &Connection) -> rusqlite::Result<()> {
    let since = Instant::now();
    loop {
        let mode = conn.query_row("pragma journal_mode = delete", [], |row| row.get(0));
        match mode {
            Ok::<String, _>(mode) if mode == "delete" => break,
            Ok(_) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseLocked) => {}
            Err(error) => return Err(error),
        }
        if since.elapsed() >= WAIT {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            return Err(rusqlite::Error::SqliteFailure(busy, None));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    conn.execute_batch("begin exclusive")
}
