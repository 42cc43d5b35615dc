//! Readers: connections that only read, each question in a short transaction of its own, so that
//! no reader keeps the write-ahead log from being checkpointed.

use super::{answers, words};
use oncely_core::ledger::{Answer, LedgerError, Query};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Connections that are kept for the next question.
const KEPT: usize = 4;
const STATEMENTS: usize = 64;

/// Connections that nobody is using.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    free: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            free: Mutex::default(),
        }
    }

    /// Answers a question; blocks.
    pub(crate) fn answer(&self, query: &Query) -> Result<Answer, LedgerError> {
        self.with(|conn| {
            let tx = conn.unchecked_transaction()?;
            let answer = answers::answer(&tx, query)?;
            tx.commit()?;
            Ok(answer)
        })
    }

    /// Does something with a connection; blocks.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let free = self.free().pop();
        let done = free.map_or_else(|| open(&self.path), Ok).and_then(|conn| {
            let done = work(&conn)?;
            Ok((conn, done))
        });
        let (conn, done) = done.map_err(|error| words::database(&self.path, &error))?;
        let mut free = self.free();
        if free.len() < KEPT {
            free.push(conn);
        }
        Ok(done)
    }

    /// Closes what nobody is using.
    pub(crate) fn close(&self) {
        self.free().clear();
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a connection that only reads.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}
