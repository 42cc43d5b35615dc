//! Connections to a PostgreSQL database.

use super::error;
use oncely_core::action::Failure;
use oncely_postgres::Address;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

/// Connections that are kept for the next step.
const KEPT: usize = 4;
/// Statements that a connection keeps prepared.
const PREPARED: usize = 64;
/// How much longer than its statements a transaction may sit there before the server ends it: what a
/// stopped process began does not hold its locks for ever.
const IDLE: Duration = Duration::from_secs(5);

/// The connections of one database.
pub(crate) struct Pool {
    address: Address,
    idle: Mutex<Vec<Session>>,
}

/// A connection, with its statements prepared once.
pub(crate) struct Session {
    pub(crate) client: Client,
    prepared: HashMap<String, Statement>,
}

impl Pool {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            idle: Mutex::default(),
        }
    }

    /// Where the database is, for people.
    pub(crate) fn place(&self) -> String {
        self.address.place()
    }

    /// A connection: one that was kept, or a new one.
    pub(crate) async fn take(&self) -> Result<Session, Failure> {
        let kept = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match kept {
            Some(session) if !session.client.is_closed() => Ok(session),
            _ => self.open().await,
        }
    }

    /// Keeps a connection on which no transaction is open and nothing went wrong.
    pub(crate) fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(session);
        }
    }

    async fn open(&self) -> Result<Session, Failure> {
        let connected = oncely_postgres::connect(&self.address).await;
        let client = connected.map_err(|error| error::connecting(&self.place(), &error))?;
        Ok(Session {
            client,
            prepared: HashMap::new(),
        })
    }
}

impl Session {
    /// Begins a transaction whose statements may take so long. What is committed is on the disk,
    /// whatever the database's own setting.
    pub(crate) async fn begin(&self, what: &str, time: Duration) -> Result<(), Error> {
        let millis = time.as_millis().max(1);
        let idle = (time + IDLE).as_millis();
        let text = format!(
            "begin isolation level read committed {what}; \
             set local statement_timeout = {millis}; set local lock_timeout = {millis}; \
             set local idle_in_transaction_session_timeout = {idle}; \
             set local synchronous_commit = on"
        );
        self.client.batch_execute(&text).await
    }

    /// A statement, prepared.
    pub(crate) async fn prepared(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(known) = self.prepared.get(text) {
            return Ok(known.clone());
        }
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        let statement = self.client.prepare(text).await?;
        self.prepared.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }
}
