//! Everything that a ledger knows, as plain maps.

use crate::chained::{self, Reading};
use crate::clock::is_over;
use crate::rules::due_when_freed;
use oncely_core::chain::Beginning;
use oncely_core::fact::Recorded;
use oncely_core::ids::{
    ContentHash, Environment, EventKey, Fence, Generation, HolderId, RunId, StepId, TaskId,
};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{FileMark, HolderInfo, ItemFact, LedgerError, RunRow};
use oncely_core::prune::{Gone, PruneRecord};
use oncely_core::run::RunState;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A run: its row, its facts and what they fold to.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) row: RunRow,
    /// All of them, or the last ones where this is a part of a larger ledger.
    pub(crate) facts: Vec<Recorded>,
    pub(crate) state: RunState,
    /// Its facts were read, and are not those of its chain.
    pub(crate) broken: bool,
}

impl Run {
    /// Whether its facts are those of its chain.
    pub(crate) fn is_intact(&self) -> bool {
        self.reading().is_ok_and(|reading| reading.is(&self.row))
    }

    /// Its facts with the chain that they make.
    pub(crate) fn reading(&self) -> Result<Reading, LedgerError> {
        let mut reading = Reading::of(Beginning::of_row(&self.row).chain());
        for (seq, recorded) in (0..).zip(&self.facts) {
            let text = chained::text(recorded).map_err(|error| {
                LedgerError::Invalid(format!("a fact cannot be read: {error}."))
            })?;
            reading.fact(seq, recorded.at, &text, recorded.fact.clone());
        }
        Ok(reading)
    }
}

/// A name that one holder has at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Name {
    pub(crate) holder: Option<HolderId>,
    pub(crate) fence: Fence,
}

/// A holder that has claimed something.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) info: HolderInfo,
    pub(crate) renewed: i64,
    /// Its process lives: what the lock on a holder file says elsewhere.
    pub(crate) alive: bool,
}

/// What is admitted at most once.
pub(crate) type Key = (Environment, TaskId, EventKey, Generation);

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) keys: BTreeMap<Key, RunId>,
    pub(crate) progress: BTreeMap<(RunId, StepId), Progress>,
    pub(crate) set_aside: BTreeMap<(RunId, StepId, u64), SetAside>,
    pub(crate) item_facts: BTreeMap<(RunId, StepId), Vec<ItemFact>>,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(crate) store: BTreeMap<ContentHash, Arc<[u8]>>,
    pub(crate) files: BTreeMap<String, FileMark>,
    pub(crate) names: BTreeMap<String, Name>,
    /// What keys are known by whose runs were pruned.
    pub(crate) kept: BTreeMap<[u8; 16], RunId>,
    /// The highest generation of keys that went past the first, by what they are known by.
    pub(crate) raised: BTreeMap<[u8; 16], Generation>,
    pub(crate) prunes: BTreeMap<u64, PruneRecord>,
    pub(crate) gone: Vec<Gone>,
    pub(crate) holders: BTreeMap<HolderId, Registered>,
    pub(crate) next_holder: i64,
    /// How many runs there are that are not in `runs`: this is a part of a larger ledger.
    pub(crate) runs_before: i64,
    /// Facts are taken as they are, and not folded.
    pub(crate) unchecked: bool,
}

impl State {
    /// The number for the next run.
    pub(crate) fn next_run(&self) -> RunId {
        let last = self.runs.keys().next_back().map_or(0, |last| last.0);
        RunId(last.max(self.runs_before) + 1)
    }

    /// A number for a holder that is about to work on the ledger.
    pub(crate) fn new_holder(&mut self) -> HolderId {
        self.next_holder += 1;
        HolderId(self.next_holder)
    }

    /// The highest generation of a key.
    pub(crate) fn generation(
        &self,
        environment: &Environment,
        task: &TaskId,
        key: &EventKey,
    ) -> Option<Generation> {
        let of = |n| {
            (
                environment.clone(),
                task.clone(),
                key.clone(),
                Generation(n),
            )
        };
        let mut all = self.keys.range(of(0)..=of(u32::MAX));
        all.next_back().map(|((_, _, _, last), _)| *last)
    }

    /// Gives back everything that a holder holds and forgets it; says how many runs that were.
    pub(crate) fn free(&mut self, holder: HolderId, now: Timestamp) -> u64 {
        let mut freed = 0;
        for run in self.runs.values_mut() {
            if run.row.holder == Some(holder) {
                run.row.holder = None;
                run.row.due = due_when_freed(run.row.status, run.row.due, now);
                freed += 1;
            }
        }
        for name in self.names.values_mut() {
            if name.holder == Some(holder) {
                name.holder = None;
            }
        }
        self.holders.remove(&holder);
        freed
    }

    /// Holders other than `me` that are dead, or whose lease is over.
    pub(crate) fn gone(&self, me: HolderId, lease_ms: i64, boot_now: i64) -> Vec<HolderId> {
        let gone = |h: &Registered| !h.alive || is_over(h.renewed, lease_ms, boot_now);
        self.holders
            .iter()
            .filter(|(id, holder)| **id != me && gone(holder))
            .map(|(id, _)| *id)
            .collect()
    }
}
