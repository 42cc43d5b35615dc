//! One step of a run, one fact after another: what may follow, and what is known of it then.
#![allow(dead_code)] // Each file of tests takes what it needs.

pub(crate) mod facts;

use facts::{NOW, begun_and, cut_off, ends, failure, gave};
use oncely_core::fact::{Fact, Repeat, Settlement};
use oncely_core::ids::Fence;
use oncely_core::run::StepState;
use oncely_core::time::Timestamp;
use serde_json::json;

/// Each attempt is made under a fence of its own, which has its number.
pub(crate) fn intent(attempt: u32, repeat: Repeat) -> Fact {
    facts::begins("a", attempt, Fence(i64::from(attempt)), repeat)
}

pub(crate) fn done(attempt: u32) -> Fact {
    ends("a", attempt, gave(json!(1)))
}

pub(crate) fn failed(attempt: u32) -> Fact {
    ends("a", attempt, failure(true, None))
}

pub(crate) fn unknown(attempt: u32) -> Fact {
    ends("a", attempt, cut_off())
}

pub(crate) fn interrupted(attempt: u32) -> Fact {
    facts::interrupted("a", attempt)
}

pub(crate) fn not_done(attempt: u32) -> Fact {
    facts::settled(attempt, Settlement::DidNotHappen, "ann", "I looked")
}

/// The step after these facts.
pub(crate) fn known(facts: &[Fact]) -> StepState {
    begun_and(facts).steps[&"a".into()].clone()
}

/// Whether this fact can follow those at that time; else why not.
pub(crate) fn follows(facts: &[Fact], at: Timestamp, fact: &Fact) -> Result<(), String> {
    begun_and(facts)
        .apply(at, fact)
        .map_err(|illegal| illegal.why)
}

pub(crate) fn refused(facts: &[Fact], fact: &Fact) -> String {
    follows(facts, NOW, fact).unwrap_err()
}
