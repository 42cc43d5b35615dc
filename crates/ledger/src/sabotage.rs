//! Switches that take a promise away, for the tests that prove that they would notice. Only debug
//! builds and those with the feature `sabotage` have them; in all others nothing is ever off.

/// Whether what holds this promise is switched off: `unique`, `fence`.
#[cfg(any(debug_assertions, feature = "sabotage"))]
pub(crate) fn is_off(promise: &str) -> bool {
    static OFF: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("ONCELY_SABOTAGE").unwrap_or_default());
    OFF.split(',').any(|off| off == promise)
}

/// Nothing is off.
#[cfg(not(any(debug_assertions, feature = "sabotage")))]
pub(crate) const fn is_off(_promise: &str) -> bool {
    false
}
