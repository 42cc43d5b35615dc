//! Forgets the data of runs.

use super::state::State;
use crate::{forgetting, rules};
use oncely_core::forget::Forget;
use oncely_core::ledger::LedgerError;

/// Forgets all of them, or none.
pub(crate) fn forget(state: &mut State, wanted: &Forget) -> Result<(), LedgerError> {
    let mut all = Vec::with_capacity(wanted.runs.len());
    for id in &wanted.runs {
        let run = state.runs.get(id).ok_or_else(|| rules::no_run(*id))?;
        all.push(forgetting::forget(&run.row, run.reading()?, wanted)?);
    }
    for left in all {
        if let Some(run) = state.runs.get_mut(&left.run) {
            run.row.key = left.key;
            run.row.event = "".into();
            run.row.seq = left.facts.len() as u64;
            run.row.changed = wanted.at;
            run.row.chain = left.chain;
            run.state = left.state;
            run.facts = left.facts;
        }
        state.set_aside.retain(|(run, _, _), _| *run != left.run);
        state.item_facts.retain(|(run, _), _| *run != left.run);
    }
    Ok(())
}
