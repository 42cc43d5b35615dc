//! Looks attempts up that nobody knows about: by what the task declares, or by the step's own action.

use crate::act::{bounded, clip, over, panic_text};
use crate::job::{Job, Rest};
use crate::runner::{Runner, Todo, find};
use futures_util::FutureExt;
use oncely_core::action::{Call, Done, Probe};
use oncely_core::fact::{BY_PROBE, Fact, Settlement};
use oncely_core::ids::StepId;
use oncely_core::ledger::LedgerError;
use oncely_core::points::{self, Point};
use oncely_core::round::Named;
use oncely_core::task::{ActionKind, Lookup, ProbeSpec, Step, Task, lookup};
use oncely_core::template::Context;
use oncely_core::time::Timestamp;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

impl Runner {
    /// Looks up the attempt of a step, and adds what came of it; a resting place where it is to be
    /// looked up again.
    pub(crate) async fn probe(
        &self,
        job: &mut Job,
        task: &Task,
        step: &StepId,
        attempt: u32,
        at: Timestamp,
    ) -> Result<Option<Todo>, LedgerError> {
        let found = find(task, step);
        let call = found
            .as_deref()
            .and_then(|s| job.call(s, &self.ledger.name()));
        let answer = match (found.as_deref(), &call) {
            (Some(found), Some(call)) => {
                let context = job.context_of(step, at);
                let (task, step) = (task.id.as_str(), step.as_str());
                points::pass_in(Point::LookBefore, task, step);
                let answer = self.look(found, call, &context).await;
                points::pass_in(Point::LookAfter, task, step);
                answer
            }
            _ => Probe::CannotTell("the task has no such step any more".into()),
        };
        let settle = |settlement| Fact::Settled {
            step: step.clone(),
            attempt,
            settlement,
            by: BY_PROBE.into(),
            reason: "the other side was asked".into(),
        };
        match answer {
            Probe::Happened(output) => job.add(at, settle(Settlement::Happened { output }))?,
            Probe::CannotTell(answer) => {
                let (step, answer) = (step.clone(), clip(answer));
                let fact = Fact::Probed {
                    step,
                    attempt,
                    answer,
                };
                job.add(at, fact)?;
            }
            Probe::DidNotHappen => {
                // The request could still be on its way until its time is over.
                let begun = job.state.steps.get(step).and_then(|s| s.last_intent);
                let over = call.map_or(at, |c| over(begun.unwrap_or(at), &c));
                if over > at {
                    let why = format!("step {} is looked up again", Named(step));
                    return Ok(Some(Todo::Rest(Rest::Waiting {
                        until: Some(over),
                        why,
                    })));
                }
                job.add(at, settle(Settlement::DidNotHappen))?;
            }
        }
        Ok(None)
    }

    /// Looks up a call of a step, once.
    pub(crate) async fn look(&self, step: &Step, call: &Call, context: &Context<'_>) -> Probe {
        match lookup(step) {
            Lookup::Declared(probe) => self.look_as_declared(probe, call, context).await,
            Lookup::Own(kind) => self.look_up(kind, call).await,
            Lookup::Nobody => Probe::CannotTell("this kind of step has nobody to ask".into()),
        }
    }

    /// A look-up that goes wrong says nothing about the attempt.
    async fn look_as_declared(
        &self,
        probe: &ProbeSpec,
        call: &Call,
        context: &Context<'_>,
    ) -> Probe {
        let options = match probe.look.options.render(context) {
            Ok(options) => options,
            Err(error) => return Probe::CannotTell(format!("`probe`: {error}")),
        };
        let looking = Call {
            options,
            site: Arc::clone(&call.site),
            input: Arc::clone(&call.input),
            ..call.clone()
        };
        let output = match self.act(probe.look.kind, &looking).await {
            Ok(Done::Output(output)) => output,
            Ok(Done::InCommit { .. } | Done::Call(_)) => {
                return Probe::CannotTell("`probe` has nothing that it could look at".into());
            }
            Err(failure) => return Probe::CannotTell(format!("`probe`: {}", failure.error())),
        };
        match probe.happened.holds(&context.with_output(&output)) {
            Ok(true) => Probe::Happened(bounded(output)),
            Ok(false) => Probe::DidNotHappen,
            Err(error) => Probe::CannotTell(format!("`happened`: {error}")),
        }
    }

    /// Asks the other side: a probe that panics, or takes longer than the call may, could not tell.
    async fn look_up(&self, kind: ActionKind, call: &Call) -> Probe {
        let action = match self.action(kind) {
            Ok(action) => action,
            Err(error) => return Probe::CannotTell(error),
        };
        let asking = AssertUnwindSafe(async { action.probe(call).await }).catch_unwind();
        tokio::select! {
            answer = tokio::time::timeout(call.timeout, asking) => match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => Probe::CannotTell(format!(
                    "the code that asks panicked: {}", panic_text(&*panic)
                )),
                Err(_) => Probe::CannotTell("the other side did not answer in time".into()),
            },
            () = self.stop.aborted() => Probe::CannotTell("the process was told to stop".into()),
        }
    }
}
