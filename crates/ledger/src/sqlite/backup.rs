//! Copies a ledger while others work on it, and looks the copy over before it gets its name.

use super::place::{self, Found, with_ending};
use super::{behind, reader, schema, words};
use oncely_core::ledger::LedgerError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages that are copied at a time: between two steps nothing of the ledger is held.
const STEP: i32 = 2_000;
/// A copy begins again when another process has written. After so many times it is taken in one
/// piece, which holds back the end of the write-ahead log for as long as that lasts.
const RESTARTS: u32 = 3;
/// How often another process may finish a copy of the same name just before this one begins.
const TRIES: u32 = 5;
/// How long a copy waits for the ledger.
const WAIT: Duration = Duration::from_millis(20);

/// Looks a copy over; says how many runs it holds.
type Look = fn(&Path) -> Result<u64, LedgerError>;

/// A copy that was taken and looked over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub file: PathBuf,
    /// Runs in it.
    pub runs: u64,
    /// Its size.
    pub bytes: u64,
}

/// Copies the ledger to a file that only this user may read. It gets its name when it is whole and
/// was looked over.
///
/// # Errors
/// When there is no ledger, there is a file already and it is not to be replaced, or the copy cannot
/// be written or is damaged. Then there is no new file.
pub fn back_up(ledger: &Path, to: &Path, replace: bool) -> Result<Copied, LedgerError> {
    back_up_by(ledger, to, replace, look_over)
}

/// Copies a ledger of whatever version, before it is migrated.
pub(super) fn back_up_as_it_is(ledger: &Path, to: &Path) -> Result<Copied, LedgerError> {
    back_up_by(ledger, to, false, look_through)
}

fn back_up_by(ledger: &Path, to: &Path, replace: bool, look: Look) -> Result<Copied, LedgerError> {
    if let Found::Nothing = place::look(ledger)? {
        return Err(place::missing(ledger));
    }
    behind::check_log(ledger, false)?;
    refuse_taken(to, replace)?;
    let writing = with_ending(to, "-writing");
    let _held = take(&writing)?;
    let done = copy(ledger, &writing).and_then(|()| named(&writing, to, replace, look));
    if done.is_err() {
        remove(&writing);
    }
    done
}

fn refuse_taken(to: &Path, replace: bool) -> Result<(), LedgerError> {
    if replace || !to.exists() {
        return Ok(());
    }
    Err(LedgerError::Unusable(format!(
        "{} is there already. Nothing was written. Choose another name, or say --replace.",
        to.display()
    )))
}

/// Makes the file that is written, empty, and locks it, so that two copies are not written to one.
fn take(writing: &Path) -> Result<File, LedgerError> {
    let failed = |error: io::Error| words::file(writing, &error);
    for _ in 0..TRIES {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(writing).map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            break;
        }
        let held = file.metadata().map_err(failed)?;
        let named = std::fs::metadata(writing);
        if !named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
            // Whoever had the lock has given the file its name: it is a finished copy.
            continue;
        }
        if held.nlink() > 1 {
            // So is this one: who made it was killed before it took the other name away.
            std::fs::remove_file(writing).map_err(failed)?;
            continue;
        }
        // What a copy that was killed has left.
        file.set_len(0).map_err(failed)?;
        return Ok(file);
    }
    Err(LedgerError::Unusable(format!(
        "another process is writing {}. Nothing was written. Wait until it has ended.",
        writing.display()
    )))
}

/// Takes a file away that is being written, and what SQLite has beside it.
pub(super) fn remove(writing: &Path) {
    for ending in ["", "-journal", "-wal", "-shm"] {
        std::fs::remove_file(with_ending(writing, ending)).ok();
    }
}

fn copy(ledger: &Path, writing: &Path) -> Result<(), LedgerError> {
    let from = reader::open(ledger).map_err(|error| words::database(ledger, &error))?;
    let mut to = writable(writing).map_err(|error| words::database(writing, &error))?;
    let copied = pages(&from, &mut to, STEP);
    copied.map_err(|error| words::database(writing, &error))?;
    // One file that needs no other beside it.
    to.query_row("pragma journal_mode = delete", [], |_| Ok(()))
        .map_err(|error| words::database(writing, &error))
}

