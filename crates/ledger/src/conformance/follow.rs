//! Facts that a random sequence adds: mostly such as can follow what there is.

use super::facts::requested;
use super::random::Adding;
use super::stage::{began, ended};
use oncely_core::effect::EffectKey;
use oncely_core::fact::{End, Fact, Outcome, Repeat, Request};
use oncely_core::ids::Fence;
use oncely_core::run::RunState;
use oncely_core::time::Timestamp;
use serde_json::json;

/// Facts of a kind; those of `Next` can follow what there is.
pub(super) fn facts(
    adding: Adding,
    state: &mut RunState,
    at: Timestamp,
    fence: Fence,
) -> Vec<Fact> {
    let wanted = match adding {
        Adding::Nothing => vec![],
        Adding::Next => vec![next(state, fence)],
        Adding::Two => {
            let first = next(state, fence);
            state.apply(at, &first).ok();
            vec![first, next(state, fence)]
        }
        Adding::Failed => vec![ended(End::Failed)],
        Adding::Cancel => vec![requested(Request::Cancel)],
        Adding::Resume => vec![requested(Request::Resume)],
        Adding::Pause => vec![requested(Request::Pause)],
        Adding::Interrupted => vec![Fact::Interrupted {
            step: format!("s{}", state.steps.len().saturating_sub(1)).into(),
            attempt: 1,
        }],
    };
    for fact in &wanted {
        state.apply(at, fact).ok();
    }
    wanted
}

fn next(state: &RunState, fence: Fence) -> Fact {
    if state.ended.is_some() {
        return requested(Request::Resume);
    }
    if state.text.is_none() {
        return began();
    }
    if let Some(step) = state.open_step() {
        return Fact::Outcome {
            step: step.clone(),
            attempt: 1,
            outcome: Outcome::Done {
                output: json!({"rows": 1.5}),
            },
        };
    }
    if state.steps.len() > 1 {
        return ended(End::Done);
    }
    Fact::Intent {
        step: format!("s{}", state.steps.len()).into(),
        attempt: 1,
        fence,
        call: Some(json!({"url": "x"})),
        repeat: Repeat::WithKey { window_ms: 1000 },
        key: EffectKey("k".into()),
    }
}
