//! What may follow an attempt that failed, or that nobody knows about.

use super::fold::Folded;
use super::step::{Stage, StepState};
use crate::effect::EffectKey;
use crate::fact::{Outcome, Repeat};
use crate::ids::StepId;
use crate::time::Timestamp;

/// A failure says that its own attempt did not happen, and nothing of an earlier one that is
/// unknown. Only where doing it twice is the same as doing it once does that not matter.
pub(super) fn doubt_stays(state: &StepState) -> bool {
    state.in_doubt && state.repeat != Some(Repeat::Safe)
}

pub(super) fn stage_of(at: Timestamp, outcome: &Outcome, in_doubt: bool) -> Stage {
    match outcome {
        Outcome::Done { .. } => Stage::Done,
        Outcome::Failed { error, .. } if in_doubt => Stage::Unknown {
            at,
            error: format!("{error}; and nobody knows about an earlier attempt"),
            crashed: false,
        },
        Outcome::Failed {
            error,
            again,
            after_ms,
        } => Stage::Failed {
            at,
            error: error.clone(),
            again: *again,
            after_ms: *after_ms,
        },
        Outcome::Unknown { error } => Stage::Unknown {
            at,
            error: error.clone(),
            crashed: false,
        },
    }
}

/// An attempt may follow one that is known to have failed, and an unknown one only where repeating
/// was declared harmless: safe, or with the same key inside its window.
pub(super) fn may_try_again(
    step: &StepId,
    state: &StepState,
    at: Timestamp,
    repeat: Repeat,
    key: &EffectKey,
) -> Folded {
    if state.key.as_ref().is_some_and(|first| first != key) {
        return Err(format!("step `{step}` would be repeated under another key"));
    }
    match &state.stage {
        Stage::Failed { again: true, .. } => Ok(()),
        Stage::Held { until } if *until <= at => Ok(()),
        Stage::Held { .. } => Err(format!("step `{step}` is held")),
        Stage::Failed { .. } => Err(format!("step `{step}` failed for good")),
        Stage::Unknown { .. } if declared_harmless(state, at, repeat) => Ok(()),
        Stage::Unknown { .. } => Err(format!(
            "the last attempt of step `{step}` is unknown and repeating it is not declared safe"
        )),
        _ => Err(format!("step `{step}` is not open to another attempt")),
    }
}

/// Both the attempt in doubt and its repeat must be declared harmless: a later program that
/// declares more cannot make good what was sent before.
fn declared_harmless(state: &StepState, at: Timestamp, repeat: Repeat) -> bool {
    let before = state.repeat.unwrap_or(Repeat::AskFirst);
    repeat_is_harmless(state, at, before) && repeat_is_harmless(state, at, repeat)
}

/// Whether an unknown attempt may be made again without asking.
#[must_use]
pub(crate) fn repeat_is_harmless(state: &StepState, at: Timestamp, repeat: Repeat) -> bool {
    match repeat {
        Repeat::Safe => true,
        Repeat::WithKey { window_ms } => state
            .first_intent
            .is_some_and(|first| at.millis_since(first) < window_ms),
        Repeat::AskFirst => false,
    }
}
