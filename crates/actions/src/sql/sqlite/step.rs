//! A plain `sql` step: its statements and its mark in one transaction.

use super::bind::{self, Names};
use super::database::{BUSY, LOOK_EVERY, Pool, Session};
use super::error;
use super::{mark, read};
use crate::sql::given::Given;
use crate::sql::mark::Mark;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::points::{self, Point};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection, TransactionBehavior};
use serde_json::Map;
use std::time::{Duration, Instant};

/// A step that is ready to be done.
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) bind: Map<String, Value>,
    pub(crate) mark: Mark,
    pub(crate) timeout: Duration,
}

impl Step {
    /// Does it, unless its mark says that it is done.
    pub(crate) fn perform(&self, pool: &Pool) -> Result<Value, Failure> {
        let mut session = pool.take()?;
        let until = Instant::now() + self.timeout;
        let late = move || Instant::now() > until;
        session
            .connection
            .busy_timeout(BUSY.min(self.timeout))
            .and_then(|()| session.connection.progress_handler(LOOK_EVERY, Some(late)))
            .map_err(|error| error::failure(&error))?;
        let result = match self.reads_only(&session) {
            true => self.look(&mut session),
            false => self.write(&mut session),
        };
        let calm = session.connection.progress_handler(0, None::<fn() -> bool>);
        if calm.is_ok() {
            pool.give_back(session);
        }
        result
    }

    /// One statement that reads: it needs no mark, and no right to write.
    fn reads_only(&self, session: &Session) -> bool {
        let _up = session.guard.up();
        let mut batch = Batch::new(&session.connection, &self.text);
        let first = matches!(batch.next(), Ok(Some(statement)) if statement.readonly());
        first && matches!(batch.next(), Ok(None))
    }

    fn look(&self, session: &mut Session) -> Result<Value, Failure> {
        self.execute(session, &session.connection)
    }

    fn write(&self, session: &mut Session) -> Result<Value, Failure> {
        let failed = |error| error::failure(&error);
        let transaction = rusqlite::Transaction::new_unchecked(
            &session.connection,
            TransactionBehavior::Immediate,
        )
        .map_err(failed)?;
        mark::create(&transaction).map_err(failed)?;
        if let Some(output) = self.mark.output(&transaction).map_err(failed)? {
            return Ok(output);
        }
        let output = self.execute(session, &transaction)?;
        if transaction.is_autocommit() {
            return Err(Failure::permanent(
                "the statement left its transaction, and what it did was rolled back",
            ));
        }
        self.mark.done(&transaction, &output).map_err(failed)?;
        points::pass(Point::SqlApplied);
        transaction.commit().map_err(failed)?;
        points::pass(Point::SqlCommitted);
        Ok(output)
    }

    fn execute(&self, session: &Session, connection: &Connection) -> Result<Value, Failure> {
        let _up = session.guard.up();
        let failed = |error| error::failure(&error);
        let mut batch = Batch::new(connection, &self.text);
        let (mut names, mut given) = (Names::default(), Given::default());
        while let Some(mut statement) = batch.next().map_err(failed)? {
            let parameters = names.of(&statement)?;
            missing(&parameters, &self.bind)?;
            bind::bind(&mut statement, &parameters, &self.bind)?;
            given.any();
            take(&mut given, connection, &mut statement).map_err(failed)?;
        }
        names.check(self.bind.keys())?;
        given.output()
    }
}

fn missing(parameters: &[(String, usize)], bind: &Map<String, Value>) -> Result<(), Failure> {
    match parameters.iter().find(|(name, _)| !bind.contains_key(name)) {
        Some((name, _)) => Err(Failure::permanent(format!(
            "the statement asks for :{name}, which `bind` does not give; nothing was changed"
        ))),
        None => Ok(()),
    }
}

/// Executes a statement whose values are bound.
fn take(
    given: &mut Given,
    connection: &Connection,
    statement: &mut rusqlite::Statement<'_>,
) -> rusqlite::Result<()> {
    let before = connection.total_changes();
    if statement.column_count() > 0 {
        given.read(read::read(statement)?);
    } else {
        statement.raw_execute()?;
    }
    if !statement.readonly() {
        // `changes` still holds the last count after a statement that changes no rows.
        given.changed(match connection.total_changes() == before {
            true => 0,
            false => connection.changes(),
        });
    }
    Ok(())
}
