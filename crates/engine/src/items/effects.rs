//! Items with effects: an intent and an outcome for each, group-committed by the ledger's writer.

use super::input::{Entry, Input, Origin, aside};
use super::run::{Over, Told, Work};
use crate::ask::Ask;
use crate::runner::{bounded, effect_key, outcome_of, with_pin};
use crate::sabotage;
use futures_util::stream::{self, StreamExt};
use oncely_core::Value;
use oncely_core::action::{Action, Call, Done, Failure, Probe};
use oncely_core::decide::judge_until;
use oncely_core::fact::{OnUnknown, Outcome, Repeat};
use oncely_core::ids::{Fence, StepId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{Guard, ItemEvent, ItemFact, LedgerError, Op, Unit, UnitResult};
use oncely_core::task::{ActionKind, Step, Work as StepWork};
use oncely_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Items that are worked at the same time: their intents and outcomes share commits, and after a
/// crash no more than these are in doubt.
const WAVE: usize = 32;

/// Items whose facts are read at once when those in doubt are looked for.
const LOOK_BACK: u64 = 1000;

/// An item to be worked.
struct Item {
    index: u64,
    line: Option<u64>,
    raw: String,
    value: Value,
}

/// How an item ended.
enum ItemEnd {
    Done,
    SetAside(String),
    Unknown(String),
    Stopped,
    Lost,
}

pub(super) async fn run(
    work: &Work<'_>,
    origin: Origin,
    begun: Progress,
) -> Result<Over, LedgerError> {
    let redo = work
        .job
        .state
        .steps
        .get(&work.step.id)
        .is_some_and(|s| s.redo);
    let steps = match prepared(work) {
        Ok(steps) => steps,
        Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
    };
    let input = match open(origin.clone(), begun.clone()).await {
        Ok(input) => input,
        Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
    };
    let mut effects = Effects {
        work,
        steps,
        progress: begun,
        redo_from: None,
    };
    if redo && let Some(over) = effects.again(origin).await? {
        return Ok(over);
    }
    effects.rest(input).await
}

struct Wave {
    items: Vec<Item>,
    bad: Vec<SetAside>,
    last: bool,
}

/// Opens the input on a thread that may wait for the disk.
async fn open(origin: Origin, from: Progress) -> Result<Input, Failure> {
    tokio::task::spawn_blocking(move || Input::open(origin, &from))
        .await
        .unwrap_or_else(|panic| Err(unread(&panic)))
}

/// Reads the next items on a thread that may wait for the disk.
async fn next(
    mut input: Input,
    only: Option<Arc<BTreeSet<u64>>>,
) -> Result<(Input, Wave), Failure> {
    tokio::task::spawn_blocking(move || {
        let wave = read(&mut input, only.as_deref())?;
        Ok((input, wave))
    })
    .await
    .unwrap_or_else(|panic| Err(unread(&panic)))
}

fn unread(panic: &tokio::task::JoinError) -> Failure {
    Failure::retry(format!("the items could not be read: {panic}"))
}

/// Reads the next items; when `only` is given, none but these.
fn read(input: &mut Input, only: Option<&BTreeSet<u64>>) -> Result<Wave, Failure> {
    let mut wave = Wave {
        items: Vec::with_capacity(WAVE),
        bad: Vec::new(),
        last: false,
    };
    while wave.items.len() + wave.bad.len() < WAVE {
        match input.next()? {
            None => {
                wave.last = true;
                break;
            }
            Some(Entry::Bad(bad)) if only.is_none() => wave.bad.push(bad),
            Some(Entry::Bad(_)) => {}
            Some(Entry::Good(record)) if only.is_none_or(|o| o.contains(&record.index)) => {
                wave.items.push(Item {
                    index: record.index,
                    line: Some(record.line).filter(|line| *line > 0),
                    raw: record.raw.to_owned(),
                    value: record.value(),
                });
            }
            Some(Entry::Good(_)) => {}
        }
    }
    Ok(wave)
}

/// A sub-step and the code that performs it.
struct Sub<'a> {
    step: &'a Step,
    options: &'a oncely_core::template::Node,
    id: StepId,
    action: Arc<dyn Action>,
    kind: ActionKind,
    pure: bool,
}

