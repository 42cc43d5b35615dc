//! The memory model, and a ledger in a file that may not open.

use oncely_core::Fut;
use oncely_core::ids::HolderId;
use oncely_core::ledger::{
    Answer, Change, Claim, Leased, Ledger, LedgerError, Query, Unit, UnitResult, What,
};
use oncely_ledger::conformance::{Stores, TurnedClock};
use oncely_ledger::{MemoryLedger, Options, SqliteLedger};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is meant.
pub(crate) struct Model {
    root: MemoryLedger,
    clock: Arc<TurnedClock>,
}

impl Model {
    pub(crate) fn new() -> Result<Self, LedgerError> {
        let clock = Arc::new(TurnedClock::default());
        let root = MemoryLedger::new("root", clock.clone())?;
        root.watch();
        Ok(Self { root, clock })
    }
}

impl Stores for Model {
    type Handle = MemoryLedger;
    fn open(&self) -> MemoryLedger {
        self.root.another("trial")
    }
    fn kill(&self, handle: MemoryLedger) {
        handle.kill();
    }
    fn clock(&self) -> Arc<TurnedClock> {
        self.clock.clone()
    }
    fn export(&self, handle: &MemoryLedger) -> String {
        let mut out = Vec::new();
        match handle.export(&mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(_) => String::new(),
        }
    }
    fn within(&self) -> Vec<String> {
        self.root.within()
    }
}

/// A ledger in a file.
pub(crate) struct Filed {
    path: PathBuf,
    clock: Arc<TurnedClock>,
    synced: bool,
    /// Pages of the log from which on a commit copies them back: few, so that it happens often.
    checkpoint: u32,
    create: bool,
    errors: Errors,
}

/// What was said when something failed.
pub(crate) type Errors = Arc<Mutex<BTreeSet<String>>>;

fn note(errors: &Errors, error: &LedgerError) {
    let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
    errors.insert(error.to_string());
}

impl Filed {
    pub(crate) fn new(folder: &Path, synced: bool, checkpoint: u32) -> Self {
        Self {
            path: folder.join("ledger.db"),
            clock: Arc::new(TurnedClock::default()),
            synced,
            checkpoint,
            create: true,
            errors: Errors::default(),
        }
    }

    /// A ledger that is there already.
    pub(crate) fn there(folder: &Path) -> Self {
        Self {
            create: false,
            ..Self::new(folder, false, 1000)
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was said so far when something failed.
    pub(crate) fn errors(&self) -> BTreeSet<String> {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut errors)
    }

    pub(crate) fn try_open(&self) -> Result<SqliteLedger, LedgerError> {
        let options = Options {
            create: self.create,
            synced: self.synced,
            check_facts: true,
            checkpoint: self.checkpoint,
            clock: self.clock.clone(),
            ..Options::new("trial")
        };
        let opened = SqliteLedger::open(&self.path, options);
        opened.inspect_err(|error| note(&self.errors, error))
    }

    /// Everything that the file holds, as a program that opens it finds it.
    pub(crate) fn read(&self) -> Result<String, String> {
        let ledger = self.try_open().map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let written = ledger.export(&mut out);
        written.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

impl Stores for Filed {
    type Handle = Tried;
    fn open(&self) -> Tried {
        Tried(self.try_open(), self.errors.clone())
    }
    fn kill(&self, handle: Tried) {
        if let Ok(ledger) = handle.0 {
            ledger.kill();
        }
    }
    fn clock(&self) -> Arc<TurnedClock> {
        self.clock.clone()
    }
    fn export(&self, _handle: &Tried) -> String {
        self.read().unwrap_or_default()
    }
}

/// A ledger that was opened, or the reason why not, which it then answers to everything.
pub(crate) struct Tried(Result<SqliteLedger, LedgerError>, Errors);

impl Tried {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a SqliteLedger) -> Fut<'a, Result<T, LedgerError>>,
    ) -> Fut<'a, Result<T, LedgerError>> {
        match &self.0 {
            Ok(ledger) => {
                let asked = ask(ledger);
                Box::pin(async move { asked.await.inspect_err(|error| note(&self.1, error)) })
            }
            Err(error) => {
                let error = error.clone();
                Box::pin(async move { Err(error) })
            }
        }
    }
}

impl Ledger for Tried {
    fn holder(&self) -> HolderId {
        self.0.as_ref().map_or(HolderId(0), Ledger::holder)
    }
    fn name(&self) -> String {
        self.0.as_ref().map_or_else(|_| String::new(), Ledger::name)
    }
    fn commit(&self, units: Vec<Unit>) -> Fut<'_, Result<Vec<UnitResult>, LedgerError>> {
        self.ask(|ledger| ledger.commit(units))
    }
    fn lease(&self, what: What, claim: Claim) -> Fut<'_, Result<Leased, LedgerError>> {
        self.ask(|ledger| ledger.lease(what, claim))
    }
    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>> {
        self.ask(Ledger::renew)
    }
    fn prune(
        &self,
        part: oncely_core::prune::Prune,
    ) -> Fut<'_, Result<oncely_core::prune::Pruned, LedgerError>> {
        self.ask(|ledger| ledger.prune(part))
    }
    fn forget(&self, wanted: oncely_core::forget::Forget) -> Fut<'_, Result<(), LedgerError>> {
        self.ask(|ledger| ledger.forget(wanted))
    }
    fn read(&self, query: Query) -> Fut<'_, Result<Answer, LedgerError>> {
        self.ask(|ledger| ledger.read(query))
    }
    fn watch(&self, after: Change) -> Fut<'_, Change> {
        match &self.0 {
            Ok(ledger) => ledger.watch(after),
            Err(_) => Box::pin(async move { after }),
        }
    }
}
