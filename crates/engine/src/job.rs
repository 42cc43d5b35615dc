//! One run that this process holds: its state, and what is waiting to be committed.

use crate::dispatch::Place;
use oncely_core::Value;
use oncely_core::action::{Call, Site};
use oncely_core::decide::{DEFAULT_TIMEOUT, Now, Subject, context, context_of};
use oncely_core::fact::{End, Fact, Recorded};
use oncely_core::ids::{Fence, StepId};
use oncely_core::ledger::{Held, LedgerError, RunRow};
use oncely_core::people::{NOBODY, Roster};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::task::{ActionKind, Step, Task, Work};
use oncely_core::template::Context;
use oncely_core::time::Timestamp;
use oncely_core::undo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a run was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// It ended.
    Ended(RunStatus),
    /// It waits for a time or a person.
    Waiting {
        /// When it goes on by itself.
        until: Option<Timestamp>,
        /// For what.
        why: String,
    },
    /// A person must say whether an attempt happened.
    Unknown {
        /// Which step.
        step: StepId,
        /// Why.
        error: String,
    },
    /// It was given back: the process is stopping.
    Released,
    /// Somebody else has it now.
    Lost,
}

/// A held run.
pub(crate) struct Job {
    pub(crate) row: RunRow,
    pub(crate) fence: Fence,
    pub(crate) claims: u32,
    pub(crate) state: RunState,
    pub(crate) event: Value,
    pub(crate) run: Value,
    /// Decided but not committed.
    pub(crate) pending: Vec<Fact>,
    /// Facts of the run that are committed.
    pub(crate) committed: u64,
    /// Whether it may be what its last process died of.
    pub(crate) suspicion: Suspicion,
    /// The place that its next attempt has among the steps that act.
    pub(crate) place: Option<Place>,
}

impl Job {
    pub(crate) fn new(held: Held) -> Result<Self, LedgerError> {
        let state = fold(&held.row, &held.facts)?;
        let event = serde_json::from_str(&held.row.event).map_err(|e| {
            LedgerError::Invalid(format!("the event of run {} is not JSON: {e}", held.row.id))
        })?;
        Ok(Self::of(held, event, state))
    }

    /// A run that is about to be admitted, with its event.
    pub(crate) fn fresh(held: Held, event: Value) -> Self {
        Self::of(held, event, RunState::default())
    }

    fn of(held: Held, event: Value, state: RunState) -> Self {
        let run = run_value(&held.row, &state);
        Self {
            committed: state.seq,
            row: held.row,
            fence: held.fence,
            claims: held.claims,
            state,
            event,
            run,
            pending: Vec::new(),
            suspicion: Suspicion::default(),
            place: None,
        }
    }

    /// What is to be done: the task of the text that the run is pinned to, or what takes it back.
    pub(crate) fn plan(&self, pinned: Arc<Task>) -> Arc<Task> {
        match &self.state.undoing {
            Some(undoing) => Arc::new(undo::task(&pinned, undoing)),
            None => pinned,
        }
    }

    /// What is decided about, where questions may be put to these people.
    pub(crate) fn subject<'s>(&'s self, people: &'s Roster) -> Subject<'s> {
        Subject {
            event: &self.event,
            run: &self.run,
            people,
        }
    }

    pub(crate) fn now(&self, at: Timestamp) -> Now {
        Now {
            at,
            fence: self.fence,
        }
    }

