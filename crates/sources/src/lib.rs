//! What starts tasks: one file a trigger.
//!
//! A source yields events and is told what became of them. It never sees the ledger.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

pub mod call;
mod key;
pub mod object;
pub mod release;
mod releases;
pub mod schedule;
mod spool;
pub mod webhook;

pub use object::{Folder, FolderConfig, matches};
pub use releases::{Releases, Seen};
pub use schedule::Ticks;
pub use spool::Spool;
