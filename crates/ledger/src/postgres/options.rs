//! How a ledger in PostgreSQL is opened.

use super::words;
use crate::SystemClock;
use oncely_core::ledger::{LEASE, LedgerError};
use oncely_core::time::Clock;
use oncely_postgres::{Address, AddressError, Login};
use std::sync::Arc;
use std::time::Duration;

/// Shortest and longest wait for what a server is asked: a lease, which is lost by then anyway.
const ANSWER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// Shortest and longest time that a transaction may stand with nothing being asked: a quarter of the
/// lease, so that those who wait for its locks still renew theirs in time.
const IDLE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// What a transaction with statements of tasks needs besides them.
const MORE: Duration = Duration::from_millis(500);

/// How long servers are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For an answer, and for a transaction of the ledger.
    pub(crate) answer: Duration,
    /// For a transaction with statements of tasks.
    pub(crate) statements: Duration,
    /// After this the server ends a transaction in which nothing is asked.
    pub(crate) idle: Duration,
}

/// Whose clock leases are measured by.
#[derive(Clone)]
pub enum TimeSource {
    /// The database's: the same for all machines.
    Database,
    /// A clock that tests turn.
    Given(Arc<dyn Clock>),
}

impl TimeSource {
    /// The time to be used instead of the database's, in milliseconds.
    pub(crate) fn given(&self) -> Option<i64> {
        match self {
            Self::Database => None,
            Self::Given(clock) => Some(clock.boot_millis()),
        }
    }
}

/// How a ledger in PostgreSQL is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    /// What this process is: `oncely serve`, `oncely run`.
    pub role: String,
    /// Make the ledger's tables if there are none.
    pub create: bool,
    /// The password of the user in the URL.
    pub password: Option<String>,
    /// The URL comes from where secrets come from, and may hold the password.
    pub secret_url: bool,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// How long a call goes on trying while the server cannot be reached.
    pub wait: Duration,
    /// How long the statements of one unit may take.
    pub sql_budget: Duration,
    /// Load and fold each run's facts at every commit: exact, and slower the longer a run is.
    pub check_facts: bool,
    /// The clock that people see.
    pub clock: Arc<dyn Clock>,
    /// The clock of leases.
    pub leases: TimeSource,
}

impl PostgresOptions {
    /// The options of a process that works on an existing ledger.
    #[must_use]
    pub fn new(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            create: false,
            password: None,
            secret_url: false,
            lease: LEASE,
            wait: Duration::from_secs(10),
            sql_budget: crate::sql::BUDGET,
            check_facts: cfg!(debug_assertions),
            clock: Arc::new(SystemClock),
            leases: TimeSource::Database,
        }
    }

    /// How long servers are waited for.
    pub(crate) fn patience(&self) -> Patience {
        let (least, most) = ANSWER;
        let answer = self.lease.clamp(least, most);
        let (least, most) = IDLE;
        Patience {
            answer,
            statements: answer.max(self.sql_budget * 2 + MORE),
            idle: (self.lease / 4).clamp(least, most),
        }
    }

    /// The lease in milliseconds.
    pub(crate) fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Reads the ledger's URL.
pub(crate) fn address(url: &str, options: &PostgresOptions) -> Result<Address, LedgerError> {
    let login = Login {
        role: &options.role,
        password: options.password.as_deref(),
        secret_url: options.secret_url,
    };
    Address::parse(url, login).map_err(|error| match error {
        AddressError::Password => words::password_in_url(),
        AddressError::Unreadable => LedgerError::Unusable(
            "the ledger's URL cannot be read. Nothing was changed. Write it as \
             postgres://user@host:5432/database?sslmode=require in oncely.toml."
                .into(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_waited_for_as_long_as_the_lease_says_within_bounds() {
        let of = |lease: u64, budget: u64| {
            let found = PostgresOptions {
                lease: Duration::from_secs(lease),
                sql_budget: Duration::from_secs(budget),
                ..PostgresOptions::new("test")
            }
            .patience();
            [found.answer, found.statements, found.idle].map(|time| time.as_millis())
        };
        assert_eq!(of(20, 1), [20_000, 20_000, 5_000]);
        assert_eq!(of(20, 15), [20_000, 30_500, 5_000], "statements want time");
        assert_eq!(of(1, 1), [5_000, 5_000, 500]);
        assert_eq!(of(600, 1), [30_000, 30_000, 10_000]);
    }
}
