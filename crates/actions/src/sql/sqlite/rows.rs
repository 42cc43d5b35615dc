//! The rows of a `do` block: whole ranges in one transaction with their mark.

use super::bind::Names;
use super::database::{Pool, Session};
use super::error;
use super::mark;
use crate::sql::mark::Mark;
use oncely_core::action::Failure;
use oncely_core::ids::Fence;
use oncely_core::items::{Cell, Marked, Range, RowError, RowSink, Rows};
use oncely_core::points::{self, Point};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Batch, Connection, Statement, Transaction, TransactionBehavior};

/// Writes the rows of one step.
pub(crate) struct Sink {
    session: Session,
    text: String,
    /// For each statement of the text, the places of its parameters by column.
    places: Vec<Places>,
    columns: Vec<String>,
    mark: Mark,
    unguarded: bool,
    commits: u64,
}

/// Where each column goes in a statement, if it goes there.
type Places = Vec<Option<usize>>;

impl Sink {
    pub(crate) fn new(
        pool: &Pool,
        text: &str,
        columns: Vec<String>,
        mark: Mark,
        unguarded: bool,
    ) -> Result<Self, Failure> {
        let session = pool.open()?;
        let places = places(&session, text, &columns)?;
        Ok(Self {
            session,
            text: text.to_owned(),
            places,
            columns,
            mark,
            unguarded,
            commits: 0,
        })
    }

    fn begin(&self) -> Result<Transaction<'_>, Failure> {
        Transaction::new_unchecked(&self.session.connection, TransactionBehavior::Immediate)
            .map_err(|error| error::failure(&error))
    }

    fn write(&self, range: &Range<'_>) -> Result<(), RowError> {
        points::pass(Point::RowsBefore);
        let transaction = self.begin().map_err(RowError::Failed)?;
        let ours = self.mark.advance(&transaction, range, self.unguarded);
        if !ours.map_err(failed)? {
            return Err(RowError::Lost);
        }
        if !self.insert(&transaction, range.rows)? {
            transaction.rollback().map_err(failed)?;
            return Err(self.refused(range.rows)?);
        }
        if transaction.is_autocommit() {
            return Err(RowError::Failed(Failure::permanent(
                "a statement left its transaction, and what it did was rolled back",
            )));
        }
        points::pass(Point::RowsApplied);
        transaction.commit().map_err(failed)?;
        points::pass(Point::RowsCommitted);
        Ok(())
    }

    /// Inserts all rows; false when one of them is refused.
    fn insert(&self, connection: &Connection, rows: &Rows) -> Result<bool, RowError> {
        let _up = self.session.guard.up();
        let mut statements = self.prepare(connection)?;
        for cells in rows.iter() {
            if let Err(error) = insert(&mut statements, cells) {
                return match error::refuses_row(&error) {
                    true => Ok(false),
                    false => Err(failed(error)),
                };
            }
        }
        Ok(true)
    }

    fn prepare<'c>(&'c self, connection: &'c Connection) -> Result<Vec<Ready<'c>>, RowError> {
        let mut batch = Batch::new(connection, &self.text);
        let mut statements = Vec::new();
        for places in &self.places {
            if let Some(statement) = batch.next().map_err(failed)? {
                statements.push((statement, places.as_slice()));
            }
        }
        Ok(statements)
    }

    /// Tries the rows one by one in a transaction that is rolled back, each in a savepoint of its
    /// own, so that a refused row leaves nothing which would make the database refuse another.
    fn refused(&self, rows: &Rows) -> Result<RowError, RowError> {
        let transaction = self.begin().map_err(RowError::Failed)?;
        let mut statements = {
            let _up = self.session.guard.up();
            self.prepare(&transaction)?
        };
        let mut refused = Vec::new();
        for (row, cells) in rows.iter().enumerate() {
            tried(&transaction, "savepoint item")?;
            let inserted = {
                let _up = self.session.guard.up();
                insert(&mut statements, cells)
            };
            if let Err(error) = inserted {
                if !error::refuses_row(&error) || transaction.is_autocommit() {
                    return Err(failed(error));
                }
                refused.push((row, error::words(&error)));
                tried(&transaction, "rollback to item")?;
            }
            tried(&transaction, "release item")?;
        }
        drop(statements);
        transaction.rollback().map_err(failed)?;
        Ok(RowError::Rows(refused))
    }
}

fn tried(transaction: &Transaction<'_>, text: &str) -> Result<(), RowError> {
    let mut statement = transaction.prepare_cached(text).map_err(failed)?;
    statement.execute([]).map(drop).map_err(failed)
}

type Ready<'a> = (Statement<'a>, &'a [Option<usize>]);

fn insert<'a>(
    statements: &mut [Ready<'_>],
    cells: impl Iterator<Item = Cell<'a>>,
) -> rusqlite::Result<()> {
    for (column, cell) in cells.enumerate() {
        for (statement, places) in &mut *statements {
            if let Some(Some(place)) = places.get(column) {
                statement.raw_bind_parameter(*place, Bound(cell))?;
            }
        }
    }
    for (statement, _) in statements {
        statement.raw_execute()?;
    }
    Ok(())
}

fn failed(error: rusqlite::Error) -> RowError {
    RowError::Failed(error::failure(&error))
}

fn places(session: &Session, text: &str, columns: &[String]) -> Result<Vec<Places>, Failure> {
    let _up = session.guard.up();
    let (mut names, mut places) = (Names::default(), Vec::new());
    let mut batch = Batch::new(&session.connection, text);
    while let Some(statement) = batch.next().map_err(|error| error::failure(&error))? {
        if statement.column_count() > 0 {
            return Err(Failure::permanent(
                "a statement for the items of a `for_each` gives rows, which nobody would read: \
                 leave out `returning`, or select in a step of its own",
            ));
        }
        let parameters = names.of(&statement)?;
        let place = |column: &String| {
            let found = parameters.iter().find(|(name, _)| name == column);
            found.map(|(_, place)| *place)
        };
        places.push(columns.iter().map(place).collect());
    }
    names.check(columns.iter())?;
    match places.is_empty() {
        true => Err(Failure::permanent("the text holds no statement")),
        false => Ok(places),
    }
}

impl RowSink for Sink {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn open(&mut self, fence: Fence) -> Result<Marked, Failure> {
        self.mark.claimed(fence);
        let failed = |error| error::failure(&error);
        let transaction = self.begin()?;
        mark::create(&transaction).map_err(failed)?;
        mark::with_cursor(&transaction).map_err(failed)?;
        let marked = self.mark.open(&transaction).map_err(failed)?;
        let marked = marked.ok_or_else(|| {
            Failure::retry("a later claim writes these rows: this one has lost the run")
        })?;
        transaction.commit().map_err(failed)?;
        self.commits += 1;
        points::pass(Point::RowsOpened);
        Ok(marked)
    }

    fn commit(&mut self, range: &Range<'_>) -> Result<(), RowError> {
        self.write(range)?;
        self.commits += 1;
        Ok(())
    }

    fn commits(&self) -> u64 {
        self.commits
    }
}

/// A cell, borrowed from the record that it came in.
struct Bound<'a>(Cell<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Int(integer) => ValueRef::Integer(integer),
            Cell::Real(real) => ValueRef::Real(real),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
