//! Connections to an SQLite file, set so that what is committed is there for good.

use super::error;
use super::guard::Guard;
use oncely_core::action::Failure;
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Connections that are kept for the next step.
const KEPT: usize = 4;
/// How long a writer waits for another one.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// Instructions of SQLite between two looks at the clock.
pub(crate) const LOOK_EVERY: i32 = 10_000;

/// The connections of one database.
#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Session>>,
}

/// A connection and the guard on it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) guard: Guard,
}

impl Pool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// A connection: one that was kept, or a new one.
    pub(crate) fn take(&self) -> Result<Session, Failure> {
        let kept = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match kept {
            Some(session) if self.path.exists() => Ok(session),
            _ => self.open(),
        }
    }

    /// Keeps a connection on which no transaction is open.
    pub(crate) fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if session.connection.is_autocommit() && idle.len() < KEPT {
            idle.push(session);
        }
    }

    pub(crate) fn open(&self) -> Result<Session, Failure> {
        connect(&self.path).map_err(|error| {
            let failure = error::failure(&error);
            let words = format!(
                "the database {} cannot be opened: {}",
                self.path.display(),
                failure.error()
            );
            match failure {
                Failure::Permanent { .. } => Failure::permanent(words),
                _ => Failure::retry(words),
            }
        })
    }
}

fn connect(path: &std::path::Path) -> rusqlite::Result<Session> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Not every file can: what matters is the full sync.
    let _ = connection.pragma_update(None, "journal_mode", "wal");
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let guard = Guard::on(&mut connection)?;
    Ok(Session { connection, guard })
}
