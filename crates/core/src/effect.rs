//! The key of an effect: stable over attempts, different for every effect.
//!
//! It is derived from environment, task, event key, generation, step, item and direction, and
//! never from the attempt or the run's number, so that a repeat carries the key of the first try.

use crate::ids::{Environment, EventKey, Generation, StepId, TaskId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a step is done or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The step itself.
    Do,
    /// Its declared inverse.
    Undo,
}

/// The key that the other side recognises an effect by: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(pub String);

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that an effect key is derived from.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Where it happens.
    pub environment: &'a Environment,
    /// The task.
    pub task: &'a TaskId,
    /// The event that the run answers.
    pub event: &'a EventKey,
    /// Which time round.
    pub generation: Generation,
    /// The step, or `step/sub-step` inside a `do` block.
    pub step: &'a StepId,
    /// The item of a `for_each` step.
    pub item: Option<u64>,
    /// Doing or undoing.
    pub direction: Direction,
}

impl Identity<'_> {
    /// Derives the key. Each part is preceded by its length, so that no two identities run together.
    #[must_use]
    pub fn key(&self) -> EffectKey {
        let mut hasher = blake3::Hasher::new_derive_key("oncely effect key v1");
        let generation = self.generation.0.to_string();
        let item = self.item.map(|i| i.to_string()).unwrap_or_default();
        let direction = match self.direction {
            Direction::Do => "do",
            Direction::Undo => "undo",
        };
        for part in [
            self.environment.as_str(),
            self.task.as_str(),
            self.event.as_str(),
            &generation,
            self.step.as_str(),
            &item,
            direction,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut hex = hasher.finalize().to_hex().to_string();
        hex.truncate(32);
        EffectKey(hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(step: &str, item: Option<u64>, generation: u32, direction: Direction) -> EffectKey {
        Identity {
            environment: &"production".into(),
            task: &"welcome".into(),
            event: &"customer-1".into(),
            generation: Generation(generation),
            step: &step.into(),
            item,
            direction,
        }
        .key()
    }

    #[test]
    fn ten_items_of_one_step_have_ten_keys() {
        let keys: std::collections::BTreeSet<_> = (0..10)
            .map(|i| key("mail", Some(i), 1, Direction::Do))
            .collect();
        assert_eq!(keys.len(), 10);
    }

    #[test]
    fn generation_direction_and_item_tell_effects_apart() {
        let first = key("mail", None, 1, Direction::Do);
        assert_ne!(first, key("mail", None, 2, Direction::Do));
        assert_ne!(first, key("mail", None, 1, Direction::Undo));
        assert_ne!(first, key("mail", Some(0), 1, Direction::Do));
        assert_eq!(first, key("mail", None, 1, Direction::Do));
    }
}
