//! A ledger, a clock turned by hand, and processes that come and go.

use super::actions::Kit;
use super::tap::{Inner, Tap};
use oncely_core::fact::{Fact, Recorded};
use oncely_core::ids::{ContentHash, RunId, StepId};
use oncely_core::ledger::{Filter, Ledger, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::task::Bundle;
use oncely_core::time::Clock as _;
use oncely_engine::{
    Ask, Engine, EngineConfig, Known, Offer, Offered, People, PeopleError, Reply, Rest, Tasks,
};
use oncely_ledger::conformance::TurnedClock;
use oncely_ledger::{MemoryLedger, Options, SqliteLedger};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Runs a promise; one that hangs is broken.
pub(crate) fn run(promise: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(30), promise).await };
    runtime
        .block_on(limited)
        .expect("the promise hangs for ever");
    runtime.shutdown_timeout(Duration::from_secs(5));
}

enum Store {
    Memory(Box<MemoryLedger>),
    Sqlite(PathBuf),
}

pub(crate) struct Stage {
    store: Store,
    pub(crate) clock: Arc<TurnedClock>,
    pub(crate) folder: TempDir,
}

fn fast_folder() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// A task file `tasks/NAME.toml`.
pub(crate) fn known(name: &str, text: &str) -> Known {
    let read = Known::read(Bundle {
        path: format!("tasks/{name}.toml"),
        text: text.into(),
        executable: false,
        files: Default::default(),
    });
    read.unwrap_or_else(|error| panic!("{error}"))
}

/// An answer of somebody who ticked nothing.
pub(crate) fn reply(approved: bool, by: &str, note: &str, shown: Option<ContentHash>) -> Reply {
    Reply {
        approved,
        by: by.into(),
        identity: Default::default(),
        note: note.into(),
        ticked: Vec::new(),
        shown,
        question: None,
    }
}

/// A task `t` that is called.
pub(crate) fn task(steps: &str) -> Known {
    known("t", &format!("[on.call]\n{steps}"))
}

impl Stage {
    pub(crate) fn memory() -> Self {
        let clock = Arc::new(TurnedClock::default());
        let root = MemoryLedger::new("root", clock.clone()).unwrap();
        Self {
            store: Store::Memory(Box::new(root)),
            clock,
            folder: fast_folder(),
        }
    }

    pub(crate) fn sqlite() -> Self {
        let folder = fast_folder();
        Self {
            store: Store::Sqlite(folder.path().join("ledger.db")),
            clock: Arc::new(TurnedClock::default()),
            folder,
        }
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the project's root.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.root().join(name), text).unwrap();
    }

    fn ledger(&self) -> Inner {
        match &self.store {
            Store::Memory(root) => Inner::Memory(root.another("test")),
            Store::Sqlite(path) => {
                let options = Options {
                    create: true,
                    synced: false,
                    clock: self.clock.clone(),
                    ..Options::new("test")
                };
                Inner::Sqlite(SqliteLedger::open(path, options).unwrap())
            }
        }
    }

    pub(crate) fn config(&self) -> EngineConfig {
        EngineConfig::new("test".into(), self.root().to_path_buf())
    }

    /// A process with these tasks and actions.
    pub(crate) fn process(&self, tasks: &[Known], kit: &Kit) -> Process {
        self.process_with(tasks, kit, self.config())
    }

    pub(crate) fn process_with(&self, tasks: &[Known], kit: &Kit, config: EngineConfig) -> Process {
        let tap = Tap::on(self.ledger());
        let people = config.people.clone();
        let tasks = Arc::new(Tasks::new(tasks.iter().cloned()));
        let engine = Engine::new(
            tap.clone(),
            Arc::new(kit.clone()),
            tasks.clone(),
            self.clock.clone(),
            config,
        );
        let people = People::new(tap.clone(), self.clock.clone(), people);
        Process {
            tap,
            engine,
            tasks,
            people,
            clock: self.clock.clone(),
        }
    }
}

/// An engine on a handle of its own.
pub(crate) struct Process {
    pub(crate) tap: Arc<Tap>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) people: People,
    pub(crate) clock: Arc<TurnedClock>,
}

