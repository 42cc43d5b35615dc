//! `sql`: executes statements.
//!
//! On the ledger's own database they are executed in the commit of their record. On another
//! database a mark is written in the transaction of the statements, so that a repeat finds the mark
//! and changes nothing.

mod caught;
mod given;
mod mark;
mod postgres;
mod select;
mod sqlite;

pub(crate) use caught::catch;
pub use mark::TABLE as MARKS;

use oncely_core::action::{Action, Call, Done, Failure, Probe, Statement};
use oncely_core::fact::Repeat;
use oncely_core::items::RowSink;
use oncely_core::rows::RowSource;
use oncely_core::sabotage::{self, Switch};
use oncely_core::{Fut, Value};
use oncely_postgres::Address;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A database that tasks may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// The ledger's own.
    Ledger,
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Address),
    /// Where it is cannot be known now, and why: a variable that is not set.
    Unknown(String),
}

/// What the `sql` action needs to know.
#[derive(Debug, Clone, Default)]
pub struct SqlConfig {
    /// Databases by the names that tasks use.
    pub databases: BTreeMap<String, Database>,
    /// For the test that proves that it can fail: writes ranges without looking at the mark.
    pub sabotage_mark: bool,
}

/// The `sql` action.
pub struct Sql {
    databases: BTreeMap<String, Connected>,
    /// Where rows of the ledger's own database are read, where it is a file.
    ledger: Option<PathBuf>,
    sabotage_mark: bool,
}

enum Connected {
    Ledger,
    Sqlite(Arc<sqlite::Pool>),
    Postgres(Arc<postgres::Pool>),
    Unknown(String),
}

#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default = "own")]
    db: String,
    text: String,
    #[serde(default)]
    bind: serde_json::Map<String, Value>,
}

/// The database of a step that names none: the ledger's own.
fn own() -> String {
    "ledger".into()
}

impl Sql {
    /// The action. Databases are opened when they are first needed.
    #[must_use]
    pub fn new(config: SqlConfig) -> Self {
        let connect = |database| match database {
            Database::Ledger => Connected::Ledger,
            Database::Sqlite(path) => Connected::Sqlite(Arc::new(sqlite::Pool::new(path))),
            Database::Postgres(at) => Connected::Postgres(Arc::new(postgres::Pool::new(at))),
            Database::Unknown(why) => Connected::Unknown(why),
        };
        let databases = config.databases.into_iter();
        Self {
            databases: databases.map(|(name, db)| (name, connect(db))).collect(),
            ledger: None,
            sabotage_mark: config.sabotage_mark || sabotage::is_off(Switch::Mark),
        }
    }

    /// The same, where the ledger is this SQLite file: rows of the project's own tables in it can be
    /// items.
    #[must_use]
    pub fn with_ledger(mut self, path: Option<PathBuf>) -> Self {
        self.ledger = path;
        self
    }

