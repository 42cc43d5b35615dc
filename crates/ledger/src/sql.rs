//! Statements of tasks on the ledger's own database: what they may touch, and for how long.
//!
//! The authorizer stays installed for the life of a connection, since setting one makes SQLite
//! prepare every statement again; a flag says whether a task's statement is being prepared.

use oncely_core::Value;
use oncely_core::action::Statement;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the statements of one unit may take.
pub(crate) const BUDGET: Duration = Duration::from_secs(5);
/// Every table of the ledger begins with this.
pub(crate) const PREFIX: &str = "oncely_";
/// Instructions of SQLite's machine between two looks at the clock.
const LOOK_EVERY: i32 = 10_000;
/// Keeps the cached statements of tasks apart from the ledger's own.
const MARK: &str = "/* task */ ";

/// Why statements were not executed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A statement is at fault: the words of the database.
    Statement(String),
    /// It took too long.
    TimeUp(String),
    /// The database is at fault.
    Database(rusqlite::Error),
}

/// Watches over the statements of tasks on one connection.
#[derive(Clone)]
pub(crate) struct Warden {
    watch: Arc<Watch>,
    budget: Duration,
}

struct Watch {
    since: Instant,
    inside: AtomicBool,
    /// Microseconds after `since`; 0 means none.
    deadline: AtomicU64,
}

impl Warden {
    /// Installs a warden on a connection.
    pub(crate) fn install(conn: &mut Connection, budget: Duration) -> rusqlite::Result<Self> {
        let watch = Arc::new(Watch {
            since: Instant::now(),
            inside: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
        });
        let (judge, clock) = (watch.clone(), watch.clone());
        conn.authorizer(Some(move |context: AuthContext<'_>| {
            if judge.inside.load(Ordering::Relaxed) && !is_allowed(&context) {
                Authorization::Deny
            } else {
                Authorization::Allow
            }
        }))?;
        conn.progress_handler(LOOK_EVERY, Some(move || clock.is_over()))?;
        Ok(Self { watch, budget })
    }

    /// Executes statements in the transaction that is open.
    pub(crate) fn execute(
        &self,
        conn: &Connection,
        statements: &[Statement],
    ) -> Result<(), Trouble> {
        let _inside = self.watch.enter(self.budget);
        for statement in statements {
            self.execute_one(conn, statement)?;
        }
        Ok(())
    }

    fn execute_one(&self, conn: &Connection, statement: &Statement) -> Result<(), Trouble> {
        let mut text = String::with_capacity(MARK.len() + statement.text.len());
        text.push_str(MARK);
        text.push_str(&statement.text);
        match conn.prepare_cached(&text) {
            Ok(mut prepared) => {
                let used = bind(&mut prepared, &statement.bind)?;
                self.run(&mut prepared)?;
                all_used(&statement.bind, &used)
            }
            // A text of several statements is prepared one by one: a later one may need what an
            // earlier one makes. What is really wrong is found again on the way.
            Err(_) => self.execute_many(conn, statement),
        }
    }

    /// A text of several statements, each with the parameters that it names.
    fn execute_many(&self, conn: &Connection, statement: &Statement) -> Result<(), Trouble> {
        let mut batch = rusqlite::Batch::new(conn, &statement.text);
        let mut used = BTreeSet::new();
        while let Some(mut prepared) = batch.next().map_err(|error| self.trouble(error))? {
            used.extend(bind(&mut prepared, &statement.bind)?);
            self.run(&mut prepared)?;
        }
        all_used(&statement.bind, &used)
    }

    fn run(&self, prepared: &mut rusqlite::Statement<'_>) -> Result<(), Trouble> {
        let mut rows = prepared.raw_query();
        while rows.next().map_err(|error| self.trouble(error))?.is_some() {}
        Ok(())
    }

    fn trouble(&self, error: rusqlite::Error) -> Trouble {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Trouble::TimeUp(format!(
                "the statements took longer than {} s. Nothing was changed.",
                self.budget.as_secs_f32()
            )),
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly,
            ) => Trouble::Database(error),
            _ => Trouble::Statement(words(&error)),
        }
    }
}

/// The database's own words, without the text of the statement.
pub(crate) fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::MultipleStatement => "more than one statement in one text".into(),
        other => other.to_string(),
    }
}

impl Watch {
    fn enter(&self, budget: Duration) -> Inside<'_> {
        let deadline = (self.since.elapsed() + budget).as_micros();
        let deadline = u64::try_from(deadline).unwrap_or(u64::MAX).max(1);
        self.deadline.store(deadline, Ordering::Relaxed);
        self.inside.store(true, Ordering::Relaxed);
        Inside(self)
    }

    fn is_over(&self) -> bool {
        let deadline = self.deadline.load(Ordering::Relaxed);
        deadline != 0 && self.since.elapsed().as_micros() > u128::from(deadline)
    }
}

/// A task's statements are being executed as long as this lives.
struct Inside<'a>(&'a Watch);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.store(false, Ordering::Relaxed);
        self.0.deadline.store(0, Ordering::Relaxed);
    }
}

