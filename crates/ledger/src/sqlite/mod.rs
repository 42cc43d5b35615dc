//! The SQLite store: many processes on one machine, one file.

mod add_chains;
pub(crate) mod answers;
mod apply;
mod backup;
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
mod rehearsal;
mod renew;
mod restore;
pub(crate) mod rows;
pub(crate) mod schema;
mod stats;
mod store;
pub(crate) mod turn;
mod unit;
mod watch;
pub(crate) mod whole;
mod words;
mod writer;

pub use backup::{Copied, back_up};
pub(crate) use leave::{close_for_good, open_to_leave};
pub use migrate::{Backup, migrate};
pub use open::Options;
pub use restore::{Restore, Restored, restore};
pub(crate) use schema::TABLES;
pub use store::SqliteLedger;
pub(crate) use watch::next_change;
