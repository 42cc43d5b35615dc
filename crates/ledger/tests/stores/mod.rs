//! The stores, as the suite gets at them.
#![allow(dead_code)] // Each test file uses some of it.

use oncely_ledger::conformance::{Stores, TurnedClock, fast_folder};
use oncely_ledger::{
    MemoryLedger, Options, PostgresLedger, PostgresOptions, SqliteLedger, TimeSource,
};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) struct Memory {
    root: MemoryLedger,
    clock: Arc<TurnedClock>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(TurnedClock::default());
        let root = MemoryLedger::new("root", clock.clone()).unwrap();
        Self { root, clock }
    }
}

impl Stores for Memory {
    type Handle = MemoryLedger;
    fn open(&self) -> MemoryLedger {
        self.root.another("test")
    }
    fn kill(&self, handle: MemoryLedger) {
        handle.kill();
    }
    fn clock(&self) -> Arc<TurnedClock> {
        self.clock.clone()
    }
    fn export(&self, handle: &MemoryLedger) -> String {
        let mut out = Vec::new();
        handle.export(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}

/// A database of a server that whoever makes this keeps alive.
pub(crate) struct Postgres {
    url: String,
    clock: Arc<TurnedClock>,
}

impl Postgres {
    pub(crate) fn new(url: String) -> Self {
        let clock = Arc::default();
        Self { url, clock }
    }
}

impl Stores for Postgres {
    type Handle = PostgresLedger;
    fn open(&self) -> PostgresLedger {
        let options = PostgresOptions {
            create: true,
            clock: self.clock.clone(),
            leases: TimeSource::Given(self.clock.clone()),
            ..PostgresOptions::new("test")
        };
        PostgresLedger::open(&self.url, options).unwrap()
    }
    fn kill(&self, handle: PostgresLedger) {
        handle.kill();
    }
    fn clock(&self) -> Arc<TurnedClock> {
        self.clock.clone()
    }
    fn export(&self, handle: &PostgresLedger) -> String {
        let mut out = Vec::new();
        handle.export(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
    fn speaks_sqlite(&self) -> bool {
        false
    }
}

pub(crate) struct Sqlite {
    folder: TempDir,
    clock: Arc<TurnedClock>,
    synced: bool,
}

impl Sqlite {
    pub(crate) fn new(synced: bool) -> Self {
        let folder = if synced {
            TempDir::new().unwrap()
        } else {
            fast_folder()
        };
        Self {
            folder,
            clock: Arc::new(TurnedClock::default()),
            synced,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            create: true,
            synced: self.synced,
            check_facts: true,
            clock: self.clock.clone(),
            ..Options::new("test")
        }
    }
}

impl Stores for Sqlite {
    type Handle = SqliteLedger;
    fn open(&self) -> SqliteLedger {
        SqliteLedger::open(&self.path(), self.options()).unwrap()
    }
    fn kill(&self, handle: SqliteLedger) {
        handle.kill();
    }
    fn clock(&self) -> Arc<TurnedClock> {
        self.clock.clone()
    }
    fn export(&self, handle: &SqliteLedger) -> String {
        let mut out = Vec::new();
        handle.export(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}