fn prepared<'a>(work: &Work<'a>) -> Result<Vec<Sub<'a>>, Failure> {
    let mut subs = Vec::with_capacity(work.each.steps.len());
    for step in &work.each.steps {
        let StepWork::Action(spec) = &step.work else {
            return Err(Failure::permanent(
                "a for_each step cannot stand in a do block",
            ));
        };
        let action = work.runner.action(spec.kind).map_err(Failure::permanent)?;
        let options = with_pin(spec.fixed.clone(), &work.job.state.models);
        let pure = action.transform(&options, &[]).is_some();
        let id = work.sub_id(step);
        subs.push(Sub {
            step,
            options: &spec.options,
            id,
            action,
            kind: spec.kind,
            pure,
        });
    }
    Ok(subs)
}

struct Effects<'a, 'w> {
    work: &'w Work<'a>,
    steps: Vec<Sub<'a>>,
    progress: Progress,
    /// A person settled the step as not done: items in doubt from claims before this one are done
    /// again.
    redo_from: Option<Fence>,
}

impl Effects<'_, '_> {
    /// Works the items from the cursor on.
    async fn rest(&mut self, mut input: Input) -> Result<Over, LedgerError> {
        loop {
            if self.work.runner.stop.is_stopping() {
                return Ok(Over::Released);
            }
            let wave = match next(input, None).await {
                Ok((back, wave)) => {
                    input = back;
                    wave
                }
                Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
            };
            let last = wave.last;
            match self.work_wave(wave, &input).await? {
                Some(over) => return Ok(over),
                None if last => return self.finish().await,
                None => {}
            }
        }
    }

    /// Works the items that were in doubt once more.
    async fn again(&mut self, origin: Origin) -> Result<Option<Over>, LedgerError> {
        let doubts = Arc::new(self.doubts().await?.into_iter().collect::<BTreeSet<u64>>());
        let mut input = match open(origin, Progress::default()).await {
            Ok(input) => input,
            Err(failure) => return Ok(Some(Over::Ended(Err(failure), Vec::new()))),
        };
        let state = self.work.job.state.steps.get(&self.work.step.id);
        self.redo_from = state.and_then(|s| s.redo_from);
        loop {
            let wave = match next(input, Some(Arc::clone(&doubts))).await {
                Ok((back, wave)) => {
                    input = back;
                    wave
                }
                Err(failure) => return Ok(Some(Over::Ended(Err(failure), Vec::new()))),
            };
            for end in self.all(&wave.items).await? {
                match end {
                    ItemEnd::Done => {
                        self.progress.done += 1;
                        self.progress.set_aside = self.progress.set_aside.saturating_sub(1);
                    }
                    ItemEnd::SetAside(_) | ItemEnd::Unknown(_) => {}
                    ItemEnd::Lost => return Ok(Some(Over::Lost)),
                    ItemEnd::Stopped => return Ok(Some(Over::Released)),
                }
            }
            if wave.last {
                self.redo_from = None;
                return Ok(None);
            }
        }
    }

    /// Works the items of a wave and moves the cursor past them.
    async fn work_wave(&mut self, wave: Wave, input: &Input) -> Result<Option<Over>, LedgerError> {
        let ends = self.all(&wave.items).await?;
        let mut next = self.progress.clone();
        input.place(&mut next);
        let mut set_aside = wave.bad;
        for (item, end) in wave.items.iter().zip(ends) {
            match end {
                ItemEnd::Done => next.done += 1,
                ItemEnd::SetAside(why) | ItemEnd::Unknown(why) => {
                    set_aside.push(aside(item.index, item.line, &item.raw, why));
                }
                ItemEnd::Lost => return Ok(Some(Over::Lost)),
                ItemEnd::Stopped => return Ok(Some(Over::Released)),
            }
        }
        next.set_aside += set_aside.len() as u64;
        self.progress = next;
        match self
            .work
            .tell(vec![self.work.items_op(&self.progress, set_aside)])
            .await?
        {
            Told::Recorded => Ok(None),
            Told::Lost => Ok(Some(Over::Lost)),
            Told::Asked => Ok(Some(self.work.held(&self.progress))),
        }
    }

