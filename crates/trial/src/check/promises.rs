//! The promises, each by its name.

use std::fmt;

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// At most one run for each task, key and generation.
    AdmittedOnce,
    /// What was accepted is done, or waits as unknown, or says what failed.
    NothingLost,
    /// No row is written twice.
    NoRowTwice,
    /// A keyed effect is repeated only with the same key and the same bytes.
    SameKeySameBytes,
    /// No effect without its committed intent.
    IntentFirst,
    /// An effect that nobody recognises is never made twice without being told to.
    NeverSilentlyTwice,
    /// Every doubt about an effect that nobody recognises is listed as unknown.
    DoubtIsListed,
    /// Only the latest claim records.
    OneHolder,
    /// A run is done once.
    DoneOnce,
    /// Each claim of a run has a higher fence than the one before.
    FencesRise,
    /// Work goes on in time after a fault.
    GoesOn,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdmittedOnce => "admitted once",
            Self::NothingLost => "nothing lost",
            Self::NoRowTwice => "no row twice",
            Self::SameKeySameBytes => "a repeat has the same key and the same bytes",
            Self::IntentFirst => "no effect without its committed intent",
            Self::NeverSilentlyTwice => "never silently twice",
            Self::DoubtIsListed => "every doubt is listed",
            Self::OneHolder => "only the latest claim records",
            Self::DoneOnce => "one completion a run",
            Self::FencesRise => "fences rise",
            Self::GoesOn => "work goes on in time",
        })
    }
}

/// A promise that did not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// Where, and how it shows.
    pub what: String,
}
