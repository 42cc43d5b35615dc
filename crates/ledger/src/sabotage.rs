//! A switch that moves the clock. Only debug builds and those with the feature `sabotage` have it; in
//! all others the clock is the system's.

/// By how many milliseconds the clock that people see is wrong: what stands in the file that
/// `ONCELY_SABOTAGE_CLOCK` names. It is read again every few milliseconds, so that the clock of a
/// process jumps while it works. Leases know nothing of it.
#[cfg(any(debug_assertions, feature = "sabotage"))]
pub(crate) fn clock_is_wrong_by(boot_millis: i64) -> i64 {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
    const LOOK_EVERY_MS: i64 = 20;
    static FILE: LazyLock<Option<std::ffi::OsString>> =
        LazyLock::new(|| std::env::var_os("ONCELY_SABOTAGE_CLOCK"));
    static LOOKED: AtomicI64 = AtomicI64::new(i64::MIN);
    static WRONG_BY: AtomicI64 = AtomicI64::new(0);
    let Some(file) = &*FILE else {
        return 0;
    };
    if boot_millis.saturating_sub(LOOKED.load(Relaxed)) >= LOOK_EVERY_MS {
        LOOKED.store(boot_millis, Relaxed);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        // A file that is just being written says nothing new.
        if let Ok(millis) = text.trim().parse() {
            WRONG_BY.store(millis, Relaxed);
        }
    }
    WRONG_BY.load(Relaxed)
}

/// The clock is the system's.
#[cfg(not(any(debug_assertions, feature = "sabotage")))]
pub(crate) const fn clock_is_wrong_by(_boot_millis: i64) -> i64 {
    0
}
