//! Removes what is kept of old runs.

use super::state::{Run, State};
use crate::pruning::Look;
use oncely_core::ids::RunId;
use oncely_core::prune::{Gone, Place, Prune, PruneRecord, Pruned, Seen, without_gaps};
use std::collections::{BTreeMap, BTreeSet};

/// Does a part of a prune.
pub(crate) fn prune(state: &mut State, part: &Prune) -> Pruned {
    let below = part.from.below().unwrap_or(RunId(0));
    let page: Vec<Seen> = state
        .runs
        .range(..below)
        .rev()
        .take(part.runs)
        .map(|(_, run)| seen(run))
        .collect();
    let last = page.last().map(|run| run.id);
    let next = last.filter(|_| page.len() == part.runs).map(Place::Below);
    let mut look = Look::at(page);
    look.add(state.runs.values().map(seen).collect());
    look.newest(newest(state));
    let going: Vec<(RunId, u64)> = look.choose(part).iter().map(|r| (r.id, r.facts)).collect();
    let ids: Vec<RunId> = going.iter().map(|(id, _)| *id).collect();
    Pruned {
        number: match part.dry || ids.is_empty() {
            true => part.number,
            false => Some(remove(state, part, &ids)),
        },
        next,
        runs: ids.len() as u64,
        facts: going.iter().map(|(_, facts)| facts).sum(),
    }
}

fn seen(run: &Run) -> Seen {
    let row = &run.row;
    Seen {
        id: row.id,
        environment: row.environment.clone(),
        task: row.task.clone(),
        trigger: row.trigger.clone(),
        status: row.status,
        changed: row.changed,
        facts: row.seq,
        held: row.holder.is_some(),
        parent: row.parent,
    }
}

fn newest(state: &State) -> Vec<RunId> {
    let rows = state.runs.values().map(|run| &run.row);
    let newest: BTreeMap<_, _> = rows
        .map(|row| ((&row.environment, &row.task), row.id))
        .collect();
    newest.into_values().collect()
}

fn remove(state: &mut State, part: &Prune, ids: &[RunId]) -> u64 {
    let number = record(state, part, ids.len() as u64);
    let going: BTreeSet<RunId> = ids.iter().copied().collect();
    for id in ids {
        if let Some(Run { row, .. }) = state.runs.remove(id) {
            state.kept.insert(row.known_by(), *id);
        }
    }
    state.progress.retain(|(run, _), _| !going.contains(run));
    state
        .set_aside
        .retain(|(run, _, _), _| !going.contains(run));
    state.item_facts.retain(|(run, _), _| !going.contains(run));
    state.gone.extend(without_gaps(ids, number));
    number
}

fn record(state: &mut State, part: &Prune, runs: u64) -> u64 {
    let known = part.number.and_then(|n| state.prunes.get_mut(&n));
    if let Some(known) = known {
        known.runs += runs;
        return known.number;
    }
    let number = state.prunes.keys().next_back().map_or(1, |last| last + 1);
    let record = PruneRecord {
        number,
        at: part.at,
        by: part.by.clone(),
        reason: part.reason.clone(),
        environment: part.old.environment.clone(),
        task: part.old.task.clone(),
        before: part.old.before,
        runs,
    };
    state.prunes.insert(number, record);
    number
}

/// The newest prunes.
pub(crate) fn newest_prunes(state: &State, most: usize) -> Vec<PruneRecord> {
    state.prunes.values().rev().take(most).cloned().collect()
}

/// The prune that removed a run.
pub(crate) fn prune_of(state: &State, run: RunId) -> Option<PruneRecord> {
    let within = |gone: &&Gone| gone.first <= run && run <= gone.last;
    let gone = state.gone.iter().find(within)?;
    state.prunes.get(&gone.prune).cloned()
}
