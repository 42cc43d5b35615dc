//! What is said when PostgreSQL does not do as it should. No password is ever in it: places are
//! built from the host, the port and the database's name.

use super::db::Stop;
use oncely_core::ledger::LedgerError;
use oncely_postgres::{is_conflict, is_lost, is_untrusted, words as own};
use std::time::Duration;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// The server only reads.
pub(crate) fn read_only(place: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "{place} is a read-only replica: nothing can be recorded there. Nothing was changed. Name \
         the primary server with `ledger` in oncely.toml."
    ))
}

/// The server lacks what is needed, or may.
pub(crate) fn too_old(place: &str, version: &str) -> LedgerError {
    let short = version.split(" (").next().unwrap_or(version);
    let short = short.split(" on ").next().unwrap_or(short);
    LedgerError::Unusable(format!(
        "{place} is {short}, and a ledger needs PostgreSQL 14 or later. Nothing was changed. Upgrade the \
         server, or name another one with `ledger` in oncely.toml."
    ))
}

/// A pooler stands before the server that shares its connections between transactions.
pub(crate) fn pooled(place: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "{place} is behind a pooler in transaction mode (as PgBouncer's pool_mode = transaction): \
         statements that are prepared there are lost. Nothing was changed. Name the server itself \
         with `ledger` in oncely.toml, or a pool in session mode: each process keeps 2 to 3 \
         connections, and takes 4 more while statements of tasks wait for locks."
    ))
}

/// The server acknowledges too early.
pub(crate) fn not_durable(place: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "{place} has synchronous_commit = off: it would say that things are recorded before they \
         are. Nothing was changed. Set it to `on` for this user or database \
         (`alter role … set synchronous_commit = on`)."
    ))
}

/// The password is in the wrong place.
pub(crate) fn password_in_url() -> LedgerError {
    LedgerError::Unusable(
        "the ledger's URL holds a password. Nothing was changed. Take it out, and give it as \
         ONCELY_SECRET_LEDGER_PASSWORD or PGPASSWORD."
            .into(),
    )
}

/// The server may be somebody else.
fn untrusted(place: &str, words: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "the certificate of {place} is not one that this machine trusts: {words}. Nothing was sent. \
         Name the file of its authority with SSL_CERT_FILE. Where the platform's network is trusted \
         and nobody vouches for its servers, as with Heroku's: `sslmode=no-verify` in the URL, or \
         ledger = \"env:DATABASE_URL?sslmode=no-verify\" in oncely.toml."
    ))
}

/// An error that does not pass by itself.
pub(crate) fn database(place: &str, error: &Error) -> LedgerError {
    let words = own(error);
    if error.code() == Some(&SqlState::DISK_FULL) {
        return LedgerError::Full(format!("{place}: {words}"));
    }
    if is_untrusted(&words) {
        return untrusted(place, &words);
    }
    // What was prepared is not there, or somebody else's is: another connection than it was.
    let strange = [
        &SqlState::INVALID_SQL_STATEMENT_NAME,
        &SqlState::DUPLICATE_PSTATEMENT,
    ];
    if error.code().is_some_and(|code| strange.contains(&code)) {
        return pooled(place);
    }
    LedgerError::Unusable(format!(
        "the ledger in {place} cannot be used: {words}. What was recorded before is kept. Check \
         the server and the `ledger` line of oncely.toml, then start again."
    ))
}

/// Somebody takes the connection and says nothing.
pub(crate) fn silent(place: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "the ledger in {place} cannot be used: the server takes the connection and does not answer. \
         What was recorded before is kept. Check the server, what stands between it and this \
         machine, and the `ledger` line of oncely.toml, then start again."
    ))
}

/// Statements of a task waited for a lock.
pub(crate) fn locked(waited: Duration) -> String {
    format!(
        "another program holds a lock that the statements need, and they waited {} s for it. Nothing \
         was changed. While they wait, `select pid, pg_blocking_pids(pid), query from \
         pg_stat_activity where wait_event_type = 'Lock'` says who it is.",
        waited.as_secs_f64()
    )
}

/// Statements of a task took too long.
pub(crate) fn too_slow(limit: Duration) -> String {
    format!(
        "the statements took longer than {} s. Nothing was changed.",
        limit.as_secs_f64()
    )
}

/// What is said when waiting did not help.
pub(crate) fn gave_up(place: &str, stop: Stop, waited: Duration) -> LedgerError {
    match stop {
        Stop::Ledger(error) => error,
        Stop::Database(error) if !is_lost(&error) && !is_conflict(&error) => {
            database(place, &error)
        }
        Stop::Database(error) | Stop::Doubt(Some(error)) => {
            tracing::warn!(place, reason = own(&error), "the ledger does not answer");
            LedgerError::Busy { pid: None, waited }
        }
        Stop::Silent | Stop::Doubt(None) => {
            tracing::warn!(place, "the ledger does not answer in time");
            LedgerError::Busy { pid: None, waited }
        }
        Stop::Overtaken => LedgerError::Busy { pid: None, waited },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Server;

    const WAITED: Duration = Duration::from_secs(7);

    /// What the server says to this, or what it is not there to say.
    fn error(server: &Server, text: &str) -> Stop {
        Stop::Database(server.query("postgres", text).unwrap_err())
    }

    #[test]
    fn what_waiting_does_not_help_against_is_told_and_the_rest_is_busy() {
        let mut server = Server::start(&[]);
        let told = |stop: Stop| gave_up("the place", stop, WAITED);
        let wrong = told(error(&server, "select * from nowhere"));
        let LedgerError::Unusable(words) = &wrong else {
            panic!("{wrong:?}");
        };
        assert!(
            words.contains("nowhere") && words.contains("the place"),
            "{words}"
        );
        let busy = |stop: Stop| {
            let told = told(stop);
            assert!(
                matches!(told, LedgerError::Busy { pid: None, waited } if waited == WAITED),
                "{told:?}"
            );
        };
        busy(error(
            &server,
            "do $$ begin raise exception 'overtaken' using errcode = '40001'; end $$",
        ));
        for stop in [Stop::Silent, Stop::Doubt(None), Stop::Overtaken] {
            busy(stop);
        }
        server.crash();
        busy(error(&server, "select 1"));
        let own = LedgerError::Unusable("as it was".into());
        assert_eq!(told(Stop::Ledger(own)).to_string(), "as it was");
    }
}
