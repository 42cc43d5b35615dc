//! What happens next in a run: a pure function of the plan, the facts and the time.

use crate::Value;
use crate::fact::{BY_RULE, End, Fact, OnUnknown, Outcome, Repeat, Settlement};
use crate::ids::{Fence, StepId};
use crate::limits;
use crate::people::Roster;
use crate::round::{Named, Round};
use crate::run::{Advice, RoundsDone, RunState, Stage, StepState, repeat_is_harmless};
use crate::task::{ActionKind, ActionSpec, Step, Task, Work};
use crate::template::{Context, Expr, RenderError, Scope};
use crate::time::Timestamp;
use std::time::Duration;

/// When the decision is made, and under which claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub at: Timestamp,
    /// The fence of the claim that is held.
    pub fence: Fence,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Pin the run to its text: `Fact::Began`.
    Begin,
    /// Record this; it needs no effect.
    Record(Fact),
    /// Record the intent of this attempt. The call is rendered when there is none yet.
    Start {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
    },
    /// The intent is committed under this claim: act.
    Act {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
    },
    /// Ask the other side whether the unknown attempt happened.
    Probe {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
    },
    /// Nothing until then, or until somebody answers.
    Wait {
        /// When to look again by oneself.
        until: Option<Timestamp>,
        /// For what, for people.
        why: String,
    },
    /// An attempt is unknown and only a person can say.
    Park {
        /// The step.
        step: StepId,
        /// Why it is unknown.
        error: String,
    },
    /// The run has ended.
    Over,
}

/// What [`decide`] reads of a run besides its facts.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The event's data.
    pub event: &'a Value,
    /// What templates read under `run`.
    pub run: &'a Value,
    /// Whom questions are put to.
    pub people: &'a Roster,
}

/// Says what happens next. The same facts and the same time give the same answer.
#[must_use]
pub fn decide(task: &Task, subject: Subject<'_>, state: &RunState, now: Now) -> Next {
    if state.ended.is_some() {
        return Next::Over;
    }
    if state.text.is_none() {
        return if state.cancel {
            cancelled(state)
        } else {
            Next::Begin
        };
    }
    let decision = Decision {
        subject,
        state,
        now,
    };
    if let Some(next) = decision.notices() {
        return next;
    }
    for step in &task.steps {
        if let Some(next) = decision.step(step) {
            return next;
        }
    }
    Next::Record(Fact::Ended {
        end: End::Done,
        reason: String::new(),
    })
}

pub(crate) fn cancelled(state: &RunState) -> Next {
    Next::Record(Fact::Ended {
        end: End::Cancelled,
        reason: state.why_cancelled(),
    })
}

pub(crate) fn failed(step: &StepId, why: &str) -> Next {
    Next::Record(Fact::Ended {
        end: End::Failed,
        reason: format!("step {}: {why}", Named(step)),
    })
}

/// Why an attempt is unknown.
struct Doubt<'a> {
    at: Timestamp,
    error: &'a str,
    crashed: bool,
}

pub(crate) struct Decision<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) state: &'a RunState,
    pub(crate) now: Now,
}

