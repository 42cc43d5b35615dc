//! Says once that the ledger has no room, and once that there is some again, whoever notices it how often.

use oncely_core::ledger::{Ledger, LedgerError};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the ledger is known to have no room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    full: AtomicBool,
}

impl Room {
    /// An error that passes by itself was met.
    pub(crate) fn hears(&self, error: &LedgerError) {
        match error {
            LedgerError::Full(_) if self.full.swap(true, Ordering::SeqCst) => {}
            error => tracing::warn!("{error}"),
        }
    }

    /// Something new was begun.
    pub(crate) fn is_there(&self) {
        if self.full.load(Ordering::Relaxed) && self.full.swap(false, Ordering::SeqCst) {
            tracing::warn!("there is room again on the ledger's disk: work goes on.");
        }
    }

    /// Looks whether there is room again, where the ledger can tell.
    pub(crate) fn look(&self, ledger: &dyn Ledger) {
        if self.full.load(Ordering::Relaxed) && ledger.is_full() == Some(false) {
            self.is_there();
        }
    }
}
