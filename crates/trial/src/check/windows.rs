//! Where the kills fell, as far as the ledger's history and the other sides can tell.

use super::attempts::{self, Attempt};
use super::evidence::Evidence;
use super::export::Export;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where the kills fell. A kill with several attempts in flight may count in several windows, and
/// once in each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// Attempts that were open when their server was killed.
    pub in_flight: u64,
    /// Kills after the commit of an intent whose attempt the other side never saw.
    pub intent_to_effect: u64,
    /// Kills after the other side had seen an attempt whose outcome was never recorded.
    pub effect_to_outcome: u64,
    /// Runs that were quarantined on the way.
    pub quarantined: u64,
}

impl Windows {
    /// Adds those of others.
    pub(crate) fn add(&mut self, other: Self) {
        self.in_flight += other.in_flight;
        self.intent_to_effect += other.intent_to_effect;
        self.effect_to_outcome += other.effect_to_outcome;
        self.quarantined += other.quarantined;
    }
}

/// Counts the windows.
#[must_use]
pub fn windows(evidence: &Evidence, export: &Export) -> Windows {
    let seen = Seen::of(evidence);
    let mut windows = Windows::default();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for run in export.runs.values() {
        windows.quarantined += u64::from(super::rules::quarantined(run));
        let told = attempts::of(run);
        for attempt in told.attempts.iter().filter(|a| a.interrupted) {
            let Some(kill) = cut_off_by(attempt, &evidence.kills) else {
                continue;
            };
            windows.in_flight += 1;
            match seen.saw(attempt) {
                Some(true) => after.insert(kill),
                Some(false) => before.insert(kill),
                None => false,
            };
        }
    }
    windows.intent_to_effect = before.len() as u64;
    windows.effect_to_outcome = after.len() as u64;
    windows
}

/// The kill that ended an attempt, by its place; none when another claim was there before it, since
/// its server was stopped and not killed.
fn cut_off_by(attempt: &Attempt, kills: &[i64]) -> Option<usize> {
    let first = kills.partition_point(|at| *at < attempt.begun);
    let at = *kills.get(first)?;
    attempt.over.is_none_or(|over| over >= at).then_some(first)
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
            || matches!(attempt.step.as_str(), "tell" | "bill" | "send" | "ping");
        if program {
            return Some(self.lines.contains(&(attempt.key.as_str(), attempt.number)));
        }
        let until = attempt.over.unwrap_or(i64::MAX);
        let during = |at: &i64| *at >= attempt.begun && *at <= until;
        let times = self.requests.get(attempt.key.as_str());
        request.then(|| times.is_some_and(|times| times.iter().any(during)))
    }
}
