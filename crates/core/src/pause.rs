//! A stream that waits since its `while` does not hold: what the ledger keeps of it, for whoever looks
//! from outside.

use crate::ids::{RunId, StepId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A stream that waits since its `while` does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when it waits.
    pub since: Timestamp,
    /// How often is looked, in milliseconds.
    pub every_ms: i64,
    /// What the first look said.
    pub why: String,
}

/// The name under which the ledger keeps it, beside the cursors of sources.
#[must_use]
pub fn name(run: RunId, step: &StepId) -> String {
    format!("while/{run}/{step}")
}

impl Pause {
    /// What is kept; nothing once it is over.
    #[must_use]
    pub fn text(pause: Option<&Self>) -> String {
        let text = pause.and_then(|pause| serde_json::to_string(pause).ok());
        text.unwrap_or_default()
    }

    /// The pause of a text that was kept; none once it is over.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}
