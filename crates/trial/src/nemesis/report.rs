//! The report as lines for people.

use super::play::Report;
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Seed {}: {} faults in {:.0} s, {} events sent, {} runs, {} claims.",
            self.seed,
            self.struck(),
            self.seconds,
            self.sent,
            self.runs,
            self.claims
        )?;
        for (kind, times) in &self.faults {
            writeln!(f, "  {kind:<26}{times:>5}")?;
        }
        writeln!(
            f,
            "No commit to aim at: {}. Commits of facts through the proxies: {}.",
            self.missed, self.records
        )?;
        writeln!(
            f,
            "{} requests and lines, {} rows. Unknown: {}. Put off by a clock: {}. Set aside and \
             resumed: {}.",
            self.effects, self.rows, self.unknown, self.put_off, self.resumed
        )?;
        writeln!(
            f,
            "Slowest to record again after a fault: {} ms.",
            self.slowest_ms
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
