//! Errors of SQLite and the system in words: what, where, what was kept, what to do.

use oncely_core::ledger::LedgerError;
use rusqlite::ErrorCode;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A database error as a ledger error.
pub(crate) fn database(path: &Path, error: &rusqlite::Error) -> LedgerError {
    let path = path.display();
    let words = crate::sql::words(error);
    if let Some(rot) = rot(error) {
        return LedgerError::Unusable(format!(
            "the ledger {path} is damaged: {rot}. Nothing was run on what it says, and nothing was \
             changed. Stop oncely, keep a copy of the file and of what lies beside it, and go on \
             with the last backup."
        ));
    }
    match error.sqlite_error_code() {
        _ if no_room(error) => LedgerError::Full(path.to_string()),
        Some(ErrorCode::DiskFull) => LedgerError::Full(path.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Busy {
            pid: None,
            waited: Duration::ZERO,
        },
        Some(ErrorCode::NotADatabase) => not_a_ledger(path, "it is not a SQLite database"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            LedgerError::Unusable(format!(
                "the ledger {path} cannot be written to: {words}. Nothing was changed. Make the \
                 file and its folder writable for this user, or choose another place with \
                 `ledger` in oncely.toml."
            ))
        }
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Unusable(format!(
            "the ledger {path} is damaged: {words}. Nothing was changed. Stop oncely, copy the \
             file, and go on with the last backup."
        )),
        Some(ErrorCode::SystemIoFailure) => LedgerError::Unusable(format!(
            "the disk below the ledger {path} reports an error: {words}. What was recorded before \
             is kept. Check the disk, then start again."
        )),
        _ => LedgerError::Unusable(format!(
            "the ledger {path} cannot be used: {words}. What was recorded before is kept."
        )),
    }
}

/// What was found broken in a file, where this error says so.
fn rot(error: &rusqlite::Error) -> Option<oncely_vfs::Rot> {
    oncely_vfs::rotten(error.sqlite_error()?.extended_code)
}

/// What went wrong while the ledger was written out, in words where the database said it.
pub(crate) fn written_out(path: &Path, error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner.map(|inner| database(path, inner)) {
        Some(known) => io::Error::other(known),
        None => error,
    }
}

/// The index of the log cannot be made or grown: SQLite has no better words for a full disk there.
fn no_room(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// It is something else.
pub(crate) fn not_a_ledger(path: std::path::Display<'_>, why: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "{path} is not a ledger: {why}. Nothing was changed. Choose another file with `ledger` in \
         oncely.toml."
    ))
}

/// A file beside the ledger cannot be had.
pub(crate) fn file(path: &Path, error: &io::Error) -> LedgerError {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            LedgerError::Full(shown.to_string())
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            LedgerError::Unusable(format!(
                "{shown} cannot be written to: {error}. Nothing was changed. Make the ledger's \
                 folder writable for this user, or choose another place with `ledger` in \
                 oncely.toml."
            ))
        }
        _ => LedgerError::Unusable(format!(
            "{shown} cannot be used: {error}. Nothing was changed."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn said(code: i32) -> LedgerError {
        let failure = rusqlite::ffi::Error::new(code);
        let error = rusqlite::Error::SqliteFailure(failure, Some("its own words".into()));
        database(Path::new("/srv/ledger.db"), &error)
    }

    #[test]
    fn errors_say_what_where_what_was_kept_and_what_to_do() {
        use rusqlite::ffi;
        assert_snapshot!(said(ffi::SQLITE_READONLY), @"the ledger /srv/ledger.db cannot be written to: its own words. Nothing was changed. Make the file and its folder writable for this user, or choose another place with `ledger` in oncely.toml.");
        assert_snapshot!(said(ffi::SQLITE_FULL), @"the ledger's disk is full: /srv/ledger.db. What was recorded is kept and nothing was started. Free some space; work goes on by itself.");
        assert_snapshot!(said(ffi::SQLITE_IOERR_SHMSIZE), @"the ledger's disk is full: /srv/ledger.db. What was recorded is kept and nothing was started. Free some space; work goes on by itself.");
        assert_snapshot!(said(ffi::SQLITE_CORRUPT), @"the ledger /srv/ledger.db is damaged: its own words. Nothing was changed. Stop oncely, copy the file, and go on with the last backup.");
        assert_snapshot!(said(ffi::SQLITE_IOERR), @"the disk below the ledger /srv/ledger.db reports an error: its own words. What was recorded before is kept. Check the disk, then start again.");
        assert_snapshot!(said(ffi::SQLITE_BUSY), @"the ledger was not free for 0 s. Nothing was changed; try again.");
    }

    #[test]
    fn files_beside_the_ledger_have_words_too() {
        let said = |kind: io::ErrorKind| file(Path::new("/srv/ledger.db-turn"), &kind.into());
        assert_snapshot!(said(io::ErrorKind::PermissionDenied), @"/srv/ledger.db-turn cannot be written to: permission denied. Nothing was changed. Make the ledger's folder writable for this user, or choose another place with `ledger` in oncely.toml.");
        assert_snapshot!(said(io::ErrorKind::StorageFull), @"the ledger's disk is full: /srv/ledger.db-turn. What was recorded is kept and nothing was started. Free some space; work goes on by itself.");
    }
}
