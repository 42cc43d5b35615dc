//! Facts about rounds: how far a step that is done in rounds has come.

use super::fold::{Folded, RunState};
use super::step::{Stage, StepState};
use crate::Value;
use crate::ids::StepId;
use crate::limits;
use crate::round::Round;
use crate::time::Timestamp;

/// How far a step that is done in rounds has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoundsDone {
    /// Rounds done.
    pub count: u32,
    /// When the first thing of it was about to be done; the bound `for` counts from here.
    pub begun: Option<Timestamp>,
    /// When the newest round was about to be done; the next one counts from here.
    pub last: Option<Timestamp>,
    /// What the newest round gave.
    pub output: Value,
    /// Looks before the coming round that were begun.
    pub looks: u32,
    /// When the newest of them was done.
    pub looked: Option<Timestamp>,
    /// What the newest look gave.
    pub check: Value,
}

impl RoundsDone {
    /// Whether the coming round was looked at, and not so long ago that it would have to be again.
    #[must_use]
    pub fn has_looked(&self, at: Timestamp) -> bool {
        self.looked
            .is_some_and(|looked| at.millis_since(looked) < limits::LOOKED_MS)
    }

    /// What later steps read.
    fn output(&self, held: bool) -> Value {
        serde_json::json!({
            "rounds": self.count, "held": held, "output": self.output, "check": self.check,
        })
    }
}

impl RunState {
    /// The step that waits between two of its rounds, and how far it has come.
    #[must_use]
    pub fn between_rounds(&self) -> Option<(&StepId, &RoundsDone)> {
        let open = self.ended.is_none();
        self.rounds.iter().find(|(step, done)| {
            let nth = done.count + 1;
            let begun = |round: Round| self.steps.contains_key(&round.id());
            let under_way =
                begun(Round::of(step, nth)) || begun(Round::look(step, nth, done.looks));
            open && !under_way && !self.is_behind(step)
        })
    }

    fn is_behind(&self, step: &StepId) -> bool {
        let known = self.steps.get(step);
        known.is_some_and(|known| matches!(known.stage, Stage::Done | Stage::Skipped))
    }

    /// Where a step stands: where it is done in rounds, the round that is under way, or the look before
    /// it.
    #[must_use]
    pub fn standing(&self, step: &StepId) -> Option<&Stage> {
        let done = self.rounds.get(step).filter(|_| !self.is_behind(step));
        let round = done.and_then(|done| {
            let nth = done.count + 1;
            let look = self.steps.get(&Round::look(step, nth, done.looks).id());
            self.steps.get(&Round::of(step, nth).id()).or(look)
        });
        round.or(self.steps.get(step)).map(|known| &known.stage)
    }

    /// A round is begun after the one before it, once, and so are the looks before it.
    pub(super) fn may_go_round(&self, id: &StepId) -> Folded {
        let Some(round) = Round::parse(id) else {
            return Ok(());
        };
        let Round { step, nth, look } = &round;
        let done = self.rounds.get(step).cloned().unwrap_or_default();
        if self.is_behind(step) {
            return Err(format!("the rounds of step `{step}` are over"));
        }
        if *nth != done.count + 1 || *nth > limits::ROUNDS {
            return Err(format!(
                "round {nth} of step `{step}` follows round {}",
                done.count
            ));
        }
        if *look == 0 {
            return Ok(());
        }
        if *look != done.looks + 1 || self.steps.contains_key(&Round::of(step, *nth).id()) {
            return Err(format!(
                "nothing is looked at before round {nth} of step `{step}`"
            ));
        }
        Ok(())
    }

    /// The first attempt of a round, or of a look before it, is about to be made.
    pub(super) fn go_round(&mut self, at: Timestamp, id: &StepId) {
        if let Some(Round { step, look, .. }) = Round::parse(id) {
            let done = self.rounds.entry(step).or_default();
            done.begun.get_or_insert(at);
            done.looks = done.looks.max(look);
        }
    }

    pub(super) fn round_done(&mut self, at: Timestamp, round: Round, output: &Value) {
        let begun = self.steps.get(&round.id()).and_then(|s| s.last_intent);
        let Round { step, nth, look } = round;
        let done = self.rounds.entry(step.clone()).or_default();
        if look > 0 {
            done.looked = Some(at);
            done.check = output.clone();
        } else {
            done.count = nth;
            done.last = begun;
            done.output = output.clone();
            (done.looks, done.looked) = (0, None);
        }
        let output = done.output(false);
        self.outputs.insert(step.to_string(), output);
    }

    pub(super) fn rounds_over(&mut self, step: &StepId, rounds: u32, held: bool) -> Folded {
        if let Some(open) = self.open_step() {
            return Err(format!("step `{open}` is still open"));
        }
        let done = self.rounds.get(step).cloned().unwrap_or_default();
        let stage = self.steps.get(step).map(|s| &s.stage);
        let fresh = matches!(stage, None | Some(Stage::Held { .. }));
        let under_way = self.steps.contains_key(&Round::of(step, rounds + 1).id());
        if !fresh || under_way || done.count != rounds {
            return Err(format!("the rounds of step `{step}` are not over"));
        }
        self.outputs.insert(step.to_string(), done.output(held));
        self.steps.insert(step.clone(), StepState::new(Stage::Done));
        Ok(())
    }

    /// A person told it to go on: what a look gave before is looked at anew.
    pub(super) fn look_again(&mut self) {
        for done in self.rounds.values_mut() {
            done.looked = None;
        }
    }
}
