//! What a run's row says.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a run's row in the ledger says: enough to list it and to know whether it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Admitted, not begun.
    Pending,
    /// Being worked on, or about to be.
    Running,
    /// Waiting for a time or a person.
    Waiting,
    /// Every step is done.
    Done,
    /// A step failed for good.
    Failed,
    /// Nobody knows whether an attempt happened; a person must say.
    Unknown,
    /// A person ended it.
    Cancelled,
    /// It was not to be done.
    Skipped,
    /// What it did was taken back.
    Undone,
    /// It was done before oncely came.
    Imported,
}

impl RunStatus {
    /// Every status, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::Skipped,
        Self::Undone,
        Self::Imported,
    ];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Undone => "undone",
            Self::Imported => "imported",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Whether nothing more will happen by itself or by an answer.
    #[must_use]
    pub fn is_ended(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Waiting | Self::Unknown => false,
            Self::Done
            | Self::Failed
            | Self::Cancelled
            | Self::Skipped
            | Self::Undone
            | Self::Imported => true,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
