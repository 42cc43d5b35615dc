//! Marks in a PostgreSQL database.

use super::database::Session;
use super::error;
use crate::sql::mark::{Mark, cursor, int, set_aside};
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::items::{Marked, Progress, Range};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

/// A value for a parameter.
type Param<'a> = &'a (dyn ToSql + Sync);

const CREATE: &str = "create table if not exists oncely_marks (
    key text primary key,
    ledger text not null,
    run bigint not null,
    step text not null,
    fence bigint not null,
    output text,
    next bigint not null default 0,
    byte bigint not null default 0,
    line bigint not null default 0,
    done bigint not null default 0,
    set_aside bigint not null default 0,
    unseen bigint not null default 0,
    last_set_aside text not null default '[]',
    cursor text
)";

const THERE: &str = "select to_regclass('oncely_marks') is not null";

const BEGUN: &str = "insert into oncely_marks (key, ledger, run, step, fence)
    values ($1, $2, $3, $4, $5) on conflict (key) do nothing";

const OUTPUT: &str = "select output from oncely_marks where key = $1";

const DONE: &str = "update oncely_marks set output = $2 where key = $1";

const READ: &str = "select next, byte, line, done, set_aside, unseen, last_set_aside, cursor
    from oncely_marks where key = $1";

// A mark of another ledger is taken over: its fences say nothing about ours.
const TAKE: &str = "update oncely_marks set ledger = $2, run = $3, step = $4, fence = $5
    where key = $1 and (ledger <> $2 or fence <= $5)";

const MOVE: &str = "update oncely_marks
    set ledger = $2, fence = $3, next = $5, byte = $6, line = $7, done = $8, set_aside = $9,
        unseen = $10, last_set_aside = $11, cursor = $12
    where key = $1 and next = $4 and (ledger <> $2 or fence <= $3)";

/// Makes the table where it is missing. Others may do so at the same moment.
pub(crate) async fn create(session: &Session, place: &str) -> Result<(), Failure> {
    let failed = |error: &Error| error::failure(place, error);
    let there = session.client.query_one(THERE, &[]).await;
    if there.map_err(|error| failed(&error))?.get(0) {
        return Ok(());
    }
    match session.client.batch_execute(CREATE).await {
        Ok(()) => Ok(()),
        Err(error) if made_by_another(&error) => Ok(()),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(Failure::permanent(format!(
                "oncely keeps what it has done in {place} in a table `oncely_marks` there, and may \
                 not make it: {}; nothing was changed. Let its user create tables, or make the \
                 table for it as docs/configuration.md says",
                oncely_postgres::words(&error)
            )))
        }
        Err(error) => Err(failed(&error)),
    }
}

fn made_by_another(error: &Error) -> bool {
    let known = [
        &SqlState::UNIQUE_VIOLATION,
        &SqlState::DUPLICATE_TABLE,
        &SqlState::DUPLICATE_OBJECT,
    ];
    error.code().is_some_and(|code| known.contains(&code))
}

impl Mark {
    /// Begins a step: whoever begins it too waits for the end of this transaction. False: it was
    /// begun before.
    pub(crate) async fn begin_in(&self, session: &mut Session) -> Result<bool, Error> {
        let begun = session.prepared(BEGUN).await?;
        let (key, fence) = (&self.key.0, self.fence.0);
        let values: [Param<'_>; 5] = [key, &self.ledger, &self.run, &self.step, &fence];
        Ok(session.client.execute(&begun, &values).await? == 1)
    }

    /// The output of the step, if it was done.
    pub(crate) async fn output_in(&self, session: &mut Session) -> Result<Option<Value>, Error> {
        let output = session.prepared(OUTPUT).await?;
        let row = session.client.query_opt(&output, &[&self.key.0]).await?;
        let text: Option<String> = row.and_then(|row| row.get(0));
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Marks the step as done.
    pub(crate) async fn done_in(&self, session: &mut Session, output: &Value) -> Result<(), Error> {
        let done = session.prepared(DONE).await?;
        let output = output.to_string();
        let values: [Param<'_>; 2] = [&self.key.0, &output];
        session.client.execute(&done, &values).await.map(drop)
    }

    /// Reads how far the rows have come, and takes the mark over. None: a later claim has it.
    pub(crate) async fn open_in(&self, session: &mut Session) -> Result<Option<Marked>, Error> {
        self.begin_in(session).await?;
        let take = session.prepared(TAKE).await?;
        let (key, fence) = (&self.key.0, self.fence.0);
        let values: [Param<'_>; 5] = [key, &self.ledger, &self.run, &self.step, &fence];
        if session.client.execute(&take, &values).await? != 1 {
            return Ok(None);
        }
        let read = session.prepared(READ).await?;
        let row = session.client.query_opt(&read, &[key]).await?;
        Ok(row.map(|row| marked(&row)))
    }

    /// Moves the mark over a range. False: another claim has it.
    pub(crate) async fn advance_in(
        &self,
        session: &mut Session,
        range: &Range<'_>,
    ) -> Result<bool, Error> {
        let moved = session.prepared(MOVE).await?;
        let (from, to) = (range.from, range.to);
        let aside = set_aside(range.set_aside);
        let counts = [
            from.next,
            to.next,
            to.offset,
            to.line,
            to.done,
            to.set_aside,
            to.unseen,
        ]
        .map(int);
        let mut values: Vec<Param<'_>> = vec![&self.key.0, &self.ledger, &range.fence.0];
        values.extend(counts.iter().map(|n| n as Param<'_>));
        let cursor = cursor(range.key);
        values.extend([&aside as Param<'_>, &cursor]);
        Ok(session.client.execute(&moved, &values).await? == 1)
    }
}

fn marked(row: &Row) -> Marked {
    let count = |column: usize| row.get::<_, i64>(column).unsigned_abs();
    let aside: &str = row.get(6);
    let key: Option<&str> = row.get(7);
    Marked {
        progress: Progress {
            next: count(0),
            offset: count(1),
            line: count(2),
            done: count(3),
            set_aside: count(4),
            unseen: count(5),
        },
        last_set_aside: serde_json::from_str(aside).unwrap_or_default(),
        key: key.and_then(|key| serde_json::from_str(key).ok()),
    }
}
