//! Items that were in doubt, once a person has said what became of them or has them looked up: they are
//! gone through once more before the others, each by what was said of it.
//!
//! Which they are is known from what was set aside, and how far each came since from its facts, so that a
//! process which dies on the way leaves none half done and none counted twice.

use super::attempts::UNKNOWN;
use super::effects::{Effects, Item, ItemEnd, WAVE, Wave, next, open};
use super::input::{Input, Origin};
use super::point::Point;
use super::run::{Over, Told, Work};
use crate::ask::Ask;
use oncely_core::action::Failure;
use oncely_core::fact::{ItemsBecame, Outcome};
use oncely_core::ids::Fence;
use oncely_core::items::SetAside;
use oncely_core::ledger::{ItemEvent, LedgerError};
use oncely_core::limits;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Items set aside that are read at once.
const SET_ASIDE_PAGE: usize = 1000;

/// What a person said of items in doubt.
pub(super) struct Answers {
    became: ItemsBecame,
    /// Which; none means all.
    only: Option<BTreeSet<u64>>,
    /// Said of attempts of claims before this one.
    from: Option<Fence>,
}

impl Answers {
    /// What was said since the last attempt of the step ended.
    pub(super) fn of(work: &Work<'_>) -> Option<Self> {
        let state = work.job.state.steps.get(&work.step.id)?;
        let from = state.redo_from;
        if state.redo {
            let became = ItemsBecame::DidNotHappen;
            let only = None;
            return Some(Self { became, only, from });
        }
        let said = state.items.as_ref()?;
        let only = Some(said.items.clone()).filter(|items| !items.is_empty());
        let became = said.became;
        Some(Self { became, only, from })
    }

    /// Whether something was said of this item.
    pub(super) fn concern(&self, item: u64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&item))
    }

    /// What was said of an attempt that was begun under this claim.
    pub(super) fn about(&self, item: u64, begun: Fence) -> Option<ItemsBecame> {
        let meant = self.concern(item) && self.from.is_some_and(|from| begun < from);
        meant.then_some(self.became)
    }
}

/// What was set aside of a step since nobody knew about it.
struct Open {
    /// Those that are not finished since.
    left: Vec<SetAside>,
    /// How many are.
    finished: u64,
    /// How many of the step were ever set aside, for whatever reason.
    all: u64,
}

/// Where items that were in doubt are read once more.
enum Doubted {
    /// Where they were read before.
    Again(Input),
    /// Rows, which may have changed since: what was kept of them when they were set aside.
    Kept(Vec<Item>),
}

impl Doubted {
    async fn open(origin: Origin, left: &[SetAside]) -> Result<Self, Failure> {
        if origin.is_rows() {
            let kept: Result<Vec<Item>, Failure> = left.iter().cloned().map(kept).collect();
            return kept.map(Self::Kept);
        }
        open(origin, Point::default(), WAVE).await.map(Self::Again)
    }

    async fn next(self, only: &Arc<BTreeSet<u64>>) -> Result<(Self, Wave), Failure> {
        match self {
            Self::Again(input) => {
                let (input, wave) = next(input, Some(Arc::clone(only)), WAVE).await?;
                Ok((Self::Again(input), wave))
            }
            Self::Kept(mut items) => {
                let rest = items.split_off(items.len().min(WAVE));
                let wave = Wave {
                    last: rest.is_empty(),
                    items,
                    bad: Vec::new(),
                    bad_keys: Vec::new(),
                };
                Ok((Self::Kept(rest), wave))
            }
        }
    }
}

/// A row as it was set aside.
fn kept(item: SetAside) -> Result<Item, Failure> {
    let value = serde_json::from_str(&item.input).map_err(|_| {
        Failure::permanent(format!(
            "item {} is longer than what is kept of it ({} bytes), so that it cannot be done again by \
             itself. Do it by hand, and settle the step as happened",
            item.item,
            limits::SET_ASIDE_BYTES
        ))
    })?;
    Ok(Item {
        index: item.item,
        line: None,
        raw: item.input,
        value,
        key: None,
    })
}

impl Effects<'_, '_> {
    /// Goes once more through the items that were in doubt.
    pub(super) async fn again(
        &mut self,
        origin: Origin,
        answers: Answers,
    ) -> Result<Option<Over>, LedgerError> {
        let open = self.open_items().await?;
        let only = Arc::new(open.left.iter().map(|aside| aside.item).collect());
        let mut source = match Doubted::open(origin, &open.left).await {
            Ok(source) => source,
            Err(failure) => return Ok(Some(Over::Ended(Err(failure), Vec::new()))),
        };
        self.answers = Some(answers);
        let mut done = 0;
        loop {
            let wave = match source.next(&only).await {
                Ok((back, wave)) => {
                    source = back;
                    wave
                }
                Err(failure) => return Ok(Some(Over::Ended(Err(failure), Vec::new()))),
            };
            for end in self.all(&wave.items).await? {
                match end {
                    ItemEnd::Done => done += 1,
                    ItemEnd::SetAside(_) | ItemEnd::Unknown(_) => {}
                    ItemEnd::Lost => return Ok(Some(Over::Lost)),
                    ItemEnd::Stopped => return Ok(Some(Over::Released)),
                }
            }
            if wave.last {
                break;
            }
        }
        self.answers = None;
        self.counted(&open, done).await
    }

    /// Every item was done or set aside, whenever that was.
    async fn counted(&mut self, open: &Open, done: u64) -> Result<Option<Over>, LedgerError> {
        let progress = &mut self.point.progress;
        progress.set_aside = open.all.saturating_sub(open.finished + done);
        progress.done = progress.next.saturating_sub(progress.set_aside);
        let ops = self.work.items_ops(&self.point, Vec::new());
        Ok(match self.work.tell(ops).await? {
            Told::Recorded => None,
            Told::Lost => Some(Over::Lost),
            Told::Asked => Some(self.work.held(&self.point)),
        })
    }

    async fn open_items(&self) -> Result<Open, LedgerError> {
        let ask = Ask(&*self.work.runner.ledger);
        let run = self.work.job.row.id;
        let (mut open, mut from) = (
            Open {
                left: Vec::new(),
                finished: 0,
                all: 0,
            },
            0,
        );
        loop {
            let page = ask.set_aside(run, from, SET_ASIDE_PAGE).await?;
            from += page.len() as u64;
            let whole = page.len() < SET_ASIDE_PAGE;
            for (_, aside) in page
                .into_iter()
                .filter(|(step, _)| *step == self.work.step.id)
            {
                open.all += 1;
                if !aside.reason.starts_with(UNKNOWN) {
                    continue;
                }
                match self.is_finished(aside.item).await? {
                    true => open.finished += 1,
                    false => open.left.push(aside),
                }
            }
            if whole {
                return Ok(open);
            }
        }
    }

    /// Whether the last effect of an item is known to have happened.
    async fn is_finished(&self, item: u64) -> Result<bool, LedgerError> {
        let Some(last) = self.steps.iter().rev().find(|sub| !sub.pure) else {
            return Ok(true);
        };
        let (run, step) = (self.work.job.row.id, self.work.step.id.clone());
        let ask = Ask(&*self.work.runner.ledger);
        let facts = ask.item_facts(run, step, item..item + 1).await?;
        let of_last = facts.iter().rfind(|fact| fact.sub == last.step.id);
        Ok(of_last.is_some_and(|fact| {
            let outcome = match &fact.what {
                ItemEvent::Outcome { outcome } => Some(outcome),
                ItemEvent::Intent { .. } => None,
            };
            matches!(outcome, Some(Outcome::Done { .. }))
        }))
    }
}
