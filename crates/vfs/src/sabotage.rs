//! A switch that takes the checksums away, for the tests that prove that they would notice. Only debug
//! builds and those with the feature `sabotage` have it.

/// Whether what is read is believed as it is.
#[cfg(any(debug_assertions, feature = "sabotage"))]
pub(crate) fn believes() -> bool {
    static OFF: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        std::env::var("ONCELY_SABOTAGE").is_ok_and(|list| list.split(',').any(|p| p == "checksum"))
    });
    *OFF
}

/// Nothing is believed.
#[cfg(not(any(debug_assertions, feature = "sabotage")))]
pub(crate) const fn believes() -> bool {
    false
}
