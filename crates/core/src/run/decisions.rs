//! Facts about decisions: conditions, people, settlements.

use super::fold::{Folded, RunState};
use super::step::{ItemsAnswer, Stage, StepState};
use crate::fact::{BY_PROBE, BY_RULE, ItemsBecame, Settlement};
use crate::ids::StepId;
use crate::question::Answer;
use crate::time::Timestamp;

impl RunState {
    pub(super) fn judge(
        &mut self,
        at: Timestamp,
        step: &StepId,
        held: bool,
        message: &str,
        again_at: Option<Timestamp>,
    ) -> Folded {
        let since = match self.steps.get(step).map(|s| &s.stage) {
            None => at,
            Some(Stage::Judged { since, .. }) => *since,
            Some(_) => return Err(format!("step `{step}` is not waiting for its condition")),
        };
        let stage = match (held, again_at) {
            (true, _) => Stage::Done,
            (false, Some(again_at)) => Stage::Judged { since, again_at },
            (false, None) => Stage::Refused {
                why: message.to_owned(),
            },
        };
        self.steps.insert(step.clone(), StepState::new(stage));
        if held {
            self.outputs
                .insert(step.to_string(), serde_json::json!({ "held": true }));
        }
        Ok(())
    }

    /// A link is to the question that is asked now, and changes nothing about it.
    pub(super) fn linked(&self, step: &StepId, question: u64) -> Folded {
        match self.steps.get(step).map(|s| &s.stage) {
            Some(Stage::Asked(asked)) if asked.seq == question => Ok(()),
            _ => Err(format!("step `{step}` does not ask that")),
        }
    }

    /// Whether the answer counts is for the question to say, whatever way it came.
    pub(super) fn answer(&mut self, at: Timestamp, step: &StepId, answer: &Answer) -> Folded {
        let Some(Stage::Asked(asked)) = self.steps.get(step).map(|s| &s.stage) else {
            return Err(format!("step `{step}` is not waiting for an answer"));
        };
        asked
            .question
            .judge(answer, self.starter.as_deref(), at)
            .map_err(|refusal| refusal.to_string())?;
        let Answer { by, note, .. } = answer;
        let stage = if answer.approved {
            let output = serde_json::json!({
                "approved": true, "by": by, "note": note, "ticked": answer.ticked,
            });
            self.outputs.insert(step.to_string(), output);
            Stage::Done
        } else {
            Stage::Refused {
                why: format!("rejected by {by}: {note}"),
            }
        };
        self.steps.insert(step.clone(), StepState::new(stage));
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        at: Timestamp,
        step: &StepId,
        attempt: u32,
        settlement: &Settlement,
        reason: &str,
    ) -> Folded {
        let state = self.unknown_attempt(step, attempt)?;
        state.in_doubt = false;
        match settlement {
            Settlement::Happened { output } => {
                state.stage = Stage::Done;
                self.keep_output(at, step, output);
            }
            Settlement::DidNotHappen => {
                state.stage = Stage::Failed {
                    at,
                    error: format!("settled as not done: {reason}"),
                    again: true,
                    after_ms: None,
                };
                state.redo = true;
                state.redo_from = None;
            }
        }
        Ok(())
    }

    /// The step goes on with what was said of its items, with all its tries.
    pub(super) fn settle_items(
        &mut self,
        at: Timestamp,
        step: &StepId,
        attempt: u32,
        items: &[u64],
        became: ItemsBecame,
        reason: &str,
    ) -> Folded {
        let state = self.unknown_attempt(step, attempt)?;
        state.in_doubt = false;
        state.stage = Stage::Failed {
            at,
            error: format!("its items are settled: {reason}"),
            again: true,
            after_ms: None,
        };
        let items = items.iter().copied().collect();
        state.items = Some(ItemsAnswer { items, became });
        state.redo_from = None;
        state.tries = 0;
        Ok(())
    }

    /// A person who settles tells the step to go on, with all its tries. A rule or a probe does
    /// not: else a step that ends unknown each time would be tried for ever, and at once.
    pub(super) fn told_to_go_on(&mut self, step: &StepId, by: &str) {
        if let Some(state) = self.steps.get_mut(step)
            && by != BY_RULE
            && by != BY_PROBE
        {
            state.tries = 0;
        }
    }
}