/// Opens a database that nobody else knows of.
pub(super) fn writable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags)?;
    conn.pragma_update(None, "synchronous", "full")?;
    Ok(conn)
}

/// Copies every page, a few at a time.
pub(super) fn pages(from: &Connection, to: &mut Connection, step: i32) -> rusqlite::Result<()> {
    let backup = Backup::new(from, to)?;
    let (mut left, mut restarts) = (i32::MAX, 0);
    loop {
        let pages = if restarts < RESTARTS { step } else { -1 };
        match backup.step(pages)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(WAIT),
            _ => {}
        }
        let remaining = backup.progress().remaining;
        if remaining >= left {
            restarts += 1;
        }
        left = remaining;
    }
}

/// Looks the copy over, and gives it its name once it is on the disk.
fn named(writing: &Path, to: &Path, replace: bool, look: Look) -> Result<Copied, LedgerError> {
    let runs = look(writing)?;
    let failed = |error: io::Error| words::file(to, &error);
    let file = File::open(writing).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if replace {
        std::fs::rename(writing, to).map_err(failed)?;
    } else {
        // A link is refused where somebody has taken the name meanwhile.
        std::fs::hard_link(writing, to).map_err(|error| {
            refuse_taken(to, false)
                .err()
                .unwrap_or_else(|| failed(error))
        })?;
        std::fs::remove_file(writing).map_err(failed)?;
    }
    sync_folder(to);
    Ok(Copied {
        file: to.to_owned(),
        runs,
        bytes,
    })
}

/// Makes a rename last.
pub(super) fn sync_folder(path: &Path) {
    if let Ok(folder) = File::open(place::folder_of(path)) {
        // A file system that cannot do this does it by itself.
        folder.sync_all().ok();
    }
}

/// Reads a copy from end to end: SQLite's own check, and whether it is a ledger that this program
/// knows. Says how many runs it holds.
pub(super) fn look_over(path: &Path) -> Result<u64, LedgerError> {
    let known = |error| words::database(path, &error);
    let conn = reader::open(path).map_err(known)?;
    let (application, version) = schema::version(&conn).map_err(known)?;
    if application != schema::APPLICATION_ID {
        let why = "it is a database of something else";
        return Err(words::not_a_ledger(path.display(), why));
    }
    // An older one is migrated where it is put.
    if version != schema::REPLACED && version >= schema::VERSION {
        schema::check(path, version)?;
    }
    drop(conn);
    look_through(path)
}

/// Reads a copy from end to end.
fn look_through(path: &Path) -> Result<u64, LedgerError> {
    let known = |error| words::database(path, &error);
    let conn = reader::open(path).map_err(known)?;
    let found: String = conn
        .query_row("pragma integrity_check(1)", [], |row| row.get(0))
        .map_err(known)?;
    if found != "ok" {
        return Err(LedgerError::Unusable(format!(
            "the copy {} is damaged: {found}. It is of no use, and nothing was replaced by it. Look at the disk, and at the ledger \
             with `oncely doctor`.",
            path.display()
        )));
    }
    let runs: i64 = conn
        .query_row("select count(*) from oncely_runs", [], |row| row.get(0))
        .map_err(known)?;
    Ok(runs.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_copy_is_not_written_over_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let [done, writing] = ["copy", "copy-writing"].map(|name| folder.path().join(name));
        std::fs::write(&done, "whole").unwrap();
        // Killed before the name that it was written under was taken away.
        std::fs::hard_link(&done, &writing).unwrap();
        let held = take(&writing).unwrap();
        assert_eq!(held.metadata().unwrap().len(), 0);
        assert_eq!(std::fs::read(&done).unwrap(), b"whole");
        // And two are never written to one.
        let said = take(&writing).unwrap_err().to_string();
        assert!(said.contains("another process is writing"), "{said}");
    }

    #[test]
    fn what_a_killed_copy_has_left_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let writing = folder.path().join("copy-writing");
        std::fs::write(&writing, "half").unwrap();
        take(&writing).unwrap();
        assert_eq!(std::fs::read(&writing).unwrap(), b"");
    }
}
