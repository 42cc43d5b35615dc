//! The model that every store is compared with: all of a ledger in memory, simple before fast.

mod answer;
pub(crate) mod apply;
pub(crate) mod claim;
mod forget;
mod handle;
mod prune;
pub(crate) mod state;

pub use handle::MemoryLedger;
