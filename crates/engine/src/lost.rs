//! Goes on after the end of the ledger was lost: runs that had not ended are in doubt from there on.

use crate::ask::Ask;
use crate::begin::with_pin;
use crate::dispatch::Engine;
use crate::job::{Job, timeout};
use crate::people::{People, PeopleError};
use crate::runner::Runner;
use oncely_core::Value;
use oncely_core::action::{Call, Site};
use oncely_core::effect::EffectKey;
use oncely_core::fact::{Fact, Recorded, Repeat};
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{LedgerError, RunRow};
use oncely_core::lost::{Span, Unrecorded, unrecorded, why_hold};
use oncely_core::run::RunState;
use oncely_core::task::{ActionSpec, Step, Task};
use oncely_core::time::Timestamp;
use oncely_core::undo;
use std::sync::Arc;

/// What becomes of a run whose end was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndLost {
    /// It goes on by itself; each step is taken for one that may have been done.
    GoesOn,
    /// It waits for a person, for this reason.
    Held(String),
    /// A person had it held before.
    Paused,
}

impl Engine {
    /// Says of a run that had not ended that the end of the ledger was lost. With `hold_all` it is held
    /// also where it could go on by itself.
    ///
    /// # Errors
    /// When the run cannot be read, or the ledger does not answer.
    pub async fn lose_end(
        &self,
        people: &People,
        row: &RunRow,
        hold_all: bool,
        by: &str,
        reason: &str,
    ) -> Result<EndLost, PeopleError> {
        let facts = Ask(self.ledger()).facts(row.id).await?;
        let state = RunState::fold(&facts)
            .map_err(|e| PeopleError::Cannot(format!("run {}: {e}", row.id)))?;
        let at = people.now();
        let span = Span {
            since: last(&state, row, &facts),
            at,
        };
        let became = match self.why_hold(row, &state, span).await {
            _ if state.paused && !state.lost.as_ref().is_some_and(|lost| lost.held) => {
                EndLost::Paused
            }
            Some(why) => EndLost::Held(why),
            None if hold_all => EndLost::Held("everything is to be held".into()),
            None => EndLost::GoesOn,
        };
        let hold = match &became {
            EndLost::Held(why) => why.clone(),
            EndLost::GoesOn | EndLost::Paused => String::new(),
        };
        let (since, by, reason) = (span.since, by.to_owned(), reason.to_owned());
        let fact = Fact::EndLost {
            since,
            hold,
            by,
            reason,
        };
        people.lose_end(row.id, fact).await?;
        Ok(became)
    }

    async fn why_hold(&self, row: &RunRow, state: &RunState, span: Span) -> Option<String> {
        let task = match state.text {
            Some(text) => self.tasks().pinned(text, self.ledger()).await.ok(),
            None => self.tasks().current(&row.task).map(|known| known.task),
        };
        let Some(task) = task else {
            return Some(format!("task `{}` cannot be read", row.task));
        };
        let task: Arc<Task> = match &state.undoing {
            Some(undoing) => Arc::new(undo::task(&task, undoing)),
            None => task,
        };
        let declared = |step: &Step, spec: &ActionSpec| self.declared(row, state, step, spec);
        why_hold(&task, state, span, &declared)
    }

    /// What is declared about doing a step twice: recorded with its first attempt, or said by its action.
    fn declared(&self, row: &RunRow, state: &RunState, step: &Step, spec: &ActionSpec) -> Repeat {
        let known = state.steps.get(&step.id).and_then(|known| known.repeat);
        if let Some(repeat) = known {
            return repeat;
        }
        let Ok(action) = self.runner().action(spec.kind) else {
            return Repeat::AskFirst;
        };
        action.repeat(&outline(row, state, step, spec))
    }
}

/// A call of which only its kind is known.
fn outline(row: &RunRow, state: &RunState, step: &Step, spec: &ActionSpec) -> Call {
    Call {
        options: with_pin(spec.options.outline(), &state.models),
        key: EffectKey(String::new()),
        attempt: 1,
        timeout: timeout(step),
        first_intent: row.admitted,
        site: Arc::new(Site {
            environment: row.environment.clone(),
            task: row.task.clone(),
            event: row.key.clone(),
            generation: row.generation,
            run: row.id,
            fence: Fence(0),
            step: step.id.clone(),
            ledger: String::new(),
            depth: row.depth,
        }),
        input: Arc::new(Value::Null),
    }
}

/// What was done without a record was done after the last record.
fn last(state: &RunState, row: &RunRow, facts: &[Recorded]) -> Timestamp {
    let last = facts.last().map_or(row.admitted, |fact| fact.at);
    state
        .lost
        .as_ref()
        .map_or(last, |lost| lost.since.min(last))
}

impl People {
    /// Lets a run that is held because the end of the ledger was lost go on. False: it is not held so.
    ///
    /// # Errors
    /// When the run cannot be read, or the ledger does not answer.
    pub async fn go_on_after_loss(
        &self,
        run: RunId,
        by: &str,
        reason: &str,
    ) -> Result<bool, PeopleError> {
        let state = self.folded(run).await?;
        let held = state.paused && state.lost.as_ref().is_some_and(|lost| lost.held);
        if held {
            let what = oncely_core::fact::Request::Resume;
            self.request(run, what, by, reason).await?;
        }
        Ok(held)
    }
}

impl Runner {
    /// A step that may have been done without a record begins as one that was interrupted: it is sent
    /// again under its key, looked up, or a person is asked.
    pub(crate) fn doubt(
        &self,
        job: &mut Job,
        step: &Step,
        mut intent: Fact,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let Fact::Intent {
            attempt, repeat, ..
        } = &mut intent
        else {
            return job.add(at, intent);
        };
        let since = job.state.lost.as_ref().map_or(at, |lost| lost.since);
        if unrecorded(step, &job.state, *repeat, Span { since, at }) != Unrecorded::Again {
            // What was declared holds for what is known to be the last thing that was done.
            *repeat = Repeat::AskFirst;
        }
        let (step, attempt) = (step.id.clone(), *attempt);
        job.add(at, intent)?;
        job.add(at, Fact::Interrupted { step, attempt })
    }
}
