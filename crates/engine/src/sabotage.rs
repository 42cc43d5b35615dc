//! A switch that takes a promise away, for the tests that prove that they would notice. Only debug
//! builds and those with the feature `sabotage` have it.

/// Whether effects are made before their intent is committed.
#[cfg(any(debug_assertions, feature = "sabotage"))]
pub(crate) fn acts_first() -> bool {
    static OFF: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        std::env::var("ONCELY_SABOTAGE").is_ok_and(|list| list.split(',').any(|p| p == "intent"))
    });
    *OFF
}

/// No effect without its intent.
#[cfg(not(any(debug_assertions, feature = "sabotage")))]
pub(crate) const fn acts_first() -> bool {
    false
}
