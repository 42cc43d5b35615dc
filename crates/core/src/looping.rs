//! What happens next in a step that is done in rounds: a part of [`decide`].
//!
//! Each round, and each look before one, is an effect of its own ([`Round`]). Between two rounds the
//! run waits. A moment that nobody saw brings one round: the next one counts from when that was done.
//!
//! [`decide`]: crate::decide::decide

use crate::decide::{Decision, Next, cancelled, failed, paused};
use crate::fact::Fact;
use crate::limits;
use crate::round::Round;
use crate::run::{RoundsDone, Stage};
use crate::task::{Rounds, Step};
use crate::template::RenderError;
use crate::time::Timestamp;

impl Decision<'_> {
    /// What happens next in a step that is done in rounds; none when it is behind us.
    pub(crate) fn in_rounds(&self, step: &Step, rounds: &Rounds) -> Option<Next> {
        let known = self.state.steps.get(&step.id);
        if known.is_some_and(|known| matches!(known.stage, Stage::Done | Stage::Skipped)) {
            return None;
        }
        match (self.state.rounds.get(&step.id), known) {
            (Some(done), _) => self
                .under_way(step, done)
                .or_else(|| Some(self.between(step, rounds, done))),
            (None, Some(held)) => self.attempted(step, held),
            (None, None) => Some(self.untouched(step)),
        }
    }

    /// The round whose attempt has not ended well, or the look before it.
    fn under_way(&self, step: &Step, done: &RoundsDone) -> Option<Next> {
        let nth = done.count + 1;
        let rounds = [
            Round::of(&step.id, nth),
            Round::look(&step.id, nth, done.looks),
        ];
        rounds.iter().find_map(|round| {
            let known = self.state.steps.get(&round.id())?;
            self.attempted(&step.round(round)?, known)
        })
    }

    fn between(&self, step: &Step, rounds: &Rounds, done: &RoundsDone) -> Next {
        if self.state.cancel {
            return cancelled(self.state);
        }
        if self.is_skipped(step) {
            return self.skip(step);
        }
        if self.state.paused {
            return paused();
        }
        self.coming(step, rounds, done)
    }

    /// The coming round: waited for, looked at, begun, or one too many.
    pub(crate) fn coming(&self, step: &Step, rounds: &Rounds, done: &RoundsDone) -> Next {
        let due = done.last.map(|last| last.plus_millis(rounds.every_ms));
        let due = due.filter(|due| *due > self.now.at);
        // Without a look the last round has said what there is to say: nothing is waited for.
        let looks = rounds.check.is_some();
        if !looks
            && done.count > 0
            && let Some(over) = self.over(step, rounds, done, due.unwrap_or(self.now.at))
        {
            return over;
        }
        let nth = done.count + 1;
        if let Some(due) = due {
            return Next::Wait {
                until: Some(due),
                why: format!("step `{}` waits for round {nth}", step.id),
            };
        }
        if looks {
            if !done.has_looked(self.now.at) {
                return start(&Round::look(&step.id, nth, done.looks + 1));
            }
            if let Some(over) = self.over(step, rounds, done, self.now.at) {
                return over;
            }
        }
        start(&Round::of(&step.id, nth))
    }

    /// That there is no further round, which would begin at this time.
    fn over(&self, step: &Step, rounds: &Rounds, done: &RoundsDone, at: Timestamp) -> Option<Next> {
        let held = match self.until(step, rounds, done) {
            Err(error) => return Some(failed(&step.id, &error.to_string())),
            Ok(held) => held,
        };
        let over = held || rounds.bounds(done, at);
        over.then(|| {
            Next::Record(Fact::RoundsOver {
                step: step.id.clone(),
                rounds: done.count,
                held,
            })
        })
    }

    /// Whether the condition holds of what the newest look gave, or else the newest round.
    fn until(&self, step: &Step, rounds: &Rounds, done: &RoundsDone) -> Result<bool, RenderError> {
        let Some(until) = &rounds.until else {
            return Ok(false);
        };
        let context = self.context();
        if rounds.check.is_some() {
            let round = Round::of(&step.id, done.count + 1);
            return until.holds(&context.with_round(round.nth, Some(&done.check)));
        }
        until.holds(
            &context
                .with_round(done.count, None)
                .with_output(&done.output),
        )
    }
}

impl Rounds {
    /// Whether a further round at this time would be one too many, or too late.
    fn bounds(&self, done: &RoundsDone, at: Timestamp) -> bool {
        let late = |for_ms| {
            done.begun
                .is_some_and(|begun| at > begun.plus_millis(for_ms))
        };
        done.count >= self.times.unwrap_or(limits::ROUNDS) || self.for_ms.is_some_and(late)
    }
}

fn start(round: &Round) -> Next {
    Next::Start {
        step: round.id(),
        attempt: 1,
    }
}