/// Whether a task may do this: nothing that leaves the transaction or the database, and nothing
/// with the ledger's own tables.
fn is_allowed(context: &AuthContext<'_>) -> bool {
    use AuthAction as A;
    let own = |name: &str| {
        name.get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    };
    match context.action {
        A::Transaction { .. }
        | A::Savepoint { .. }
        | A::Attach { .. }
        | A::Detach { .. }
        | A::Pragma { .. }
        | A::Unknown { .. }
        | A::CreateTempIndex { .. }
        | A::CreateTempTable { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. } => false,
        A::CreateTable { table_name: a }
        | A::Delete { table_name: a }
        | A::DropTable { table_name: a }
        | A::DropTempTable { table_name: a }
        | A::Insert { table_name: a }
        | A::Read { table_name: a, .. }
        | A::Update { table_name: a, .. }
        | A::AlterTable { table_name: a, .. }
        | A::Reindex { index_name: a }
        | A::Analyze { table_name: a }
        | A::CreateVtable { table_name: a, .. }
        | A::DropVtable { table_name: a, .. }
        | A::CreateView { view_name: a }
        | A::DropView { view_name: a }
        | A::DropTempView { view_name: a } => !own(a),
        A::CreateIndex {
            index_name: a,
            table_name: b,
        }
        | A::DropIndex {
            index_name: a,
            table_name: b,
        }
        | A::DropTempIndex {
            index_name: a,
            table_name: b,
        }
        | A::CreateTrigger {
            trigger_name: a,
            table_name: b,
        }
        | A::DropTrigger {
            trigger_name: a,
            table_name: b,
        }
        | A::DropTempTrigger {
            trigger_name: a,
            table_name: b,
        } => !own(a) && !own(b),
        A::Select | A::Function { .. } | A::Recursive => true,
        _ => false,
    }
}

/// Binds every parameter by its name, and says which were used; each must be given.
fn bind(
    prepared: &mut rusqlite::Statement<'_>,
    given: &[(Arc<str>, Value)],
) -> Result<BTreeSet<usize>, Trouble> {
    let mut used = BTreeSet::new();
    for place in 1..=prepared.parameter_count() {
        let name = prepared.parameter_name(place).map(|name| name.get(1..));
        let Some(Some(name)) = name else {
            return Err(Trouble::Statement(format!(
                "parameter {place} has no name; write it as :name"
            )));
        };
        let found = given
            .iter()
            .enumerate()
            .find(|(_, (known, _))| **known == *name);
        let Some((number, (_, value))) = found else {
            return Err(Trouble::Statement(format!(
                "parameter :{name} is not given in bind"
            )));
        };
        used.insert(number);
        prepared
            .raw_bind_parameter(place, Bound(value))
            .map_err(|error| Trouble::Statement(words(&error)))?;
    }
    Ok(used)
}

/// What is given and not used is a mistake.
fn all_used(given: &[(Arc<str>, Value)], used: &BTreeSet<usize>) -> Result<(), Trouble> {
    let unused = given
        .iter()
        .enumerate()
        .find(|(number, _)| !used.contains(number));
    unused.map_or(Ok(()), |(_, (name, _))| {
        Err(Trouble::Statement(format!(
            "bind gives {name}, which the statement does not use"
        )))
    })
}

/// A JSON value as SQLite sees it: lists and objects as their text.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Owned(SqlValue::Integer(i64::from(*value))),
            Value::Number(number) => ToSqlOutput::Owned(match number.as_i64() {
                Some(value) => SqlValue::Integer(value),
                None => number.as_f64().map_or(SqlValue::Null, SqlValue::Real),
            }),
            Value::String(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            other => ToSqlOutput::Owned(SqlValue::Text(other.to_string())),
        })
    }
}

/// A database in memory for the statements of tasks: what the memory ledger has for them.
pub(crate) struct TaskSql {
    conn: Connection,
    warden: Warden,
}

impl TaskSql {
    /// An empty one, with the ledger's tables, so that they are refused in the same words.
    pub(crate) fn in_memory() -> rusqlite::Result<Self> {
        let mut conn = Connection::open_in_memory()?;
        conn.execute_batch(crate::sqlite::TABLES)?;
        let warden = Warden::install(&mut conn, BUDGET)?;
        Ok(Self { conn, warden })
    }

    /// Executes all statements, or none.
    pub(crate) fn transaction<'a>(
        &mut self,
        statements: impl Iterator<Item = &'a [Statement]>,
    ) -> Result<(), Trouble> {
        let mut statements = statements.peekable();
        if statements.peek().is_none() {
            return Ok(());
        }
        self.conn
            .execute_batch("BEGIN")
            .map_err(Trouble::Database)?;
        let done = statements.try_for_each(|group| self.warden.execute(&self.conn, group));
        let done = done.and_then(|()| match self.conn.execute_batch("COMMIT") {
            Ok(()) => Ok(()),
            Err(error) => Err(self.warden.trouble(error)),
        });
        if done.is_err() && !self.conn.is_autocommit() {
            self.conn
                .execute_batch("ROLLBACK")
                .map_err(Trouble::Database)?;
        }
        done
    }
}
