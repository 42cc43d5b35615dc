//! The attempts of one sub-step of one item: what was begun before, and what is begun now.

use super::effects::{Effects, Item, ItemEnd, Sub};
use crate::act::{bounded, outcome_of};
use oncely_core::Value;
use oncely_core::action::{Call, Done, Failure, Probe};
use oncely_core::decide::judge_until;
use oncely_core::fact::{ItemsBecame, OnUnknown, Outcome, Repeat};
use oncely_core::ids::Fence;
use oncely_core::ledger::{Guard, ItemEvent, ItemFact, LedgerError, Op, Unit, UnitResult};
use oncely_core::points::{self, Point as At};
use oncely_core::sabotage::{self, Switch};
use oncely_core::time::Timestamp;
use std::time::Duration;

/// How the reason of an item begins that nobody knows about.
pub(super) const UNKNOWN: &str = "unknown: ";

/// What is known of an attempt whose process is gone.
const WENT_AWAY: &str = "the process that made the attempt went away before it said how it ended";

pub(super) enum SubEnd {
    Output(Value),
    Skipped,
    Over(ItemEnd),
}

impl SubEnd {
    pub(super) fn aside(sub: &Sub<'_>, why: &str) -> Self {
        Self::Over(ItemEnd::SetAside(format!("step `{}`: {why}", sub.step.id)))
    }

    pub(super) fn unknown(sub: &Sub<'_>, why: &str) -> Self {
        Self::Over(ItemEnd::Unknown(format!(
            "{UNKNOWN}step `{}`: {why}",
            sub.step.id
        )))
    }
}

/// The attempts of one sub-step of one item.
pub(super) struct Attempts<'e, 'a, 'w> {
    effects: &'e Effects<'a, 'w>,
    sub: &'e Sub<'a>,
    item: &'e Item,
    /// What the steps of the block gave so far.
    outputs: &'e serde_json::Map<String, Value>,
    call: Call,
    repeat: Repeat,
    made: u32,
    /// The last outcome, or none while an intent is open.
    last: Option<Outcome>,
    /// When and under which claim the last attempt was about to be made.
    begun: (Timestamp, Fence),
    /// Nobody knows about some attempt so far, whatever becomes of later ones.
    in_doubt: bool,
    /// The last failure said that trying again may help.
    again: bool,
}

impl<'e, 'a, 'w> Attempts<'e, 'a, 'w> {
    pub(super) fn of(
        effects: &'e Effects<'a, 'w>,
        sub: &'e Sub<'a>,
        item: &'e Item,
        outputs: &'e serde_json::Map<String, Value>,
        mut call: Call,
        facts: &[ItemFact],
    ) -> Self {
        let mut made = 0;
        let mut last = None;
        let mut repeat = sub.action.repeat(&call);
        let mut begun = (call.first_intent, effects.work.job.fence);
        let mut in_doubt = false;
        for fact in facts.iter().filter(|fact| fact.sub == sub.step.id) {
            made = made.max(fact.attempt);
            match &fact.what {
                ItemEvent::Intent {
                    call: options,
                    repeat: declared,
                    fence,
                    ..
                } => {
                    in_doubt |= fact.attempt > 1 && last.is_none();
                    begun = (fact.at, *fence);
                    if fact.attempt == 1 {
                        call.options = options.clone();
                        call.first_intent = fact.at;
                        repeat = *declared;
                    }
                    last = None;
                }
                ItemEvent::Outcome { outcome } => {
                    in_doubt |= matches!(outcome, Outcome::Unknown { .. });
                    last = Some(outcome.clone());
                }
            }
        }
        in_doubt |= made > 0 && last.is_none();
        Self {
            effects,
            sub,
            item,
            outputs,
            call,
            repeat,
            made,
            last,
            begun,
            in_doubt,
            again: true,
        }
    }

