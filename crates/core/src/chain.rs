//! The chain of a run: a hash over what was admitted and every fact since, in order.
//!
//! It stands in the row of the run and moves with each fact. Facts that were changed, lost or put
//! elsewhere give another one, and such a run is not worked on.
//!
//! Only hashes go into it, of the key, of the event, of each fact: whoever removes a text later, and
//! keeps its hash, can compute the chain as before.

use crate::ids::{ContentHash, Environment, EventKey, Generation, RunId, TaskId};
use crate::ledger::{Admission, RunRow};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many bytes of the hash are kept.
const BYTES: usize = 16;

/// The head of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain(pub [u8; BYTES]);

/// What a key is known by: 16 bytes of a hash, each part preceded by its length.
#[must_use]
pub fn key_hash(
    environment: &Environment,
    task: &TaskId,
    key: &EventKey,
    generation: Option<Generation>,
) -> [u8; BYTES] {
    let mut hasher = blake3::Hasher::new();
    for part in [environment.as_str(), task.as_str(), key.as_str()] {
        text(&mut hasher, part);
    }
    if let Some(generation) = generation {
        hasher.update(&generation.0.to_le_bytes());
    }
    end(&hasher)
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn end(hasher: &blake3::Hasher) -> [u8; BYTES] {
    let mut short = [0; BYTES];
    hasher.finalize_xof().fill(&mut short);
    short
}

/// What a chain begins with: all that is known of a run before its first fact.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// Its number.
    pub run: RunId,
    /// What its environment, task, key and generation are known by: see [`key_hash`].
    pub key: [u8; BYTES],
    /// The trigger's name.
    pub trigger: &'a str,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// How many tasks have called one another up to here.
    pub depth: u32,
    /// The run that called for this one, or that this one takes back.
    pub parent: Option<RunId>,
    /// The hash of the event's text.
    pub event: ContentHash,
}

impl<'a> Beginning<'a> {
    /// What is admitted under a number, with the hashes of its key and of its event.
    #[must_use]
    pub fn of(run: RunId, a: &'a Admission, key: [u8; BYTES], event: ContentHash) -> Self {
        Self {
            run,
            key,
            trigger: a.trigger,
            admitted: a.at,
            depth: a.depth,
            parent: a.parent,
            event,
        }
    }

    /// What was admitted, as the row of the run has it.
    #[must_use]
    pub fn of_row(row: &'a RunRow) -> Self {
        Self {
            run: row.id,
            key: row.known_by(),
            trigger: &row.trigger,
            admitted: row.admitted,
            depth: row.depth,
            parent: row.parent,
            event: row.event_hash,
        }
    }

    /// The chain without any fact.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.run.0.to_le_bytes());
        hasher.update(&self.key);
        hasher.update(&self.admitted.0.to_le_bytes());
        hasher.update(&self.depth.to_le_bytes());
        hasher.update(&self.parent.map_or(-1, |run| run.0).to_le_bytes());
        text(&mut hasher, self.trigger);
        hasher.update(&self.event.0);
        Chain(end(&hasher))
    }
}

impl Chain {
    /// The chain with one more fact: which one it is, when it was recorded, and the hash of its bytes
    /// as they are kept.
    #[must_use]
    pub fn with(self, seq: u64, at: Timestamp, fact: ContentHash) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&seq.to_le_bytes());
        hasher.update(&at.0.to_le_bytes());
        hasher.update(&fact.0);
        Self(end(&hasher))
    }

    /// Reads the digits that it is shown as.
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        if text.len() != 2 * BYTES || !text.is_ascii() {
            return None;
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * place..2 * place + 2)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Chain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the head of a chain"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning<'a>() -> Beginning<'a> {
        Beginning {
            run: RunId(7),
            key: [1; 16],
            trigger: "object",
            admitted: Timestamp(1000),
            depth: 0,
            parent: None,
            event: ContentHash::of(b"{}"),
        }
    }

    fn hash(text: &str) -> ContentHash {
        ContentHash::of(text.as_bytes())
    }

    #[test]
    fn whatever_differs_gives_another_chain() {
        let first = beginning();
        let others = [
            Beginning {
                run: RunId(8),
                ..first
            },
            Beginning {
                key: [2; 16],
                ..first
            },
            Beginning {
                trigger: "call",
                ..first
            },
            Beginning {
                admitted: Timestamp(1001),
                ..first
            },
            Beginning { depth: 1, ..first },
            Beginning {
                parent: Some(RunId(1)),
                ..first
            },
            Beginning {
                event: hash("{\"a\":1}"),
                ..first
            },
        ];
        let mut all: Vec<Chain> = others.iter().map(Beginning::chain).collect();
        let chain = first.chain();
        let one = chain.with(0, Timestamp(5), hash("one"));
        all.extend([
            chain,
            one,
            chain.with(1, Timestamp(5), hash("one")),
            chain.with(0, Timestamp(6), hash("one")),
            chain.with(0, Timestamp(5), hash("two")),
            one.with(1, Timestamp(5), hash("two")),
        ]);
        let different: std::collections::BTreeSet<_> = all.iter().map(|c| c.0).collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_key_is_known_by_all_of_its_parts() {
        let hash = |environment: &str, task: &str, key: &str, generation| {
            let [environment, task, key] = [environment, task, key].map(str::to_owned);
            key_hash(&environment.into(), &task.into(), &key.into(), generation)
        };
        let first = Some(Generation(1));
        let all = [
            hash("production", "tell", "a.csv", first),
            hash("productio", "ntell", "a.csv", first),
            hash("production", "tel", "la.csv", first),
            hash("production", "tell", "b.csv", first),
            hash("production", "tell", "a.csv", Some(Generation(2))),
            hash("production", "tell", "a.csv", None),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_chain_stays_what_it_is_from_version_to_version() {
        let chain = beginning().chain().with(0, Timestamp(5), hash("one"));
        insta::assert_snapshot!(chain, @"9da5e11eee48046bdb71499e113c9076");
        let text = serde_json::to_string(&chain).unwrap();
        assert_eq!(serde_json::from_str::<Chain>(&text).unwrap(), chain);
        assert!(serde_json::from_str::<Chain>("\"0\"").is_err());
        let longer = text.replacen('"', "\"00", 1);
        assert!(serde_json::from_str::<Chain>(&longer).is_err());
    }
}
