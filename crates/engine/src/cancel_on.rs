//! Runs that cancel others: before a run begins, those are asked to end whose task says so in
//! `cancel_on`.
//!
//! It is done before the run is pinned to its text, so that a process which dies on the way leaves a
//! run that has not begun, and whoever claims it next does it once more: asking twice is asking once.
//! Runs are found by their key, or by what `equals` makes of their event. Those that were admitted
//! later have higher numbers, and are left.

use crate::ask::Ask;
use crate::intake::text_of;
use crate::job::Job;
use crate::people::{People, PeopleError};
use crate::runner::Runner;
use oncely_core::Value;
use oncely_core::fact::{Fact, Request};
use oncely_core::ids::{EventKey, RunId, TaskId};
use oncely_core::ledger::{Filter, LedgerError, RunRow};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::task::CancelOn;
use oncely_core::template::{Context, Expr, Scope};
use std::sync::Arc;

/// Runs whose events are read at once.
const COMPARED_AT_ONCE: usize = 1000;

/// What a run is that can still be cancelled.
const UNDER_WAY: [RunStatus; 4] = [
    RunStatus::Pending,
    RunStatus::Running,
    RunStatus::Waiting,
    RunStatus::Unknown,
];

impl Runner {
    /// Asks the runs to end that this one cancels, unless it has begun and has done so.
    pub(crate) async fn cancel_others(&self, job: &Job) -> Result<(), LedgerError> {
        let state = &job.state;
        let over = state.ended.is_some() || state.cancel || state.undoing.is_some();
        if over || state.text.is_some() {
            return Ok(());
        }
        for (task, cancel) in self.tasks.cancelled_by(&job.row.task) {
            let Some(key) = self.key_of(job, &task, &cancel) else {
                continue;
            };
            match &cancel.equals {
                None => self.cancel_all(job, task, key).await?,
                Some(equals) => self.cancel_equal(job, task, &key, equals).await?,
            }
        }
        Ok(())
    }

    /// The key that the event gives; none where it gives nothing, which is said.
    fn key_of(&self, job: &Job, task: &TaskId, cancel: &CancelOn) -> Option<EventKey> {
        match cancel.key.value(&job.context(self.clock.now())) {
            Ok(value) if value.is_null() => None,
            Ok(value) => Some(EventKey::from(text_of(&value))),
            Err(error) => {
                tracing::warn!(
                    "run {} of {} cancels no run of {task}: cancel_on: {error}",
                    job.row.id,
                    job.row.task
                );
                None
            }
        }
    }

    async fn cancel_all(&self, job: &Job, task: TaskId, key: EventKey) -> Result<(), LedgerError> {
        let filter = Filter {
            environment: Some(job.row.environment.clone()),
            task: Some(task),
            key: Some(key),
            status: UNDER_WAY.to_vec(),
            before: Some(job.row.id),
            ..Filter::default()
        };
        for row in Ask(&*self.ledger).runs(filter).await? {
            self.cancel_run(job, row.id).await?;
        }
        Ok(())
    }

    /// Those of the runs under way whose event gives the same text.
    async fn cancel_equal(
        &self,
        job: &Job,
        task: TaskId,
        key: &EventKey,
        equals: &Expr,
    ) -> Result<(), LedgerError> {
        let mut before = job.row.id;
        loop {
            let filter = Filter {
                environment: Some(job.row.environment.clone()),
                task: Some(task.clone()),
                status: UNDER_WAY.to_vec(),
                before: Some(before),
                limit: COMPARED_AT_ONCE,
                ..Filter::default()
            };
            let rows = Ask(&*self.ledger).runs(filter).await?;
            for row in &rows {
                if row.undoes().is_none() && text_for(row, equals).as_deref() == Some(key.as_str())
                {
                    self.cancel_run(job, row.id).await?;
                }
            }
            match rows.last() {
                Some(last) if rows.len() == COMPARED_AT_ONCE => before = last.id,
                _ => return Ok(()),
            }
        }
    }

    async fn cancel_run(&self, job: &Job, run: RunId) -> Result<(), LedgerError> {
        let ledger = Arc::clone(&self.ledger);
        let people = People::new(ledger, Arc::clone(&self.clock), Arc::clone(&self.people));
        let (by, reason) = (
            format!("task {}", job.row.task),
            format!("run {}, as cancel_on says", job.row.id),
        );
        let decide = |row: &RunRow, state: &RunState| {
            if row.status.is_ended() || state.ended.is_some() || state.cancel {
                return Err(PeopleError::NoRun(run));
            }
            let (what, by, reason) = (Request::Cancel, by.clone(), reason.clone());
            Ok(((), Fact::Requested { what, by, reason }))
        };
        match people.act(run, &decide).await {
            Ok(()) | Err(PeopleError::NoRun(_) | PeopleError::Pruned(..)) => Ok(()),
            Err(PeopleError::Ledger(error)) => Err(error),
            Err(other) => Err(LedgerError::Invalid(other.to_string())),
        }
    }
}

/// What `equals` makes of a run's event. One that gives nothing is not meant.
fn text_for(row: &RunRow, equals: &Expr) -> Option<String> {
    let event: Value = serde_json::from_str(&row.event).ok()?;
    let (steps, run) = (serde_json::Map::new(), Value::Null);
    let scope = Scope {
        event: &event,
        steps: &steps,
        run: &run,
        at: row.admitted,
    };
    match equals.value(&Context::new(scope)) {
        Ok(value) if value.is_null() => None,
        Ok(value) => Some(text_of(&value)),
        Err(error) => {
            tracing::debug!("run {} is not compared: cancel_on: equals: {error}", row.id);
            None
        }
    }
}
