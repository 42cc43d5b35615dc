//! What came of it, in words.

use serde::Serialize;
use std::collections::BTreeMap;

/// What came of the kills.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What chance began with.
    pub seed: u64,
    /// Processes that were ended at a point.
    pub kills: u64,
    /// Processes that were stopped at one beyond their lease, and woke.
    pub stops: u64,
    /// Points that were reached, of all.
    pub points: usize,
    /// Kinds of steps, each with its moments.
    pub kinds: usize,
    /// Events that were sent.
    pub events: usize,
    /// Runs that were in doubt, and were settled by what the other side had.
    pub settled: u64,
    /// Seconds.
    pub seconds: f64,
    /// Points that a kind did not come to.
    pub unreached: Vec<String>,
    /// Promises that did not hold, and where.
    pub broken: Vec<(String, String)>,
}

impl Report {
    /// Whether everything was tried and every promise held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.unreached.is_empty() && self.broken.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.kinds += other.kinds;
        self.events += other.events;
        self.settled += other.settled;
        self.unreached.extend(other.unreached);
        self.broken.extend(other.broken);
    }
}

/// Most places that are printed of one promise.
const PLACES: usize = 10;

/// The report as text.
#[must_use]
pub fn say(report: &Report) -> String {
    let mut lines = vec![
        format!(
            "Seed {}: {} kills and {} stops at {} points, {} kinds, in {:.0} s.",
            report.seed, report.kills, report.stops, report.points, report.kinds, report.seconds
        ),
        format!(
            "{} events; {} runs were in doubt and were settled by what the other side had.",
            report.events, report.settled
        ),
    ];
    lines.extend(
        report
            .unreached
            .iter()
            .map(|point| format!("NEVER REACHED: {point}")),
    );
    let mut of_promise = BTreeMap::<&str, usize>::new();
    for (promise, what) in &report.broken {
        let said = of_promise.entry(promise).or_default();
        *said += 1;
        if *said <= PLACES {
            lines.push(format!("BROKEN: {promise}: {what}"));
        }
    }
    let many = of_promise.iter().filter(|(_, places)| **places > PLACES);
    lines.extend(many.map(|(promise, places)| format!("{promise}: {places} places in all.")));
    if report.holds() {
        lines.push("Every promise held.".into());
    }
    lines.join("\n")
}
