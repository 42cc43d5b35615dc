//! One connection, with its statements prepared once.

use oncely_core::ledger::LedgerError;
use oncely_postgres::{Bound, is_conflict, is_lost};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

/// So many statements of tasks are kept prepared.
const TASKS: usize = 256;

/// A value for a parameter.
pub(crate) type Param<'a> = &'a (dyn ToSql + Sync);

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The database, or the way to it.
    Database(Error),
    /// The connection was lost while a commit was under way, or nothing was heard of it in time:
    /// nobody knows whether it happened.
    Doubt(Option<Error>),
    /// The server did not answer in time. Its side of the connection may be gone, or the way to it.
    Silent,
    /// Another transaction was in the way, or what was found cannot be read.
    Ledger(LedgerError),
    /// Another transaction took a key meanwhile; look again.
    Overtaken,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Stop {
    /// Whether the same transaction may go through at the next try.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => is_lost(error) || is_conflict(error),
            Self::Doubt(_) | Self::Silent | Self::Overtaken => true,
            Self::Ledger(_) => false,
        }
    }
}

/// Waits so long for what a server is asked. After that the connection is of no use: it may be open
/// at this end only.
pub(crate) async fn in_time<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or(Err(Stop::Silent))
}

/// One connection.
pub(crate) struct Db {
    client: Client,
    prepared: HashMap<String, Statement>,
    tasks: HashMap<String, Statement>,
}

impl Db {
    /// On a connection that was just made.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            prepared: HashMap::new(),
            tasks: HashMap::new(),
        }
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn prepared(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(known) = self.prepared.get(text) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(text).await?;
        self.prepared.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The rows that a statement of the ledger gives.
    pub(crate) async fn rows(&mut self, text: &str, p: &[Param<'_>]) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(text).await?;
        self.client.query(&statement, p).await
    }

    /// Executes a statement of the ledger; says how many rows it changed.
    pub(crate) async fn run(&mut self, text: &str, p: &[Param<'_>]) -> Result<u64, Error> {
        let statement = self.prepared(text).await?;
        self.client.execute(&statement, p).await
    }

    /// Executes texts without parameters.
    pub(crate) async fn simple(&self, text: &str) -> Result<(), Error> {
        self.client.batch_execute(text).await
    }

    /// Begins a transaction that may stand while a whole ledger is read or written beside it: the
    /// server does not end it when nothing is asked for a while.
    pub(crate) async fn begin_at_length(&self, how: &str) -> Result<(), Error> {
        self.simple(&format!(
            "begin {how}; set local idle_in_transaction_session_timeout = 0"
        ))
        .await
    }

    /// A statement of a task, prepared. Tables may change under it: see [`Self::forget_tasks`].
    pub(crate) async fn task(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(known) = self.tasks.get(text) {
            return Ok(known.clone());
        }
        if self.tasks.len() >= TASKS {
            self.tasks.clear();
        }
        let statement = self.client.prepare(text).await?;
        self.tasks.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Whether any statement of a task is prepared.
    pub(crate) fn knows_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Prepares the statements of tasks anew from now on.
    pub(crate) fn forget_tasks(&mut self) {
        self.tasks.clear();
    }

    /// Executes such statements, with their values, in their order.
    pub(crate) async fn in_order(&self, all: &[(Statement, Vec<Bound<'_>>)]) -> Result<(), Error> {
        oncely_postgres::in_order(&self.client, all).await
    }

    /// Ends a transaction. Where the connection is lost on the way, nobody knows how it ended.
    pub(crate) async fn commit(&self) -> Result<(), Stop> {
        match self.simple("commit").await {
            Err(error) if is_lost(&error) => Err(Stop::Doubt(Some(error))),
            other => Ok(other?),
        }
    }

    /// Leaves a transaction as if it had not been.
    pub(crate) async fn roll_back(&self) {
        if let Err(error) = self.simple("rollback").await
            && !is_lost(&error)
        {
            tracing::warn!(%error, "a transaction of the ledger could not be rolled back");
        }
    }
}
