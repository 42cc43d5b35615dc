//! What a source is to the engine: it yields batches of events and is told what became of them.

use crate::Fut;
use crate::event::Event;
use crate::task::Existing;
use std::fmt;
use std::time::Duration;

/// Where a source has come to; a hint that only the source understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// How much may be yielded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Events.
    pub events: usize,
}

/// What a source knows an event by until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It started a run, which is in the ledger.
    Admitted,
    /// It had started one before.
    Duplicate,
    /// It was not taken; it may be offered again.
    Refused,
    /// The ledger has no room for it: it was not taken, and is to be offered again later.
    NoRoom,
}

/// An event and its receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sourced {
    /// The event.
    pub event: Event,
    /// What it is acknowledged by.
    pub receipt: Receipt,
    /// It was there before the task was: `existing` says what to do with it.
    pub existing: bool,
}

/// Something that arrived and is not an event; said once, and the source goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is about: a file's name, say.
    pub about: String,
    /// What is wrong, what was kept, what to do next.
    pub message: String,
}

/// What a poll yields.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events, at most as many as there was room for.
    pub events: Vec<Sourced>,
    /// Where the source will have come to once they are admitted.
    pub cursor: Option<Cursor>,
    /// What could not become an event.
    pub problems: Vec<Problem>,
    /// There is more already.
    pub more: bool,
}

/// Why a source cannot be polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// What happened and what to do next.
    pub message: String,
    /// When to try again.
    pub again_after: Duration,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// The code that watches a trigger's outside world.
pub trait Source: Send {
    /// Yields what has happened since, without waiting for more.
    fn poll<'a>(
        &'a mut self,
        after: Option<&'a Cursor>,
        room: Room,
    ) -> Fut<'a, Result<Batch, SourceError>>;

    /// Ends when something may have happened; the engine polls then, and now and again anyway.
    fn changed(&mut self) -> Fut<'_, ()>;

    /// Tells the source what became of its events; the commit that admits them is behind it.
    fn acknowledge<'a>(
        &'a mut self,
        verdicts: Vec<(Receipt, Verdict)>,
    ) -> Fut<'a, Result<(), SourceError>>;

    /// The ledger has no room for what was polled. Whoever waits for an answer hears so; a source that
    /// keeps its events offers them again.
    fn no_room(&mut self) {}

    /// What the task says about things that were there before it.
    fn existing(&self) -> Option<Existing>;
}
