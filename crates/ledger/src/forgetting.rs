//! What a run becomes that is forgotten: computed in the same way for every store.
//!
//! Each fact loses its data and keeps the hash that it has in the chain of the run. A last fact has a
//! hash over what is left, so that a run that was forgotten is told from one that was damaged.

use crate::chained::{self, Reading};
use oncely_core::chain::{Chain, key_hash};
use oncely_core::fact::{Fact, Recorded};
use oncely_core::forget::{Forget, known_by, without_data, without_key};
use oncely_core::ids::{ContentHash, EventKey, RunId};
use oncely_core::ledger::{LedgerError, RunRow};
use oncely_core::prune::RELEASE;
use oncely_core::run::RunState;

/// What is written in the place of a run.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) run: RunId,
    pub(crate) key: EventKey,
    /// Every fact, the last one new.
    pub(crate) facts: Vec<Recorded>,
    /// What they amount to.
    pub(crate) state: RunState,
    pub(crate) chain: Chain,
}

/// Takes the data out of a run.
pub(crate) fn forget(row: &RunRow, reading: Reading, wanted: &Forget) -> Result<Left, LedgerError> {
    may_be(row)?;
    let (run, unusable) = (row.id, |_| damaged(row.id));
    if !reading.is(row) {
        return Err(damaged(run));
    }
    let facts = reading.facts.iter().zip(&reading.hashes);
    let mut facts: Vec<Recorded> = facts
        .map(|(recorded, hash)| Recorded {
            at: recorded.at,
            forgotten: Some(*hash),
            fact: without_data(&recorded.fact),
        })
        .collect();
    let mut kept = Vec::new();
    for recorded in &facts {
        kept.extend(chained::text(recorded).map_err(unusable)?.into_bytes());
    }
    let last = Fact::Forgotten {
        by: wanted.by.clone(),
        reason: wanted.reason.clone(),
        kept: ContentHash::of(&kept),
    };
    let last = [last];
    let chain = chained::follow(row.chain, row.seq, wanted.at, &last)?;
    let [fact] = last;
    facts.push(Recorded {
        at: wanted.at,
        forgotten: None,
        fact,
    });
    let state = RunState::fold(&facts)
        .map_err(|why| LedgerError::Invalid(format!("run {run} cannot be forgotten: {why}.")))?;
    let hash = key_hash(&row.environment, &row.task, &row.key, Some(row.generation));
    Ok(Left {
        run,
        key: without_key(hash),
        facts,
        state,
        chain,
    })
}

fn may_be(row: &RunRow) -> Result<(), LedgerError> {
    let run = row.id;
    Err(LedgerError::Invalid(
        if !row.status.is_ended() || row.holder.is_some() {
            format!(
                "run {run} of {} is {}: it needs what it was given. Nothing was forgotten. Let it end, or \
             end it with `oncely cancel {run}`.",
                row.task, row.status
            )
        } else if row.trigger == RELEASE {
            format!(
                "run {run} of {} answers a release, not a person's data. Nothing was forgotten.",
                row.task
            )
        } else if is_forgotten(row) {
            format!("run {run} was forgotten before. Nothing was changed.")
        } else {
            return Ok(());
        },
    ))
}

fn damaged(run: RunId) -> LedgerError {
    LedgerError::Invalid(format!(
        "the facts of run {run} are not those that were recorded: some were changed or lost. Nothing \
         was forgotten. A backup may know more."
    ))
}

/// Whether the data of a run was removed.
pub(crate) fn is_forgotten(row: &RunRow) -> bool {
    row.event.is_empty() && known_by(&row.key).is_some()
}
