//! A clock that stands still and jumps: what waits is due at once, and says the same each time.

use oncely_core::time::{Clock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that is turned by hand.
pub(crate) struct JumpClock(AtomicI64);

impl JumpClock {
    /// The usual moment at which a test begins: Monday 2026-01-05, 09:00 UTC.
    pub(crate) const START: Timestamp = Timestamp(1_767_603_600_000);

    /// A clock that shows this moment.
    pub(crate) fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Goes on to this moment; never back.
    pub(crate) fn jump(&self, to: Timestamp) {
        self.0.fetch_max(to.0, Ordering::SeqCst);
    }
}

impl Clock for JumpClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    /// No lease ends while time jumps.
    fn boot_millis(&self) -> i64 {
        0
    }
}
