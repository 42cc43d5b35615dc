//! What an error of PostgreSQL means for a step. No error holds a password: places are built from
//! the host, the port and the database's name.

use oncely_core::action::Failure;
use oncely_postgres::{ConnectError, is_conflict, is_lost, is_untrusted, words};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why there is no connection.
pub(crate) fn connecting(place: &str, error: &ConnectError) -> Failure {
    let error = match error {
        ConnectError::Server(error) => error,
        ConnectError::Tls(words) => {
            return Failure::permanent(format!("TLS cannot be used: {words}"));
        }
    };
    let said = words(error);
    if is_untrusted(&said) {
        return Failure::permanent(format!(
            "the certificate of {place} is not one that this machine trusts: {said}; nothing was \
             sent. Name the file of its authority with SSL_CERT_FILE, or, where the platform's \
             network is trusted, write `sslmode=no-verify` in the URL"
        ));
    }
    match error.code() {
        Some(code) if code.code().starts_with("28") || code.code().starts_with("3D") => {
            Failure::permanent(format!(
                "{place} does not let oncely in: {said}; nothing was changed. Check the user, the \
                 password and the database of [db] in oncely.toml"
            ))
        }
        _ => Failure::retry(format!("{place} cannot be reached: {said}")),
    }
}

/// The failure that an error amounts to. Nothing was committed.
pub(crate) fn failure(place: &str, error: &Error) -> Failure {
    let said = words(error);
    let Some(code) = error.code() else {
        return Failure::retry(format!(
            "{place} does not answer: {said}; nothing was changed"
        ));
    };
    if [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::QUERY_CANCELED].contains(&code) {
        return Failure::retry(format!(
            "the statement took longer than the step may take, or waited for a lock: {said}; \
             nothing was changed"
        ));
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Failure::permanent(format!(
            "{place} is a read-only replica, or the user may only read: {said}; nothing was changed"
        ));
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return Failure::permanent(format!(
            "{said}; nothing was changed. What writes needs the right to that, and to the table \
             `oncely_marks`"
        ));
    }
    if *code == SqlState::DISK_FULL {
        return Failure::retry(format!(
            "the disk of {place} is full: {said}; nothing was changed, make room"
        ));
    }
    if is_lost(error) || is_conflict(error) || is_passing(code) {
        return Failure::retry(format!("{said}; nothing was changed"));
    }
    match code.code().get(..2) {
        Some("23") => Failure::permanent(format!("the database refused it: {said}")),
        _ => Failure::permanent(said),
    }
}

/// Too much at the moment, being stopped, or a table that was changed since its statement was
/// prepared.
fn is_passing(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    ["53", "57", "58"].contains(&class) || *code == SqlState::FEATURE_NOT_SUPPORTED
}

/// Whether the error is about the one row that was bound, and another row may be accepted.
pub(crate) fn refuses_row(error: &Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    matches!(class, Some("22" | "23"))
}
