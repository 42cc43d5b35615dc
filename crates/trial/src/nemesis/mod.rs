//! The nemesis: three real workers on one PostgreSQL server, and everything that can go wrong between
//! them and it. What is counted afterwards is counted by [`crate::check`], which shares no code with
//! the ledger.

mod audit;
mod database;
#[cfg(test)]
mod doubts;
mod evidence;
mod fault;
mod load;
mod place;
mod play;
mod proxy;
mod report;
mod wire;
mod worker;

pub use play::{Nemesis, Report, run};
