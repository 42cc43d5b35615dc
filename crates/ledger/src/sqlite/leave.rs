//! The last that happens to a ledger that is moved elsewhere.

use super::{schema, words};
use oncely_core::ledger::LedgerError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Opens a ledger in a write transaction: nobody else changes it until the connection ends.
pub(crate) fn open_to_leave(path: &Path) -> Result<Connection, LedgerError> {
    let known = |error| words::database(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags).map_err(known)?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(known)?;
    conn.execute_batch("pragma synchronous = full; begin immediate")
        .map_err(known)?;
    let (_, version) = schema::version(&conn).map_err(known)?;
    schema::check(path, version)?;
    Ok(conn)
}

/// Ends that transaction; no program works on the ledger from then on.
pub(crate) fn close_for_good(conn: &Connection, path: &Path) -> Result<(), LedgerError> {
    let closed = conn
        .pragma_update(None, "user_version", schema::MOVED)
        .and_then(|()| conn.execute_batch("commit"));
    closed.map_err(|error| words::database(path, &error))
}
