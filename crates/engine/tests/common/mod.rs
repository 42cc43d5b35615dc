//! What the promises are played on: two ledgers, processes that can be cut off at a chosen commit,
//! and actions that do as they are told and count.
#![allow(dead_code, unused_imports)] // Each test file uses some of it.

pub(crate) mod actions;
pub(crate) mod stage;
pub(crate) mod tap;

pub(crate) use actions::{Behaviour, Fake, Gate, Kit};
pub(crate) use oncely_core::fact::{Fact, Outcome, Repeat};
pub(crate) use oncely_core::ids::RunId;
pub(crate) use oncely_core::run::RunStatus;
pub(crate) use oncely_engine::{Engine, EngineConfig, Offer, Offered, People, Rest, Tasks};
pub(crate) use serde_json::{Value, json};
pub(crate) use stage::{Process, Stage, known, task};
pub(crate) use tap::Fate;

/// Plays each promise on both ledgers.
#[macro_export]
macro_rules! promises {
    ($($name:ident,)*) => {
        mod memory {
            $(#[test] fn $name() {
                $crate::common::stage::run(super::$name($crate::common::Stage::memory()));
            })*
        }
        mod sqlite {
            $(#[test] fn $name() {
                $crate::common::stage::run(super::$name($crate::common::Stage::sqlite()));
            })*
        }
    };
}
