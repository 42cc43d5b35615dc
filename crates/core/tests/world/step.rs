//! One step of a run, one fact after another: what may follow, and what is known of it then.
#![allow(dead_code)] // Each file of tests takes what it needs.

use oncely_core::effect::EffectKey;
use oncely_core::fact::{Fact, Outcome, Repeat, Settlement};
use oncely_core::ids::{ContentHash, Fence};
use oncely_core::run::{RunState, StepState};
use oncely_core::time::Timestamp;
use serde_json::{Value, json};

/// What is declared of most: only a person can say.
pub(crate) const ASK: Repeat = Repeat::AskFirst;
pub(crate) const NOW: Timestamp = Timestamp(1_000);

pub(crate) fn intends(step: &str, attempt: u32, call: Option<Value>, repeat: Repeat) -> Fact {
    Fact::Intent {
        step: step.into(),
        attempt,
        fence: Fence(i64::from(attempt)),
        call,
        repeat,
        key: EffectKey("key".into()),
    }
}

pub(crate) fn intent(attempt: u32, repeat: Repeat) -> Fact {
    intends("a", attempt, (attempt == 1).then(|| json!({})), repeat)
}

pub(crate) fn ends(attempt: u32, outcome: Outcome) -> Fact {
    Fact::Outcome {
        step: "a".into(),
        attempt,
        outcome,
    }
}

pub(crate) fn done(attempt: u32) -> Fact {
    ends(attempt, Outcome::Done { output: json!(1) })
}

pub(crate) fn failed(attempt: u32) -> Fact {
    let outcome = Outcome::Failed {
        error: "no".into(),
        again: true,
        after_ms: None,
    };
    ends(attempt, outcome)
}

pub(crate) fn unknown(attempt: u32) -> Fact {
    let error = "cut off".into();
    ends(attempt, Outcome::Unknown { error })
}

pub(crate) fn interrupted(attempt: u32) -> Fact {
    let step = "a".into();
    Fact::Interrupted { step, attempt }
}

pub(crate) fn not_done(attempt: u32) -> Fact {
    Fact::Settled {
        step: "a".into(),
        attempt,
        settlement: Settlement::DidNotHappen,
        by: "ann".into(),
        reason: "I looked".into(),
    }
}

pub(crate) fn after(facts: &[Fact]) -> RunState {
    let began = Fact::Began {
        text: ContentHash::of(b"text"),
        models: Default::default(),
    };
    let mut state = RunState::default();
    for fact in std::iter::once(&began).chain(facts) {
        state.apply(NOW, fact).unwrap();
    }
    state
}

/// The step after these facts.
pub(crate) fn known(facts: &[Fact]) -> StepState {
    after(facts).steps[&"a".into()].clone()
}

/// Whether this fact can follow those at that time; else why not.
pub(crate) fn follows(facts: &[Fact], at: Timestamp, fact: &Fact) -> Result<(), String> {
    after(facts).apply(at, fact).map_err(|illegal| illegal.why)
}

pub(crate) fn refused(facts: &[Fact], fact: &Fact) -> String {
    follows(facts, NOW, fact).unwrap_err()
}
