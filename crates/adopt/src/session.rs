//! One connection to an application's database, whichever it is. Everything has a deadline.

use crate::mysql::MySql;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{AdoptError, Database};
use std::time::Duration;

/// Longest time of one statement, and of connecting.
const DEADLINE: Duration = Duration::from_secs(20);

/// A version and a time, as texts.
pub(crate) type Texts = (Option<String>, Option<String>);

/// How long another program may keep us from reading.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// The columns that hold a time, and the time now for each, as parts of an `insert`.
pub(crate) fn with_times(times: &[&str], now: &str) -> (String, String) {
    let columns = times.iter().map(|column| format!(", {column}")).collect();
    let values = times.iter().map(|_| format!(", {now}")).collect();
    (columns, values)
}

enum Kind {
    Sqlite(Sqlite),
    Postgres(Postgres),
    MySql(MySql),
}

/// A connection, and the name of its database for errors.
pub(crate) struct Session {
    kind: Kind,
    place: String,
}

/// Waits for what the database says, but not for ever.
async fn answer<T, E: ToString>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}

macro_rules! each {
    ($session:expr, $inner:ident => $work:expr) => {
        match &mut $session.kind {
            Kind::Sqlite($inner) => answer($work).await,
            Kind::Postgres($inner) => answer($work).await,
            Kind::MySql($inner) => answer($work).await,
        }
    };
}

impl Session {
    /// A connection that may only read: the database sees to that. One that is to write may add rows.
    pub(crate) async fn open(place: &Database, writes: bool) -> Result<Self, AdoptError> {
        let kind = match place {
            Database::Sqlite(path) => answer(Sqlite::open(path, writes)).await.map(Kind::Sqlite),
            Database::Postgres(server) => {
                let opened = answer(Postgres::open(server, writes)).await;
                opened.map(Kind::Postgres)
            }
            Database::MySql(server) => answer(MySql::open(server, writes)).await.map(Kind::MySql),
        };
        let is_file = matches!(place, Database::Sqlite(_));
        let place = place.to_string();
        match kind {
            Ok(kind) => Ok(Self { kind, place }),
            Err(error) if is_file => Err(AdoptError::NoFile { place, error }),
            Err(error) => Err(AdoptError::Unreachable { place, error }),
        }
    }

    /// The columns of a table; none of one that is not there.
    pub(crate) async fn columns(&mut self, table: &str) -> Result<Vec<String>, AdoptError> {
        let found = each!(self, inner => inner.columns(table));
        found.map_err(|error| self.refused(table, error))
    }

    /// Versions and, if asked for, times; at most so many.
    pub(crate) async fn rows(
        &mut self,
        table: &str,
        times: bool,
        most: usize,
    ) -> Result<Vec<Texts>, AdoptError> {
        let time = if times { "created_at" } else { "null" };
        let found = each!(self, inner => inner.rows(table, time, most));
        found.map_err(|error| self.refused(table, error))
    }

    /// Adds a row of this version where there is none, with the time where the table has such columns;
    /// whether it did.
    pub(crate) async fn add(
        &mut self,
        table: &str,
        times: &[&str],
        version: &str,
    ) -> Result<bool, AdoptError> {
        let added = each!(self, inner => inner.add(table, times, version));
        added.map_err(|error| AdoptError::NotAdded {
            place: self.place.clone(),
            table: table.to_owned(),
            error,
        })
    }

    /// Takes leave; what the other side says to that changes nothing.
    pub(crate) async fn end(self) {
        if let Kind::MySql(inner) = self.kind {
            let _ = answer(inner.end()).await;
        }
    }

    fn refused(&self, table: &str, error: String) -> AdoptError {
        AdoptError::Refused {
            place: self.place.clone(),
            table: table.to_owned(),
            error,
        }
    }
}
