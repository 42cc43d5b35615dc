//! Takes one held run forward: decide, commit, act, commit the outcome with the next intent.

use crate::act::{Attempted, Ending};
use crate::ask::Ask;
use crate::dispatch::{Place, Slots, Stop};
use crate::intake::Intake;
use crate::job::{Job, Rest, Suspicion, status_of};
use crate::record::{Flushed, PAUSE};
use crate::room::Room;
use crate::tasks::{Actions, Tasks};
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::decide::{Next, decide};
use oncely_core::fact::{End, Fact};
use oncely_core::ids::StepId;
use oncely_core::ledger::{Held, Ledger, LedgerError};
use oncely_core::people::Roster;
use oncely_core::question::Notice;
use oncely_core::round::Round;
use oncely_core::run::RunStatus;
use oncely_core::task::{ActionKind, ActionSpec, Policy, Step, Task, Work};
use oncely_core::template::Node;
use oncely_core::time::{Clock, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// Everything that driving a run needs.
pub(crate) struct Runner {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) stop: Stop,
    pub(crate) slots: Slots,
    /// The project's root: files that tasks read lie below it.
    pub(crate) root: std::path::PathBuf,
    /// Whom questions are put to.
    pub(crate) people: Arc<Roster>,
    /// Whether the ledger has room.
    pub(crate) room: Arc<Room>,
}

/// What is to be done with a run once what is pending is committed.
#[derive(Debug, Clone)]
pub(crate) enum Todo {
    /// Make the step's open attempt.
    Act(StepId),
    /// Wait for a place to act, and decide anew: what nobody could repeat is not announced before
    /// it can be done, so that no crash leaves it in doubt for nothing.
    Queue,
    /// Leave it.
    Rest(Rest),
}

impl Runner {
    /// Drives a run that was claimed until it rests.
    pub(crate) async fn drive(
        &self,
        held: Held,
        suspicion: Suspicion,
    ) -> Result<Rest, LedgerError> {
        let mut job = Job {
            suspicion,
            ..Job::new(held)?
        };
        self.cancel_others(&job).await?;
        let known = match job.state.text {
            Some(text) => Some(job.plan(self.tasks.pinned(text, &*self.ledger).await?)),
            None => None,
        };
        let (task, todo) = self.advance(&mut job, known, None).await?;
        self.go_on(job, task, todo).await
    }

    /// Drives a run on, whose pending facts are committed.
    pub(crate) async fn go_on(
        &self,
        mut job: Job,
        mut task: Option<Arc<Task>>,
        mut todo: Todo,
    ) -> Result<Rest, LedgerError> {
        loop {
            let step = match todo {
                Todo::Rest(rest) => return Ok(rest),
                Todo::Queue => {
                    job.place = self.queue(&job).await?;
                    (task, todo) = self.advance(&mut job, task, None).await?;
                    continue;
                }
                Todo::Act(step) => step,
            };
            match self.attempt(&mut job, task.as_deref(), &step).await? {
                Attempted::Ended(ending) => {
                    (task, todo) = self.advance(&mut job, task, Some(ending)).await?;
                }
                Attempted::Lost => return Ok(Rest::Lost),
                Attempted::Released => return self.release(&job).await,
            }
        }
    }

    /// Waits for a place to act; none when the process is to stop.
    pub(crate) async fn queue(&self, job: &Job) -> Result<Option<Place>, LedgerError> {
        if self.stop.is_stopping() {
            return Ok(None);
        }
        if let Some(place) = self.slots.place_now(&job.row.task) {
            return Ok(Some(place));
        }
        tokio::select! {
            biased;
            () = self.stop.stopped() => Ok(None),
            place = self.slots.place(&job.row.task) => place.map(Some),
        }
    }

