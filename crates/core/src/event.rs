//! One thing that happened, with a key.

use crate::Value;
use crate::ids::EventKey;
use crate::limits;
use crate::time::Timestamp;

/// What a source yields: something that happened, known by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What makes it the same event when it arrives again.
    pub key: EventKey,
    /// When it was seen.
    pub at: Timestamp,
    /// Its fields, as templates read them under `event`.
    pub data: Value,
}

/// Why something offered is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventError {
    /// The key is empty.
    NoKey,
    /// The key is one that oncely gives itself, to runs that take others back.
    Reserved,
    /// The key is longer than [`limits::KEY_BYTES`].
    KeyTooLong(usize),
    /// The data is larger than [`limits::EVENT_BYTES`].
    TooLarge(usize),
}

impl std::fmt::Display for EventError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKey => f.write_str(
                "the event has no key, so it could not be told from others. Nothing was started. \
                 Give it a key that is the same whenever the same thing arrives again.",
            ),
            Self::Reserved => f.write_str(
                "keys of the form `undo:NUMBER` belong to runs that take others back. Nothing was \
                 started. Choose another key; `oncely undo` takes a run back.",
            ),
            Self::KeyTooLong(bytes) => write!(
                f,
                "the event's key has {bytes} bytes; at most {} are allowed. Nothing was started. \
                 Use an id or a hash as the key.",
                limits::KEY_BYTES
            ),
            Self::TooLarge(bytes) => write!(
                f,
                "the event has {bytes} bytes; at most {} are allowed. Nothing was started. \
                 Put the content into a file and let the event name it.",
                limits::EVENT_BYTES
            ),
        }
    }
}

impl std::error::Error for EventError {}

/// The data of an event with this key as JSON text, checked against the bounds.
///
/// # Errors
/// When the key is missing or too long, or the data is too large.
pub fn checked_json(key: &EventKey, data: &Value) -> Result<String, EventError> {
    let key_bytes = key.as_str().len();
    if key_bytes == 0 {
        return Err(EventError::NoKey);
    }
    if crate::undo::is_key(key) {
        return Err(EventError::Reserved);
    }
    if key_bytes > limits::KEY_BYTES {
        return Err(EventError::KeyTooLong(key_bytes));
    }
    let text = data.to_string();
    if text.len() > limits::EVENT_BYTES {
        return Err(EventError::TooLarge(text.len()));
    }
    Ok(text)
}