    async fn all(&self, items: &[Item]) -> Result<Vec<ItemEnd>, LedgerError> {
        let mut known = self.known(items).await?;
        let work = items.iter().map(|item| {
            let facts = known.remove(&item.index).unwrap_or_default();
            self.item(item, facts)
        });
        let futures: Vec<_> = work.collect();
        let ended: Vec<Result<ItemEnd, LedgerError>> =
            stream::iter(futures).buffered(WAVE).collect().await;
        ended.into_iter().collect()
    }

    /// What is recorded of these items: something, after a crash.
    async fn known(&self, items: &[Item]) -> Result<BTreeMap<u64, Vec<ItemFact>>, LedgerError> {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return Ok(BTreeMap::new());
        };
        let job = self.work.job;
        let range = first.index..last.index + 1;
        let step = self.work.step.id.clone();
        let facts = Ask(&*self.work.runner.ledger)
            .item_facts(job.row.id, step, range)
            .await?;
        let mut known: BTreeMap<u64, Vec<ItemFact>> = BTreeMap::new();
        for fact in facts {
            known.entry(fact.item).or_default().push(fact);
        }
        Ok(known)
    }

    async fn item(&self, item: &Item, facts: Vec<ItemFact>) -> Result<ItemEnd, LedgerError> {
        let mut outputs = self.work.job.state.outputs.clone();
        for sub in &self.steps {
            match self.sub(sub, item, &facts, &outputs).await? {
                SubEnd::Output(output) => {
                    outputs.insert(sub.step.id.to_string(), output);
                }
                SubEnd::Skipped => {}
                SubEnd::Over(end) => return Ok(end),
            }
        }
        Ok(ItemEnd::Done)
    }

    async fn sub(
        &self,
        sub: &Sub<'_>,
        item: &Item,
        facts: &[ItemFact],
        outputs: &serde_json::Map<String, Value>,
    ) -> Result<SubEnd, LedgerError> {
        let now = self.work.runner.clock.now();
        let context = self
            .work
            .job
            .context(now)
            .with_item(&item.value, item.index + 1, outputs);
        let wanted = sub
            .step
            .policy
            .when
            .as_ref()
            .map_or(Ok(true), |when| when.holds(&context));
        match wanted {
            Err(error) => return Ok(SubEnd::aside(sub, &error.to_string())),
            Ok(false) => return Ok(SubEnd::Skipped),
            Ok(true) => {}
        }
        let options = match sub.options.render(&context) {
            Ok(options) => with_pin(options, &self.work.job.state.models),
            Err(error) => return Ok(SubEnd::aside(sub, &error.to_string())),
        };
        let call = self.call(sub, item, options, outputs, now);
        if sub.pure {
            return Ok(match sub.action.run(&call).await {
                Ok(Done::Output(output)) => SubEnd::Output(output),
                Ok(_) => SubEnd::Skipped,
                Err(failure) => SubEnd::aside(sub, failure.error()),
            });
        }
        Attempts::of(self, sub, item, call, facts).run().await
    }

    fn call(
        &self,
        sub: &Sub<'_>,
        item: &Item,
        options: Value,
        outputs: &serde_json::Map<String, Value>,
        now: Timestamp,
    ) -> Call {
        let job = self.work.job;
        let input = serde_json::json!({
            "event": job.event, "steps": outputs, "run": job.run,
            "item": item.value, "loop": { "index": item.index + 1 },
        });
        Call {
            options,
            key: effect_key(job, &sub.id, Some(item.index)),
            attempt: 1,
            timeout: crate::job::timeout(sub.step),
            first_intent: now,
            site: Arc::new(job.site(&sub.id, &self.work.runner.ledger.name())),
            input: Arc::new(input),
        }
    }

    /// All items are dealt with; those that nobody knows about keep the step open.
    async fn finish(&self) -> Result<Over, LedgerError> {
        let doubts = self.doubts().await?;
        if doubts.is_empty() {
            return Ok(self.work.done(&self.progress));
        }
        let named: Vec<String> = doubts.iter().take(10).map(u64::to_string).collect();
        let error = format!(
            "nobody knows whether {} of its items happened (items {}{}); `oncely show` lists them",
            doubts.len(),
            named.join(", "),
            if doubts.len() > named.len() {
                ", …"
            } else {
                ""
            },
        );
        Ok(Over::Ended(Err(Failure::unknown(error)), Vec::new()))
    }

    async fn doubts(&self) -> Result<Vec<u64>, LedgerError> {
        let mut doubts = Vec::new();
        let ask = Ask(&*self.work.runner.ledger);
        let mut from = 0;
        while from < self.progress.next {
            let range = from..from + LOOK_BACK;
            let step = self.work.step.id.clone();
            let facts = ask.item_facts(self.work.job.row.id, step, range).await?;
            let mut last: BTreeMap<(u64, StepId), bool> = BTreeMap::new();
            for fact in facts {
                // An intent without an outcome is what a crash left while it was done again.
                let unknown = matches!(
                    fact.what,
                    ItemEvent::Intent { .. }
                        | ItemEvent::Outcome {
                            outcome: Outcome::Unknown { .. }
                        }
                );
                last.insert((fact.item, fact.sub), unknown);
            }
            doubts.extend(
                last.into_iter()
                    .filter(|(_, unknown)| *unknown)
                    .map(|((i, _), _)| i),
            );
            from += LOOK_BACK;
        }
        Ok(doubts)
    }
}

