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
    all_is_known(path, version)?;
    Ok(conn)
}

/// Ends that transaction; no program works on the ledger from then on.
pub(crate) fn close_for_good(conn: &Connection, path: &Path) -> Result<(), LedgerError> {
    let closed = conn
        .pragma_update(None, "user_version", schema::MOVED)
        .and_then(|()| conn.execute_batch("commit"));
    closed.map_err(|error| words::database(path, &error))
}

/// What a later version has added would be left behind.
fn all_is_known(path: &Path, version: i32) -> Result<(), LedgerError> {
    if version <= schema::own() {
        return Ok(());
    }
    Err(LedgerError::Unusable(format!(
        "the ledger {} has schema {}.{}, which is newer than this program: what was added there would be \
         left behind. Nothing was moved. Use the newer program.",
        path.display(),
        version / 1000,
        version % 1000
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Options, SqliteLedger};

    #[test]
    fn a_ledger_of_a_later_version_is_not_moved_by_an_older_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        drop(SqliteLedger::open(&path, options).unwrap());
        let conn = open_to_leave(&path).unwrap();
        conn.pragma_update(None, "user_version", schema::VERSION + 1)
            .unwrap();
        conn.execute_batch("commit").unwrap();
        let error = open_to_leave(&path).unwrap_err().to_string();
        let shown = error.replace(&folder.path().display().to_string(), "FOLDER");
        insta::assert_snapshot!(shown, @"the ledger FOLDER/ledger.db has schema 2.1, which is newer than this program: what was added there would be left behind. Nothing was moved. Use the newer program.");
    }
}