    pub(crate) fn context(&self, at: Timestamp) -> Context<'_> {
        context(self.subject(&NOBODY), &self.state, at)
    }

    /// What the templates of this step read.
    pub(crate) fn context_of(&self, step: &StepId, at: Timestamp) -> Context<'_> {
        context_of(self.subject(&NOBODY), &self.state, at, step)
    }

    /// Adds a fact to the state and to what is to be committed.
    pub(crate) fn add(&mut self, at: Timestamp, fact: Fact) -> Result<(), LedgerError> {
        self.state
            .apply(at, &fact)
            .map_err(|e| LedgerError::Invalid(format!("run {}: {e} ({fact:?})", self.row.id)))?;
        self.pending.push(fact);
        Ok(())
    }

    /// Takes the facts that the ledger has as the truth; what was pending is gone.
    pub(crate) fn reload(&mut self, facts: &[Recorded]) -> Result<(), LedgerError> {
        self.state = fold(&self.row, facts)?;
        self.committed = self.state.seq;
        self.pending.clear();
        Ok(())
    }

    pub(crate) fn site(&self, step: &StepId, ledger: &str) -> Site {
        Site {
            environment: self.row.environment.clone(),
            task: self.row.task.clone(),
            event: self.row.key.clone(),
            generation: self.row.generation,
            run: self.row.id,
            fence: self.fence,
            step: step.clone(),
            ledger: ledger.to_owned(),
            depth: self.row.depth,
        }
    }

    /// The call of the step's open attempt.
    pub(crate) fn call(&self, step: &Step, ledger: &str) -> Option<Call> {
        let known = self.state.steps.get(&step.id)?;
        Some(Call {
            options: known.call.clone()?,
            key: known.key.clone()?,
            attempt: known.attempts,
            timeout: timeout(step),
            first_intent: known.first_intent?,
            site: Arc::new(self.site(&step.id, ledger)),
            input: Arc::new(self.input(step)),
        })
    }

    /// What the program of a step reads on standard input; other actions read nothing.
    fn input(&self, step: &Step) -> Value {
        match &step.work {
            Work::Action(spec) if spec.kind == ActionKind::Command => {
                serde_json::json!({
                    "event": self.event, "steps": self.state.outputs, "run": self.run
                })
            }
            Work::Action(_) | Work::Each(_) => Value::Null,
        }
    }
}

/// That a run may be what its last process died of. A process has one such run at a time, until
/// there is progress or the run is left.
#[derive(Default)]
pub(crate) struct Suspicion(Option<(Arc<AtomicBool>, AtomicBool)>);

impl Suspicion {
    /// Takes the one place that a process has for such a run.
    pub(crate) fn taking(place: &Arc<AtomicBool>) -> Self {
        place.store(true, Ordering::SeqCst);
        Self(Some((Arc::clone(place), AtomicBool::new(true))))
    }

    /// There was progress: another such run may be tried.
    pub(crate) fn clear(&self) {
        if let Some((place, mine)) = &self.0
            && mine.swap(false, Ordering::SeqCst)
        {
            place.store(false, Ordering::SeqCst);
        }
    }
}

impl Drop for Suspicion {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How long one attempt of a step may take.
pub(crate) fn timeout(step: &Step) -> Duration {
    let millis = step.policy.timeout_ms.and_then(|ms| u64::try_from(ms).ok());
    millis.map_or(DEFAULT_TIMEOUT, Duration::from_millis)
}

/// What templates read under `run`. What takes a run back speaks of the run that it takes back.
fn run_value(row: &RunRow, state: &RunState) -> Value {
    let (id, key, generation) = match &state.undoing {
        Some(undoing) => (undoing.run, &undoing.key, undoing.generation),
        None => (row.id, &row.key, row.generation),
    };
    serde_json::json!({
        "id": id,
        "task": row.task,
        "key": key,
        "generation": generation,
        "environment": row.environment,
    })
}

/// The status of a run that ended so.
pub(crate) fn status_of(end: End) -> RunStatus {
    match end {
        End::Done => RunStatus::Done,
        End::Failed => RunStatus::Failed,
        End::Cancelled => RunStatus::Cancelled,
        End::Skipped => RunStatus::Skipped,
        End::Imported => RunStatus::Imported,
    }
}

fn fold(row: &RunRow, facts: &[Recorded]) -> Result<RunState, LedgerError> {
    RunState::fold(facts).map_err(|e| {
        LedgerError::Invalid(format!(
            "the facts of run {} cannot be read: {e}. It is left as it is.",
            row.id
        ))
    })
}
