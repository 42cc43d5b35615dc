//! How far a write-ahead log has come on the disk, and whether all of that is still there.
//!
//! The first frame of a log that does not fit ends the log for SQLite, and what follows it is not read
//! (<https://www.sqlite.org/walformat.html>). Where pages of that part had been copied back into the
//! database before, the database is from one moment then and the log from an earlier one: each page is
//! whole, and together they are nothing that ever was. No checksum of a page can show that. Who keeps
//! elsewhere how far the log had come can.

use crate::wal::{FRAME_HEADER, LOG_HEADER, pair, sum};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far a log had come: so many frames of it were on the disk, the last of which ended a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What tells this log from the one before, which was in the same file.
    pub salts: [u8; 8],
    /// The frames.
    pub frames: u32,
}

static MARKS: Mutex<BTreeMap<PathBuf, Mark>> = Mutex::new(BTreeMap::new());

fn marks() -> MutexGuard<'static, BTreeMap<PathBuf, Mark>> {
    MARKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log there is on the disk as far as this.
pub(crate) fn synced(log: &Path, mark: Mark) {
    let mut marks = marks();
    match marks.get_mut(log) {
        Some(known) => *known = mark,
        None => drop(marks.insert(log.to_owned(), mark)),
    }
}

fn log_of(database: &Path) -> io::Result<PathBuf> {
    let mut path = std::fs::canonicalize(database)?.into_os_string();
    path.push("-wal");
    Ok(path.into())
}

/// How far the log of a database had come on the disk when this process last committed there.
#[must_use]
pub fn log_mark(database: &Path) -> Option<Mark> {
    marks().get(&log_of(database).ok()?).copied()
}

/// Frames of the log that can be read, when these are fewer than were known to be on the disk. None when
/// all of them are there, and when there is another log or none by now.
///
/// # Errors
/// When the file cannot be read.
pub fn shorter_log(database: &Path, known: Mark) -> io::Result<Option<u32>> {
    let found = log_of(database).and_then(File::open);
    let mut log = match found {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(header) = part::<LOG_HEADER>(&mut log)? else {
        return Ok(None);
    };
    if header.get(16..24) != Some(&known.salts) {
        return Ok(None);
    }
    let frames = match Reading::of(&header) {
        Some(reading) => reading.frames(&mut log, known)?,
        None => 0,
    };
    // Another process may have begun the next log in the same file meanwhile.
    log.rewind()?;
    let again = part::<LOG_HEADER>(&mut log)?;
    let same = again.is_some_and(|again| again.get(16..24) == Some(&known.salts));
    Ok((same && frames < known.frames).then_some(frames))
}

/// So many bytes, if there are as many.
fn part<const LEN: usize>(from: &mut impl Read) -> io::Result<Option<[u8; LEN]>> {
    let mut bytes = [0; LEN];
    Ok(whole(from, &mut bytes)?.then_some(bytes))
}

fn whole(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A log as it is read from its beginning.
struct Reading {
    page: usize,
    word: fn([u8; 4]) -> u32,
    sums: (u32, u32),
}

impl Reading {
    /// None where the header itself is not what was written.
    fn of(header: &[u8; LOG_HEADER]) -> Option<Self> {
        let (first, page) = (pair(header)?.0, pair(header.get(8..)?)?.0);
        let word = match first {
            0x377f_0682 => u32::from_le_bytes,
            0x377f_0683 => u32::from_be_bytes,
            _ => return None,
        };
        let (said, sums) = header.split_at_checked(24)?;
        let sums = pair(sums)?;
        let page = usize::try_from(page).ok()?;
        let fits = (512..=65_536).contains(&page) && page.is_power_of_two();
        (fits && sum(said, (0, 0), word) == sums).then_some(Self { page, word, sums })
    }

    /// How many frames are what was written, up to the number that is known.
    fn frames(mut self, log: &mut impl Read, known: Mark) -> io::Result<u32> {
        let mut page = vec![0; self.page];
        for number in 0..known.frames {
            let Some(header) = part::<FRAME_HEADER>(log)? else {
                return Ok(number);
            };
            if !whole(log, &mut page)? || !self.is_next(&header, &page, known) {
                return Ok(number);
            }
        }
        Ok(known.frames)
    }

    fn is_next(&mut self, header: &[u8; FRAME_HEADER], page: &[u8], known: Mark) -> bool {
        let (counted, rest) = header.split_at(8);
        let (salts, said) = rest.split_at(8);
        self.sums = sum(page, sum(counted, self.sums, self.word), self.word);
        *salts == known.salts && pair(said) == Some(self.sums)
    }
}
