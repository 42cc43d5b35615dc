//! What is left of a run whose data was forgotten: which steps, when, and how they ended.

use crate::Value;
use crate::fact::{Fact, Outcome, Settlement};
use crate::ids::{EventKey, RunId};
use crate::time::Timestamp;
use serde_json::Map;
use std::collections::BTreeMap;

/// Runs that are to be forgotten, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forget {
    /// The runs.
    pub runs: Vec<RunId>,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What a key is replaced by, before the digits of what it is known by.
const MARK: &str = "forgotten:";

/// What stands in the place of a key that was forgotten: what it is known by.
#[must_use]
pub fn without_key(hash: [u8; 16]) -> EventKey {
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    EventKey::from(format!("{MARK}{digits}"))
}

/// What such a key was known by.
#[must_use]
pub fn known_by(key: &EventKey) -> Option<[u8; 16]> {
    let digits = key.as_str().strip_prefix(MARK)?;
    let mut hash = [0; 16];
    if digits.len() != 2 * hash.len() || !digits.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        let two = digits.get(2 * place..2 * place + 2)?;
        *byte = u8::from_str_radix(two, 16).ok()?;
    }
    Some(hash)
}

/// A fact without what came from the event, went out or came back, and without what people wrote.
#[must_use]
pub fn without_data(fact: &Fact) -> Fact {
    let mut fact = fact.clone();
    match &mut fact {
        Fact::Skipped { why: text, .. }
        | Fact::Probed { answer: text, .. }
        | Fact::ProbeAsked { reason: text, .. }
        | Fact::Judged { message: text, .. }
        | Fact::ItemsSettled { reason: text, .. }
        | Fact::SkipAsked { reason: text, .. }
        | Fact::Requested { reason: text, .. }
        | Fact::EndLost { reason: text, .. }
        | Fact::Ended { reason: text, .. } => text.clear(),
        Fact::Intent { call, .. } => *call = call.as_ref().map(|_| Value::Object(Map::new())),
        Fact::Outcome { outcome, .. } => match outcome {
            Outcome::Done { output } => *output = Value::Null,
            Outcome::Failed { error, .. } | Outcome::Unknown { error } => error.clear(),
        },
        Fact::Asked { question, .. } => {
            question.text.clear();
            question.tick.clear();
        }
        Fact::Answered { answer, .. } => {
            answer.note.clear();
            answer.ticked.clear();
        }
        Fact::Settled {
            settlement, reason, ..
        } => {
            reason.clear();
            if let Settlement::Happened { output } = settlement {
                *output = Value::Null;
            }
        }
        Fact::Undoes(undoing) => {
            undoing.key = EventKey::from("");
            undoing.outputs = Map::new();
            undoing.calls = BTreeMap::new();
            undoing.left.values_mut().for_each(String::clear);
            undoing.reason.clear();
        }
        Fact::Began { .. }
        | Fact::Interrupted { .. }
        | Fact::Held { .. }
        | Fact::RoundsOver { .. }
        | Fact::Linked { .. }
        | Fact::Undone { .. }
        | Fact::Forgotten { .. } => {}
    }
    fact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_key_is_known_by_its_hash_and_no_other_key_is() {
        let hash = [0xab; 16];
        assert_eq!(known_by(&without_key(hash)), Some(hash));
        for key in ["", "forgotten:", "ana@example.com", "forgotten:zz"] {
            assert_eq!(known_by(&EventKey::from(key)), None);
        }
    }
}
