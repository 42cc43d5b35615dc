//! What has happened: the memory model, the SQLite store and the PostgreSQL store.
//!
//! Both mean the same. The memory model says what is meant, the conformance suite asks every store
//! for it, and random sequences of commands compare their answers one by one.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

mod chained;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod export;
mod forgetting;
mod memory;
mod moving;
mod postgres;
mod pruning;
mod rules;
mod sabotage;
mod sql;
mod sqlite;
mod stats;
mod verify;

pub use clock::SystemClock;
pub use memory::MemoryLedger;
pub use moving::{Moved, move_to_postgres};
pub use postgres::{PostgresLedger, PostgresOptions, TimeSource, migrate_postgres};
pub use sqlite::{
    Backup, Copied, Options, Restore, Restored, SqliteLedger, back_up, migrate, restore,
};
pub use stats::{Stats, Table};
pub use verify::Verified;