    pub(super) async fn run(mut self) -> Result<SubEnd, LedgerError> {
        let answers = self.effects.answers.as_ref();
        if answers.is_some_and(|answers| !answers.concern(self.item.index)) {
            return Ok(self.left());
        }
        if self.made > 0
            && let Some(end) = self.after_crash().await?
        {
            return Ok(end);
        }
        let retry = self.sub.step.policy.retry;
        let mut tries = 0;
        loop {
            if self.stopping() {
                return Ok(SubEnd::Over(ItemEnd::Stopped));
            }
            tries += 1;
            let end = match self.attempt().await? {
                Tried::Ended(end) => return Ok(end),
                Tried::Again {
                    error,
                    after_ms,
                    unknown,
                } => (error, after_ms, unknown),
            };
            let (error, after_ms, unknown) = end;
            if tries >= retry.attempts {
                return Ok(if unknown {
                    SubEnd::unknown(self.sub, &error)
                } else {
                    SubEnd::aside(self.sub, &format!("{error} (after {tries} tries)"))
                });
            }
            let wait = retry.wait_ms(tries, &self.call.key.0, after_ms);
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.effects.work.runner.stop.stopped() => {}
            }
        }
    }

    /// How it stands, where nothing was said of it: nothing is attempted.
    fn left(&mut self) -> SubEnd {
        match self.last.take() {
            Some(Outcome::Done { output }) => SubEnd::Output(output),
            Some(Outcome::Failed { error, .. }) => SubEnd::aside(self.sub, &error),
            Some(Outcome::Unknown { error }) => SubEnd::unknown(self.sub, &error),
            None => SubEnd::unknown(self.sub, WENT_AWAY),
        }
    }

    fn stopping(&self) -> bool {
        self.effects.work.runner.stop.is_stopping()
    }

    /// What is known from before this claim; none when the effect may be attempted.
    async fn after_crash(&mut self) -> Result<Option<SubEnd>, LedgerError> {
        let error = match self.last.take() {
            Some(Outcome::Done { output }) => return Ok(Some(SubEnd::Output(output))),
            Some(Outcome::Failed { again: true, .. }) => return Ok(None),
            Some(Outcome::Failed { error, .. }) => {
                return Ok(Some(SubEnd::aside(self.sub, &error)));
            }
            Some(Outcome::Unknown { error }) => error,
            None => WENT_AWAY.into(),
        };
        let answers = self.effects.answers.as_ref();
        let said = answers.and_then(|said| said.about(self.item.index, self.begun.1));
        match said {
            Some(ItemsBecame::Happened) => {
                let done = Outcome::Done {
                    output: Value::Null,
                };
                self.record(done, Vec::new(), Some(Value::Null)).await
            }
            _ if self.harmless() => Ok(None),
            Some(ItemsBecame::DidNotHappen) => {
                self.in_doubt = false;
                Ok(None)
            }
            Some(ItemsBecame::LookUp) | None => self.ask(error).await,
        }
    }

    fn harmless(&self) -> bool {
        match self.repeat {
            Repeat::Safe => true,
            Repeat::AskFirst => false,
            Repeat::WithKey { window_ms } => {
                let now = self.effects.work.runner.clock.now();
                now.millis_since(self.call.first_intent) < window_ms
            }
        }
    }

    /// Asks the other side; that it did not happen is believed only once the attempt's time is over.
    /// None when the process is to stop first.
    async fn look_up(&self) -> Option<Probe> {
        let runner = self.effects.work.runner;
        let over = crate::act::over(self.begun.0, &self.call);
        loop {
            let asked_at = runner.clock.now();
            let job = self.effects.work.job;
            let context = job.context(asked_at);
            let item = &self.item.value;
            let context = context.with_item(item, self.item.index + 1, self.outputs);
            let answer = runner.look(self.sub.step, &self.call, &context).await;
            if answer != Probe::DidNotHappen || asked_at >= over {
                return Some(answer);
            }
            let wait = over.millis_since(asked_at).clamp(1, 1000).unsigned_abs();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                () = runner.stop.stopped() => return None,
            }
        }
    }

    async fn ask(&mut self, error: String) -> Result<Option<SubEnd>, LedgerError> {
        let Some(answer) = self.look_up().await else {
            return Ok(Some(SubEnd::Over(ItemEnd::Stopped)));
        };
        match answer {
            Probe::Happened(output) => {
                return self
                    .record(
                        Outcome::Done {
                            output: output.clone(),
                        },
                        Vec::new(),
                        Some(output),
                    )
                    .await;
            }
            Probe::DidNotHappen => {
                self.in_doubt = false;
                return Ok(None);
            }
            Probe::CannotTell(_) => {}
        }
        match self.sub.step.policy.on_unknown {
            OnUnknown::Repeat => {
                self.in_doubt = false;
                Ok(None)
            }
            OnUnknown::Skip => {
                let done = Outcome::Done {
                    output: Value::Null,
                };
                self.record(done, Vec::new(), Some(Value::Null)).await
            }
            OnUnknown::Ask => {
                let unknown = Outcome::Unknown {
                    error: error.clone(),
                };
                let lost = self.record(unknown, Vec::new(), None).await?;
                Ok(Some(
                    lost.unwrap_or_else(|| SubEnd::unknown(self.sub, &error)),
                ))
            }
        }
    }

    async fn record(
        &self,
        outcome: Outcome,
        ops: Vec<Op>,
        output: Option<Value>,
    ) -> Result<Option<SubEnd>, LedgerError> {
        Ok(
            match self.commit(ItemEvent::Outcome { outcome }, ops).await? {
                UnitResult::Applied(_) => output.map(SubEnd::Output),
                UnitResult::SqlFailed(error) | UnitResult::SqlLate(error) => {
                    Some(SubEnd::aside(self.sub, &error))
                }
                UnitResult::Refused(_) | UnitResult::Duplicate(_) => {
                    Some(SubEnd::Over(ItemEnd::Lost))
                }
            },
        )
    }

    async fn attempt(&mut self) -> Result<Tried, LedgerError> {
        self.made += 1;
        self.call.attempt = self.made;
        let work = self.effects.work;
        let early = match sabotage::is_off(Switch::Intent) {
            true => Some(work.runner.act(self.sub.kind, &self.call).await),
            false => None,
        };
        let intent = ItemEvent::Intent {
            fence: work.job.fence,
            call: self.call.options.clone(),
            repeat: self.repeat,
            key: self.call.key.clone(),
        };
        if !matches!(
            self.commit(intent, Vec::new()).await?,
            UnitResult::Applied(_)
        ) {
            return Ok(Tried::Ended(SubEnd::Over(ItemEnd::Lost)));
        }
        let result = match early {
            Some(result) => result,
            None => work.runner.act(self.sub.kind, &self.call).await,
        };
        self.after(result).await
    }

    /// A failure says that its own attempt did not happen, and nothing of an earlier one in doubt.
    fn doubted(&mut self, outcome: Outcome) -> Outcome {
        self.again = !matches!(outcome, Outcome::Failed { again: false, .. });
        match outcome {
            Outcome::Failed { error, .. } if self.in_doubt && self.repeat != Repeat::Safe => {
                Outcome::Unknown {
                    error: format!("{error}; and nobody knows about an earlier attempt"),
                }
            }
            other => {
                self.in_doubt |= matches!(other, Outcome::Unknown { .. });
                other
            }
        }
    }

    /// The author says that what nobody knows about counts as done.
    fn is_passed_over(&self, outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Unknown { .. })
            && self.sub.step.policy.on_unknown == OnUnknown::Skip
            && !(self.again && self.harmless())
    }

    async fn after(&mut self, result: Result<Done, Failure>) -> Result<Tried, LedgerError> {
        let mut ops = Vec::new();
        let outcome = match result {
            Ok(Done::Output(output)) => Outcome::Done {
                output: bounded(output),
            },
            Ok(Done::InCommit { statements }) => {
                ops.push(Op::Sql(statements));
                Outcome::Done {
                    output: serde_json::json!({}),
                }
            }
            Ok(Done::Call(_)) => outcome_of(Failure::permanent("a task cannot be called here")),
            Err(failure) => outcome_of(failure),
        };
        let context = self
            .effects
            .work
            .job
            .context(self.effects.work.runner.clock.now());
        let outcome = judge_until(self.sub.step, &context, outcome)
            .unwrap_or_else(|e| outcome_of(Failure::permanent(e.to_string())));
        let outcome = self.doubted(outcome);
        match self
            .commit(
                ItemEvent::Outcome {
                    outcome: outcome.clone(),
                },
                ops,
            )
            .await?
        {
            UnitResult::Applied(_) => {}
            UnitResult::SqlFailed(error) => return self.sql_failed(error).await,
            UnitResult::SqlLate(error) => return self.sql_late(error).await,
            UnitResult::Refused(_) | UnitResult::Duplicate(_) => {
                return Ok(Tried::Ended(SubEnd::Over(ItemEnd::Lost)));
            }
        }
        if self.is_passed_over(&outcome) {
            let done = Outcome::Done {
                output: Value::Null,
            };
            let passed = self.record(done, Vec::new(), Some(Value::Null)).await?;
            return Ok(Tried::Ended(passed.unwrap_or(SubEnd::Skipped)));
        }
        Ok(self.judge(outcome))
    }

    /// Nothing was changed, and it may go through later.
    async fn sql_late(&mut self, error: String) -> Result<Tried, LedgerError> {
        let outcome = self.doubted(outcome_of(Failure::retry(error)));
        let lost = self.record(outcome.clone(), Vec::new(), None).await?;
        Ok(lost.map_or_else(|| self.judge(outcome), Tried::Ended))
    }

    async fn sql_failed(&self, error: String) -> Result<Tried, LedgerError> {
        let failed = outcome_of(Failure::permanent(error.clone()));
        let lost = self.record(failed, Vec::new(), None).await?;
        Ok(Tried::Ended(
            lost.unwrap_or_else(|| SubEnd::aside(self.sub, &error)),
        ))
    }

    fn judge(&self, outcome: Outcome) -> Tried {
        match outcome {
            Outcome::Done { output } => Tried::Ended(SubEnd::Output(output)),
            Outcome::Failed {
                error,
                again: true,
                after_ms,
            } => Tried::Again {
                error,
                after_ms,
                unknown: false,
            },
            Outcome::Failed { error, .. } => Tried::Ended(SubEnd::aside(self.sub, &error)),
            Outcome::Unknown { error } if self.again && self.harmless() => Tried::Again {
                error,
                after_ms: None,
                unknown: true,
            },
            Outcome::Unknown { error } => match self.sub.step.policy.on_unknown {
                OnUnknown::Repeat => Tried::Again {
                    error,
                    after_ms: None,
                    unknown: true,
                },
                OnUnknown::Ask | OnUnknown::Skip => Tried::Ended(SubEnd::unknown(self.sub, &error)),
            },
        }
    }

    async fn commit(&self, what: ItemEvent, ops: Vec<Op>) -> Result<UnitResult, LedgerError> {
        let work = self.effects.work;
        let ended = matches!(what, ItemEvent::Outcome { .. });
        let fact = ItemFact {
            item: self.item.index,
            sub: self.sub.step.id.clone(),
            attempt: self.made,
            at: work.runner.clock.now(),
            what,
        };
        let mut all = ops;
        all.push(Op::ItemFacts {
            run: work.job.row.id,
            step: work.step.id.clone(),
            facts: vec![fact],
        });
        let guards = vec![Guard::Fence(work.job.row.id, work.job.fence)];
        let (before, after) = match ended {
            true => (At::ItemOutcomeBefore, At::ItemOutcomeAfter),
            false => (At::ItemIntentBefore, At::ItemIntentAfter),
        };
        let (task, step) = (work.job.row.task.as_str(), work.step.id.as_str());
        points::pass_in(before, task, step);
        let result = work.commit(Unit { guards, ops: all }).await?;
        points::pass_in(after, task, step);
        if ended && matches!(result, UnitResult::Applied(_)) {
            work.job.suspicion.clear();
        }
        Ok(result)
    }
}

enum Tried {
    Ended(SubEnd),
    Again {
        error: String,
        after_ms: Option<i64>,
        unknown: bool,
    },
}
