//! What is known of a run when the end of the ledger was lost: what it recorded, and not what it did
//! since.

use super::fold::RunState;
use super::step::Stage;
use crate::fact::{BY_PROBE, BY_RULE, Settlement};
use crate::ids::StepId;
use crate::question::Notice;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// That the end of the ledger was lost, until somebody has looked what was done since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Not before this can anything have been done of which there is no record.
    pub since: Timestamp,
    /// When this was found: what is done from then on is recorded.
    pub at: Timestamp,
    /// It is held for a person because of it.
    pub held: bool,
    /// Steps that were begun since it is known.
    pub seen: BTreeSet<StepId>,
}

impl RunState {
    /// Whether the next attempt of a step may have been made already, without a record of it.
    ///
    /// What is in doubt already is looked up or repeated as it is. What was not due before this was found
    /// cannot have been done without a record.
    #[must_use]
    pub fn may_have_begun(&self, step: &StepId) -> bool {
        let Some(lost) = &self.lost else { return false };
        if let Some(notice) = Notice::parse(step) {
            return self.is_told_by(&notice, lost.at) && !lost.seen.contains(step);
        }
        let known = self.steps.get(step).map(|state| &state.stage);
        let not_yet = match known {
            Some(Stage::Unknown { .. }) => true,
            Some(Stage::Held { until }) => *until > lost.at,
            _ => false,
        };
        !not_yet && !lost.seen.contains(step)
    }

    /// Whether a message about a question was due by then.
    fn is_told_by(&self, notice: &Notice, by: Timestamp) -> bool {
        match self.steps.get(&notice.step).map(|state| &state.stage) {
            Some(Stage::Asked(asked)) => asked.due(notice.nth) <= by,
            _ => true,
        }
    }

    /// Whether what a step gave was recorded before the end was lost.
    #[must_use]
    pub fn is_recorded(&self, step: &StepId) -> bool {
        let seen = self.lost.as_ref().map(|lost| &lost.seen);
        let known = self.steps.get(step).map(|state| &state.stage);
        matches!(known, Some(Stage::Done | Stage::Skipped))
            && !seen.is_some_and(|seen| seen.contains(step))
    }

    pub(super) fn lose_end(&mut self, at: Timestamp, since: Timestamp, held: bool) {
        let before = self.lost.as_ref();
        self.lost = Some(Lost {
            since: before.map_or(since, |lost| lost.since.min(since)),
            held: held || before.is_some_and(|lost| lost.held),
            at,
            seen: BTreeSet::new(),
        });
        self.paused |= held;
    }

    /// A step is begun; gives since when it may have been, where that is in doubt.
    pub(super) fn begins_in_doubt(&mut self, step: &StepId, unrecorded: bool) -> Option<Timestamp> {
        let lost = self.lost.as_mut()?;
        lost.seen.insert(step.clone());
        unrecorded.then_some(lost.since)
    }

    /// Who has looked and says that a step was not done says it of all that comes after it. A probe
    /// knows of its step alone, and a rule knows nothing.
    pub(super) fn know_of_what_follows(
        &mut self,
        step: &StepId,
        settlement: &Settlement,
        by: &str,
    ) {
        let unrecorded = self.steps.get(step).is_some_and(|s| s.unrecorded);
        let by_person = by != BY_RULE && by != BY_PROBE;
        if unrecorded && by_person && *settlement == Settlement::DidNotHappen {
            self.lost = None;
        }
    }
}