impl Process {
    pub(crate) fn ask(&self) -> Ask<'_> {
        Ask(&*self.tap)
    }

    /// Admits an event for task `t`, to be claimed by whoever comes.
    pub(crate) async fn admit(&self, key: &str) -> RunId {
        self.admit_for("t", key, serde_json::json!({})).await
    }

    pub(crate) async fn admit_for(&self, task: &str, key: &str, data: Value) -> RunId {
        let offer = Offer::new(task.into(), key.into(), data);
        let offered = self.engine.intake().offer(vec![offer]).await.unwrap();
        match offered.as_slice() {
            [Offered::Admitted(run)] => *run,
            other => panic!("not admitted: {other:?}"),
        }
    }

    /// Claims a run and drives it until it rests.
    pub(crate) async fn drive(&self, run: RunId) -> Rest {
        let driven = self.engine.drive_one(run).await.unwrap();
        driven.expect("somebody else has it, or driving it broke")
    }

    /// Drives a run, letting time pass as it wants, until it ends or only a person can help.
    pub(crate) async fn drive_on(&self, run: RunId) -> Rest {
        loop {
            match self.drive(run).await {
                Rest::Waiting {
                    until: Some(at), ..
                } => {
                    self.clock.advance(at.millis_since(self.clock.now()).max(0));
                }
                rest => return rest,
            }
        }
    }

    /// Admits and drives to the end.
    pub(crate) async fn play(&self, key: &str) -> (RunId, Rest) {
        let run = self.admit(key).await;
        (run, self.drive_on(run).await)
    }

    /// Drives a run until this process is cut off.
    pub(crate) async fn drive_to_death(&self, run: RunId) {
        tokio::select! {
            rest = self.engine.drive_one(run) => panic!("it lived on: {rest:?}"),
            () = self.tap.was_cut() => {}
        }
    }

    /// Ends as if killed, and lets another one free what it held.
    pub(crate) async fn dies(self, heir: &Process) {
        self.tap.kill().await;
        heir.tap.renew().await.unwrap();
    }

    /// Somebody answers what a run asks.
    pub(crate) async fn answer(
        &self,
        run: RunId,
        approved: bool,
        by: &str,
        note: &str,
        shown: Option<ContentHash>,
    ) -> Result<StepId, PeopleError> {
        self.reply(run, &reply(approved, by, note, shown)).await
    }

    pub(crate) async fn reply(&self, run: RunId, reply: &Reply) -> Result<StepId, PeopleError> {
        self.people.answer(run, reply).await
    }

    pub(crate) async fn row(&self, run: RunId) -> RunRow {
        self.ask()
            .run(run)
            .await
            .unwrap()
            .expect("there is no such run")
    }

    pub(crate) async fn status(&self, run: RunId) -> RunStatus {
        self.row(run).await.status
    }

    pub(crate) async fn facts(&self, run: RunId) -> Vec<Fact> {
        let facts: Vec<Recorded> = self.ask().facts(run).await.unwrap();
        facts.into_iter().map(|recorded| recorded.fact).collect()
    }

    pub(crate) async fn rows(&self) -> Vec<RunRow> {
        let mut rows = self.ask().runs(Filter::default()).await.unwrap();
        rows.reverse();
        rows
    }

    /// Why the run ended.
    pub(crate) async fn reason(&self, run: RunId) -> String {
        match self.facts(run).await.pop() {
            Some(Fact::Ended { reason, .. }) => reason,
            other => panic!("it has not ended: {other:?}"),
        }
    }

    /// Serves in the background.
    pub(crate) fn serve(
        &self,
    ) -> tokio::task::JoinHandle<Result<(), oncely_core::ledger::LedgerError>> {
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.serve().await })
    }

    /// Ends when the run stands so.
    pub(crate) async fn reaches(&self, run: RunId, status: RunStatus) {
        let mut change = oncely_core::ledger::Change::default();
        loop {
            let now = self.status(run).await;
            if now == status {
                return;
            }
            let watched = tokio::time::timeout(Duration::from_secs(20), self.tap.watch(change));
            change = watched
                .await
                .unwrap_or_else(|_| panic!("the run stays {now}"));
        }
    }
}
