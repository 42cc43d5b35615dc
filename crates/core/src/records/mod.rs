//! Files of records, read as a stream: CSV, JSON lines, plain lines.
//!
//! Strict and exact: what is not a record is set aside with its place and the reason, never guessed
//! at; every record knows where it begins, so that reading can go on there; memory is bounded by
//! the longest record, and nothing is allocated for a record without escaped quotes.

mod csv;
mod item;
mod reader;
mod scratch;
mod window;

pub use item::{BadRecord, Item, Position, Record, RecordError};
pub use reader::Records;
pub use scratch::Scratch;
