//! Makes attempts: acts within the time that a step has, and says how it ended.

use crate::intake::Offer;
use crate::items;
use crate::job::Job;
use crate::runner::{Runner, find};
use futures_util::FutureExt;
use oncely_core::action::{Action, Call, Called, Done, Failure};
use oncely_core::decide::judge_until;
use oncely_core::fact::{Fact, Outcome};
use oncely_core::ids::StepId;
use oncely_core::ledger::{LedgerError, Op, Unit};
use oncely_core::points::{self, Point};
use oncely_core::task::{ActionKind, Step, Task, Work};
use oncely_core::time::Timestamp;
use oncely_core::{Value, limits};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than its time an attempt may take whose action does not end it by itself.
const FORGETFUL: Duration = Duration::from_secs(10);

/// When the attempt that began then is over for certain: until then it may be on its way.
pub(crate) fn over(begun: Timestamp, call: &Call) -> Timestamp {
    begun + call.timeout + FORGETFUL
}

/// How an attempt ended, and what is committed with it.
pub(crate) struct Ending {
    step: StepId,
    attempt: u32,
    outcome: Outcome,
    pub(crate) ops: Vec<Op>,
    pub(crate) before: Vec<Unit>,
}

/// What came of an attempt.
pub(crate) enum Attempted {
    Ended(Ending),
    Lost,
    Released,
}

impl Runner {
    pub(crate) fn action(&self, kind: ActionKind) -> Result<Arc<dyn Action>, String> {
        self.actions
            .get(kind)
            .ok_or_else(|| format!("this oncely cannot do `{kind}` steps"))
    }

    /// Makes the open attempt of a step.
    pub(crate) async fn attempt(
        &self,
        job: &mut Job,
        task: Option<&Task>,
        step: &StepId,
    ) -> Result<Attempted, LedgerError> {
        let found = task.and_then(|t| find(t, step));
        let (Some(found), Some(call)) = (
            &found,
            found
                .as_deref()
                .and_then(|s| job.call(s, &self.ledger.name())),
        ) else {
            return Err(LedgerError::Invalid(format!(
                "run {} has no open step `{step}`",
                job.row.id
            )));
        };
        let mut place = match job.place.take() {
            Some(place) => Some(place),
            None => self.queue(job).await?,
        };
        if place.is_none() {
            // It is safe or has a key: whoever claims the run next makes the attempt.
            return Ok(Attempted::Released);
        }
        let (result, ops) = match &found.work {
            Work::Action(spec) if spec.inverse => {
                let given = job.state.outputs.get(step.as_str());
                let given = given.cloned().unwrap_or_default();
                (self.take_back(spec.kind, &call, &given).await, Vec::new())
            }
            Work::Action(spec) => (self.act(spec.kind, &call).await, Vec::new()),
            // Boxed, so that the runs which stream nothing need no room for it.
            Work::Each(each) => {
                let stream = items::run(self, job, found, each, &call, place.take());
                match Box::pin(stream).await? {
                    items::Over::Lost => return Ok(Attempted::Lost),
                    items::Over::Released => return Ok(Attempted::Released),
                    items::Over::Ended(result, ops) => (result, ops),
                }
            }
        };
        let mut ending = self.ending(job, found, &call, result);
        ending.ops.extend(ops);
        Ok(Attempted::Ended(ending))
    }

    /// Performs a call.
    pub(crate) async fn act(&self, kind: ActionKind, call: &Call) -> Result<Done, Failure> {
        let action = self.action(kind).map_err(Failure::permanent)?;
        pass(Point::EffectBefore, call);
        let result = self.within(call, action.run(call)).await;
        pass(Point::EffectAfter, call);
        result
    }

    /// Takes back what a call gave.
    async fn take_back(
        &self,
        kind: ActionKind,
        call: &Call,
        given: &Value,
    ) -> Result<Done, Failure> {
        let action = self.action(kind).map_err(Failure::permanent)?;
        let undone = async { action.undo(call, given).await.map(Done::Output) };
        pass(Point::InverseBefore, call);
        let result = self.within(call, undone).await;
        pass(Point::InverseAfter, call);
        result
    }

    /// Panics are caught, and the time is bounded even when the action forgets it.
    async fn within(
        &self,
        call: &Call,
        work: impl Future<Output = Result<Done, Failure>>,
    ) -> Result<Done, Failure> {
        let work = AssertUnwindSafe(work).catch_unwind();
        let bound = call.timeout + FORGETFUL;
        tokio::select! {
            biased;
            ended = tokio::time::timeout(bound, work) => match ended {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => Err(Failure::unknown(format!(
                    "the step's code panicked: {}", panic_text(&*panic)
                ))),
                Err(_) => Err(Failure::unknown(format!(
                    "it did not end within {} s", bound.as_secs()
                ))),
            },
            () = self.stop.aborted() => Err(Failure::unknown(
                "the process was told to stop and its grace time ran out",
            )),
        }
    }

