//! Reads a file of records one after another.

use super::csv::{self, Cells, Cut, Extent, UNCLOSED};
use super::item::{BadRecord, Item, Position, Record, RecordError};
use super::window::Window;
use crate::task::Format;
use crate::{Value, limits};
use std::collections::BTreeSet;
use std::io::Read;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file of records, being read.
#[derive(Debug)]
pub struct Records<R> {
    window: Window<R>,
    format: Format,
    columns: Vec<String>,
    next: Position,
    cells: Cells,
    json: Option<Value>,
}

/// What was found, before it is borrowed from the window.
enum Found {
    Record(Extent),
    Bad(Extent, String),
    /// A line longer than allowed, passed over to its end; its beginning and its length.
    Long(Vec<u8>, u64),
}

impl<R: Read> Records<R> {
    /// Begins at the beginning of a file. The header of a CSV file is read, unless `columns` names
    /// the columns of a file that has none.
    ///
    /// # Errors
    /// When there is no header or it is unusable, or reading fails.
    pub fn new(
        reader: R,
        format: Format,
        columns: Option<Vec<String>>,
    ) -> Result<Self, RecordError> {
        let start = Position {
            offset: 0,
            line: 1,
            index: 0,
        };
        let named = columns.is_some();
        let mut records = Self::at(reader, format, columns.unwrap_or_default(), start);
        records.skip_bom()?;
        match (format, named) {
            (Format::Csv, true) => check_names(&records.columns)?,
            (Format::Csv, false) => records.read_header()?,
            _ => {}
        }
        Ok(records)
    }

    /// Goes on at a record's position. The reader stands at its offset; `columns` are those that
    /// [`Records::columns`] gave when the file was begun.
    #[must_use]
    pub fn resume(reader: R, format: Format, columns: Vec<String>, at: Position) -> Self {
        Self::at(reader, format, columns, at)
    }

    fn at(reader: R, format: Format, columns: Vec<String>, next: Position) -> Self {
        Self {
            window: Window::new(reader),
            format,
            columns,
            next,
            cells: Cells::default(),
            json: None,
        }
    }

