//! The write-ahead log: a page that is read from it is compared with the checksum of its frame.
//!
//! The checksum of a frame goes on from that of the frame before it, which stands in that one's
//! header. So a single frame can be compared without reading the log from its beginning.

use crate::log::{self, Mark};
use crate::page;
use crate::rot::{self, Place, Rot, What};
use crate::sabotage;
use crate::under::Under;
use rusqlite::ffi;
use std::ffi::c_int;
use std::path::PathBuf;

/// Bytes of the header of a log.
pub(crate) const LOG_HEADER: usize = 32;
/// Bytes of the header of a frame.
pub(crate) const FRAME_HEADER: usize = 24;

/// What is known of a write-ahead log.
#[derive(Debug)]
pub(crate) struct Wal {
    path: PathBuf,
    /// Where the header of the frame lies that was written last.
    last_header: i64,
    /// From this frame on pages were written a second time within one transaction, and their
    /// checksums follow at its end.
    unsettled: Option<i64>,
    /// The salts of the frame whose header was written last, when it ends a commit.
    ends: Option<[u8; 8]>,
    /// The commit that was written last, which is not known to be on the disk.
    written: Option<Mark>,
    scratch: Vec<u8>,
}

impl Wal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            last_header: -1,
            unsettled: None,
            ends: None,
            written: None,
            scratch: Vec::new(),
        }
    }

    /// Reads, and compares a page with the checksum of its frame.
    pub(crate) fn read(&mut self, under: Under<'_>, into: &mut [u8], at: i64) -> c_int {
        let Some(frame) = Frame::holding(into.len(), at) else {
            return under.read(into, at);
        };
        if self.unsettled.is_some_and(|from| frame.header_at >= from) {
            return under.read(into, at);
        }
        self.scratch.resize(FRAME_HEADER + into.len(), 0);
        let code = under.read(&mut self.scratch, frame.header_at);
        if code == ffi::SQLITE_IOERR_SHORT_READ {
            return self.rot(frame.number, What::CutOff);
        }
        if code != ffi::SQLITE_OK {
            return code;
        }
        let mut before = [0; 8];
        let code = under.read(&mut before, frame.before_at);
        if code != ffi::SQLITE_OK {
            return code;
        }
        if !holds(&self.scratch, before) && !sabotage::believes() {
            return self.rot(frame.number, What::Changed);
        }
        let content = self.scratch.iter().skip(FRAME_HEADER);
        into.iter_mut()
            .zip(content)
            .for_each(|(to, from)| *to = *from);
        ffi::SQLITE_OK
    }

    /// Writes, and sees which checksums are still to come.
    pub(crate) fn write(&mut self, under: Under<'_>, from: &[u8], at: i64) -> c_int {
        if from.len() == FRAME_HEADER {
            self.last_header = at;
            self.ends = salts_of_end(from);
            if self.unsettled.is_some_and(|from| at <= from) {
                self.unsettled = None;
            }
        } else if let Some(frame) = Frame::holding(from.len(), at) {
            if frame.header_at != self.last_header {
                let from = self.unsettled.unwrap_or(i64::MAX);
                self.unsettled = Some(from.min(frame.header_at));
            } else if let Some(salts) = self.ends {
                let frames = frame.number;
                self.written = Some(Mark { salts, frames });
            }
        }
        under.write(from, at)
    }

    /// What was written is on the disk.
    pub(crate) fn synced(&mut self) {
        if let Some(mark) = self.written.take() {
            log::synced(&self.path, mark);
        }
    }

    fn rot(&self, number: u32, what: What) -> c_int {
        rot::report(Rot {
            file: self.path.clone(),
            place: Place::Frame(number),
            what,
        })
    }
}

/// Where a frame lies, and the checksum that its own goes on from.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    number: u32,
    header_at: i64,
    before_at: i64,
}

impl Frame {
    /// The frame that so many bytes from there on are the page of.
    fn holding(len: usize, at: i64) -> Option<Self> {
        page::number(len, 0)?;
        let header = i64::try_from(FRAME_HEADER).ok()?;
        let whole = i64::try_from(len).ok()? + header;
        let log_header = i64::try_from(LOG_HEADER).ok()?;
        let header_at = at - header;
        let from_first = header_at - log_header;
        if from_first < 0 || from_first % whole != 0 {
            return None;
        }
        Some(Self {
            number: u32::try_from(from_first / whole + 1).ok()?,
            header_at,
            // In the header of the log, or of the frame before.
            before_at: match from_first {
                0 => log_header - 8,
                _ => header_at - whole + header - 8,
            },
        })
    }
}

/// The salts in the header of a frame that ends a commit: its second number is not zero.
fn salts_of_end(header: &[u8]) -> Option<[u8; 8]> {
    let ends = pair(header)?.1 != 0;
    header.get(8..)?.first_chunk().copied().filter(|_| ends)
}

/// Whether a frame is what was written. The numbers in it may be in the order of another machine.
fn holds(frame: &[u8], before: [u8; 8]) -> bool {
    let Some((header, page)) = frame.split_at_checked(FRAME_HEADER) else {
        return false;
    };
    let Some((counted, sums)) = header.split_at_checked(8) else {
        return false;
    };
    let said = sums.get(8..).and_then(pair);
    let from = pair(&before).unwrap_or_default();
    [u32::from_ne_bytes, |bytes| {
        u32::from_ne_bytes(bytes).swap_bytes()
    }]
    .into_iter()
    .any(|word| said == Some(sum(page, sum(counted, from, word), word)))
}

/// Two numbers as the headers of a log have them.
pub(crate) fn pair(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, second) = (bytes.first_chunk()?, bytes.get(4..)?.first_chunk()?);
    Some((u32::from_be_bytes(*first), u32::from_be_bytes(*second)))
}

/// The checksum that SQLite has for frames.
pub(crate) fn sum(bytes: &[u8], from: (u32, u32), word: impl Fn([u8; 4]) -> u32) -> (u32, u32) {
    let (words, _) = bytes.as_chunks::<4>();
    words
        .as_chunks::<2>()
        .0
        .iter()
        .fold(from, |(a, b), [x, y]| {
            let a = a.wrapping_add(word(*x)).wrapping_add(b);
            (a, b.wrapping_add(word(*y)).wrapping_add(a))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_in_its_frame() {
        let frame = |number, header_at, before_at| Frame {
            number,
            header_at,
            before_at,
        };
        assert_eq!(Frame::holding(4096, 56), Some(frame(1, 32, 24)));
        assert_eq!(Frame::holding(4096, 4176), Some(frame(2, 4152, 48)));
        assert_eq!(Frame::holding(4096, 57), None);
        assert_eq!(Frame::holding(24, 56), None);
    }
}
