//! What a file of records gives: records, what is none, and what is wrong with the whole file.

use super::csv::Span;
use crate::{Value, limits};
use std::fmt;

/// What comes next in a file of records.
#[derive(Debug)]
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// Something that is no record; it counts as an item and reading goes on behind it.
    Bad(BadRecord),
}

/// Where a record begins. Reading resumes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// In bytes from the beginning of the input.
    pub offset: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Which item it is, from 0.
    pub index: u64,
}

/// A record, borrowed from the reader.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it begins.
    pub at: Position,
    /// It as it stands in the input, without the line break.
    pub raw: &'a str,
    /// The value of a JSON line.
    pub json: Option<&'a Value>,
    pub(super) columns: &'a [String],
    pub(super) spans: &'a [Span],
    pub(super) anew: &'a str,
}

impl<'a> Record<'a> {
    /// A cell by its place; a line that is no CSV is one cell.
    #[must_use]
    pub fn cell(&self, place: usize) -> Option<&'a str> {
        self.spans.get(place).map(|span| self.text(*span))
    }

    /// The cells in their order.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let record = *self;
        self.spans.iter().map(move |span| record.text(*span))
    }

    fn text(&self, span: Span) -> &'a str {
        let text = if span.anew { self.anew } else { self.raw };
        text.get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// What templates read under `item`: a table of texts by column, the JSON value, or the line.
    #[must_use]
    pub fn value(&self) -> Value {
        if let Some(json) = self.json {
            return json.clone();
        }
        if self.columns.is_empty() {
            return self.raw.into();
        }
        let cells = self.columns.iter().zip(self.cells());
        cells
            .map(|(name, cell)| (name.clone(), Value::from(cell)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// A piece of the input that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Where it begins.
    pub at: Position,
    /// It as it stands in the input, cut at [`limits::SET_ASIDE_BYTES`].
    pub input: String,
    /// Why it is no record.
    pub reason: String,
}

impl BadRecord {
    pub(super) fn new(at: Position, input: &[u8], reason: String) -> Self {
        let most = limits::SET_ASIDE_BYTES;
        let kept = input.get(..most).unwrap_or(input);
        let mut input = String::from_utf8_lossy(kept).into_owned();
        let mut end = most.min(input.len());
        while !input.is_char_boundary(end) {
            end -= 1;
        }
        input.truncate(end);
        Self { at, input, reason }
    }
}

/// Why a file of records cannot be read at all.
#[derive(Debug)]
pub enum RecordError {
    /// It has no usable header.
    Header {
        /// What is wrong and what to do about it.
        message: String,
    },
    /// Reading it failed.
    Read {
        /// In bytes from the beginning, what was read until then.
        offset: u64,
        /// What the system said.
        error: std::io::Error,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { message } => f.write_str(message),
            Self::Read { offset, error } => {
                write!(f, "reading failed after byte {offset}: {error}")
            }
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header { .. } => None,
            Self::Read { error, .. } => Some(error),
        }
    }
}
