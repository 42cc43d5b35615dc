//! The database file: pages are sealed as they are written, and compared as they are read.

use crate::page::{self, HEADER, Seal};
use crate::rot::{self, Place, Rot, What};
use crate::sabotage;
use crate::under::Under;
use rusqlite::ffi;
use std::ffi::c_int;
use std::path::PathBuf;

/// How long pages are when nothing else is said.
const PAGE: usize = 4096;

/// What is known of a database file.
#[derive(Debug)]
pub(crate) struct MainFile {
    path: PathBuf,
    kept: Kept,
    /// Pages that were written before it was known that they are to have checksums.
    unsealed: Vec<u32>,
    scratch: Vec<u8>,
}

/// Whether the pages of a file have checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It has no header yet.
    Unknown,
    No,
    Yes,
}

impl MainFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            kept: Kept::Unknown,
            unsealed: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// What another process has made of the file is looked at again.
    pub(crate) fn forget(&mut self) {
        if self.kept == Kept::No {
            self.kept = Kept::Unknown;
        }
    }

    /// Reads, and compares what was read with its checksum.
    pub(crate) fn read(&mut self, under: Under<'_>, into: &mut [u8], at: i64) -> c_int {
        let code = under.read(into, at);
        if code != ffi::SQLITE_OK && code != ffi::SQLITE_IOERR_SHORT_READ {
            return code;
        }
        if at == 0 && code == ffi::SQLITE_OK && !self.learn(under, into) && !sabotage::believes() {
            return self.rot(1, What::Changed);
        }
        let Some(number) = page::number(into.len(), at) else {
            return code;
        };
        self.look(under);
        if self.kept != Kept::Yes {
            return code;
        }
        if code == ffi::SQLITE_IOERR_SHORT_READ {
            return self.beyond(under, number);
        }
        match page::unseal(into, number) {
            Seal::Holds => code,
            _ if sabotage::believes() => code,
            Seal::Broken => self.rot(number, What::Changed),
            Seal::Missing => self.rot(number, What::Foreign),
        }
    }

    /// Writes, a page with its checksum.
    pub(crate) fn write(&mut self, under: Under<'_>, from: &[u8], at: i64) -> c_int {
        let Some(number) = page::number(from.len(), at) else {
            return under.write(from, at);
        };
        self.look(under);
        if at == 0
            && let Some(reserved) = page::reserved(from)
        {
            self.kept = kept(reserved);
            if self.kept == Kept::Yes {
                let code = self.seal_rest(under, from.len());
                if code != ffi::SQLITE_OK {
                    return code;
                }
            }
        }
        if self.kept != Kept::Yes {
            self.remember(number);
            return under.write(from, at);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(from);
        page::seal(&mut self.scratch, number);
        under.write(&self.scratch, at)
    }

    /// The first page of a new file may be written last, when a copy is too large for memory.
    fn seal_rest(&mut self, under: Under<'_>, len: usize) -> c_int {
        for number in std::mem::take(&mut self.unsealed) {
            let at = (i64::from(number) - 1) * i64::try_from(len).unwrap_or(i64::MAX);
            self.scratch.resize(len, 0);
            let mut code = under.read(&mut self.scratch, at);
            if code == ffi::SQLITE_OK {
                page::seal(&mut self.scratch, number);
                code = under.write(&self.scratch, at);
            }
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        ffi::SQLITE_OK
    }

    fn remember(&mut self, number: u32) {
        if self.kept == Kept::Unknown && number != 1 {
            self.unsealed.push(number);
        }
    }

    /// Sees from the beginning of a file whether its pages have checksums. False when the bytes that
    /// say so were lost.
    fn learn(&mut self, under: Under<'_>, start: &[u8]) -> bool {
        let reserved = page::reserved(start);
        let says_so = reserved.is_some_and(|reserved| reserved > 0);
        if !says_so && self.kept != Kept::No && start.len() >= HEADER && self.lost(under, start) {
            return false;
        }
        if let Some(reserved) = reserved {
            self.kept = kept(reserved);
        }
        true
    }

    fn lost(&mut self, under: Under<'_>, start: &[u8]) -> bool {
        self.scratch.clear();
        self.scratch.resize(page::size(start).unwrap_or(PAGE), 0);
        under.read(&mut self.scratch, 0) == ffi::SQLITE_OK && page::lost_its_mark(&mut self.scratch)
    }

    /// A page that the file does not have. What a transaction has added and taken back was never there;
    /// what the header counts was.
    fn beyond(&self, under: Under<'_>, number: u32) -> c_int {
        let mut header = [0; HEADER];
        let read = under.read(&mut header, 0) == ffi::SQLITE_OK;
        match page::count(&header) {
            Some(count) if read && number > count => ffi::SQLITE_IOERR_SHORT_READ,
            _ => self.rot(number, What::CutOff),
        }
    }

    fn look(&mut self, under: Under<'_>) {
        if self.kept == Kept::Unknown {
            let mut header = [0; HEADER];
            if under.read(&mut header, 0) == ffi::SQLITE_OK
                && let Some(reserved) = page::reserved(&header)
            {
                self.kept = kept(reserved);
            }
        }
    }

    fn rot(&self, number: u32, what: What) -> c_int {
        rot::report(Rot {
            file: self.path.clone(),
            place: Place::Page(number),
            what,
        })
    }
}

/// A file with another number of reserved bytes has lost that byte: it is compared, and refused.
fn kept(reserved: u8) -> Kept {
    if reserved == 0 { Kept::No } else { Kept::Yes }
}
