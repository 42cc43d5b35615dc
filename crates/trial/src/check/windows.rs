//! Where the kills fell, as far as the ledger's history and the other sides can tell.

use super::attempts::{self, Attempt};
use super::evidence::Evidence;
use super::export::Export;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Attempts that were open when their process went away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// All of them.
    pub in_flight: u64,
    /// The intent was committed and the other side saw nothing of this attempt.
    pub intent_to_effect: u64,
    /// The other side saw this attempt and its outcome was never recorded.
    pub effect_to_outcome: u64,
    /// Runs that were quarantined on the way.
    pub quarantined: u64,
}

/// Counts the windows.
#[must_use]
pub fn windows(evidence: &Evidence, export: &Export) -> Windows {
    let seen = Seen::of(evidence);
    let mut windows = Windows::default();
    for run in export.runs.values() {
        windows.quarantined += u64::from(super::rules::quarantined(run));
        let told = attempts::of(run);
        for attempt in told.attempts.iter().filter(|a| a.interrupted) {
            windows.in_flight += 1;
            match seen.saw(attempt) {
                Some(true) => windows.effect_to_outcome += 1,
                Some(false) => windows.intent_to_effect += 1,
                None => {}
            }
        }
    }
    windows
}

/// What the other sides saw, by key.
struct Seen<'e> {
    requests: BTreeMap<&'e str, Vec<i64>>,
    lines: BTreeSet<(&'e str, u64)>,
}

impl<'e> Seen<'e> {
    fn of(evidence: &'e Evidence) -> Self {
        let mut requests: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for request in &evidence.requests {
            requests
                .entry(&request.key)
                .or_default()
                .push(request.at_ms);
        }
        let lines = evidence.lines.iter().map(|l| (l.key.as_str(), l.attempt));
        Self {
            requests,
            lines: lines.collect(),
        }
    }

    /// Whether the other side saw an attempt; none where there is nobody to ask.
    fn saw(&self, attempt: &Attempt) -> Option<bool> {
        let program = matches!(attempt.step.as_str(), "note" | "log" | "look");
        let request = attempt.step.ends_with("/item")
            || matches!(attempt.step.as_str(), "tell" | "bill" | "send");
        if program {
            return Some(self.lines.contains(&(attempt.key.as_str(), attempt.number)));
        }
        let until = attempt.over.unwrap_or(i64::MAX);
        let during = |at: &i64| *at >= attempt.begun && *at <= until;
        let times = self.requests.get(attempt.key.as_str());
        request.then(|| times.is_some_and(|times| times.iter().any(during)))
    }
}
