//! The turnstile: writers queue at a file lock, in order, instead of racing for the database.
//!
//! The file names the process that is inside a transaction, so that one which was stopped there
//! can be named to those who wait.

use super::place::with_ending;
use super::words;
use oncely_core::ledger::LedgerError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The lock that a writer passes through before each transaction.
#[derive(Debug)]
pub(crate) struct Turn {
    file: File,
    path: PathBuf,
    inside: bool,
}

/// Where the turnstile of a ledger is.
pub(crate) fn path(ledger: &Path) -> PathBuf {
    with_ending(ledger, "-turn")
}

impl Turn {
    /// Opens the turnstile, making the file if need be.
    pub(crate) fn open(ledger: &Path) -> Result<Self, LedgerError> {
        let path = path(ledger);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| words::file(&path, &error))?;
        Ok(Self {
            file,
            path,
            inside: false,
        })
    }

    /// Waits for this process's turn. The waiting is bounded by those who wait for an answer.
    pub(crate) fn enter(&mut self) -> Result<(), LedgerError> {
        loop {
            match flock(&self.file, FlockOperation::LockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(words::file(&self.path, &error.into())),
            }
        }
        self.inside = true;
        Ok(())
    }

    /// Says who is inside a transaction; only a hint, so that failing to write it is nothing.
    pub(crate) fn sign(&self) {
        let name = format!("{:<10}", std::process::id());
        self.file.write_all_at(name.as_bytes(), 0).ok();
    }

    /// Lets the next one in.
    pub(crate) fn leave(&mut self) {
        if std::mem::take(&mut self.inside) {
            self.file.write_all_at(b"          ", 0).ok();
            flock(&self.file, FlockOperation::Unlock).ok();
        }
    }
}

/// The process that is inside a transaction, if one has signed.
pub(crate) fn who_is_inside(ledger: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(path(ledger)).ok()?;
    let pid = text.trim().parse().ok()?;
    Path::new("/proc").join(text.trim()).exists().then_some(pid)
}
