//! Puts the rooms together: opens the ledger, makes an engine, runs a command's asynchronous part.

use crate::adopt;
use crate::config::{Config, Flags};
use crate::failure::Failure;
use crate::project;
use crate::registry::Registry;
use crate::store::Store;
use oncely_core::ids::TaskId;
use oncely_core::ledger::Ledger;
use oncely_core::time::Clock;
use oncely_engine::{Actions, Engine, EngineConfig, Intake, Known, Stop, Tasks};
use oncely_ledger::SystemClock;
use oncely_sources::webhook::Doors;
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, OnceLock};

/// A project with its ledger open.
pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) clock: Arc<SystemClock>,
    ledger: Arc<dyn Ledger>,
    store: Store,
    labels: OnceLock<BTreeMap<TaskId, String>>,
    /// Where requests to tasks come in.
    pub(crate) doors: Arc<Doors>,
    runtime: tokio::runtime::Runtime,
}

impl House {
    /// Opens the project that the flags and the current folder name.
    pub(crate) fn open(flags: &Flags, role: &str, create: bool) -> Result<Self, Failure> {
        tell_of_trouble();
        let config = Config::load(flags)?;
        if create {
            make_private(&config)?;
        }
        let store = Store::open(&config, role, create)?;
        Self::of(config, store)
    }

    /// A project whose ledger is in memory, and gone with the process.
    pub(crate) fn in_memory(config: Config, role: &str) -> Result<Self, Failure> {
        tell_of_trouble();
        make_private(&config)?;
        let store = Store::in_memory(role)?;
        Self::of(config, store)
    }

    fn of(config: Config, store: Store) -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock);
        let ledger = store.ledger();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers())
            .enable_all()
            .build()
            .map_err(|e| Failure::failed(format!("the runtime cannot start: {e}")))?;
        Ok(Self {
            config,
            clock,
            ledger,
            store,
            labels: OnceLock::new(),
            doors: Arc::default(),
            runtime,
        })
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    /// The ledger, for those who keep it.
    pub(crate) fn shared_ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger)
    }

    /// The clock, for those who keep it.
    pub(crate) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// How people know a task: the name of its file, else its id.
    pub(crate) fn label(&self, task: &TaskId) -> String {
        let files = self.labels.get_or_init(|| project::labels(&self.config));
        files.get(task).cloned().unwrap_or_else(|| task.to_string())
    }

    /// The id of the task that people call so: by its file's name, with or without the version.
    pub(crate) fn task_named(&self, name: &str) -> TaskId {
        let files = self.labels.get_or_init(|| project::labels(&self.config));
        let same = |label: &str| {
            let rest = label.trim_start_matches(|c: char| c.is_ascii_digit());
            label == name || rest.strip_prefix('_') == Some(name)
        };
        let found = files.iter().rev().find(|(_, label)| same(label));
        found.map_or_else(|| TaskId::from(name), |(id, _)| id.clone())
    }

    /// The ledger as a whole.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Runs a command's asynchronous part.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// An engine that knows these tasks.
    pub(crate) fn engine(&self, tasks: Vec<Known>) -> Result<Arc<Engine>, Failure> {
        let actions = Arc::new(Registry::new(&self.config)?);
        Ok(self.engine_with(tasks, actions))
    }

    /// An engine that knows these tasks and does them with these actions.
    pub(crate) fn engine_with(&self, tasks: Vec<Known>, actions: Arc<dyn Actions>) -> Arc<Engine> {
        let environment = self.config.environment.value.clone();
        let config = EngineConfig {
            acting: self.config.acting.value,
            acting_per_task: self.config.acting_per_task.value,
            grace: self.config.grace.value,
            people: Arc::clone(&self.config.people.value),
            ..EngineConfig::new(environment, self.config.root.clone())
        };
        let folder = self.config.clone();
        let again = move || {
            let tasks = project::load(&folder).map(|l| l.tasks);
            adopt::with_mirror(&folder, tasks.unwrap_or_default())
        };
        let tasks = adopt::with_mirror(&self.config, tasks);
        let tasks = Arc::new(Tasks::new(tasks).or_read(again));
        Engine::new(
            self.shared_ledger(),
            actions,
            tasks,
            self.shared_clock(),
            config,
        )
    }

    /// Where events come in.
    pub(crate) fn intake<'e>(&self, engine: &'e Engine) -> &'e Intake {
        engine.intake()
    }

    /// Stops gracefully when the process is asked to end.
    pub(crate) fn stop_on_signals(&self, stop: &Stop) {
        use tokio::signal::unix::{SignalKind, signal};
        // Heard from here on: a signal that comes before the task below runs is not the end.
        let _inside = self.runtime.enter();
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let stop = stop.clone();
            let grace = self.config.grace.value;
            let Ok(mut signals) = signal(kind) else {
                continue;
            };
            self.runtime.spawn(async move {
                signals.recv().await;
                stop.stop();
                // A second signal is for those who do not want to wait.
                let _ = tokio::time::timeout(grace, signals.recv()).await;
                stop.abort();
            });
        }
    }
}

/// Two threads are enough to drive; work that blocks has threads of its own.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8))
}

fn make_private(config: &Config) -> Result<(), Failure> {
    let folder = config.data();
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| {
            Failure::usage(format!(
                "{} cannot be made: {error}. oncely keeps its ledger there; nothing was run.",
                folder.display()
            ))
        })
}

/// Warnings of the engine go to standard error; `ONCELY_LOG` says how much of them.
fn tell_of_trouble() {
    let level = std::env::var("ONCELY_LOG").unwrap_or_else(|_| "warn".into());
    let filter = tracing_subscriber::EnvFilter::try_new(level).unwrap_or_default();
    // A second command in one process finds it set already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::github::Trouble::default)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .try_init();
}
