//! One connection, with its statements prepared once.

use super::volley::{Reply, Value, Volley};
use futures_util::TryStreamExt;
use oncely_core::ledger::LedgerError;
use oncely_postgres::{Bound, begun_in_order, is_conflict, is_lost};
use std::collections::HashMap;
use std::pin::pin;
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
    /// What goes ahead of whatever is asked next, in the same journey to the server.
    ahead: String,
}

impl Db {
    /// On a connection that was just made.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            prepared: HashMap::new(),
            tasks: HashMap::new(),
            ahead: String::new(),
        }
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction with whatever is asked next: nothing is waited for.
    pub(crate) fn begin(&mut self) {
        self.soon("begin");
    }

    /// Executes a text without parameters ahead of whatever is asked next.
    pub(crate) fn soon(&mut self, text: &str) {
        if !self.ahead.is_empty() {
            self.ahead.push_str("; ");
        }
        self.ahead.push_str(text);
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
        let ahead = std::mem::take(&mut self.ahead);
        let client = &self.client;
        behind(client, &ahead, client.query(&statement, p)).await
    }

    /// Executes a statement of the ledger; says how many rows it changed.
    pub(crate) async fn run(&mut self, text: &str, p: &[Param<'_>]) -> Result<u64, Error> {
        let statement = self.prepared(text).await?;
        let ahead = std::mem::take(&mut self.ahead);
        let client = &self.client;
        behind(client, &ahead, client.execute(&statement, p)).await
    }

    /// Executes statements of the ledger in their order, in one journey to the server.
    pub(crate) async fn all(&mut self, volley: Volley<'_>) -> Result<Vec<Reply>, Error> {
        let mut ready = Vec::with_capacity(volley.asked.len());
        for (text, values) in volley.asked {
            ready.push((self.prepared(&text).await?, values));
        }
        let ahead = std::mem::take(&mut self.ahead);
        let client = &self.client;
        let sent = begun_in_order(ready.into_iter().map(|(s, values)| one(client, s, values)));
        let all = async { Ok(sent.await) };
        behind(client, &ahead, all).await?.into_iter().collect()
    }

    /// Executes texts without parameters.
    pub(crate) async fn simple(&mut self, text: &str) -> Result<(), Error> {
        self.soon(text);
        let all = std::mem::take(&mut self.ahead);
        self.client.batch_execute(&all).await
    }

    /// Begins a transaction that may stand while a whole ledger is read or written beside it: the
    /// server does not end it when nothing is asked for a while.
    pub(crate) async fn begin_at_length(&mut self, how: &str) -> Result<(), Error> {
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
        let ahead = std::mem::take(&mut self.ahead);
        let client = &self.client;
        let statement = behind(client, &ahead, client.prepare(text)).await?;
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
    pub(crate) async fn in_order(
        &mut self,
        all: &[(Statement, Vec<Bound<'_>>)],
    ) -> Result<(), Error> {
        let ahead = std::mem::take(&mut self.ahead);
        let client = &self.client;
        behind(client, &ahead, oncely_postgres::in_order(client, all)).await
    }

    /// Ends a transaction. Where the connection is lost on the way, nobody knows how it ended.
    pub(crate) async fn commit(&mut self) -> Result<(), Stop> {
        match self.simple("commit").await {
            Err(error) if is_lost(&error) => Err(Stop::Doubt(Some(error))),
            other => Ok(other?),
        }
    }

    /// Leaves a transaction as if it had not been.
    pub(crate) async fn roll_back(&mut self) {
        if std::mem::take(&mut self.ahead).starts_with("begin") {
            return;
        }
        if let Err(error) = self.simple("rollback").await
            && !is_lost(&error)
        {
            tracing::warn!(%error, "a transaction of the ledger could not be rolled back");
        }
    }
}

/// Sends what goes ahead, and what is asked behind it without waiting. The first error counts: what
/// was behind it is refused for it.
async fn behind<T>(
    client: &Client,
    ahead: &str,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if ahead.is_empty() {
        return asked.await;
    }
    let (first, asked) = (client.batch_execute(ahead), pin!(asked));
    // Polled in this order, and so sent in it.
    let (first, answer) = futures_util::future::join(first, asked).await;
    first?;
    answer
}

async fn one(
    client: &Client,
    statement: Statement,
    values: Vec<Value<'_>>,
) -> Result<Reply, Error> {
    let mut stream = pin!(client.query_raw(&statement, values).await?);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    let changed = stream.rows_affected().unwrap_or_default();
    Ok(Reply { rows, changed })
}
