//! Switches that take away what holds a promise, one at a time, for the tests that prove that they
//! would notice. Only debug builds and those with the feature `sabotage` have them; in all others
//! nothing is ever off.

/// What can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// The intent is committed before the action is called.
    Intent,
    /// A write of an older claim is refused.
    Fence,
    /// A key has one run in each generation.
    Unique,
    /// A cursor moves in the commit that admits.
    Cursor,
    /// A commit waits for the disk.
    Sync,
    /// A source is told after the commit that admits.
    Acknowledge,
    /// A page is compared with its checksum. The layer below SQLite has this switch itself.
    Checksum,
    /// A holder stops before its lease is over for others.
    Margin,
    /// A range of rows is written only where its mark stands.
    Mark,
    /// Templates stand only where data can be no code and no address.
    Confine,
    /// A run's facts are compared with its chain.
    Chain,
}

impl Switch {
    /// Every switch.
    pub const ALL: [Self; 11] = [
        Self::Intent,
        Self::Fence,
        Self::Unique,
        Self::Cursor,
        Self::Sync,
        Self::Acknowledge,
        Self::Checksum,
        Self::Margin,
        Self::Mark,
        Self::Confine,
        Self::Chain,
    ];

    /// What `ONCELY_SABOTAGE` calls it; several stand with commas between them.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Fence => "fence",
            Self::Unique => "unique",
            Self::Cursor => "cursor",
            Self::Sync => "sync",
            Self::Acknowledge => "acknowledge",
            Self::Checksum => "checksum",
            Self::Margin => "margin",
            Self::Mark => "mark",
            Self::Confine => "confine",
            Self::Chain => "chain",
        }
    }
}

/// Whether something is switched off.
#[cfg(any(debug_assertions, feature = "sabotage"))]
#[must_use]
pub fn is_off(switch: Switch) -> bool {
    static OFF: std::sync::LazyLock<Vec<Switch>> = std::sync::LazyLock::new(|| {
        let list = std::env::var("ONCELY_SABOTAGE").unwrap_or_default();
        let named = |switch: &Switch| list.split(',').any(|name| name == switch.name());
        Switch::ALL.into_iter().filter(named).collect()
    });
    OFF.contains(&switch)
}

/// Nothing is off.
#[cfg(not(any(debug_assertions, feature = "sabotage")))]
#[must_use]
pub const fn is_off(_switch: Switch) -> bool {
    false
}
