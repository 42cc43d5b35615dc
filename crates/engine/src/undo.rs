//! Runs that take others back: what such a run would do, and its admission.

use crate::ask::Ask;
use crate::people::{People, PeopleError, TRIES};
use crate::tasks::Tasks;
use oncely_core::fact::{Fact, Request, Undoing};
use oncely_core::ids::{EventKey, Generation, RunId, StepId, TaskId};
use oncely_core::ledger::{Admission, Filter, Guard, Op, RunRef, RunRow, Unit, UnitResult};
use oncely_core::points::{self, Point};
use oncely_core::round::Named;
use oncely_core::run::{RunState, RunStatus};
use oncely_core::task::Task;
use oncely_core::undo::{self, UndoPlan};
use std::sync::Arc;

/// What an undo of a run would do, as the run stands.
pub struct Undo {
    /// The run.
    pub row: RunRow,
    /// Its facts, folded.
    pub state: RunState,
    /// The task of the text that it is pinned to; none where it never began.
    pub task: Option<Arc<Task>>,
    /// What would be taken back.
    pub plan: UndoPlan,
}

impl People {
    /// What an undo of a run would do. Changes nothing.
    ///
    /// # Errors
    /// When the run cannot be taken back as it stands; says why, and what can be done.
    pub async fn undo_plan(&self, run: RunId) -> Result<Undo, PeopleError> {
        let ask = Ask(&*self.ledger);
        let row = ask.whole(run).await?;
        let facts = ask.facts(run).await?;
        let state =
            RunState::fold(&facts).map_err(|e| PeopleError::Cannot(format!("run {run}: {e}")))?;
        self.may_be_undone(&row, &state).await?;
        let task = match state.text {
            Some(text) => Some(Tasks::default().pinned(text, &*self.ledger).await?),
            None => None,
        };
        let plan = task.as_ref().map(|task| undo::plan(task, &state));
        let mut plan = plan.unwrap_or_default();
        self.without_undone_calls(&state, &mut plan).await?;
        Ok(Undo {
            row,
            state,
            task,
            plan,
        })
    }

    /// Has a run taken back, by a run of its own; says which. `partly` leaves what nobody said how to
    /// take back.
    ///
    /// # Errors
    /// When the run cannot be taken back as it stands. Nothing was changed.
    pub async fn undo(
        &self,
        run: RunId,
        by: &str,
        reason: &str,
        partly: bool,
    ) -> Result<RunId, PeopleError> {
        for _ in 0..TRIES {
            let undo = self.undo_plan(run).await?;
            undo.check(partly)?;
            let unit = self.admission(&undo, by, reason);
            let task = undo.row.task.as_str();
            points::pass_in(Point::UndoAskedBefore, task, "");
            let results = self.ledger.commit(vec![unit]).await?;
            points::pass_in(Point::UndoAskedAfter, task, "");
            match results.first() {
                Some(UnitResult::Applied(applied)) => return Ok(applied.run.unwrap_or_default()),
                _ => continue,
            }
        }
        Err(PeopleError::Cannot(format!(
            "run {run} keeps changing, so nothing was done. Try again."
        )))
    }

    async fn may_be_undone(&self, row: &RunRow, state: &RunState) -> Result<(), PeopleError> {
        let run = row.id;
        let why = match row.status {
            _ if row.undoes().is_some() => format!(
                "run {run} takes another one back. `oncely rerun` of that one does it once more."
            ),
            _ if state.undo_asked => self.known_undo(row, state).await?,
            RunStatus::Done | RunStatus::Failed | RunStatus::Cancelled => return Ok(()),
            RunStatus::Skipped if state.text.is_some() => return Ok(()),
            RunStatus::Skipped | RunStatus::Imported => format!(
                "run {run} is {}: oncely did nothing that could be taken back.",
                row.status
            ),
            RunStatus::Unknown => format!(
                "run {run} is unknown: first say with `oncely settle {run}` whether its attempt \
                 happened."
            ),
            RunStatus::Pending | RunStatus::Running | RunStatus::Waiting => format!(
                "run {run} is {}: it has not ended. `oncely cancel {run}` ends it; then it can be \
                 taken back.",
                row.status
            ),
            RunStatus::Undone => format!("run {run} was taken back already."),
        };
        Err(PeopleError::Cannot(format!("{why} Nothing was changed.")))
    }