enum SubEnd {
    Output(Value),
    Skipped,
    Over(ItemEnd),
}

impl SubEnd {
    fn aside(sub: &Sub<'_>, why: &str) -> Self {
        Self::Over(ItemEnd::SetAside(format!("step `{}`: {why}", sub.step.id)))
    }

    fn unknown(sub: &Sub<'_>, why: &str) -> Self {
        Self::Over(ItemEnd::Unknown(format!(
            "unknown: step `{}`: {why}",
            sub.step.id
        )))
    }
}

/// The attempts of one sub-step of one item.
struct Attempts<'e, 'a, 'w> {
    effects: &'e Effects<'a, 'w>,
    sub: &'e Sub<'a>,
    item: &'e Item,
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
    fn of(
        effects: &'e Effects<'a, 'w>,
        sub: &'e Sub<'a>,
        item: &'e Item,
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
            call,
            repeat,
            made,
            last,
            begun,
            in_doubt,
            again: true,
        }
    }

    async fn run(mut self) -> Result<SubEnd, LedgerError> {
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
            None => {
                "the process that made the attempt went away before it said how it ended".into()
            }
        };
        if self.harmless() {
            return Ok(None);
        }
        if self
            .effects
            .redo_from
            .is_some_and(|from| self.begun.1 < from)
        {
            self.in_doubt = false;
            return Ok(None);
        }
        self.ask(error).await
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
        let over = crate::runner::over(self.begun.0, &self.call);
        loop {
            let asked_at = runner.clock.now();
            let answer = runner.look_up(self.sub.kind, &self.call).await;
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
                UnitResult::SqlFailed(error) => Some(SubEnd::aside(self.sub, &error)),
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
        let early = match sabotage::acts_first() {
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
        let result = work.commit(Unit { guards, ops: all }).await?;
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