    /// The names of the columns; none unless it is CSV.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where the next record begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
    }

    /// The next record, or what stands in its place; none at the end.
    ///
    /// # Errors
    /// When reading fails.
    #[allow(clippy::should_implement_trait)] // What it gives is borrowed from it.
    pub fn next(&mut self) -> Result<Option<Item<'_>>, RecordError> {
        let at = self.next;
        let Some(found) = self.find().map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        let extent = match found {
            Found::Long(beginning, bytes) => {
                self.pass(bytes, 1);
                let reason = format!(
                    "the line has {bytes} bytes; at most {} are allowed",
                    limits::RECORD_BYTES
                );
                return Ok(Some(Item::Bad(BadRecord::new(at, &beginning, reason))));
            }
            Found::Record(extent) | Found::Bad(extent, _) => extent,
        };
        self.window.take(extent.whole);
        self.pass(extent.whole as u64, extent.lines);
        if let Found::Bad(_, reason) = found {
            let input = self.window.taken(extent.whole, extent.content);
            return Ok(Some(Item::Bad(BadRecord::new(at, input, reason))));
        }
        Ok(Some(self.item(at, extent)))
    }

    fn pass(&mut self, bytes: u64, lines: u64) {
        self.next.offset += bytes;
        self.next.line += lines;
        self.next.index += 1;
    }

    fn failed(&self, error: std::io::Error) -> RecordError {
        let offset = self.next.offset;
        RecordError::Read { offset, error }
    }

    fn find(&mut self) -> std::io::Result<Option<Found>> {
        loop {
            let (view, last) = (self.window.view(), self.window.is_last());
            if view.is_empty() && last {
                return Ok(None);
            }
            let cut = match self.format {
                Format::Csv => csv::record(view, last, &mut self.cells),
                Format::Jsonl | Format::Lines => {
                    csv::line(view, last).map_or(Cut::Need, Cut::Record)
                }
            };
            match cut {
                Cut::Record(extent) => return Ok(Some(Found::Record(extent))),
                Cut::Bad(extent, why) => return Ok(Some(Found::Bad(extent, why.to_owned()))),
                Cut::Need if self.window.is_full() => return self.too_long().map(Some),
                Cut::Need => self.window.more()?,
            }
        }
    }

    /// No record ends within the longest that is allowed: a quote is open, or the line is long.
    fn too_long(&mut self) -> std::io::Result<Found> {
        let view = self.window.view();
        if let Some(extent) = csv::line(view, false) {
            return Ok(Found::Bad(extent, UNCLOSED.to_owned()));
        }
        let kept = view.len().min(limits::SET_ASIDE_BYTES);
        let beginning = view.get(..kept).unwrap_or_default().to_vec();
        let bytes = self.window.skip_line()?;
        Ok(Found::Long(beginning, bytes))
    }

    fn item(&mut self, at: Position, extent: Extent) -> Item<'_> {
        let bytes = self.window.taken(extent.whole, extent.content);
        let bad = |reason: String| Item::Bad(BadRecord::new(at, bytes, reason));
        let Ok(raw) = std::str::from_utf8(bytes) else {
            return bad("it is not UTF-8".into());
        };
        match self.format {
            Format::Csv if self.cells.spans.len() != self.columns.len() => {
                return bad(ragged(raw, self.cells.spans.len(), self.columns.len()));
            }
            Format::Csv => {}
            Format::Lines => self.cells.one(extent.content),
            Format::Jsonl => match serde_json::from_str(raw) {
                Ok(value) => {
                    self.json = Some(value);
                    self.cells.one(extent.content);
                }
                Err(error) => return bad(not_json(raw, &error)),
            },
        }
        Item::Record(Record {
            at,
            raw,
            json: self.json.as_ref(),
            columns: &self.columns,
            spans: &self.cells.spans,
            anew: std::str::from_utf8(&self.cells.anew).unwrap_or_default(),
        })
    }

    fn skip_bom(&mut self) -> Result<(), RecordError> {
        self.window.more().map_err(|error| self.failed(error))?;
        if self.window.view().starts_with(BOM) {
            self.window.take(BOM.len());
            self.next.offset += BOM.len() as u64;
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<(), RecordError> {
        let found = self.find().map_err(|error| self.failed(error))?;
        let extent = match found {
            Some(Found::Record(extent)) => extent,
            None => return Err(header("the file is empty: it has no rows and no header")),
            Some(Found::Bad(_, why)) => {
                return Err(header(&format!("the header cannot be read: {why}")));
            }
            Some(Found::Long(..)) => return Err(header("the header is too long")),
        };
        self.window.take(extent.whole);
        let bytes = self.window.taken(extent.whole, extent.content);
        let Ok(raw) = std::str::from_utf8(bytes) else {
            return Err(header("the header is not UTF-8"));
        };
        let record = Record {
            at: self.next,
            raw,
            json: None,
            columns: &[],
            spans: &self.cells.spans,
            anew: std::str::from_utf8(&self.cells.anew).unwrap_or_default(),
        };
        let names: Vec<_> = record.cells().map(|cell| cell.trim().to_owned()).collect();
        check_names(&names)?;
        self.columns = names;
        self.next.offset += extent.whole as u64;
        self.next.line += extent.lines;
        Ok(())
    }
}

fn check_names(names: &[String]) -> Result<(), RecordError> {
    if names.len() > limits::RECORD_COLUMNS {
        let (found, most) = (names.len(), limits::RECORD_COLUMNS);
        return Err(header(&format!(
            "the header names {found} columns; at most {most} are allowed"
        )));
    }
    let mut seen = BTreeSet::new();
    for (place, name) in names.iter().enumerate() {
        if name.is_empty() {
            let place = place + 1;
            return Err(header(&format!("the header gives column {place} no name")));
        }
        if !seen.insert(name) {
            return Err(header(&format!("the header names two columns `{name}`")));
        }
    }
    Ok(())
}

fn header(message: &str) -> RecordError {
    RecordError::Header {
        message: message.to_owned(),
    }
}

fn ragged(raw: &str, found: usize, expected: usize) -> String {
    if raw.is_empty() {
        return format!("the line is empty; {expected} fields are expected");
    }
    let fields = if found == 1 { "field" } else { "fields" };
    format!("it has {found} {fields}; {expected} are expected")
}

fn not_json(raw: &str, error: &serde_json::Error) -> String {
    if raw.trim().is_empty() {
        return "the line is empty; a JSON value is expected".into();
    }
    format!("it is not JSON: {error}")
}
