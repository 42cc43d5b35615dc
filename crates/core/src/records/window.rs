//! The part of the input that is in memory: at least one record, at most a little more than the
//! longest that is allowed.

use crate::limits::RECORD_BYTES;
use std::io::{ErrorKind, Read, Result};

/// Bytes in memory at first.
const FIRST: usize = 128 * 1024;
/// Most bytes in memory.
const MOST: usize = RECORD_BYTES + FIRST;

#[derive(Debug)]
pub(super) struct Window<R> {
    reader: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    over: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            bytes: vec![0; FIRST],
            start: 0,
            end: 0,
            over: false,
        }
    }

    /// What comes next, as far as it is in memory and as a record may be long.
    pub(super) fn view(&self) -> &[u8] {
        let end = self.end.min(self.start + RECORD_BYTES);
        self.bytes.get(self.start..end).unwrap_or_default()
    }

    /// Whether the input ends with the view.
    pub(super) fn is_last(&self) -> bool {
        self.over && self.end - self.start <= RECORD_BYTES
    }

    /// Whether the view is as long as a record may be.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start >= RECORD_BYTES
    }

    /// Bytes that were taken last, which stay where they are until more is read.
    pub(super) fn taken(&self, whole: usize, content: usize) -> &[u8] {
        let from = self.start - whole.min(self.start);
        self.bytes.get(from..from + content).unwrap_or_default()
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Reads on behind what is in memory.
    pub(super) fn more(&mut self) -> Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.bytes.len() {
            let longer = (self.bytes.len() * 2).min(MOST);
            self.bytes.resize(longer, 0);
        }
        while let Some(room) = self
            .bytes
            .get_mut(self.end..)
            .filter(|room| !room.is_empty())
        {
            match self.reader.read(room) {
                Ok(0) => {
                    self.over = true;
                    break;
                }
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Passes over the rest of a line, however long, and says how many bytes it had.
    pub(super) fn skip_line(&mut self) -> Result<u64> {
        let mut skipped = 0;
        loop {
            let held = self.bytes.get(self.start..self.end).unwrap_or_default();
            let line_end = memchr::memchr(b'\n', held).map(|at| at + 1);
            let bytes = line_end.unwrap_or(held.len());
            skipped += bytes as u64;
            self.start += bytes;
            if line_end.is_some() || self.over {
                return Ok(skipped);
            }
            self.more()?;
        }
    }
}
