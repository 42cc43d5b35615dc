//! Cuts one CSV record (RFC 4180) off the beginning of the input, into the places of its cells.

use memchr::{memchr, memchr_iter, memchr2, memchr3};

/// The place of a cell: in the record as it stands, or among the cells written out anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) anew: bool,
}

/// The cells of a record, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) spans: Vec<Span>,
    /// Cells in which doubled quotes stand for one.
    pub(super) anew: Vec<u8>,
}

/// What the input begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A record.
    Record(Extent),
    /// Something that is no record, in this line.
    Bad(Extent, &'static str),
    /// It cannot be told before there is more.
    Need,
}

/// How far a record reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes with the line break.
    pub(super) whole: usize,
    /// Bytes without it.
    pub(super) content: usize,
    /// Line breaks in it.
    pub(super) lines: u64,
}

const AFTER_QUOTE: &str = "something stands between a closing quote and the next comma";
const INSIDE: &str = "a quote stands inside a field that does not begin with one";
pub(super) const UNCLOSED: &str = "a quote is opened and not closed";

impl Cells {
    fn clear(&mut self) {
        self.spans.clear();
        self.anew.clear();
    }

    /// The line as one cell.
    pub(super) fn one(&mut self, content: usize) {
        self.clear();
        self.push(0, content);
    }

    fn push(&mut self, start: usize, end: usize) {
        self.add(start, end, false);
    }

    /// Places are below [`crate::limits::RECORD_BYTES`].
    #[allow(clippy::cast_possible_truncation)]
    fn add(&mut self, start: usize, end: usize, anew: bool) {
        self.spans.push(Span {
            start: start as u32,
            end: end as u32,
            anew,
        });
    }

    /// Adds a cell in which `""` stands for `"`.
    fn push_anew(&mut self, cell: &[u8]) {
        let start = self.anew.len();
        let mut rest = cell;
        while let Some(at) = memchr(b'"', rest) {
            self.anew
                .extend_from_slice(rest.get(..=at).unwrap_or_default());
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        self.anew.extend_from_slice(rest);
        self.add(start, self.anew.len(), true);
    }
}

/// The extent of the first line.
pub(super) fn line(input: &[u8], last: bool) -> Option<Extent> {
    match memchr(b'\n', input) {
        Some(at) => Some(ended(input, at)),
        None if last => Some(unended(input)),
        None => None,
    }
}

fn ended(input: &[u8], at: usize) -> Extent {
    let content = without_return(input.get(..at).unwrap_or_default());
    Extent {
        whole: at + 1,
        content,
        lines: 1,
    }
}

fn unended(input: &[u8]) -> Extent {
    Extent {
        whole: input.len(),
        content: without_return(input),
        lines: 1,
    }
}

fn without_return(line: &[u8]) -> usize {
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

/// Cuts off the first record. `last` says that the input ends here.
pub(super) fn record(input: &[u8], last: bool, cells: &mut Cells) -> Cut {
    cells.clear();
    let extent = match memchr2(b'\n', b'"', input) {
        Some(at) if input.get(at) == Some(&b'\n') => ended(input, at),
        Some(_) => return Quoted { input, last, cells }.record(),
        None if last => unended(input),
        None => return Cut::Need,
    };
    let content = input.get(..extent.content).unwrap_or_default();
    let mut from = 0;
    for comma in memchr_iter(b',', content) {
        cells.push(from, comma);
        from = comma + 1;
    }
    cells.push(from, extent.content);
    Cut::Record(extent)
}

/// A record with quotes in its first line, field after field.
struct Quoted<'i, 'c> {
    input: &'i [u8],
    last: bool,
    cells: &'c mut Cells,
}

/// What comes after a field.
enum Then {
    Field(usize),
    End { content: usize, whole: usize },
    Bad(&'static str),
    Need,
}

impl Quoted<'_, '_> {
    fn record(mut self) -> Cut {
        let mut at = 0;
        loop {
            let then = if self.input.get(at) == Some(&b'"') {
                self.quoted(at + 1)
            } else {
                self.plain(at)
            };
            match then {
                Then::Field(next) => at = next,
                Then::End { content, whole } => return self.end(content, whole),
                Then::Bad(why) => return self.bad(why),
                Then::Need => return Cut::Need,
            }
        }
    }

    fn end(&self, content: usize, whole: usize) -> Cut {
        let inside = self.input.get(..content).unwrap_or_default();
        let breaks = memchr_iter(b'\n', inside).count() as u64;
        Cut::Record(Extent {
            whole,
            content,
            lines: breaks + 1,
        })
    }

    /// Only the first line is given up: what follows it may be good.
    fn bad(&self, why: &'static str) -> Cut {
        line(self.input, self.last).map_or(Cut::Need, |extent| Cut::Bad(extent, why))
    }

    fn plain(&mut self, from: usize) -> Then {
        let rest = self.input.get(from..).unwrap_or_default();
        let found = memchr3(b',', b'\n', b'"', rest).map(|at| from + at);
        let Some(at) = found else {
            if !self.last {
                return Then::Need;
            }
            let content = from + without_return(rest);
            self.cells.push(from, content);
            let whole = self.input.len();
            return Then::End { content, whole };
        };
        match self.input.get(at) {
            Some(b',') => {
                self.cells.push(from, at);
                Then::Field(at + 1)
            }
            Some(b'\n') => {
                let field = self.input.get(from..at).unwrap_or_default();
                let content = from + without_return(field);
                self.cells.push(from, content);
                Then::End {
                    content,
                    whole: at + 1,
                }
            }
            _ => Then::Bad(INSIDE),
        }
    }

    /// A field whose quote stands before `from`.
    fn quoted(&mut self, from: usize) -> Then {
        let mut doubled = false;
        let mut at = from;
        let close = loop {
            let rest = self.input.get(at..).unwrap_or_default();
            let Some(quote) = memchr(b'"', rest).map(|found| at + found) else {
                return if self.last {
                    Then::Bad(UNCLOSED)
                } else {
                    Then::Need
                };
            };
            match self.input.get(quote + 1) {
                Some(b'"') => {
                    doubled = true;
                    at = quote + 2;
                }
                None if !self.last => return Then::Need,
                _ => break quote,
            }
        };
        if doubled {
            let cell = self.input.get(from..close).unwrap_or_default();
            self.cells.push_anew(cell);
        } else {
            self.cells.push(from, close);
        }
        self.after_quote(close + 1)
    }

    fn after_quote(&self, at: usize) -> Then {
        let end = |whole| Then::End { content: at, whole };
        match (self.input.get(at), self.input.get(at + 1)) {
            (None, _) => end(at),
            (Some(b','), _) => Then::Field(at + 1),
            (Some(b'\n'), _) => end(at + 1),
            (Some(b'\r'), Some(b'\n')) => end(at + 2),
            (Some(b'\r'), None) if self.last => end(at + 1),
            (Some(b'\r'), None) => Then::Need,
            _ => Then::Bad(AFTER_QUOTE),
        }
    }
}
