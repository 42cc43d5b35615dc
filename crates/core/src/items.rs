//! Items: the records of a `for_each` step and what is done with them in ranges.

use crate::action::Failure;
use crate::ids::Fence;
use crate::rows::RowKey;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A scalar on its way from a record to a row, borrowed where it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// An integer.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(&'a str),
}

/// A scalar that owns its text, for what outlives its record.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnedCell {
    /// Nothing.
    Null,
    /// An integer.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text, shared where it repeats.
    Text(Arc<str>),
}

/// The rows of a range: cells row after row, `width` in each, texts in one buffer.
#[derive(Debug, Default, Clone)]
pub struct Rows {
    width: usize,
    cells: Vec<Packed>,
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Packed {
    Null,
    Int(i64),
    Real(f64),
    Text { start: u32, end: u32 },
}

impl Rows {
    /// No rows of `width` cells.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self {
            width,
            cells: Vec::new(),
            text: String::new(),
        }
    }

    /// Adds the next cell.
    pub fn push(&mut self, cell: Cell<'_>) {
        let packed = match cell {
            Cell::Null => Packed::Null,
            Cell::Int(value) => Packed::Int(value),
            Cell::Real(value) => Packed::Real(value),
            Cell::Text(text) => {
                let start = self.text.len();
                self.text.push_str(text);
                Packed::Text {
                    start: u32::try_from(start).unwrap_or(u32::MAX),
                    end: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
                }
            }
        };
        self.cells.push(packed);
    }

    /// Whole rows so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes back cells of a row that was not finished.
    pub fn drop_partial(&mut self, rows: usize) {
        self.cells.truncate(rows * self.width);
    }

    /// Takes one row out.
    pub fn remove(&mut self, row: usize) {
        let start = row * self.width;
        if start + self.width <= self.cells.len() {
            self.cells.drain(start..start + self.width);
        }
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.text.clear();
    }

    /// The cells of each row.
    pub fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = Cell<'_>>> {
        self.cells
            .chunks(self.width.max(1))
            .map(|row| row.iter().map(|cell| self.unpack(*cell)))
    }

    fn unpack(&self, cell: Packed) -> Cell<'_> {
        match cell {
            Packed::Null => Cell::Null,
            Packed::Int(value) => Cell::Int(value),
            Packed::Real(value) => Cell::Real(value),
            Packed::Text { start, end } => Cell::Text(
                self.text
                    .get(start as usize..end as usize)
                    .unwrap_or_default(),
            ),
        }
    }
}

/// An item that failed, kept with its input and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Which item, from 0.
    pub item: u64,
    /// Its line in the file, from 1, where it has one.
    pub line: Option<u64>,
    /// Its input as it was, cut at [`crate::limits::SET_ASIDE_BYTES`].
    pub input: String,
    /// Why it was set aside.
    pub reason: String,
}

/// How far a `for_each` step has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The first item not yet dealt with.
    pub next: u64,
    /// Where it begins in the input, in bytes.
    pub offset: u64,
    /// Its line in the input, from 1; 0 before the first.
    pub line: u64,
    /// Items done.
    pub done: u64,
    /// Items set aside.
    pub set_aside: u64,
    /// Counts that people may want, such as unseen categories.
    pub unseen: u64,
}

/// A range of items that is committed together.
#[derive(Debug)]
pub struct Range<'a> {
    /// Progress before the range.
    pub from: &'a Progress,
    /// Progress after it.
    pub to: &'a Progress,
    /// The rows to write.
    pub rows: &'a Rows,
    /// The items of the range that failed.
    pub set_aside: &'a [SetAside],
    /// The claim under which it is written.
    pub fence: Fence,
    /// The key of its last item, where the items are rows of a table.
    pub key: Option<&'a RowKey>,
}

/// What a mark in a database says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// How far the rows have come.
    pub progress: Progress,
    /// The items set aside by the last range, which the ledger may not have yet.
    pub last_set_aside: Vec<SetAside>,
    /// The key of the last item, where the items are rows of a table.
    pub key: Option<RowKey>,
}

/// Where the rows of a `do` block go, in another database than the ledger's.
///
/// Rows, failed items and mark are written in one transaction, guarded by the mark's own progress
/// and fence. Calls block: the engine makes them on a thread of their own.
pub trait RowSink: Send {
    /// Names of the values that each row holds, in order.
    fn columns(&self) -> &[String];

    /// Reads the mark and takes it over for this claim.
    ///
    /// # Errors
    /// When the database cannot be reached or a later claim owns the mark.
    fn open(&mut self, fence: Fence) -> Result<Marked, Failure>;

    /// Commits a range.
    ///
    /// # Errors
    /// [`RowError::Rows`] when rows are refused and nothing was written; others end the attempt.
    fn commit(&mut self, range: &Range<'_>) -> Result<(), RowError>;

    /// Commits of the sink's own so far, for those who count.
    fn commits(&self) -> u64;
}

/// Why a range was not committed. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowError {
    /// The database refuses these rows, and takes the others: all of them, by their places in the
    /// range in order, each with what the database said.
    Rows(Vec<(usize, String)>),
    /// Another claim owns the mark.
    Lost,
    /// The attempt failed.
    Failed(Failure),
}

/// A pure computation over a record.
pub trait Transform: Send {
    /// Names of its outputs, in order.
    fn outputs(&self) -> &[&'static str];

    /// Computes the outputs of one record into `out`.
    ///
    /// # Errors
    /// Why this record cannot be dealt with; it is set aside.
    fn apply(&mut self, cells: &[&str], out: &mut Outputs) -> Result<(), String>;

    /// Things met that are tolerated and counted, such as unseen categories.
    fn unseen(&self) -> u64 {
        0
    }
}

/// The outputs of a transform for one record.
#[derive(Debug, Default, Clone)]
pub struct Outputs {
    cells: Vec<OwnedCell>,
}

impl Outputs {
    /// Forgets the outputs of the last record.
    pub fn clear(&mut self) {
        self.cells.clear();
    }
    /// Adds the next output.
    pub fn push(&mut self, cell: OwnedCell) {
        self.cells.push(cell);
    }
    /// An output by its place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Cell<'_>> {
        Some(match self.cells.get(place)? {
            OwnedCell::Null => Cell::Null,
            OwnedCell::Int(value) => Cell::Int(*value),
            OwnedCell::Real(value) => Cell::Real(*value),
            OwnedCell::Text(text) => Cell::Text(text),
        })
    }
}
