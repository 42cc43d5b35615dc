//! A plain `sql` step: its statements and its mark in one transaction.

use super::cell;
use super::database::{Pool, Session};
use super::{error, mark};
use crate::sql::given::{Given, Read};
use crate::sql::mark::Mark;
use futures_util::TryStreamExt as _;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_postgres::{Bound, Part, is_lost, parts, words};
use serde_json::Map;
use std::time::Duration;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// How long a commit may take to be answered, whatever was left of the step's time: what it did is
/// worth knowing.
const COMMIT: Duration = Duration::from_secs(10);

/// A step that is ready to be done.
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) bind: Map<String, Value>,
    pub(crate) mark: Mark,
    pub(crate) timeout: Duration,
}

/// Why a transaction did not come to its commit.
enum Stop {
    Database(Error),
    Failure(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// What a transaction came to before its commit.
struct Open {
    output: Value,
    session: Session,
    /// There is something to commit.
    wrote: bool,
    /// The connection has no more to say.
    calm: bool,
}

impl Step {
    /// Does it, unless its mark says that it is done.
    pub(crate) async fn perform(&self, pool: &Pool) -> Result<Value, Failure> {
        let names: Vec<&str> = self.bind.keys().map(String::as_str).collect();
        let parts = parts(&self.text, &names)
            .map_err(|words| Failure::permanent(format!("{words}; nothing was changed")))?;
        // What is given up here is not committed: its connection goes, and the server sees that.
        let open = tokio::time::timeout(self.timeout, self.open(pool, &parts)).await;
        let open = open.map_err(|_| {
            Failure::retry("the statement took longer than the step may take; nothing was changed")
        })??;
        if open.wrote {
            commit(&open.session, &pool.place()).await?;
        } else if open.calm && open.session.client.batch_execute("commit").await.is_err() {
            return Ok(open.output);
        }
        if open.calm {
            pool.give_back(open.session);
        }
        Ok(open.output)
    }

    async fn open(&self, pool: &Pool, parts: &[Part<'_>]) -> Result<Open, Failure> {
        let place = pool.place();
        let mut session = pool.take().await?;
        if let [only] = parts
            && may_look(&only.text)
        {
            match self.look(&mut session, only).await {
                Ok((output, calm)) => {
                    return Ok(Open {
                        output,
                        session,
                        wrote: false,
                        calm,
                    });
                }
                // The database knows better than the first word: it writes.
                Err(Stop::Database(error))
                    if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) =>
                {
                    let left = session.client.batch_execute("rollback").await;
                    left.map_err(|error| error::failure(&place, &error))?;
                }
                Err(stop) => return Err(said(stop, &place)),
            }
        }
        mark::create(&session, &place).await?;
        let written = self.write(&mut session, parts).await;
        let (output, wrote) = written.map_err(|stop| said(stop, &place))?;
        Ok(Open {
            output,
            session,
            wrote,
            calm: true,
        })
    }

    /// One statement that reads: it needs no mark, and no right to write.
    async fn look(&self, session: &mut Session, part: &Part<'_>) -> Result<(Value, bool), Stop> {
        session.begin("read only", self.timeout).await?;
        let mut given = Given::default();
        let calm = self.execute(session, part, &mut given, true).await?;
        Ok((given.output().map_err(Stop::Failure)?, calm))
    }

    async fn write(
        &self,
        session: &mut Session,
        parts: &[Part<'_>],
    ) -> Result<(Value, bool), Stop> {
        session.begin("", self.timeout).await?;
        if !self.mark.begin_in(session).await? {
            let done = self.mark.output_in(session).await?;
            return match done {
                Some(output) => Ok((output, false)),
                None => Err(Stop::Failure(Failure::permanent(
                    "the mark of this step in `oncely_marks` has no output: it was changed by hand. \
                     Nothing was changed",
                ))),
            };
        }
        let mut given = Given::default();
        for part in parts {
            self.execute(session, part, &mut given, false).await?;
        }
        let output = given.output().map_err(Stop::Failure)?;
        self.mark.done_in(session, &output).await?;
        Ok((output, true))
    }

    /// Executes a statement; false when more rows are under way than are kept.
    async fn execute(
        &self,
        session: &mut Session,
        part: &Part<'_>,
        given: &mut Given,
        looks: bool,
    ) -> Result<bool, Stop> {
        given.any();
        let statement = session.prepared(&part.text).await?;
        cell::check(statement.columns())
            .map_err(|words| Stop::Failure(Failure::permanent(words)))?;
        let values = part.names.iter().map(|name| {
            let value = self.bind.get(*name);
            value.map_or(Bound::Null, Bound::from)
        });
        let rows = session.client.query_raw(&statement, values).await?;
        let mut rows = std::pin::pin!(rows);
        let mut read = Read::default();
        while let Some(row) = rows.try_next().await? {
            if !read.truncated {
                read.push(cell::record(&row)?);
            }
            if read.truncated && looks {
                given.read(read);
                return Ok(false);
            }
        }
        if !statement.columns().is_empty() {
            given.read(read);
        }
        if !looks && !begins(&part.text, "select") && !begins(&part.text, "values") {
            given.changed(changed(&part.text, rows.rows_affected()));
        }
        Ok(true)
    }
}

/// What makes or changes tables changes no rows.
fn changed(text: &str, rows: Option<u64>) -> u64 {
    let makes = ["create", "alter", "drop", "truncate"];
    match makes.iter().any(|word| begins(text, word)) {
        true => 0,
        false => rows.unwrap_or(0),
    }
}

fn begins(text: &str, word: &str) -> bool {
    let first = text.trim_start().get(..word.len());
    first.is_some_and(|first| first.eq_ignore_ascii_case(word))
}

/// Whether a statement may be one that only reads; whether it is, the database says.
fn may_look(text: &str) -> bool {
    ["select", "values", "with"]
        .iter()
        .any(|word| begins(text, word))
}

fn said(stop: Stop, place: &str) -> Failure {
    match stop {
        Stop::Failure(failure) => failure,
        Stop::Database(error) => error::failure(place, &error),
    }
}

/// Commits. Where the answer is lost nobody knows; the mark says it to the next attempt.
async fn commit(session: &Session, place: &str) -> Result<(), Failure> {
    let doubt = |words: String| {
        Failure::unknown(format!(
            "{place} did not say whether it committed: {words}. The mark there says it to whoever \
             tries again"
        ))
    };
    match tokio::time::timeout(COMMIT, session.client.batch_execute("commit")).await {
        Err(_) => Err(doubt(format!("no answer within {} s", COMMIT.as_secs()))),
        Ok(Err(error)) if is_lost(&error) => Err(doubt(words(&error))),
        Ok(Err(error)) => Err(error::failure(place, &error)),
        Ok(Ok(())) => Ok(()),
    }
}
