//! The SQLite store: many processes on one machine, one file.

pub(crate) mod answers;
mod apply;
mod batch;
mod claim;
pub(crate) mod guards;
pub(crate) mod holders;
mod jobs;
mod migrate;
mod open;
mod place;
mod reader;
mod renew;
pub(crate) mod rows;
pub(crate) mod schema;
mod store;
mod turn;
mod unit;
mod watch;
mod words;
mod writer;

pub use migrate::{Backup, migrate};
pub use open::Options;
pub(crate) use schema::TABLES;
pub use store::SqliteLedger;
pub(crate) use watch::next_change;