impl Decision<'_> {
    /// What happens next in this step; none when it is behind us.
    fn step(&self, step: &Step) -> Option<Next> {
        if let Some(rounds) = &step.policy.rounds {
            return self.in_rounds(step, rounds);
        }
        match self.state.steps.get(&step.id) {
            None => Some(self.untouched(step)),
            Some(known) => self.attempted(step, known),
        }
    }

    /// What happens next in what something has happened to; none when it is behind us.
    pub(crate) fn attempted(&self, step: &Step, known: &StepState) -> Option<Next> {
        match &known.stage {
            Stage::Done | Stage::Skipped => None,
            Stage::Open { fence } => Some(self.open(&step.id, known, *fence)),
            Stage::Unknown { at, error, crashed } => Some(self.unknown(
                step,
                known,
                &Doubt {
                    at: *at,
                    error,
                    crashed: *crashed,
                },
            )),
            _ if self.state.cancel => Some(cancelled(self.state)),
            Stage::Asked(asked) => Some(self.asked(step, asked)),
            _ if self.is_skipped(step) => Some(self.skip(step)),
            Stage::Refused { why } => Some(failed(&step.id, why)),
            _ if self.state.paused => Some(paused()),
            Stage::Failed {
                at,
                error,
                again,
                after_ms,
            } => Some(self.after_failure(step, known, *at, error, *again, *after_ms)),
            Stage::Judged { since, again_at } => Some(self.judged(step, *since, *again_at)),
            Stage::Held { until } => Some(self.held(step, *until)),
        }
    }

    pub(crate) fn open(&self, step: &StepId, known: &StepState, fence: Fence) -> Next {
        let (step, attempt) = (step.clone(), known.attempts);
        if fence == self.now.fence {
            Next::Act { step, attempt }
        } else {
            Next::Record(Fact::Interrupted { step, attempt })
        }
    }

    pub(crate) fn untouched(&self, step: &Step) -> Next {
        if self.state.cancel {
            return cancelled(self.state);
        }
        if self.is_skipped(step) {
            return self.skip(step);
        }
        if self.state.paused {
            return paused();
        }
        match self.wanted(step) {
            Err(error) => failed(&step.id, &error.to_string()),
            Ok(false) => Next::Record(Fact::Skipped {
                step: step.id.clone(),
                why: step.policy.when.as_ref().map_or_else(String::new, |when| {
                    format!("when = {:?} does not hold", when.source())
                }),
            }),
            Ok(true) => self.first(step),
        }
    }

    /// Whether a person said that it shall not be done. A question is answered, and not passed over.
    pub(crate) fn is_skipped(&self, step: &Step) -> bool {
        let asks = matches!(&step.work, Work::Action(spec) if spec.kind == ActionKind::Approve);
        !asks && self.state.skips.contains_key(&Round::step_of(&step.id))
    }

    pub(crate) fn skip(&self, step: &Step) -> Next {
        let step = Round::step_of(&step.id);
        let why = self.state.skip_asked(&step).unwrap_or_default();
        Next::Record(Fact::Skipped { step, why })
    }

    fn wanted(&self, step: &Step) -> Result<bool, RenderError> {
        step.policy
            .when
            .as_ref()
            .map_or(Ok(true), |when| self.holds(when))
    }

    fn holds(&self, condition: &Expr) -> Result<bool, RenderError> {
        condition.holds(&self.context())
    }

    pub(crate) fn context(&self) -> Context<'_> {
        context(self.subject, self.state, self.now.at)
    }

    fn first(&self, step: &Step) -> Next {
        match &step.work {
            Work::Action(spec) if spec.kind == ActionKind::Require => {
                self.require(step, spec, self.now.at)
            }
            Work::Action(spec) if spec.kind == ActionKind::Approve => self.ask(step, spec),
            _ => match step.policy.hold_ms {
                Some(millis) => self.hold(step, millis),
                None => self.begun(step),
            },
        }
    }

    /// The first attempt of a step, or of the first of its rounds.
    pub(crate) fn begun(&self, step: &Step) -> Next {
        if let Some(rounds) = &step.policy.rounds {
            return self.coming(step, rounds, &RoundsDone::default());
        }
        Next::Start {
            step: step.id.clone(),
            attempt: 1,
        }
    }

    fn judged(&self, step: &Step, since: Timestamp, again_at: Timestamp) -> Next {
        if again_at > self.now.at {
            let why = format!("step `{}` waits for its condition", step.id);
            return Next::Wait {
                until: Some(again_at),
                why,
            };
        }
        match &step.work {
            Work::Action(spec) => self.require(step, spec, since),
            Work::Each(_) => failed(&step.id, "a for_each step has no condition"),
        }
    }

    fn require(&self, step: &Step, spec: &ActionSpec, since: Timestamp) -> Next {
        let Some(condition) = spec.options.expr("that") else {
            return failed(&step.id, "`require` has no condition");
        };
        match self.holds(condition) {
            Err(error) => failed(&step.id, &error.to_string()),
            Ok(true) => self.judgement(step, true, String::new(), None),
            Ok(false) => self.not_held(step, condition, &spec.fixed, since),
        }
    }

    fn not_held(&self, step: &Step, condition: &Expr, options: &Value, since: Timestamp) -> Next {
        let message = text_option(options, "message").map_or_else(
            || format!("{:?} does not hold", condition.source()),
            str::to_owned,
        );
        match text_option(options, "else") {
            Some("end") => Next::Record(Fact::Ended {
                end: End::Skipped,
                reason: format!("step `{}`: {message}", step.id),
            }),
            Some("retry") => {
                let every = millis_option(options, "every").unwrap_or(30_000);
                let every = every.max(limits::JUDGE_EVERY_MS);
                let limit = millis_option(options, "for").unwrap_or(3_600_000);
                let again_at = self.now.at.plus_millis(every);
                let in_time = again_at <= since.plus_millis(limit);
                self.judgement(step, false, message, in_time.then_some(again_at))
            }
            _ => self.judgement(step, false, message, None),
        }
    }

    fn judgement(
        &self,
        step: &Step,
        held: bool,
        message: String,
        again_at: Option<Timestamp>,
    ) -> Next {
        Next::Record(Fact::Judged {
            step: step.id.clone(),
            held,
            message,
            again_at,
        })
    }

    fn after_failure(
        &self,
        step: &Step,
        known: &StepState,
        failed_at: Timestamp,
        error: &str,
        again: bool,
        after_ms: Option<i64>,
    ) -> Next {
        let policy = &step.policy.retry;
        if !again || known.tries >= policy.attempts {
            return failed(&step.id, &after_tries(error, known.tries));
        }
        let seed = known.key.as_ref().map_or("", |key| key.0.as_str());
        // A step that was told to go on starts at once.
        let wait = if known.tries == 0 {
            0
        } else {
            policy.wait_ms(known.tries, seed, after_ms)
        };
        let due = failed_at.plus_millis(wait);
        if due > self.now.at {
            let why = format!("step {} is tried again: {error}", Named(&step.id));
            return Next::Wait {
                until: Some(due),
                why,
            };
        }
        Next::Start {
            step: step.id.clone(),
            attempt: known.attempts + 1,
        }
    }

    fn unknown(&self, step: &Step, known: &StepState, doubt: &Doubt<'_>) -> Next {
        let repeat = known.repeat.unwrap_or(Repeat::AskFirst);
        // Items have attempts of their own: what is in doubt after all were tried is for a person.
        let items = matches!(step.work, Work::Each(_)) && !doubt.crashed;
        let harmless = !items && repeat_is_harmless(known, self.now.at, repeat);
        if harmless && !self.state.cancel && !self.is_skipped(step) {
            if self.state.paused {
                return paused();
            }
            if let Some(next) = self.repeat(step, known, doubt, repeat) {
                return next;
            }
        }
        if !known.probed {
            return Next::Probe {
                step: step.id.clone(),
                attempt: known.attempts,
            };
        }
        match step.policy.on_unknown {
            // What may never have been begun is not passed over because nobody knows.
            OnUnknown::Skip if known.unrecorded => self.park(step, doubt),
            OnUnknown::Ask => self.park(step, doubt),
            OnUnknown::Repeat => self.settle_by_rule(step, known, Settlement::DidNotHappen),
            OnUnknown::Skip => self.settle_by_rule(
                step,
                known,
                Settlement::Happened {
                    output: Value::Null,
                },
            ),
        }
    }

    fn park(&self, step: &Step, doubt: &Doubt<'_>) -> Next {
        Next::Park {
            step: step.id.clone(),
            error: doubt.error.to_owned(),
        }
    }

    /// After a crash the attempt is made again at once: crash loops are counted by the ledger.
    /// What its own process saw go wrong is tried again like a failure; none when tries are used up
    /// or would not help, and it is still in doubt.
    fn repeat(
        &self,
        step: &Step,
        known: &StepState,
        doubt: &Doubt<'_>,
        repeat: Repeat,
    ) -> Option<Next> {
        if doubt.crashed {
            return Some(Next::Start {
                step: step.id.clone(),
                attempt: known.attempts + 1,
            });
        }
        let Advice { again, after_ms } = known.advice;
        let used_up = !again || known.tries >= step.policy.retry.attempts;
        if used_up && repeat != Repeat::Safe {
            return None;
        }
        Some(self.after_failure(step, known, doubt.at, doubt.error, again, after_ms))
    }

    fn settle_by_rule(&self, step: &Step, known: &StepState, settlement: Settlement) -> Next {
        Next::Record(Fact::Settled {
            step: step.id.clone(),
            attempt: known.attempts,
            settlement,
            by: BY_RULE.into(),
            reason: "the task file says what to do when nobody knows".into(),
        })
    }
}

