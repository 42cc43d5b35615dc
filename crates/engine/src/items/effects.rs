//! Items with effects: an intent and an outcome for each, group-committed by the ledger's writer.

use super::answers::Answers;
use super::attempts::{Attempts, SubEnd};
use super::doubts::doubts;
use super::input::{Entry, Input, Origin, aside};
use super::pace::{Leave, Pace};
use super::point::Point;
use super::run::{Over, Told, Work};
use crate::ask::Ask;
use crate::begin::{effect_key, with_pin};
use futures_util::stream::{self, StreamExt};
use oncely_core::Value;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::ids::StepId;
use oncely_core::items::SetAside;
use oncely_core::ledger::{Guard, ItemFact, LedgerError, Unit, UnitResult};
use oncely_core::points::{self, Point as At};
use oncely_core::rows::{RowKey, RowsAt, Taken};
use oncely_core::task::{ActionKind, Step, Work as StepWork};
use oncely_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Items that are worked at the same time: their intents and outcomes share commits, and after a
/// crash no more than these are in doubt.
pub(super) const WAVE: usize = 32;

/// An item to be worked.
pub(super) struct Item {
    pub(super) index: u64,
    pub(super) line: Option<u64>,
    pub(super) raw: String,
    pub(super) value: Value,
    /// The key of a row.
    pub(super) key: Option<RowKey>,
}

/// How an item ended.
pub(super) enum ItemEnd {
    Done,
    SetAside(String),
    Unknown(String),
    Stopped,
    Lost,
}

pub(super) async fn run(
    work: &Work<'_>,
    origin: Origin,
    begun: Point,
    pace: Pace,
) -> Result<Over, LedgerError> {
    let answers = Answers::of(work);
    let steps = match prepared(work) {
        Ok(steps) => steps,
        Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
    };
    let input = match open(origin.clone(), begun.clone(), pace.batch).await {
        Ok(input) => input,
        Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
    };
    let mut effects = Effects {
        work,
        steps,
        point: begun,
        answers: None,
    };
    if let Some(answers) = answers
        && let Some(over) = effects.again(origin, answers).await?
    {
        return Ok(over);
    }
    effects.rest(input, pace).await
}

pub(super) struct Wave {
    pub(super) items: Vec<Item>,
    pub(super) bad: Vec<SetAside>,
    /// The keys of those that are rows.
    pub(super) bad_keys: Vec<RowKey>,
    pub(super) last: bool,
}

/// Opens the input on a thread that may wait for the disk.
pub(super) async fn open(origin: Origin, from: Point, page: usize) -> Result<Input, Failure> {
    tokio::task::spawn_blocking(move || Input::open(origin, &from, page))
        .await
        .unwrap_or_else(|panic| Err(unread(&panic)))
}

/// Reads the next items on a thread that may wait for the disk.
pub(super) async fn next(
    mut input: Input,
    only: Option<Arc<BTreeSet<u64>>>,
    most: usize,
) -> Result<(Input, Wave), Failure> {
    tokio::task::spawn_blocking(move || {
        let wave = read(&mut input, only.as_deref(), most)?;
        Ok((input, wave))
    })
    .await
    .unwrap_or_else(|panic| Err(unread(&panic)))
}

fn unread(panic: &tokio::task::JoinError) -> Failure {
    Failure::retry(format!("the items could not be read: {panic}"))
}

/// Reads the next items; when `only` is given, none but these.
fn read(input: &mut Input, only: Option<&BTreeSet<u64>>, most: usize) -> Result<Wave, Failure> {
    let mut wave = Wave {
        items: Vec::with_capacity(WAVE),
        bad: Vec::new(),
        bad_keys: Vec::new(),
        last: false,
    };
    while wave.items.len() + wave.bad.len() < most {
        match input.next()? {
            None => {
                wave.last = true;
                break;
            }
            Some(Entry::Bad(bad)) if only.is_none() => {
                wave.bad.push(bad);
                wave.bad_keys.extend(input.last_key().cloned());
            }
            Some(Entry::Bad(_)) => {}
            Some(Entry::Good(record)) if only.is_none_or(|o| o.contains(&record.index)) => {
                wave.items.push(Item {
                    index: record.index,
                    line: Some(record.line).filter(|line| *line > 0),
                    raw: record.raw.to_owned(),
                    value: record.value(),
                    key: record.table_row().map(|row| row.key.clone()),
                });
            }
            Some(Entry::Good(_)) => {}
        }
    }
    Ok(wave)
}

/// A sub-step and the code that performs it.
pub(super) struct Sub<'a> {
    pub(super) step: &'a Step,
    pub(super) options: &'a oncely_core::template::Node,
    pub(super) id: StepId,
    pub(super) action: Arc<dyn Action>,
    pub(super) kind: ActionKind,
    pub(super) pure: bool,
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

