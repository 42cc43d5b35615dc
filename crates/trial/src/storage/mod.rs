//! A ledger on a disk that fails: power cuts, single faults, and bits that are no longer what was written.

pub mod anomalies;
mod faulty;
mod kept;
mod play;
pub mod power;
pub mod rot;
mod stores;

pub use kept::{keep, seeds};
