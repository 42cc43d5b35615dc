//! Drives runs: takes events in, claims what is due, decides, acts and records.
//!
//! The engine knows only the traits of `core`. It never names a concrete source, action or store.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

mod act;
mod ask;
mod begin;
mod cancel_on;
mod dispatch;
mod hold;
mod intake;
mod items;
mod job;
mod link;
mod look;
mod lost;
mod people;
mod pump;
mod record;
mod reply;
mod room;
mod runner;
mod settle;
mod settle_items;
mod skip;
mod tasks;
mod undo;

pub use ask::Ask;
pub use dispatch::{Engine, EngineConfig, Stop};
pub use intake::{Intake, Offer, Offered, Seen};
pub use job::Rest;
pub use link::{Became, LinkError, Opened, Wanted};
pub use lost::EndLost;
pub use people::{People, PeopleError};
pub use pump::{Notice, Notices, Pumped, pump};
pub use reply::{Reply, question};
pub use settle_items::{Items, ItemsSettled, listed};
pub use skip::Skipping;
pub use tasks::{Actions, Known, Tasks};
pub use undo::Undo;