    fn ending(&self, job: &Job, step: &Step, call: &Call, result: Result<Done, Failure>) -> Ending {
        let mut ending = Ending {
            step: step.id.clone(),
            attempt: call.attempt,
            outcome: Outcome::Unknown {
                error: String::new(),
            },
            ops: Vec::new(),
            before: Vec::new(),
        };
        ending.outcome = match result {
            Err(failure) => outcome_of(failure),
            Ok(Done::Output(output)) => Outcome::Done {
                output: bounded(output),
            },
            Ok(Done::InCommit { statements }) => {
                ending.ops.push(Op::Sql(statements));
                Outcome::Done {
                    output: serde_json::json!({}),
                }
            }
            Ok(Done::Call(called)) => match self.call_unit(job, called) {
                Ok((unit, output)) => {
                    ending.before.push(unit);
                    Outcome::Done { output }
                }
                Err(error) => Outcome::Failed {
                    error,
                    again: false,
                    after_ms: None,
                },
            },
        };
        let context = job.context(self.clock.now());
        ending.outcome =
            judge_until(step, &context, ending.outcome).unwrap_or_else(|e| Outcome::Failed {
                error: e.to_string(),
                again: false,
                after_ms: None,
            });
        ending
    }

    fn call_unit(&self, job: &Job, called: Called) -> Result<(Unit, Value), String> {
        let depth = job.row.depth + 1;
        if depth > limits::CALL_DEPTH {
            return Err(format!(
                "more than {} tasks have called one another",
                limits::CALL_DEPTH
            ));
        }
        let output = serde_json::json!({ "task": called.task, "key": called.key });
        let offer = Offer {
            parent: Some(job.row.id),
            depth,
            started: started(job),
            lost: lost(job),
            ..Offer::call(called)
        };
        Ok((self.intake.unit(offer)?, output))
    }
}

fn pass(point: Point, call: &Call) {
    points::pass_in(point, call.site.task.as_str(), call.site.step.as_str());
}

/// Who started a run has started what it calls.
fn started(job: &Job) -> Option<(String, String)> {
    let starter = job.state.starter.clone()?;
    Some((starter, format!("run {} calls it", job.row.id)))
}

/// What a run calls whose end was lost may have been called since, and done.
fn lost(job: &Job) -> Option<Fact> {
    let lost = job.state.lost.as_ref()?;
    let run = job.row.id;
    Some(Fact::EndLost {
        since: lost.since,
        hold: String::new(),
        by: format!("run {run}"),
        reason: format!("run {run} calls it, and may have called it before"),
    })
}

impl Ending {
    pub(crate) fn fact(&self) -> Fact {
        Fact::Outcome {
            step: self.step.clone(),
            attempt: self.attempt,
            outcome: self.outcome.clone(),
        }
    }

    /// The step whose attempt ended.
    pub(crate) fn step(&self) -> &StepId {
        &self.step
    }

    /// Whether the attempt still waits for its outcome: a commit whose end was not known may have
    /// recorded it.
    pub(crate) fn is_open_in(&self, job: &Job) -> bool {
        job.state.open_step() == Some(&self.step)
    }

    /// Its statements did not go through.
    pub(crate) fn refused(self, failure: Failure) -> Self {
        Self {
            outcome: outcome_of(failure),
            ops: Vec::new(),
            before: Vec::new(),
            ..self
        }
    }
}

/// What is recorded of a failure.
pub(crate) fn outcome_of(failure: Failure) -> Outcome {
    match failure {
        Failure::Retry { error, after } => Outcome::Failed {
            error: clip(error),
            again: true,
            after_ms: after.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        },
        Failure::Permanent { error } => Outcome::Failed {
            error: clip(error),
            again: false,
            after_ms: None,
        },
        Failure::Unknown { error } => Outcome::Unknown { error: clip(error) },
    }
}

/// An error text within its bound.
pub(crate) fn clip(mut error: String) -> String {
    if error.len() > limits::ERROR_BYTES {
        let mut end = limits::ERROR_BYTES;
        while !error.is_char_boundary(end) {
            end -= 1;
        }
        error.truncate(end);
        error.push_str(" … (cut)");
    }
    error
}

/// An output within its bound: what is too large is said, not kept.
pub(crate) fn bounded(output: Value) -> Value {
    let bytes = output.to_string().len();
    if bytes <= limits::OUTPUT_BYTES {
        return output;
    }
    serde_json::json!({ "too_large": true, "bytes": bytes })
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}
