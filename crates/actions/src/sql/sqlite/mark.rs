//! Marks in an SQLite file.

use super::database::Pool;
use super::error;
use crate::sql::mark::{Mark, cursor, int, set_aside};
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::items::{Marked, Progress, Range};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

const CREATE: &str = "create table if not exists main.oncely_marks (
    key text primary key,
    ledger text not null,
    run integer not null,
    step text not null,
    fence integer not null,
    output text,
    next integer not null default 0,
    offset integer not null default 0,
    line integer not null default 0,
    done integer not null default 0,
    set_aside integer not null default 0,
    unseen integer not null default 0,
    last_set_aside text not null default '[]',
    cursor text
) strict, without rowid";

const OUTPUT: &str = "select output from main.oncely_marks where key = :key and output is not null";

const DONE: &str = "insert into main.oncely_marks (key, ledger, run, step, fence, output)
    values (:key, :ledger, :run, :step, :fence, :output)";

const BEGUN: &str = "insert into main.oncely_marks (key, ledger, run, step, fence)
    values (:key, :ledger, :run, :step, :fence) on conflict do nothing";

const READ: &str = "select next, offset, line, done, set_aside, unseen, last_set_aside, cursor
    from main.oncely_marks where key = :key";

// A mark of another ledger is taken over: its fences say nothing about ours.
const TAKE: &str = "update main.oncely_marks
    set ledger = :ledger, run = :run, step = :step, fence = :fence
    where key = :key and (ledger <> :ledger or fence <= :fence)";

const MOVE: &str = "update main.oncely_marks
    set ledger = :ledger, fence = :fence, next = :next, offset = :offset, line = :line,
        done = :done, set_aside = :set_aside, unseen = :unseen, last_set_aside = :last_set_aside,
        cursor = :cursor
    where key = :key and next = :from and (ledger <> :ledger or fence <= :fence)";

// Only for the test that proves that it can fail.
const MOVE_UNGUARDED: &str = "update main.oncely_marks
    set ledger = :ledger, fence = :fence, next = :next, offset = :offset, line = :line,
        done = :done, set_aside = :set_aside, unseen = :unseen, last_set_aside = :last_set_aside,
        cursor = :cursor
    where key = :key and :from = :from";

const HAS_CURSOR: &str =
    "select count(*) from pragma_table_info('oncely_marks', 'main') where name = 'cursor'";

const HAS_MARKS: &str = "select count(*) from main.sqlite_schema where name = 'oncely_marks'";

impl Mark {
    /// The output of the step, if it was done.
    pub(crate) fn output(&self, connection: &Connection) -> rusqlite::Result<Option<Value>> {
        let mut statement = connection.prepare_cached(OUTPUT)?;
        statement
            .query_row(named_params! { ":key": self.key.0 }, |row| json(row, 0))
            .optional()
    }

    /// The output of the step, if this database holds its mark.
    pub(crate) fn found(&self, pool: &Pool) -> Result<Option<Value>, Failure> {
        let session = pool.take()?;
        let connection = &session.connection;
        let marks = connection.query_row(HAS_MARKS, [], |row| row.get::<_, i64>(0));
        let found = match marks {
            Ok(0) => Ok(None),
            Ok(_) => self.output(connection),
            Err(error) => Err(error),
        };
        let found = found.map_err(|error| error::failure(&error))?;
        pool.give_back(session);
        Ok(found)
    }

    /// Marks the step as done.
    pub(crate) fn done(&self, connection: &Connection, output: &Value) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(DONE)?;
        statement.execute(named_params! {
            ":key": self.key.0, ":ledger": self.ledger, ":run": self.run, ":step": self.step,
            ":fence": self.fence.0, ":output": output.to_string(),
        })?;
        Ok(())
    }

    /// Reads how far the rows have come, and takes the mark over. None: a later claim has it.
    pub(crate) fn open(&self, connection: &Connection) -> rusqlite::Result<Option<Marked>> {
        for text in [BEGUN, TAKE] {
            let changed = connection.prepare_cached(text)?.execute(named_params! {
                ":key": self.key.0, ":ledger": self.ledger, ":run": self.run, ":step": self.step,
                ":fence": self.fence.0,
            })?;
            if text == TAKE && changed != 1 {
                return Ok(None);
            }
        }
        let mut statement = connection.prepare_cached(READ)?;
        statement
            .query_row(named_params! { ":key": self.key.0 }, marked)
            .optional()
    }

    /// Moves the mark over a range. False: another claim has it.
    pub(crate) fn advance(
        &self,
        connection: &Connection,
        range: &Range<'_>,
        unguarded: bool,
    ) -> rusqlite::Result<bool> {
        let text = if unguarded { MOVE_UNGUARDED } else { MOVE };
        let to = range.to;
        let changed = connection.prepare_cached(text)?.execute(named_params! {
            ":key": self.key.0, ":ledger": self.ledger, ":fence": range.fence.0,
            ":from": int(range.from.next), ":next": int(to.next), ":offset": int(to.offset),
            ":line": int(to.line), ":done": int(to.done), ":set_aside": int(to.set_aside),
            ":unseen": int(to.unseen), ":last_set_aside": set_aside(range.set_aside),
            ":cursor": cursor(range.key),
        })?;
        Ok(changed == 1)
    }
}

/// Makes the table where it is missing.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached(CREATE)?.execute([])?;
    Ok(())
}

/// Gives a table that an earlier version made the column of keys, for streams.
pub(crate) fn with_cursor(connection: &Connection) -> rusqlite::Result<()> {
    let known: i64 = connection
        .prepare_cached(HAS_CURSOR)?
        .query_row([], |row| row.get(0))?;
    if known == 0 {
        connection.execute("alter table main.oncely_marks add column cursor text", [])?;
    }
    Ok(())
}

fn marked(row: &Row<'_>) -> rusqlite::Result<Marked> {
    let count = |place| Ok::<_, rusqlite::Error>(row.get::<_, i64>(place)?.unsigned_abs());
    Ok(Marked {
        progress: Progress {
            next: count(0)?,
            offset: count(1)?,
            line: count(2)?,
            done: count(3)?,
            set_aside: count(4)?,
            unseen: count(5)?,
        },
        last_set_aside: json(row, 6)?,
        key: match row.get_ref(7)? {
            ValueRef::Null => None,
            _ => Some(json(row, 7)?),
        },
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, place: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(place)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            place,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
