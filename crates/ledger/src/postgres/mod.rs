//! A ledger in a PostgreSQL database: one writing connection in each process, group commits, and
//! any number of processes on any number of machines.
//!
//! A transaction loads what its units touch, with locks; the memory model decides on it; what has
//! changed is written back. Both are one journey to the server each, whose statements do not wait
//! for one another's answers. So model and store mean the same by construction, and the suite checks
//! the loading and the writing.
//!
//! Order of locks, the same everywhere: the turn, holders, runs by number. The turn is one row. It
//! is taken by what is not about single runs: admission, cursors, names, caps and lanes.

mod answers;
mod apply;
mod claim;
mod connect;
mod db;
mod doubt;
mod forget;
mod holders;
mod kept;
mod lanes;
mod load;
mod migrate;
mod options;
mod prune;
mod save;
mod schema;
mod server;
mod slice;
mod statements;
mod stats;
mod store;
mod target;
mod text;
mod touched;
mod verify;
mod volley;
mod whole;
mod words;
mod work;
mod writer;

pub use migrate::migrate_postgres;
pub use options::{PostgresOptions, TimeSource};
pub use store::PostgresLedger;
pub(crate) use target::Target;
