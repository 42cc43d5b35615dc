//! How long to wait before the next try: exponential, capped, with jitter that is not random.

use crate::limits;
use serde::{Deserialize, Serialize};

/// The `retry` policy of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries in all; 1 means none after the first.
    pub attempts: u32,
    /// Wait before the second try, in milliseconds.
    pub first_ms: i64,
    /// Longest wait, in milliseconds.
    pub max_ms: i64,
}

impl Default for Retry {
    /// Four tries, waiting about 1 s, 2 s and 4 s.
    fn default() -> Self {
        Self {
            attempts: 4,
            first_ms: 1_000,
            max_ms: 300_000,
        }
    }
}

impl Retry {
    /// One try only.
    pub const NEVER: Self = Self {
        attempts: 1,
        first_ms: 0,
        max_ms: 0,
    };

    /// Milliseconds to wait after failed try number `attempt` (from 1).
    ///
    /// Doubles from `first_ms` up to `max_ms`, then takes between half and all of it, by `seed`:
    /// the same step of the same run always waits the same time, different ones spread out.
    /// A wait that the other side asked for (`asked_ms`) is respected when it is longer, up to
    /// [`limits::RETRY_WAIT_MS`].
    #[must_use]
    pub fn wait_ms(&self, attempt: u32, seed: &str, asked_ms: Option<i64>) -> i64 {
        let doublings = attempt.saturating_sub(1).min(40);
        let full = self
            .first_ms
            .saturating_mul(1_i64 << doublings)
            .min(self.max_ms)
            .max(0);
        let jittered = full / 2 + jitter(full - full / 2, attempt, seed);
        jittered
            .max(asked_ms.unwrap_or(0))
            .min(limits::RETRY_WAIT_MS)
    }
}

fn jitter(span: i64, attempt: u32, seed: &str) -> i64 {
    let mut hasher = blake3::Hasher::new_derive_key("oncely retry jitter v1");
    hasher.update(&attempt.to_le_bytes());
    hasher.update(seed.as_bytes());
    let mut bytes = [0_u8; 8];
    hasher.finalize_xof().fill(&mut bytes);
    let share = u64::from_le_bytes(bytes) >> 1;
    i64::try_from(share % (span.unsigned_abs() + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_lies_between_half_and_all_of_the_step_and_never_passes_the_cap(
            attempt in 1_u32..2000, first in 0_i64..100_000, max in 0_i64..10_000_000, seed in ".{0,8}",
        ) {
            let retry = Retry { attempts: 10, first_ms: first, max_ms: max };
            let wait = retry.wait_ms(attempt, &seed, None);
            prop_assert!(wait >= 0 && wait <= max.min(limits::RETRY_WAIT_MS));
            prop_assert_eq!(wait, retry.wait_ms(attempt, &seed, None));
        }

        #[test]
        fn what_the_other_side_asks_for_is_respected_and_capped(asked in 0_i64..i64::MAX) {
            let wait = Retry::default().wait_ms(1, "x", Some(asked));
            prop_assert!(wait >= asked.min(limits::RETRY_WAIT_MS));
            prop_assert!(wait <= limits::RETRY_WAIT_MS);
        }
    }

    #[test]
    fn waits_double_until_the_cap() {
        let retry = Retry {
            attempts: 9,
            first_ms: 1000,
            max_ms: 8000,
        };
        let waits: Vec<_> = (1..=6).map(|n| retry.wait_ms(n, "run", None)).collect();
        for (n, wait) in waits.iter().enumerate() {
            let full = (1000_i64 << n).min(8000);
            assert!((full / 2..=full).contains(wait), "try {n}: {wait}");
        }
    }

    #[test]
    fn waits_of_different_steps_spread_over_half_of_the_time() {
        let retry = Retry::default();
        let waits: Vec<_> = (0..200)
            .map(|n| retry.wait_ms(1, &format!("step {n}"), None))
            .collect();
        assert!(waits.iter().any(|wait| *wait < 600), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait > 900), "{waits:?}");
    }
}
