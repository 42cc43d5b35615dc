//! The rows of a `do` block: whole ranges in one transaction with their mark.

use super::database::{Pool, Session};
use super::{error, mark};
use crate::sql::mark::Mark;
use oncely_core::action::Failure;
use oncely_core::ids::Fence;
use oncely_core::items::{Cell, Marked, Range, RowError, RowSink, Rows};
use oncely_postgres::{Bound, in_order, parts, words};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_postgres::{Error, Statement};

/// How long the rows of a range may take.
const TIME: Duration = Duration::from_secs(60);

/// Writes the rows of one step.
pub(crate) struct Sink {
    pool: Arc<Pool>,
    runtime: Handle,
    session: Option<Session>,
    texts: Vec<Text>,
    columns: Vec<String>,
    mark: Mark,
    commits: u64,
}

/// A statement, and the columns of its parameters.
struct Text {
    text: String,
    places: Vec<usize>,
}

/// Statements that are ready, and what each of them binds of a row.
type Ready<'a> = Vec<(Statement, &'a [usize])>;

impl Sink {
    pub(crate) fn new(
        pool: &Arc<Pool>,
        text: &str,
        columns: Vec<String>,
        mark: Mark,
    ) -> Result<Self, Failure> {
        let runtime = Handle::try_current()
            .map_err(|_| Failure::retry("rows are written where oncely serves or runs"))?;
        let texts = texts(text, &columns)?;
        Ok(Self {
            pool: Arc::clone(pool),
            runtime,
            session: None,
            texts,
            columns,
            mark,
            commits: 0,
        })
    }

    fn failed(&self, error: &Error) -> Failure {
        error::failure(&self.pool.place(), error)
    }

    async fn opened(&self) -> Result<(Session, Marked), Failure> {
        let failed = |error: Error| self.failed(&error);
        let mut session = self.pool.take().await?;
        mark::create(&session, &self.pool.place()).await?;
        for text in &self.texts {
            let statement = session.prepared(&text.text).await.map_err(failed)?;
            if !statement.columns().is_empty() {
                return Err(Failure::permanent(
                    "a statement for the items of a `for_each` gives rows, which nobody would \
                     read: leave out `returning`, or select in a step of its own",
                ));
            }
        }
        session.begin("", TIME).await.map_err(failed)?;
        let marked = self.mark.open_in(&mut session).await.map_err(failed)?;
        let marked = marked.ok_or_else(|| {
            Failure::retry("a later claim writes these rows: this one has lost the run")
        })?;
        let committed = session.client.batch_execute("commit").await;
        committed.map_err(failed)?;
        Ok((session, marked))
    }

    async fn written(&self, session: &mut Session, range: &Range<'_>) -> Result<(), RowError> {
        let failed = |error: Error| RowError::Failed(self.failed(&error));
        session.begin("", TIME).await.map_err(failed)?;
        if !self.mark.advance_in(session, range).await.map_err(failed)? {
            return Err(RowError::Lost);
        }
        let ready = self.ready(session).await.map_err(failed)?;
        let calls: Vec<_> = range
            .rows
            .iter()
            .flat_map(|row| calls(&ready, row))
            .collect();
        match in_order(&session.client, &calls).await {
            Ok(()) => {}
            Err(error) if error::refuses_row(&error) => {
                let left = session.client.batch_execute("rollback").await;
                left.map_err(failed)?;
                return Err(self.refused(session, range.rows).await?);
            }
            Err(error) => return Err(failed(error)),
        }
        // Whether a commit whose answer was lost happened, the mark says to the next attempt.
        session.client.batch_execute("commit").await.map_err(failed)
    }

    async fn ready(&self, session: &mut Session) -> Result<Ready<'_>, Error> {
        let mut ready = Vec::new();
        for text in &self.texts {
            let statement = session.prepared(&text.text).await?;
            ready.push((statement, text.places.as_slice()));
        }
        Ok(ready)
    }

    /// Tries the rows one by one in a transaction that is rolled back, each in a savepoint of its
    /// own, so that a refused row leaves nothing which would make the database refuse another.
    async fn refused(&self, session: &mut Session, rows: &Rows) -> Result<RowError, RowError> {
        let failed = |error: Error| RowError::Failed(self.failed(&error));
        session.begin("", TIME).await.map_err(failed)?;
        let ready = self.ready(session).await.map_err(failed)?;
        let client = &session.client;
        let mut refused = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            client
                .batch_execute("savepoint item")
                .await
                .map_err(failed)?;
            match in_order(client, &calls(&ready, row)).await {
                Ok(()) => {}
                Err(error) if error::refuses_row(&error) => {
                    refused.push((place, words(&error)));
                    let back = client.batch_execute("rollback to item").await;
                    back.map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
            client.batch_execute("release item").await.map_err(failed)?;
        }
        client.batch_execute("rollback").await.map_err(failed)?;
        Ok(RowError::Rows(refused))
    }
}

/// The statements of one row with its values.
fn calls<'a>(
    ready: &Ready<'_>,
    row: impl Iterator<Item = Cell<'a>>,
) -> Vec<(Statement, Vec<Bound<'a>>)> {
    let cells: Vec<Cell<'a>> = row.collect();
    let bound = |place: &usize| cells.get(*place).copied().map_or(Bound::Null, Bound::from);
    let calls = ready.iter().map(|(statement, places)| {
        let values = places.iter().map(bound).collect();
        (statement.clone(), values)
    });
    calls.collect()
}

fn texts(text: &str, columns: &[String]) -> Result<Vec<Text>, Failure> {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let parts = parts(text, &names)
        .map_err(|words| Failure::permanent(format!("{words}; nothing was changed")))?;
    if parts.is_empty() {
        return Err(Failure::permanent("the text holds no statement"));
    }
    let place = |name: &&str| names.iter().position(|known| known == name);
    let texts = parts.into_iter().map(|part| Text {
        places: part.names.iter().filter_map(place).collect(),
        text: part.text,
    });
    Ok(texts.collect())
}

impl RowSink for Sink {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn open(&mut self, fence: Fence) -> Result<Marked, Failure> {
        self.mark.claimed(fence);
        let (session, marked) = self.runtime.block_on(self.opened())?;
        self.session = Some(session);
        self.commits += 1;
        Ok(marked)
    }

    fn commit(&mut self, range: &Range<'_>) -> Result<(), RowError> {
        let Some(mut session) = self.session.take() else {
            let words = "the connection was lost; what was committed is kept";
            return Err(RowError::Failed(Failure::retry(words)));
        };
        let written = self.runtime.block_on(self.written(&mut session, range));
        // After an error that is not about rows nobody knows what is open on it.
        if matches!(written, Ok(()) | Err(RowError::Rows(_))) {
            self.session = Some(session);
        }
        written?;
        self.commits += 1;
        Ok(())
    }

    fn commits(&self) -> u64 {
        self.commits
    }
}
