//! The marks: what was done in a database, written there in the same transaction.

use oncely_core::action::Call;
use oncely_core::effect::EffectKey;
use oncely_core::ids::Fence;
use oncely_core::items::SetAside;
use oncely_core::rows::RowKey;

/// The table of marks in a database that tasks write to.
pub const TABLE: &str = "oncely_marks";

/// Whose mark it is.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) key: EffectKey,
    pub(crate) ledger: String,
    pub(crate) run: i64,
    pub(crate) step: String,
    pub(crate) fence: Fence,
}

impl Mark {
    /// The mark of a call.
    pub(crate) fn of(call: &Call) -> Self {
        Self {
            key: call.key.clone(),
            ledger: call.site.ledger.clone(),
            run: call.site.run.0,
            step: call.site.step.to_string(),
            fence: call.site.fence,
        }
    }

    /// The same mark under another claim.
    pub(crate) fn claimed(&mut self, fence: Fence) {
        self.fence = fence;
    }
}

/// A count as databases keep it.
pub(crate) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The key of a row, as the mark keeps it.
pub(crate) fn cursor(key: Option<&RowKey>) -> Option<String> {
    key.and_then(|key| serde_json::to_string(key).ok())
}

/// Items that were set aside, as the mark keeps them.
pub(crate) fn set_aside(items: &[SetAside]) -> String {
    serde_json::to_string(items).unwrap_or_else(|_| "[]".into())
}
