//! What a run is told: a function for each kind of fact, as most tests want it, and the run after them.
#![allow(dead_code)] // Each file of tests takes what it needs.

use oncely_core::effect::EffectKey;
use oncely_core::fact::{End, Fact, Outcome, Repeat, Request, Settlement, Undoing};
use oncely_core::ids::{ContentHash, Fence, Generation, RunId};
use oncely_core::question::Question;
use oncely_core::run::RunState;
use oncely_core::time::Timestamp;
use serde_json::{Value, json};

/// When everything happens where a test says nothing of time.
pub(crate) const NOW: Timestamp = Timestamp(1_000);
/// What is declared of most: only a person can say.
pub(crate) const ASK: Repeat = Repeat::AskFirst;

pub(crate) fn begun() -> Fact {
    Fact::Began {
        text: ContentHash::of(b"text"),
        models: Default::default(),
    }
}

/// Ann asks this of the run, and does not say why.
pub(crate) fn requested(what: Request) -> Fact {
    requests(what, "ann", "")
}

pub(crate) fn requests(what: Request, by: &str, reason: &str) -> Fact {
    Fact::Requested {
        what,
        by: by.into(),
        reason: reason.into(),
    }
}

/// Ann says that step `a` shall not be done.
pub(crate) fn skip(reason: &str) -> Fact {
    Fact::SkipAsked {
        step: "a".into(),
        by: "ann".into(),
        reason: reason.into(),
    }
}

pub(crate) fn skipped(step: &str, why: &str) -> Fact {
    Fact::Skipped {
        step: step.into(),
        why: why.into(),
    }
}

pub(crate) fn held(step: &str, until: Timestamp) -> Fact {
    Fact::Held {
        step: step.into(),
        until,
    }
}

/// An attempt with nothing to call it with, under the first fence.
pub(crate) fn intent(step: &str, attempt: u32, repeat: Repeat) -> Fact {
    begins(step, attempt, Fence(1), repeat)
}

/// An attempt with nothing to call it with: the first says so, and the others keep it.
pub(crate) fn begins(step: &str, attempt: u32, fence: Fence, repeat: Repeat) -> Fact {
    let call = (attempt == 1).then(|| json!({}));
    intends(step, attempt, fence, call, repeat)
}

pub(crate) fn intends(
    step: &str,
    attempt: u32,
    fence: Fence,
    call: Option<Value>,
    repeat: Repeat,
) -> Fact {
    Fact::Intent {
        step: step.into(),
        attempt,
        fence,
        call,
        repeat,
        key: EffectKey(format!("key of {step}")),
    }
}

pub(crate) fn ends(step: &str, attempt: u32, outcome: Outcome) -> Fact {
    Fact::Outcome {
        step: step.into(),
        attempt,
        outcome,
    }
}

/// The first attempt of a step is done, and gave nothing.
pub(crate) fn done(step: &str) -> Fact {
    ends(step, 1, gave(json!({})))
}

/// The first attempt of a step has failed, and another one may help.
pub(crate) fn failed(step: &str) -> Fact {
    ends(step, 1, failure(true, None))
}

/// Nobody knows what became of the first attempt of a step.
pub(crate) fn unknown(step: &str) -> Fact {
    ends(step, 1, cut_off())
}

pub(crate) fn gave(output: Value) -> Outcome {
    Outcome::Done { output }
}

pub(crate) fn failure(again: bool, after_ms: Option<i64>) -> Outcome {
    failure_of("no", again, after_ms)
}

pub(crate) fn failure_of(error: &str, again: bool, after_ms: Option<i64>) -> Outcome {
    Outcome::Failed {
        error: error.into(),
        again,
        after_ms,
    }
}

pub(crate) fn cut_off() -> Outcome {
    Outcome::Unknown {
        error: "cut off".into(),
    }
}

pub(crate) fn interrupted(step: &str, attempt: u32) -> Fact {
    Fact::Interrupted {
        step: step.into(),
        attempt,
    }
}

/// What became of an attempt of step `a`, as somebody says.
pub(crate) fn settled(attempt: u32, settlement: Settlement, by: &str, reason: &str) -> Fact {
    Fact::Settled {
        step: "a".into(),
        attempt,
        settlement,
        by: by.into(),
        reason: reason.into(),
    }
}

pub(crate) fn probed(attempt: u32) -> Fact {
    Fact::Probed {
        step: "a".into(),
        attempt,
        answer: "it cannot tell".into(),
    }
}

pub(crate) fn rounds_over(rounds: u32, held: bool) -> Fact {
    Fact::RoundsOver {
        step: "a".into(),
        rounds,
        held,
    }
}

/// A question to everybody, without a tick, that does not expire.
pub(crate) fn question() -> Question {
    Question {
        text: "ok?".into(),
        tick: Vec::new(),
        hash: Question::hash_of("ok?", &[]),
        expires: None,
        by: Vec::new(),
        not_by: None,
        tell: Vec::new(),
        remind: None,
    }
}

pub(crate) fn asked(step: &str, question: Question) -> Fact {
    Fact::Asked {
        step: step.into(),
        question,
    }
}

/// The end of the ledger was lost; the run is held where a reason for that is given.
pub(crate) fn lost(hold: &str, since: Timestamp) -> Fact {
    Fact::EndLost {
        since,
        hold: hold.into(),
        by: "ann".into(),
        reason: String::new(),
    }
}

pub(crate) fn undoing(steps: &[&str]) -> Undoing {
    Undoing {
        run: RunId(7),
        key: "k".into(),
        generation: Generation::FIRST,
        steps: steps.iter().map(|step| (*step).into()).collect(),
        outputs: Default::default(),
        calls: Default::default(),
        left: Default::default(),
        by: "ann".into(),
        reason: String::new(),
    }
}

pub(crate) fn ended(end: End) -> Fact {
    Fact::Ended {
        end,
        reason: String::new(),
    }
}

/// A run that was told these facts and no other.
pub(crate) fn after(facts: &[Fact]) -> RunState {
    let mut state = RunState::default();
    for fact in facts {
        state.apply(NOW, fact).unwrap();
    }
    state
}

/// A run that has begun and was told these facts then.
pub(crate) fn begun_and(facts: &[Fact]) -> RunState {
    after(&[&[begun()], facts].concat())
}
