//! Which items of a step nobody knows about.

use crate::ask::Ask;
use oncely_core::fact::Outcome;
use oncely_core::ids::{RunId, StepId};
use oncely_core::items::Progress;
use oncely_core::ledger::{ItemEvent, ItemFact, LedgerError};
use std::collections::BTreeMap;

/// Items whose facts are read at once.
const LOOK_BACK: u64 = 1000;

/// The items of a step that are in doubt, also those just beyond its cursor.
pub(crate) async fn in_doubt(
    ask: Ask<'_>,
    run: RunId,
    step: &StepId,
    progress: &Progress,
) -> Result<Vec<u64>, LedgerError> {
    doubts(ask, run, step, progress.next + LOOK_BACK).await
}

/// The items before this place that are in doubt.
pub(super) async fn doubts(
    ask: Ask<'_>,
    run: RunId,
    step: &StepId,
    before: u64,
) -> Result<Vec<u64>, LedgerError> {
    let mut doubts = Vec::new();
    let mut from = 0;
    while from < before {
        let range = from..from + LOOK_BACK;
        let facts = ask.item_facts(run, step.clone(), range).await?;
        let mut last: BTreeMap<(u64, StepId), bool> = BTreeMap::new();
        for fact in facts {
            let unknown = is_open(&fact);
            last.insert((fact.item, fact.sub), unknown);
        }
        let unknown = last.into_iter().filter(|(_, unknown)| *unknown);
        doubts.extend(unknown.map(|((item, _), _)| item));
        from += LOOK_BACK;
    }
    Ok(doubts)
}

/// An intent without an outcome is what a crash left while the item was done again.
fn is_open(fact: &ItemFact) -> bool {
    matches!(
        fact.what,
        ItemEvent::Intent { .. }
            | ItemEvent::Outcome {
                outcome: Outcome::Unknown { .. }
            }
    )
}
