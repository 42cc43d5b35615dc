//! A kill at every named point, for every kind of step: at the first attempt, at one after a cut-off, at
//! a retry, at an undo. Then it is let end, and what everybody wrote down is compared with the ledger.

mod judge;
mod kinds;
mod lane;
mod play;
mod report;
mod stage;
mod tasks;
mod watched;
mod world;

pub use kinds::{KINDS, Kind, Phase};
pub use play::{Points, run};
pub use report::{Report, say};
