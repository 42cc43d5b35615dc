//! What was found broken, in words: SQLite can pass on no more than a number.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

/// What was found broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rot {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong there.
    pub what: What,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A page of the database, from 1 on.
    Page(u32),
    /// A frame of the write-ahead log, from 1 on.
    Frame(u32),
}

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is not what was written.
    Changed,
    /// It has no checksum: something else than this layer has written it.
    Foreign,
    /// The file ends before it.
    CutOff,
}

impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Page(number) => write!(f, "page {number}")?,
            Place::Frame(number) => write!(f, "frame {number}")?,
        }
        write!(f, " of {} ", self.file.display())?;
        f.write_str(match self.what {
            What::Changed => "is not what was written there: its checksum does not fit",
            What::Foreign => "has no checksum: another program has written it",
            What::CutOff => "is missing: the file ends before it",
        })
    }
}

thread_local! {
    // SQLite reads on the thread that asks it, so that who sees the error finds the words here.
    static LAST: RefCell<Option<Rot>> = const { RefCell::new(None) };
}

/// What is to be told with an error of this extended code, on the thread that met it.
#[must_use]
pub fn rotten(extended_code: i32) -> Option<Rot> {
    if extended_code != CODE {
        return None;
    }
    LAST.with_borrow(Option::clone)
}

/// What SQLite calls it when the checksum of a page does not fit.
pub(crate) const CODE: i32 = rusqlite::ffi::SQLITE_IOERR_DATA;

/// Keeps the words for who sees the error.
pub(crate) fn report(rot: Rot) -> i32 {
    LAST.with_borrow_mut(|last| *last = Some(rot));
    CODE
}
