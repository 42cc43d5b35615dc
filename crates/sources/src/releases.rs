//! Which releases an environment has seen, in the order in which each was first seen.
//!
//! A release that is made once more, such as a rollback by deploying an older one, keeps its place:
//! what is older and what is newer is told by it.

use oncely_core::ids::Environment;
use oncely_core::limits;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The releases of an environment, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Releases(Vec<Seen>);

/// A release and when it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What people call it.
    pub id: String,
    /// When it was first seen.
    pub at: Timestamp,
}

impl Releases {
    /// Under which name the ledger keeps them.
    #[must_use]
    pub fn source(environment: &Environment) -> String {
        format!("{environment}/releases")
    }

    /// Reads what the ledger keeps. What cannot be read counts as nothing: it is a hint.
    #[must_use]
    pub fn read(cursor: Option<&Cursor>) -> Self {
        cursor
            .and_then(|cursor| serde_json::from_str(&cursor.0).ok())
            .unwrap_or_default()
    }

    /// What the ledger keeps.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether this one was seen.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.place(id).is_some()
    }

    /// Adds one as the newest, unless it was seen before. The oldest are forgotten.
    pub fn add(&mut self, id: &str, at: Timestamp) {
        if self.has(id) {
            return;
        }
        let id = id.to_owned();
        self.0.push(Seen { id, at });
        let many = self.0.len().saturating_sub(limits::RELEASES);
        self.0.drain(..many);
    }

    /// The releases that were first seen after this one, the oldest first; none where it was not seen.
    #[must_use]
    pub fn after(&self, id: &str) -> Option<&[Seen]> {
        self.0.get(self.place(id)? + 1..)
    }

    /// The newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Seen> {
        self.0.iter().rev()
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.0.iter().position(|seen| seen.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(seen: Option<&[Seen]>) -> Option<Vec<&str>> {
        seen.map(|seen| seen.iter().map(|s| s.id.as_str()).collect())
    }

    #[test]
    fn a_release_that_is_made_once_more_keeps_its_place() {
        let mut releases = Releases::default();
        for id in ["v1", "v2", "v3", "v1"] {
            releases.add(id, Timestamp(1));
        }
        let releases = Releases::read(Some(&releases.cursor()));
        assert_eq!(ids(releases.after("v1")), Some(vec!["v2", "v3"]));
        assert_eq!(ids(releases.after("v3")), Some(vec![]));
        assert_eq!(ids(releases.after("v4")), None);
    }

    #[test]
    fn the_oldest_are_forgotten_and_what_is_unreadable_is_nothing() {
        let mut releases = Releases::default();
        for n in 0..=limits::RELEASES {
            releases.add(&n.to_string(), Timestamp(1));
        }
        assert!(!releases.has("0") && releases.has("1"));
        assert_eq!(
            Releases::read(Some(&Cursor("x".into()))),
            Releases::default()
        );
    }
}
