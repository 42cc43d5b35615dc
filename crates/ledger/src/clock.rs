//! The clock of the machine: the time that people see, and the one that only goes forward.

use oncely_core::time::{Clock, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The clocks of the system. The boot-time clock counts while the machine sleeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let wrong_by = crate::sabotage::clock_is_wrong_by(self.boot_millis());
        Timestamp(millis(ClockId::Realtime).saturating_add(wrong_by))
    }

    fn boot_millis(&self) -> i64 {
        millis(ClockId::Boottime)
    }
}

fn millis(id: ClockId) -> i64 {
    let time = clock_gettime(id);
    time.tv_sec
        .saturating_mul(1000)
        .saturating_add(time.tv_nsec / 1_000_000)
}

/// Names this start of the machine: boot-time clocks of two starts cannot be compared.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// A lease counts as lost when the boot-time clock has come this far.
pub(crate) fn is_over(renewed: i64, lease_ms: i64, boot_now: i64) -> bool {
    boot_now.saturating_sub(renewed) >= lease_ms
}

/// Whether a third of the lease has gone, so that it is time to write it again.
pub(crate) fn wants_renewal(renewed: i64, lease_ms: i64, boot_now: i64) -> bool {
    boot_now.saturating_sub(renewed) >= lease_ms / 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn the_time_is_that_of_the_machine_and_the_other_clock_goes_forward() {
        let machine = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            i64::try_from(since.as_millis()).unwrap()
        };
        let (earliest, boot) = (machine(), SystemClock.boot_millis());
        let now = SystemClock.now().0;
        assert!((earliest..=machine()).contains(&now), "{now}");
        assert!(boot > 0 && SystemClock.boot_millis() >= boot);
    }

    #[test]
    fn a_lease_is_over_when_its_time_has_gone_and_not_before() {
        assert!(!is_over(1_000, 500, 1_499));
        assert!(is_over(1_000, 500, 1_500));
        assert!(
            !is_over(1_000, 500, 900),
            "renewed after the clock was read"
        );
    }

    #[test]
    fn a_lease_is_written_again_when_a_third_of_it_has_gone() {
        assert!(!wants_renewal(1_000, 300, 1_099));
        assert!(wants_renewal(1_000, 300, 1_100));
        assert!(wants_renewal(1_000, 300, 9_000));
    }
}
