//! What a task is and what happens next.
//!
//! This room is pure: no clock, no files, no network, no runtime. Time, randomness and the outside
//! world are handed in as values, so that every decision can be repeated and tested.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

pub mod action;
mod asking;
pub mod backoff;
pub mod chain;
pub mod decide;
pub mod effect;
pub mod event;
pub mod fact;
pub mod forget;
pub mod ids;
pub mod items;
pub mod ledger;
pub mod limits;
pub mod link;
mod looping;
pub mod lost;
pub mod pause;
pub mod people;
pub mod points;
pub mod prune;
pub mod question;
pub mod records;
pub mod round;
pub mod rows;
pub mod run;
pub mod sabotage;
pub mod source;
pub mod task;
pub mod template;
pub mod time;
pub mod undo;

/// A boxed future, so that the traits of this room are object-safe without a runtime.
pub type Fut<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The one dynamic value of oncely: what events, options and outputs are made of.
pub type Value = serde_json::Value;
