//! What came of it, also as lines for people.

use serde::Serialize;
use std::fmt;

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What chance began with.
    pub seed: u64,
    /// How often the disk was filled, held and freed.
    pub fills: u32,
    /// Servers that were killed while it was full, and started again on it.
    pub killed: u32,
    /// Seconds.
    pub seconds: f64,
    /// Events that were accepted.
    pub sent: usize,
    /// Offers that were refused while it was full.
    pub refused: u64,
    /// Webhooks whose senders were told to come again.
    pub told_later: u64,
    /// Outcomes that were recorded while it was full.
    pub recorded: u64,
    /// Requests and lines that the other sides wrote down.
    pub effects: usize,
    /// Rows that were committed.
    pub rows: u64,
    /// Runs that wait as unknown.
    pub unknown: usize,
    /// Runs that failed on the full disk and were resumed, as a person would.
    pub failed: Vec<String>,
    /// How often a server said that the disk is full, and that there is room again.
    pub said: (usize, usize),
    /// Milliseconds from room to the effect of the next event: the median, and the longest.
    pub recovery_ms: (u64, u64),
    /// Promises that did not hold, each with one place where it shows, and in how many.
    pub broken: Vec<(String, String, usize)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Seed {}: filled, held and freed {} times in {:.0} s, with {} servers killed on a full disk and \
             started again.",
            self.seed, self.fills, self.seconds, self.killed
        )?;
        writeln!(
            f,
            "{} events accepted. While it was full: {} refused, {} webhooks told to come again, {} outcomes \
             recorded, nothing begun.",
            self.sent, self.refused, self.told_later, self.recorded
        )?;
        writeln!(
            f,
            "{} requests and lines, {} rows. Unknown: {}. Failed and resumed: {}. Said full {} times, and \
             room again {} times.",
            self.effects,
            self.rows,
            self.unknown,
            self.failed.len(),
            self.said.0,
            self.said.1
        )?;
        writeln!(
            f,
            "From room to the effect of the next event: {} ms in the middle, {} ms at most.",
            self.recovery_ms.0, self.recovery_ms.1
        )?;
        for (promise, what, times) in &self.broken {
            writeln!(f, "BROKEN: {promise}: {what} ({times} places)")?;
        }
        if self.broken.is_empty() {
            writeln!(f, "Every promise held.")?;
        }
        Ok(())
    }
}
