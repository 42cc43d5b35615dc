//! Facts about attempts: intents, outcomes, interruptions.

use super::doubt::{doubt_stays, may_try_again, stage_of};
use super::fold::{Folded, RunState};
use super::step::{Advice, Stage, StepState};
use crate::Value;
use crate::effect::EffectKey;
use crate::fact::{Outcome, Repeat};
use crate::ids::{Fence, StepId};
use crate::question::Notice;
use crate::round::Round;
use crate::time::Timestamp;

impl RunState {
    pub(super) fn fresh(&mut self, step: &StepId, state: StepState) -> Folded {
        if self.steps.contains_key(step) {
            return Err(format!("something has happened to step `{step}` already"));
        }
        if let Some(open) = self.open_step() {
            return Err(format!("step `{open}` is still open"));
        }
        self.steps.insert(step.clone(), state);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // The parts of one fact.
    pub(super) fn intend(
        &mut self,
        at: Timestamp,
        step: &StepId,
        attempt: u32,
        fence: Fence,
        call: Option<&Value>,
        repeat: Repeat,
        key: &EffectKey,
    ) -> Folded {
        if let Some(open) = self.open_step() {
            return Err(format!("step `{open}` is still open"));
        }
        if self.cancel {
            return Err("the run is being cancelled".into());
        }
        let known = self.steps.get(step);
        let made = known.map_or(0, |s| s.attempts);
        if attempt != made + 1 {
            return Err(format!(
                "attempt {attempt} of step `{step}` follows attempt {made}"
            ));
        }
        if let Some(state) = known {
            may_try_again(step, state, at, repeat, key)?;
        }
        if made == 0 && call.is_none() {
            return Err(format!("the first attempt of step `{step}` has no call"));
        }
        self.may_tell(step)?;
        if made == 0 {
            self.may_go_round(step)?;
            self.go_round(at, step);
        }
        let unrecorded = self.may_have_begun(step);
        let since = self.begins_in_doubt(step, unrecorded);
        let entry = self
            .steps
            .entry(step.clone())
            .or_insert_with(|| StepState::new(Stage::Open { fence }));
        entry.stage = Stage::Open { fence };
        entry.attempts = attempt;
        entry.tries += 1;
        if entry.redo || entry.items.is_some() {
            entry.redo_from.get_or_insert(fence);
        }
        entry.probed = false;
        entry.unrecorded = unrecorded;
        entry.first_intent.get_or_insert(since.unwrap_or(at));
        entry.last_intent = Some(at);
        if let Some(call) = call {
            entry.call = Some(call.clone());
        }
        entry.repeat = Some(repeat);
        entry.key = Some(key.clone());
        Ok(())
    }

    pub(super) fn outcome(
        &mut self,
        at: Timestamp,
        step: &StepId,
        attempt: u32,
        outcome: &Outcome,
    ) -> Folded {
        let in_doubt = self.steps.get(step).is_some_and(doubt_stays);
        let state = self.close(step, attempt, stage_of(at, outcome, in_doubt))?;
        match outcome {
            Outcome::Done { output } => {
                state.in_doubt = false;
                self.keep_output(at, step, output);
            }
            Outcome::Failed {
                again, after_ms, ..
            } => {
                state.advice = Advice {
                    again: *again,
                    after_ms: *after_ms,
                };
            }
            Outcome::Unknown { .. } => {
                state.in_doubt = true;
                state.advice = Advice::NONE;
            }
        }
        Ok(())
    }

    /// A message about a question is sent while the question waits for its answer.
    fn may_tell(&self, id: &StepId) -> Folded {
        let Some(notice) = Notice::parse(id) else {
            return Ok(());
        };
        match self.steps.get(&notice.step).map(|s| &s.stage) {
            Some(Stage::Asked(asked)) if asked.seq == notice.question => Ok(()),
            _ => Err(format!("`{id}` tells of a question that nobody asks")),
        }
    }

    /// What later steps read. Nothing reads what became of a message about a question.
    pub(super) fn keep_output(&mut self, at: Timestamp, step: &StepId, output: &Value) {
        if let Some(round) = Round::parse(step) {
            self.round_done(at, round, output);
        } else if Notice::parse(step).is_none() {
            self.outputs.insert(step.to_string(), output.clone());
        }
    }

    pub(super) fn close(
        &mut self,
        step: &StepId,
        attempt: u32,
        stage: Stage,
    ) -> Result<&mut StepState, String> {
        let state = self
            .steps
            .get_mut(step)
            .ok_or_else(|| format!("step `{step}` was never begun"))?;
        if !matches!(state.stage, Stage::Open { .. }) || state.attempts != attempt {
            return Err(format!("attempt {attempt} of step `{step}` is not open"));
        }
        let crashed = matches!(stage, Stage::Unknown { crashed: true, .. });
        state.redo &= crashed;
        state.items = state.items.take().filter(|_| crashed);
        state.stage = stage;
        Ok(state)
    }

    /// A crash is not a try: the ledger counts claims without progress.
    pub(super) fn interrupt(&mut self, at: Timestamp, step: &StepId, attempt: u32) -> Folded {
        let unrecorded = self.steps.get(step).is_some_and(|s| s.unrecorded);
        let error = match unrecorded {
            true => "the end of the ledger was lost: it may have been done, or not been begun",
            false => "the process that made the attempt went away before it said how it ended",
        };
        let stage = Stage::Unknown {
            at,
            error: error.into(),
            crashed: true,
        };
        let state = self.close(step, attempt, stage)?;
        state.tries = state.tries.saturating_sub(1);
        state.in_doubt = true;
        state.advice = Advice::NONE;
        Ok(())
    }

    pub(super) fn probe(&mut self, step: &StepId, attempt: u32) -> Folded {
        self.unknown_attempt(step, attempt)?.probed = true;
        Ok(())
    }

    /// A person who has it looked up tells the step to go on where it did not happen.
    pub(super) fn probe_again(&mut self, step: &StepId, attempt: u32) -> Folded {
        let state = self.unknown_attempt(step, attempt)?;
        state.probed = false;
        state.tries = 0;
        Ok(())
    }

    pub(super) fn unknown_attempt(
        &mut self,
        step: &StepId,
        attempt: u32,
    ) -> Result<&mut StepState, String> {
        match self.steps.get_mut(step) {
            Some(state)
                if matches!(state.stage, Stage::Unknown { .. }) && state.attempts == attempt =>
            {
                Ok(state)
            }
            _ => Err(format!("attempt {attempt} of step `{step}` is not unknown")),
        }
    }
}
