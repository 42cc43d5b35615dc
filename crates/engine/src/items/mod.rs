//! `for_each`: a stream of items, worked in ranges, with flat memory.
//!
//! Where every item becomes a row of a database, rows, failed items and cursor are written there in
//! one transaction a range (`stream`). Any other effect has its intent and outcome for each item in
//! the ledger (`effects`).

mod answers;
mod attempts;
mod doubts;
mod effects;
mod folder;
mod input;
mod pace;
mod point;
mod program;
mod rows;
mod run;
mod stream;

pub(crate) use doubts::in_doubt;
pub(crate) use run::{Over, run};