pub(crate) fn paused() -> Next {
    Next::Wait {
        until: None,
        why: "the run is paused".into(),
    }
}

fn after_tries(error: &str, tries: u32) -> String {
    if tries > 1 {
        format!("{error} (after {tries} tries)")
    } else {
        error.to_owned()
    }
}

pub(crate) fn text_option<'a>(options: &'a Value, name: &str) -> Option<&'a str> {
    options.get(name).and_then(Value::as_str)
}

pub(crate) fn millis_option(options: &Value, name: &str) -> Option<i64> {
    options.get(name).and_then(Value::as_i64)
}

/// What templates and conditions of this run may read at this time.
#[must_use]
pub fn context<'a>(subject: Subject<'a>, state: &'a RunState, at: Timestamp) -> Context<'a> {
    Context::new(Scope {
        event: subject.event,
        steps: &state.outputs,
        run: subject.run,
        at,
    })
}

/// What templates of one step may read: those of a round read its number, and what was looked at.
#[must_use]
pub fn context_of<'a>(
    subject: Subject<'a>,
    state: &'a RunState,
    at: Timestamp,
    step: &StepId,
) -> Context<'a> {
    let context = context(subject, state, at);
    match Round::parse(step) {
        None => context,
        Some(round) => {
            let looked = state.rounds.get(&round.step);
            let check = looked.map(|done| &done.check);
            context.with_round(round.nth, check.filter(|_| round.look == 0))
        }
    }
}

/// Turns what an action gave into what is recorded: a step with `until` is not done before it holds.
///
/// # Errors
/// When the condition cannot be evaluated.
pub fn judge_until(
    step: &Step,
    context: &Context<'_>,
    outcome: Outcome,
) -> Result<Outcome, RenderError> {
    let (Some(until), Outcome::Done { output }) = (&step.policy.until, &outcome) else {
        return Ok(outcome);
    };
    if until.holds(&context.with_output(output))? {
        return Ok(outcome);
    }
    Ok(Outcome::Failed {
        error: format!("until = {:?} does not hold yet", until.source()),
        again: true,
        after_ms: None,
    })
}

/// How long an attempt may take when the task file does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
