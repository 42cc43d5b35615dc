//! Names and numbers of things, each with a type of its own.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text as this name; whoever reads outside input checks it first.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    };
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name! {
    /// The id of a task: the version for a release task, else `id` in the file or its name.
    TaskId
}
name! {
    /// The id of a step within its task.
    StepId
}
name! {
    /// Where things happen: `production`, `staging`, `development`.
    Environment
}
name! {
    /// What makes an event the same event when it arrives again.
    EventKey
}

number! {
    /// A run, numbered by its ledger.
    RunId
}
number! {
    /// Raised at each claim of a run or a named lease; who holds an older one has lost it.
    Fence
}
number! {
    /// A process that works on a ledger.
    HolderId
}

/// Which time round a (task, key) is: 1, and one more for each rerun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// The first time round.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A BLAKE3 hash of some content.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Reads 64 hexadecimal digits; nothing else is a hash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // By a table: digits and letters come as they please, and telling them apart one by one costs
        // several times as much.
        let mut hash = [0; 32];
        if HEXLOWER_PERMISSIVE.decode_len(text.len()) != Ok(hash.len()) {
            return None;
        }
        HEXLOWER_PERMISSIVE
            .decode_mut(text.as_bytes(), &mut hash)
            .ok()?;
        Some(Self(hash))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a content hash"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_shown_and_nothing_else_is_one() {
        let hash = ContentHash::of(b"what was read");
        let shown = hash.to_string();
        assert_eq!(ContentHash::parse(&shown), Some(hash));
        assert_eq!(ContentHash::parse(&shown.to_uppercase()), Some(hash));
        let g = shown.replace(|c: char| c.is_ascii_alphabetic(), "g");
        for other in ["", &shown[1..], &shown[2..], &format!("{shown}00"), &g, "é"] {
            assert_eq!(ContentHash::parse(other), None, "{other}");
        }
    }
}
