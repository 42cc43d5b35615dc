//! What a ledger holds and what it takes on the disk, in numbers.

use crate::sqlite::Restore;
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;

/// What a ledger holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Its own name.
    pub name: String,
    /// The version of its tables, major times 1000 and minor.
    pub schema: i32,
    /// Runs in each state, all environments together.
    pub runs: Vec<(RunStatus, u64)>,
    /// Facts of runs.
    pub facts: u64,
    /// Facts of single items.
    pub item_facts: u64,
    /// Items set aside.
    pub set_aside: u64,
    /// Keys that were ever admitted.
    pub keys: u64,
    /// When the first run was admitted.
    pub oldest: Option<Timestamp>,
    /// When a run last changed.
    pub newest: Option<Timestamp>,
    /// Its tables with their indexes, the largest first; empty where the database does not say.
    pub tables: Vec<Table>,
    /// All of it on the disk, without the write-ahead log.
    pub bytes: u64,
    /// Of it, room that is free to be used again.
    pub free_bytes: u64,
    /// The write-ahead log of a file.
    pub wal_bytes: Option<u64>,
    /// Its last restore from a backup.
    pub restored: Option<Restore>,
}

/// A table and its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// On the disk.
    pub bytes: u64,
}
