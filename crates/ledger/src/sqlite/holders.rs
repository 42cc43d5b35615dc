//! Holders: a row in the ledger and a locked file beside it, for the life of a process.
//!
//! A lock that is free says that its process has died, at once and for certain. The lease serves
//! only those who were stopped.

use super::place::with_ending;
use super::words;
use crate::clock::is_over;
use oncely_core::ids::HolderId;
use oncely_core::ledger::LedgerError;
use rusqlite::{Connection, Row};
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A holder file, locked as long as this lives.
#[derive(Debug)]
pub(crate) struct HolderFile {
    path: PathBuf,
    _lock: File,
}

/// A holder as its row says.
#[derive(Debug, Clone)]
pub(crate) struct HolderRow {
    pub(crate) id: i64,
    boot: String,
    renewed: i64,
    lease_ms: i64,
}

/// Where the holder files of a ledger are.
pub(crate) fn folder(ledger: &Path) -> PathBuf {
    with_ending(ledger, "-holders")
}

fn file(ledger: &Path, id: i64) -> PathBuf {
    folder(ledger).join(id.to_string())
}

/// A number that no other holder has: of this process, this moment, a count and chance, since
/// containers on one machine share its boot and have the same process ids.
pub(crate) fn new_id(boot: &str) -> HolderId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let mut chance = [0_u8; 8];
    // Without it the rest still differs on one machine.
    rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty()).ok();
    let text = format!(
        "{boot} {} {count} {chance:?} {} {}",
        std::process::id(),
        now.tv_sec,
        now.tv_nsec
    );
    let hash = blake3::hash(text.as_bytes());
    let number = hash
        .as_bytes()
        .iter()
        .take(6)
        .fold(0_i64, |n, byte| (n << 8) | i64::from(*byte));
    HolderId(number + 1)
}

impl HolderFile {
    /// Makes and locks the file of a holder.
    pub(crate) fn make(ledger: &Path, id: HolderId) -> Result<Self, LedgerError> {
        let path = file(ledger, id.0);
        Self::lock(ledger, &path).map_err(|error| words::file(&path, &error))
    }

    fn lock(ledger: &Path, path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder(ledger)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Removes the file: a clean end.
    pub(crate) fn remove(self) {
        std::fs::remove_file(&self.path).ok();
    }
}

/// Removes the file of a holder that is gone.
pub(crate) fn remove(ledger: &Path, id: i64) {
    std::fs::remove_file(file(ledger, id)).ok();
}

/// Whether the process of a holder has died: its file is gone, or nobody locks it.
fn is_dead(ledger: &Path, id: i64) -> bool {
    match File::open(file(ledger, id)) {
        Ok(found) => flock(&found, FlockOperation::NonBlockingLockShared).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Holders other than `me` that are gone: of another start of the machine, dead, or too late.
pub(crate) fn gone(
    conn: &Connection,
    ledger: &Path,
    me: HolderId,
    boot: &str,
    boot_now: i64,
) -> rusqlite::Result<Vec<i64>> {
    let mut all = conn
        .prepare_cached("select id, boot, renewed, lease_ms from oncely_holders where id <> ?1")?;
    let rows: rusqlite::Result<Vec<HolderRow>> = all.query_map([me.0], holder_row)?.collect();
    let is_gone = |h: &HolderRow| {
        h.boot != boot || is_over(h.renewed, h.lease_ms, boot_now) || is_dead(ledger, h.id)
    };
    Ok(rows?.iter().filter(|h| is_gone(h)).map(|h| h.id).collect())
}

fn holder_row(row: &Row<'_>) -> rusqlite::Result<HolderRow> {
    Ok(HolderRow {
        id: row.get(0)?,
        boot: row.get(1)?,
        renewed: row.get(2)?,
        lease_ms: row.get(3)?,
    })
}
