//! The SQLite store: many processes on one machine, one file.

pub(crate) mod answers;
mod apply;
mod batch;
mod claim;
pub(crate) mod guards;
pub(crate) mod holders;
mod jobs;
mod leave;
mod migrate;
mod open;
mod place;
mod reader;
mod renew;
pub(crate) mod rows;
pub(crate) mod schema;
mod store;
pub(crate) mod turn;
mod unit;
mod watch;
pub(crate) mod whole;
mod words;
mod writer;

pub(crate) use leave::{close_for_good, open_to_leave};
pub use migrate::{Backup, migrate};
pub use open::Options;
pub(crate) use schema::TABLES;
pub use store::SqliteLedger;
pub(crate) use watch::next_change;