    fn database(&self, name: &str) -> Result<&Connected, Failure> {
        self.databases.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.databases.keys().map(String::as_str).collect();
            Failure::permanent(format!(
                "there is no database named {name:?}: add [db.{name}] to oncely.toml; known are {}",
                known.join(", ")
            ))
        })
    }

    async fn perform(&self, call: &Call) -> Result<Done, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        match self.database(&options.db)? {
            Connected::Ledger => Ok(in_commit(options)),
            Connected::Sqlite(pool) => in_file(Arc::clone(pool), options, call).await,
            Connected::Postgres(pool) => {
                let step = postgres::Step {
                    text: options.text,
                    bind: options.bind,
                    mark: mark::Mark::of(call),
                    timeout: call.timeout,
                };
                step.perform(pool).await.map(Done::Output)
            }
            Connected::Unknown(why) => Err(Failure::permanent(why)),
        }
    }

    /// The file of a database that is one.
    fn file(&self, database: &Connected) -> Result<std::path::PathBuf, Failure> {
        let path = match database {
            Connected::Sqlite(pool) => Some(pool.path()),
            Connected::Ledger => self.ledger.as_deref(),
            Connected::Postgres(_) => None,
            Connected::Unknown(why) => return Err(Failure::permanent(why.clone())),
        };
        let path = path.map(std::path::Path::to_owned);
        path.ok_or_else(|| {
            Failure::permanent(
                "the ledger is in PostgreSQL, and is not read by tasks in this way: give its database \
                 a name under [db] in oncely.toml, and name that with `db`",
            )
        })
    }

    async fn holds(&self, call: &Call) -> Result<(), Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let database = self.database(&options.db)?;
        if let Connected::Postgres(pool) = database {
            return postgres::holds(pool, &options.text, &options.bind, call.timeout).await;
        }
        let (path, within) = (self.file(database)?, call.timeout);
        let holds = move || sqlite::holds(&path, &options.text, &options.bind, within);
        let looked = tokio::task::spawn_blocking(holds).await;
        looked.unwrap_or_else(|_| Err(Failure::retry("the select was given up by oncely")))
    }

    fn source(&self, options: &Value, within: Duration) -> Result<Box<dyn RowSource>, Failure> {
        let wanted: select::Wanted = crate::options::read(options)?;
        let database = self.database(&wanted.db)?;
        if let Connected::Postgres(pool) = database {
            let source = postgres::Source::open(Arc::clone(pool), wanted, within)?;
            return Ok(Box::new(source));
        }
        let path = self.file(database)?;
        Ok(Box::new(sqlite::Source::open(&path, wanted, within)?))
    }

    /// The mark says whether it was done.
    async fn look(&self, call: &Call) -> Result<Probe, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let pool = match self.database(&options.db)? {
            // Its outcome would have been in the commit, and there is none.
            Connected::Ledger => return Ok(Probe::DidNotHappen),
            Connected::Sqlite(pool) => Arc::clone(pool),
            Connected::Postgres(_) => {
                let why = "the mark in a PostgreSQL database is found when the step is repeated";
                return Ok(Probe::CannotTell(why.into()));
            }
            Connected::Unknown(why) => return Err(Failure::permanent(why.clone())),
        };
        let mark = mark::Mark::of(call);
        let found = tokio::task::spawn_blocking(move || mark.found(&pool));
        match found.await {
            Ok(found) => found.map(|done| done.map_or(Probe::DidNotHappen, Probe::Happened)),
            Err(_) => Err(Failure::retry("the look-up was given up by oncely")),
        }
    }

    fn sink(&self, call: &Call) -> Option<Result<Box<dyn RowSink>, Failure>> {
        let options = match crate::options::read::<Options>(&call.options) {
            Ok(options) => options,
            Err(failure) => return Some(Err(failure)),
        };
        match self.database(&options.db) {
            Err(failure) => Some(Err(failure)),
            Ok(Connected::Ledger) => None,
            Ok(Connected::Sqlite(pool)) => {
                let columns = options.bind.keys().cloned().collect();
                let mark = mark::Mark::of(call);
                let sink =
                    sqlite::Sink::new(pool, &options.text, columns, mark, self.sabotage_mark);
                Some(sink.map(|sink| Box::new(sink) as Box<dyn RowSink>))
            }
            Ok(Connected::Postgres(pool)) => {
                let columns = options.bind.keys().cloned().collect();
                let sink = postgres::Sink::new(pool, &options.text, columns, mark::Mark::of(call));
                Some(sink.map(|sink| Box::new(sink) as Box<dyn RowSink>))
            }
            Ok(Connected::Unknown(why)) => Some(Err(Failure::permanent(why.clone()))),
        }
    }
}

async fn in_file(pool: Arc<sqlite::Pool>, options: Options, call: &Call) -> Result<Done, Failure> {
    let step = sqlite::Step {
        text: options.text,
        bind: options.bind,
        mark: mark::Mark::of(call),
        timeout: call.timeout,
    };
    let done = tokio::task::spawn_blocking(move || step.perform(&pool));
    match done.await {
        Ok(result) => result.map(Done::Output),
        Err(_) => Err(Failure::retry("the statement was given up by oncely")),
    }
}

fn in_commit(options: Options) -> Done {
    let bind = options.bind.into_iter();
    Done::InCommit {
        statements: vec![Statement {
            text: options.text.into(),
            bind: bind.map(|(name, value)| (name.into(), value)).collect(),
        }],
    }
}

impl Action for Sql {
    /// Its effect shares a commit with its record, or with the mark that a repeat finds.
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::Safe
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(self.perform(call))
    }

    fn probe<'a>(&'a self, call: &'a Call) -> Fut<'a, Probe> {
        Box::pin(async {
            let found = self.look(call).await;
            found.unwrap_or_else(|failure| Probe::CannotTell(failure.error().to_owned()))
        })
    }

    fn rows(&self, call: &Call) -> Option<Result<Box<dyn RowSink>, Failure>> {
        self.sink(call)
    }

    fn look<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<(), Failure>> {
        Box::pin(self.holds(call))
    }

    fn items(
        &self,
        options: &Value,
        page_within: Duration,
    ) -> Option<Result<Box<dyn RowSource>, Failure>> {
        Some(self.source(options, page_within))
    }
}
