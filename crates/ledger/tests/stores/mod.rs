//! The stores, as the suite gets at them.
#![allow(dead_code)] // Each test file uses some of it.

use oncely_core::Fut;
use oncely_core::ids::RunId;
use oncely_ledger::conformance::chains::Loses;
use oncely_ledger::conformance::{Stores, TurnedClock, fast_folder};
use oncely_ledger::{
    MemoryLedger, Options, PostgresLedger, PostgresOptions, SqliteLedger, TimeSource,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
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

/// A connection of somebody else's.
pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let (client, carrier) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(carrier);
    client
}

/// A database of a server that whoever makes this keeps alive.
pub(crate) struct Postgres {
    url: String,
    check_facts: bool,
    clock: Arc<TurnedClock>,
}

impl Postgres {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            check_facts: true,
            clock: Arc::default(),
        }
    }

    /// Facts are taken as they are.
    pub(crate) fn as_shipped(url: String) -> Self {
        Self {
            check_facts: false,
            ..Self::new(url)
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Stores for Postgres {
    type Handle = PostgresLedger;
    fn open(&self) -> PostgresLedger {
        let options = PostgresOptions {
            create: true,
            check_facts: self.check_facts,
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

/// A connection past oncely, as something that writes proper pages has one.
pub(crate) fn tampering(path: &Path) -> rusqlite::Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn = oncely_vfs::open(path, flags).unwrap();
    conn.busy_timeout(Duration::from_secs(60)).unwrap();
    conn
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

impl Loses for Memory {
    fn lose_fact(&self, handle: &MemoryLedger, run: RunId) -> Fut<'_, ()> {
        handle.lose_fact(run);
        Box::pin(std::future::ready(()))
    }
}

impl Loses for Postgres {
    fn lose_fact(&self, _: &PostgresLedger, run: RunId) -> Fut<'_, ()> {
        Box::pin(async move {
            let client = client(&self.url).await;
            let text = "delete from oncely_facts where run = $1 and seq =
                        (select max(seq) from oncely_facts where run = $1)";
            client.execute(text, &[&run.0]).await.unwrap();
        })
    }
}

impl Loses for Sqlite {
    fn lose_fact(&self, _: &SqliteLedger, run: RunId) -> Fut<'_, ()> {
        let conn = tampering(&self.path());
        conn.execute_batch("drop trigger if exists oncely_facts_stay")
            .unwrap();
        let text = "delete from oncely_facts where run = ?1 and first =
                    (select max(first) from oncely_facts where run = ?1)";
        conn.execute(text, [run.0]).unwrap();
        Box::pin(std::future::ready(()))
    }
}