    /// Records an ending if there is one, decides as far as it goes, and commits it all together.
    async fn advance(
        &self,
        job: &mut Job,
        mut task: Option<Arc<Task>>,
        mut ending: Option<Ending>,
    ) -> Result<(Option<Arc<Task>>, Todo), LedgerError> {
        let mut pause = PAUSE;
        let mut full = false;
        loop {
            let at = self.clock.now();
            if let Some(ending) = &ending {
                job.add(at, ending.fact())?;
            }
            let todo = match full && ending.is_some() {
                // What has happened is recorded by itself, and what follows decided after that.
                true => Todo::Queue,
                false => self.plan(job, &mut task, at).await?,
            };
            match self
                .flush(job, at, task.as_deref(), ending.as_ref(), &todo)
                .await?
            {
                Flushed::Done => return Ok((task, todo)),
                Flushed::Lost => return Ok((task, Todo::Rest(Rest::Lost))),
                Flushed::Changed => {
                    self.reload(job, &mut task).await?;
                    ending = ending.filter(|e| e.is_open_in(job));
                }
                Flushed::Full => {
                    self.reload(job, &mut task).await?;
                    ending = ending.filter(|e| e.is_open_in(job));
                    full = true;
                    job.place = None;
                    if ending.is_none() {
                        self.wait_for_room(&mut pause).await;
                    }
                }
                Flushed::SqlFailed(error) => {
                    self.reload(job, &mut task).await?;
                    ending = ending.map(|e| e.refused(Failure::permanent(error)));
                }
                Flushed::SqlLate(error) => {
                    self.reload(job, &mut task).await?;
                    ending = ending.map(|e| e.refused(Failure::retry(error)));
                }
            }
        }
    }

    /// Takes what the ledger has as the truth. A beginning that was not committed is not one.
    async fn reload(&self, job: &mut Job, task: &mut Option<Arc<Task>>) -> Result<(), LedgerError> {
        let facts = Ask(&*self.ledger).facts(job.row.id).await?;
        job.reload(&facts)?;
        task.take_if(|_| job.state.text.is_none());
        Ok(())
    }

    /// Decides until there is an attempt to make or nothing to do.
    pub(crate) async fn plan(
        &self,
        job: &mut Job,
        task: &mut Option<Arc<Task>>,
        at: Timestamp,
    ) -> Result<Todo, LedgerError> {
        loop {
            if task.is_none() && !self.begin_or_end(job, task, at)? {
                return Ok(self.ended(job));
            }
            let Some(plan) = task.clone() else {
                return Ok(self.ended(job));
            };
            match decide(&plan, job.subject(&self.people), &job.state, job.now(at)) {
                Next::Record(fact) => job.add(at, fact)?,
                Next::Start { step, attempt } => {
                    if let Some(todo) = self.start(job, &plan, &step, attempt, at)? {
                        return Ok(todo);
                    }
                }
                Next::Probe { step, attempt } => {
                    let probing = Box::pin(self.probe(job, &plan, &step, attempt, at));
                    if let Some(todo) = probing.await? {
                        return Ok(todo);
                    }
                }
                Next::Act { step, .. } => return Ok(Todo::Act(step)),
                Next::Wait { until, why } => {
                    return Ok(Todo::Rest(Rest::Waiting { until, why }));
                }
                Next::Park { step, error } => {
                    return Ok(Todo::Rest(Rest::Unknown { step, error }));
                }
                Next::Begin | Next::Over => return Ok(self.ended(job)),
            }
        }
    }

    fn ended(&self, job: &Job) -> Todo {
        let status = job.state.ended.as_ref().map(|(end, _)| status_of(*end));
        Todo::Rest(Rest::Ended(status.unwrap_or(RunStatus::Failed)))
    }
}

pub(crate) fn end(end: End, reason: &str) -> Fact {
    Fact::Ended {
        end,
        reason: reason.to_owned(),
    }
}

/// The step of this id. A message about a question is a step of its own, which no file holds; and so
/// is a round.
pub(crate) fn find<'t>(task: &'t Task, id: &StepId) -> Option<Cow<'t, Step>> {
    if Notice::is_id(id) {
        let notice = Step {
            id: id.clone(),
            policy: Policy::default(),
            work: Work::Action(ActionSpec::new(
                ActionKind::Approve,
                Node::Fixed(Value::Null),
            )),
        };
        return Some(Cow::Owned(notice));
    }
    let named = |id: &StepId| task.steps.iter().find(|step| step.id == *id);
    match Round::parse(id) {
        Some(round) => named(&round.step)?.round(&round).map(Cow::Owned),
        None => named(id).map(Cow::Borrowed),
    }
}

/// Every action of a task, those of `do` blocks too.
pub(crate) fn specs(task: &Task) -> impl Iterator<Item = (&StepId, &ActionSpec)> {
    task.steps.iter().flat_map(|step| {
        let inner = match &step.work {
            Work::Each(each) => each.steps.as_slice(),
            Work::Action(_) => &[],
        };
        std::iter::once(step)
            .chain(inner)
            .filter_map(|s| match &s.work {
                Work::Action(spec) => Some((&s.id, spec)),
                Work::Each(_) => None,
            })
    })
}