    /// How the undo of a run stands that was asked for before.
    async fn known_undo(&self, row: &RunRow, state: &RunState) -> Result<String, PeopleError> {
        let run = row.id;
        if let Some(by) = state.undone {
            return Ok(format!("run {run} was taken back already, by run {by}."));
        }
        let filter = of_key(row, row.task.clone(), undo::key(run));
        let found = Ask(&*self.ledger).runs(filter).await?.into_iter().next();
        Ok(match found {
            Some(undo) if undo.status == RunStatus::Failed => format!(
                "run {run} is being taken back by run {0}, which failed. `oncely show {0}` says \
                 where; `oncely resume {0}` goes on from there.",
                undo.id
            ),
            Some(undo) => format!(
                "run {run} is being taken back already, by run {}, which is {}.",
                undo.id, undo.status
            ),
            None => format!("run {run} is being taken back already."),
        })
    }

    /// A task that was called has a run of its own. Where that was taken back nothing is missing.
    async fn without_undone_calls(
        &self,
        state: &RunState,
        plan: &mut UndoPlan,
    ) -> Result<(), PeopleError> {
        let steps: Vec<StepId> = plan.missing.keys().cloned().collect();
        for step in steps {
            let Some((task, key)) = called(state, &step) else {
                continue;
            };
            let filter = Filter {
                task: Some(task.clone()),
                key: Some(key.clone()),
                limit: 1,
                ..Filter::default()
            };
            match Ask(&*self.ledger).runs(filter).await?.first() {
                Some(row) if row.status == RunStatus::Undone => {
                    plan.missing.remove(&step);
                }
                Some(row) => {
                    let why = format!(
                        "it called `{task}`, which has a run of its own: `oncely undo {}` first",
                        row.id
                    );
                    plan.missing.insert(step, why);
                }
                None => {}
            }
        }
        Ok(())
    }

    fn admission(&self, undo: &Undo, by: &str, reason: &str) -> Unit {
        let (row, at) = (&undo.row, self.clock.now());
        let admission = Admission {
            environment: row.environment.clone(),
            task: row.task.clone(),
            key: undo::key(row.id),
            generation: Generation::FIRST,
            trigger: undo::TRIGGER,
            event: row.event.clone(),
            lane: None,
            depth: row.depth,
            parent: Some(row.id),
            at,
            claimed: false,
            status: RunStatus::Pending,
        };
        let asked = Fact::Requested {
            what: Request::Undo,
            by: by.to_owned(),
            reason: reason.to_owned(),
        };
        let facts = |run, facts| Op::Facts { run, at, facts };
        Unit {
            guards: vec![Guard::RunSeq(row.id, undo.state.seq)],
            ops: vec![
                Op::Admit(admission),
                facts(RunRef::Id(row.id), vec![asked]),
                facts(RunRef::New, undo.first_facts(by, reason)),
            ],
        }
    }
}

impl Undo {
    /// Whether it can be done.
    ///
    /// # Errors
    /// When an attempt is in doubt, or something would be left that nobody said may be left.
    pub fn check(&self, partly: bool) -> Result<(), PeopleError> {
        let run = self.row.id;
        if let Some(step) = &self.plan.in_doubt {
            return Err(PeopleError::Cannot(format!(
                "nobody knows whether step {} of run {run} happened. `oncely resume {run}` \
                 finds out or asks; settle it, and then take the run back. Nothing was changed.",
                Named(step)
            )));
        }
        if self.plan.missing.is_empty() || partly {
            return Ok(());
        }
        let missing = self.plan.missing.iter();
        let steps: Vec<String> = missing
            .map(|(step, why)| format!("step `{step}`: {why}"))
            .collect();
        Err(PeopleError::Cannot(format!(
            "run {run} cannot be taken back whole: {}. Nothing was changed. --partly takes back the \
             rest and leaves that as it is.",
            steps.join("; ")
        )))
    }

    fn first_facts(&self, by: &str, reason: &str) -> Vec<Fact> {
        let mut left = self.plan.left.clone();
        left.extend(self.plan.missing.clone());
        let undoing = Undoing {
            run: self.row.id,
            key: self.row.key.clone(),
            generation: self.row.generation,
            steps: self.plan.steps.clone(),
            outputs: self.state.outputs.clone(),
            calls: self.plan.calls.clone(),
            left,
            by: by.to_owned(),
            reason: reason.to_owned(),
        };
        let mut facts = vec![Fact::Undoes(undoing)];
        facts.extend(self.state.text.map(|text| Fact::Began {
            text,
            models: self.state.models.clone(),
        }));
        facts
    }
}

/// The task and the key that a `call` step gave.
fn called(state: &RunState, step: &StepId) -> Option<(TaskId, EventKey)> {
    let output = state.outputs.get(step.as_str())?;
    let text = |name| output.get(name).and_then(oncely_core::Value::as_str);
    Some((TaskId::from(text("task")?), EventKey::from(text("key")?)))
}

fn of_key(row: &RunRow, task: TaskId, key: EventKey) -> Filter {
    Filter {
        environment: Some(row.environment.clone()),
        task: Some(task),
        key: Some(key),
        limit: 1,
        ..Filter::default()
    }
}