pub(super) struct Effects<'a, 'w> {
    pub(super) work: &'w Work<'a>,
    pub(super) steps: Vec<Sub<'a>>,
    pub(super) point: Point,
    /// What a person said of items in doubt, while those are gone through.
    pub(super) answers: Option<Answers>,
}

impl Effects<'_, '_> {
    /// Works the items from the cursor on.
    async fn rest(&mut self, mut input: Input, mut pace: Pace) -> Result<Over, LedgerError> {
        let asks = Pace::asks(self.work);
        loop {
            if asks {
                match pace.leave(self.work).await? {
                    Leave::Go => {}
                    Leave::Stopping => return Ok(Over::Released),
                    Leave::Asked => return Ok(self.work.held(&self.point)),
                }
            }
            if self.work.runner.stop.is_stopping() {
                return Ok(Over::Released);
            }
            let wave = match next(input, None, pace.batch).await {
                Ok((back, wave)) => {
                    input = back;
                    wave
                }
                Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
            };
            let last = wave.last;
            let mut to = self.point.clone();
            input.place(&mut to);
            if !self.take(&wave, &to).await? {
                return Ok(Over::Lost);
            }
            match self.work_wave(wave, to).await? {
                Some(over) => return Ok(over),
                None if last => return self.finish().await,
                None => {}
            }
        }
    }

    /// Writes down which rows are going to be worked: after a crash they are gone on with as they
    /// were, each under its own number, whatever has become of them in their table. False when
    /// another claim has the run.
    async fn take(&self, wave: &Wave, to: &Point) -> Result<bool, LedgerError> {
        let Some(to) = &to.rows else {
            return Ok(true);
        };
        let taken = |item: &Item| {
            let row = Some(item.value.clone());
            item.key.clone().map(|key| {
                (
                    item.index,
                    Taken {
                        key,
                        row,
                        bad: None,
                    },
                )
            })
        };
        let mut taken: Vec<_> = wave.items.iter().filter_map(taken).collect();
        let bad = wave.bad.iter().zip(&wave.bad_keys);
        taken.extend(bad.map(|(bad, key)| {
            let (key, bad_one) = (key.clone(), Some(bad.reason.clone()));
            let row = None;
            (
                bad.item,
                Taken {
                    key,
                    row,
                    bad: bad_one,
                },
            )
        }));
        taken.sort_by_key(|(index, _)| *index);
        let at = RowsAt {
            key: self.point.key().cloned(),
            total: to.total,
            taken: taken.into_iter().map(|(_, taken)| taken).collect(),
        };
        let unit = Unit {
            guards: vec![Guard::Fence(self.work.job.row.id, self.work.job.fence)],
            ops: vec![self.work.rows_op(&at)],
        };
        let (task, step) = (self.work.job.row.task.as_str(), self.work.step.id.as_str());
        points::pass_in(At::ItemsTakenBefore, task, step);
        let result = self.work.commit(unit).await?;
        points::pass_in(At::ItemsTakenAfter, task, step);
        Ok(matches!(result, UnitResult::Applied(_)))
    }

    /// Works the items of a wave and moves the cursor past them.
    async fn work_wave(
        &mut self,
        wave: Wave,
        mut next: Point,
    ) -> Result<Option<Over>, LedgerError> {
        let ends = self.all(&wave.items).await?;
        let mut set_aside = wave.bad;
        for (item, end) in wave.items.iter().zip(ends) {
            match end {
                ItemEnd::Done => next.progress.done += 1,
                ItemEnd::SetAside(why) | ItemEnd::Unknown(why) => {
                    set_aside.push(aside(item.index, item.line, &item.raw, why));
                }
                ItemEnd::Lost => return Ok(Some(Over::Lost)),
                ItemEnd::Stopped => return Ok(Some(Over::Released)),
            }
        }
        next.progress.set_aside += set_aside.len() as u64;
        self.point = next;
        match self
            .work
            .tell(self.work.items_ops(&self.point, set_aside))
            .await?
        {
            Told::Recorded => Ok(None),
            Told::Lost => Ok(Some(Over::Lost)),
            Told::Asked => Ok(Some(self.work.held(&self.point))),
        }
    }

    pub(super) async fn all(&self, items: &[Item]) -> Result<Vec<ItemEnd>, LedgerError> {
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
        Attempts::of(self, sub, item, outputs, call, facts)
            .run()
            .await
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
            return Ok(self.work.done(&self.point));
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
        let work = self.work;
        let (run, step) = (work.job.row.id, work.step.id.clone());
        let before = self.point.progress.next;
        doubts(Ask(&*work.runner.ledger), run, &step, before).await
    }
}
