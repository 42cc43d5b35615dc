//! What errors of a server mean.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Whether the connection is of no use any more.
#[must_use]
pub fn is_lost(error: &Error) -> bool {
    let Some(code) = error.code() else {
        return true;
    };
    code.code().starts_with("08")
        || [
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
            &SqlState::CANNOT_CONNECT_NOW,
            &SqlState::TOO_MANY_CONNECTIONS,
            &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(&code)
}

/// Whether another transaction was in the way.
#[must_use]
pub fn is_conflict(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| code.code().starts_with("40"))
}

/// How the words of rustls begin.
const CERTIFICATE: &str = "invalid peer certificate";

/// Whether the words say that the server may be somebody else.
#[must_use]
pub fn is_untrusted(words: &str) -> bool {
    words.contains(CERTIFICATE)
}

/// The database's own words, without the statement and its values.
#[must_use]
pub fn words(error: &Error) -> String {
    error.as_db_error().map_or_else(
        || {
            use std::error::Error as _;
            let cause = error.source().map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        },
        |said| said.message().to_owned(),
    )
}
