//! Claims runs and names.

use super::state::{Registered, Run, State};
use oncely_core::ids::{Fence, HolderId, RunId};
use oncely_core::ledger::{Claim, Held, HolderInfo, Leased, RunRow, What};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;

/// Claims what is asked for.
pub(crate) fn claim(state: &mut State, me: &Registered, what: &What, claim: &Claim) -> Leased {
    match what {
        What::Runs => {
            let ids = choose(state, claim);
            Leased::Runs(take(state, me, &ids, claim.now, Run::is_intact))
        }
        What::Run(id) => {
            let ids: Vec<_> = Some(*id)
                .filter(|id| can_be_claimed(state, *id, claim))
                .into_iter()
                .collect();
            Leased::Runs(take(state, me, &ids, claim.now, Run::is_intact))
        }
        What::Named(name) => named(state, me, name),
        What::Present => {
            register(state, me);
            Leased::Runs(Vec::new())
        }
    }
}

/// Due runs that may be claimed now, in the order in which they became due.
pub(crate) fn choose(state: &State, claim: &Claim) -> Vec<RunId> {
    let mut due: Vec<&RunRow> = candidates(state, claim).collect();
    due.sort_by_key(|row| (row.due, row.id));
    let mut chosen: Vec<&RunRow> = Vec::new();
    for row in due {
        if chosen.len() >= claim.limit {
            break;
        }
        let suspect = row.claims > 0;
        let full = is_full(state, claim, row, &chosen);
        if full || !has_turn(state, claim, row) || (suspect && !claim.suspects) {
            continue;
        }
        if suspect && chosen.is_empty() {
            return vec![row.id];
        }
        if !suspect {
            chosen.push(row);
        }
    }
    chosen.iter().map(|row| row.id).collect()
}

fn candidates<'a>(state: &'a State, claim: &'a Claim) -> impl Iterator<Item = &'a RunRow> {
    state.runs.values().map(|run| &run.row).filter(|row| {
        row.environment == claim.environment
            && row.holder.is_none()
            && row.due.is_some_and(|due| due <= claim.now)
            && !claim.except.contains(&row.task)
    })
}

/// Whether as many runs of the task are held as may be, those chosen already included.
fn is_full(state: &State, claim: &Claim, row: &RunRow, chosen: &[&RunRow]) -> bool {
    let Some((_, cap)) = claim.caps.iter().find(|(task, _)| *task == row.task) else {
        return false;
    };
    let same = |r: &RunRow| r.environment == row.environment && r.task == row.task;
    let held = state
        .runs
        .values()
        .filter(|r| r.row.holder.is_some() && same(&r.row));
    held.count() + chosen.iter().filter(|r| same(r)).count() >= *cap as usize
}

/// Whether it is this run's turn in its lane: nobody else's run is held, of those that have begun
/// it is the first, and if none has begun it is the first of those that are due.
fn has_turn(state: &State, claim: &Claim, row: &RunRow) -> bool {
    let others = lane(state, row);
    if others.iter().any(|o| o.holder.is_some()) {
        return false;
    }
    if others.iter().any(|o| o.seq > 0 && precedes(o, row)) {
        return false;
    }
    row.seq > 0
        || !candidates(state, claim).any(|o| o.id < row.id && others.iter().any(|l| l.id == o.id))
}

fn precedes(other: &RunRow, row: &RunRow) -> bool {
    row.seq == 0 || other.id < row.id
}

/// The other runs of this run's lane that have not ended.
fn lane<'a>(state: &'a State, row: &RunRow) -> Vec<&'a RunRow> {
    if row.lane.is_none() {
        return Vec::new();
    }
    let rows = state.runs.values().map(|run: &Run| &run.row);
    rows.filter(|o| {
        o.id != row.id
            && o.lane == row.lane
            && o.environment == row.environment
            && !o.status.is_ended()
    })
    .collect()
}

/// Whether a run that was asked for by number can be had: not held, not ended, not out of turn.
pub(crate) fn can_be_claimed(state: &State, id: RunId, claim: &Claim) -> bool {
    let Some(row) = state.runs.get(&id).map(|run| &run.row) else {
        return false;
    };
    let others = lane(state, row);
    row.environment == claim.environment
        && row.holder.is_none()
        && !row.status.is_ended()
        && !others
            .iter()
            .any(|o| o.holder.is_some() || (o.seq > 0 && precedes(o, row)))
}

/// Claims runs. One whose facts are not those of its chain is set aside instead: nobody knows how far
/// it came, so that it stands as unknown, and is not due any more.
pub(crate) fn take(
    state: &mut State,
    me: &Registered,
    ids: &[RunId],
    now: Timestamp,
    is_intact: impl Fn(&Run) -> bool,
) -> Vec<Held> {
    let mut held = Vec::new();
    for id in ids {
        let Some(run) = state.runs.get_mut(id) else {
            continue;
        };
        let intact = is_intact(run);
        let row = &mut run.row;
        if !intact {
            row.status = RunStatus::Unknown;
            row.due = None;
            row.changed = now;
            continue;
        }
        row.holder = Some(me.info.id);
        row.fence = Fence(row.fence.0 + 1);
        row.claims += 1;
        row.due = Some(row.due.map_or(now, |due| due.min(now)));
        row.changed = now;
        held.push(Held {
            row: row.clone(),
            facts: run.facts.clone(),
            fence: row.fence,
            claims: row.claims,
        });
    }
    if !held.is_empty() {
        register(state, me);
    }
    held
}

pub(crate) fn named(state: &mut State, me: &Registered, name: &str) -> Leased {
    let busy = state.names.get(name).and_then(|n| n.holder);
    if let Some(holder) = busy {
        return Leased::Busy(info(state, holder));
    }
    register(state, me);
    let name = state.names.entry(name.to_owned()).or_default();
    name.holder = Some(me.info.id);
    name.fence = Fence(name.fence.0 + 1);
    Leased::Named(name.fence)
}

pub(crate) fn register(state: &mut State, me: &Registered) {
    state
        .holders
        .entry(me.info.id)
        .or_insert_with(|| me.clone());
}

/// Who a holder is.
pub(crate) fn info(state: &State, holder: HolderId) -> HolderInfo {
    state.holders.get(&holder).map_or_else(
        || HolderInfo {
            id: holder,
            pid: 0,
            role: String::new(),
            since: Timestamp::default(),
        },
        |registered| registered.info.clone(),
    )
}
