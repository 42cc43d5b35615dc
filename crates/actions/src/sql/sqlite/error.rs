//! What an error of SQLite means for a step.

use oncely_core::action::Failure;
use rusqlite::ErrorCode;

/// The failure that an error amounts to. Nothing was committed.
pub(crate) fn failure(error: &rusqlite::Error) -> Failure {
    let words = words(error);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::retry(format!(
            "the database is busy with another writer: {words}; nothing was changed"
        )),
        Some(ErrorCode::DiskFull) => Failure::retry(format!(
            "the disk is full: {words}; nothing was changed, make room"
        )),
        Some(ErrorCode::OperationInterrupted) => {
            Failure::retry("the statement took longer than the step may take; nothing was changed")
        }
        Some(ErrorCode::AuthorizationForStatementDenied) => Failure::permanent(format!(
            "the statement does what a task may not: {words}; no BEGIN, COMMIT, SAVEPOINT, ATTACH \
             or PRAGMA, and nothing about oncely_marks: the transaction is oncely's"
        )),
        Some(ErrorCode::ConstraintViolation) => {
            Failure::permanent(format!("the database refused it: {words}"))
        }
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::SchemaChanged
            | ErrorCode::FileLockingProtocolFailed,
        ) => Failure::retry(format!("{words}; nothing was changed")),
        _ => Failure::permanent(words),
    }
}

/// Whether the error is about the one row that was bound, and another row may be accepted.
pub(crate) fn refuses_row(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => true,
        // Functions report what they cannot digest so; a table that is missing is no row's fault.
        Some(ErrorCode::Unknown) => !words(error).starts_with("no such "),
        _ => false,
    }
}

/// The database's own words.
pub(crate) fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
