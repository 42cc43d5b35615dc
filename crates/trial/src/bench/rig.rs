//! An engine in this process, wired as the binary wires it.

use crate::crash::Trouble;
use oncely_actions::{Database, Sql, SqlConfig};
use oncely_core::action::Action;
use oncely_core::ledger::Ledger;
use oncely_core::task::{ActionKind, Bundle};
use oncely_engine::{Actions, Engine, EngineConfig, Known, Tasks};
use oncely_ledger::{Options, PostgresLedger, PostgresOptions, SqliteLedger, SystemClock};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What this process is for the ledger.
const ROLE: &str = "oncely-trial bench";

struct OnlySql(Arc<dyn Action>);

impl Actions for OnlySql {
    fn get(&self, kind: ActionKind) -> Option<Arc<dyn Action>> {
        (kind == ActionKind::Sql).then(|| Arc::clone(&self.0))
    }
}

/// A project in a folder, its engine and its ledger.
pub(crate) struct Rig {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ledger: Arc<dyn Ledger>,
}

impl Rig {
    /// Opens a ledger in the folder and makes an engine that knows one task.
    pub(crate) fn new(root: &Path, task: &str, text: &str) -> Result<Self, Trouble> {
        let options = Options {
            create: true,
            ..Options::new(ROLE)
        };
        let ledger = SqliteLedger::open(&root.join("ledger.db"), options)?;
        Self::over(Arc::new(ledger), root, task, text)
    }

    /// The same over a ledger in PostgreSQL.
    pub(crate) fn postgres(
        url: &str,
        root: &Path,
        task: &str,
        text: &str,
    ) -> Result<Self, Trouble> {
        let options = PostgresOptions {
            create: true,
            ..PostgresOptions::new(ROLE)
        };
        Self::over(
            Arc::new(PostgresLedger::open(url, options)?),
            root,
            task,
            text,
        )
    }

    /// The same over a ledger in PostgreSQL, with other actions.
    pub(crate) fn acting(
        url: &str,
        root: &Path,
        (task, text): (&str, &str),
        actions: Arc<dyn Actions>,
    ) -> Result<Self, Trouble> {
        let options = PostgresOptions {
            create: true,
            ..PostgresOptions::new(ROLE)
        };
        let ledger = Arc::new(PostgresLedger::open(url, options)?);
        Self::with(ledger, root, (task, text), actions)
    }

    fn over(ledger: Arc<dyn Ledger>, root: &Path, task: &str, text: &str) -> Result<Self, Trouble> {
        let databases = BTreeMap::from([
            ("ledger".to_owned(), Database::Ledger),
            (
                "results".to_owned(),
                Database::Sqlite(root.join("results.db")),
            ),
        ]);
        let sql = Sql::new(SqlConfig {
            databases,
            sabotage_mark: false,
        });
        let actions = Arc::new(OnlySql(Arc::new(sql)));
        Self::with(ledger, root, (task, text), actions)
    }

    fn with(
        ledger: Arc<dyn Ledger>,
        root: &Path,
        (task, text): (&str, &str),
        actions: Arc<dyn Actions>,
    ) -> Result<Self, Trouble> {
        let bundle = Bundle {
            path: format!("tasks/{task}.toml"),
            text: text.to_owned(),
            executable: false,
            files: BTreeMap::new(),
        };
        let known = Known::read(bundle).map_err(Trouble)?;
        let engine = Engine::new(
            Arc::clone(&ledger),
            actions,
            Arc::new(Tasks::new([known])),
            Arc::new(SystemClock),
            EngineConfig::new("bench".into(), root.to_owned()),
        );
        Ok(Self { engine, ledger })
    }

    /// Commits of the ledger so far that changed something.
    pub(crate) async fn commits(&self) -> u64 {
        // The count is never so large, so that this answers at once.
        self.ledger
            .watch(oncely_core::ledger::Change(u64::MAX))
            .await
            .0
    }
}

/// A runtime as the binary has it.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 8))
        .enable_all()
        .build()?)
}

/// A temporary folder on the disk that is measured: where the working folder is.
pub(crate) fn folder() -> Result<tempfile::TempDir, Trouble> {
    let here = std::env::current_dir()?;
    Ok(tempfile::Builder::new()
        .prefix("oncely-bench-")
        .tempdir_in(here)?)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
