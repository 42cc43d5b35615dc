//! Opening a ledger: what is there, whether it is a ledger, and how SQLite is set for it.

use super::place::{self, Found};
use super::reserve::{PIECES, Reserve};
use super::turn::Turn;
use super::{behind, holders, schema, words};
use crate::SystemClock;
use crate::clock::boot_id;
use oncely_core::ledger::{LEASE, LedgerError};
use oncely_core::sabotage::{self, Switch};
use oncely_core::time::Clock;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Statements that are kept prepared: the ledger's own and those of tasks.
const STATEMENTS: usize = 256;
/// Memory for pages, in KiB: keys are hashes, so that they lie everywhere.
const CACHE_KIB: i64 = 32 * 1024;

/// Pages of the write-ahead log from which on a commit copies them back. A connection and a thread
/// of their own for this were measured, brought nothing, and let the log grow 15 times as long.
const CHECKPOINT_PAGES: u32 = 4000;

/// How a ledger is opened.
#[derive(Clone)]
pub struct Options {
    /// What this process is: `oncely serve`, `oncely run`.
    pub role: String,
    /// Make the ledger if there is none.
    pub create: bool,
    /// Wait for the disk at each commit. Only tests may do without.
    pub synced: bool,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// How long a call waits for other writers.
    pub wait: Duration,
    /// Fold each run's facts at every commit: exact, and slower the longer a run is.
    pub check_facts: bool,
    /// How long the statements of one unit may take.
    pub sql_budget: Duration,
    /// Most pages of 4 KiB that the file may have; none means as many as the disk holds.
    pub pages_at_most: Option<u32>,
    /// Pages of the write-ahead log from which on a commit copies them back.
    pub checkpoint: u32,
    /// Open a ledger that is behind its head too: to look at it, or to say what it is.
    pub may_be_behind: bool,
    /// Open a ledger whose write-ahead log was cut short too, if what is left of it is whole: to go on
    /// with that.
    pub may_be_short: bool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// The options of a process that works on an existing ledger.
    #[must_use]
    pub fn new(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            create: false,
            synced: true,
            lease: LEASE,
            wait: Duration::from_secs(10),
            check_facts: cfg!(debug_assertions),
            sql_budget: crate::sql::BUDGET,
            pages_at_most: None,
            checkpoint: CHECKPOINT_PAGES,
            may_be_behind: false,
            may_be_short: false,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Opens the writing connection, making the ledger if that is asked for. On a full disk that takes a
/// piece of the reserve, as nothing can be looked at without an index of the log.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Connection, LedgerError> {
    let mut tried = 0;
    loop {
        let opened = open_once(path, options);
        let full = matches!(opened, Err(LedgerError::Full(_)));
        if !full || tried == PIECES || !Reserve::of(path).give_piece(tried) {
            return opened;
        }
        tried += 1;
    }
}

fn open_once(path: &Path, options: &Options) -> Result<Connection, LedgerError> {
    check_library(rusqlite::version_number())?;
    match (place::look(path)?, options.create) {
        (Found::Nothing, false) => return Err(place::missing(path)),
        (Found::Nothing, true) => {
            behind::refuse_anew(path, || matches!(place::look(path), Ok(Found::Nothing)))?;
            place::make_private(path)?;
        }
        (Found::File, _) => behind::check_log(path, options.may_be_short)?,
    }
    let conn = connect(path, options).map_err(|error| words::database(path, &error))?;
    let known = |error| words::database(path, &error);
    match schema::version(&conn).map_err(known)? {
        (schema::APPLICATION_ID, version) => schema::check(path, version)?,
        (0, 0) if is_empty(&conn).map_err(known)? => make(path, &conn, options)?,
        _ => made_meanwhile(path, &conn)?,
    }
    Ok(conn)
}

/// Another process may have made the ledger between two looks at it; else it is none.
fn made_meanwhile(path: &Path, conn: &Connection) -> Result<(), LedgerError> {
    match schema::version(conn).map_err(|error| words::database(path, &error))? {
        (schema::APPLICATION_ID, version) => schema::check(path, version),
        _ => Err(words::not_a_ledger(
            path.display(),
            "it is a database of something else",
        )),
    }
}

/// Defects of older versions can lose or damage what was written.
fn check_library(version: i32) -> Result<(), LedgerError> {
    if version >= schema::SQLITE_AT_LEAST {
        return Ok(());
    }
    Err(LedgerError::Unusable(format!(
        "this program was built with SQLite {}.{}.{}, which has known defects; at least 3.51.3 is \
         needed. Nothing was changed. Build it with its own SQLite (the default).",
        version / 1_000_000,
        version / 1000 % 1000,
        version % 1000
    )))
}

fn connect(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags)?;
    conn.busy_timeout(options.wait)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    let synced = options.synced && !sabotage::is_off(Switch::Sync);
    conn.pragma_update(None, "synchronous", if synced { "full" } else { "off" })?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let pages = options.checkpoint.min(Reserve::of(path).log_pages());
    conn.pragma_update(None, "wal_autocheckpoint", pages)?;
    if let Some(pages) = options.pages_at_most {
        conn.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(conn)
}

fn is_empty(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("select count(*) = 0 from sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// Makes the tables, unless another process has just done so.
fn make(path: &Path, conn: &Connection, options: &Options) -> Result<(), LedgerError> {
    if !options.create {
        // Another process may be about to make it in this file.
        return Err(place::missing(path));
    }
    let mut turn = Turn::open(path)?;
    turn.enter()?;
    let made = make_inside(path, conn);
    turn.leave();
    made
}

fn make_inside(path: &Path, conn: &Connection) -> Result<(), LedgerError> {
    let known = |error| words::database(path, &error);
    if !is_empty(conn).map_err(known)? {
        return Ok(());
    }
    behind::refuse_anew(path, || true)?;
    make_tables(conn).map_err(known)
}

fn make_tables(conn: &Connection) -> rusqlite::Result<()> {
    oncely_vfs::reserve(conn)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    schema::create(conn, &new_name())
}

/// A name that no other ledger has.
pub(super) fn new_name() -> String {
    format!("{:012x}", holders::new_id(&boot_id()).0)
}

/// The ledger's own name.
pub(crate) fn name(path: &Path, conn: &Connection) -> Result<String, LedgerError> {
    named(conn).map_err(|error| words::database(path, &error))
}

/// The ledger's own name.
pub(super) fn named(conn: &Connection) -> rusqlite::Result<String> {
    let text = "select value from oncely_meta where name = 'name'";
    conn.query_row(text, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let made = Options {
            create: true,
            ..Options::new("test")
        };
        let conn = open(&folder.path().join("ledger.db"), &made).unwrap();
        let asked = |name: &str| {
            conn.query_row(&format!("pragma {name}"), [], |row| {
                row.get::<_, rusqlite::types::Value>(0)
            })
            .unwrap()
        };
        // Full: each commit of the log is synced before it is answered.
        assert_eq!(asked("synchronous"), 2.into());
        assert_eq!(asked("journal_mode"), "wal".to_owned().into());
    }

    #[test]
    fn an_old_sqlite_is_refused() {
        assert_eq!(check_library(3_051_003), Ok(()));
        let error = check_library(3_051_002).unwrap_err();
        insta::assert_snapshot!(error, @"this program was built with SQLite 3.51.2, which has known defects; at least 3.51.3 is needed. Nothing was changed. Build it with its own SQLite (the default).");
    }
}
