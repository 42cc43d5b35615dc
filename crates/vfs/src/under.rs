//! The file of SQLite's own layer below ours, behind functions that take slices.
#![allow(unsafe_code)] // SQLite's layers are tables of C functions; see ARCHITECTURE.md.

use crate::watch::{Op, Watch};
use rusqlite::ffi;
use std::ffi::c_int;

/// An open file of the layer below.
///
/// Whoever makes one sees to it that the pointer is to a file that `xOpen` of the layer below has
/// opened, and that it does not outlive `xClose`.
#[derive(Clone, Copy)]
pub(crate) struct Under<'a> {
    file: *mut ffi::sqlite3_file,
    watch: &'a Watch,
}

impl<'a> Under<'a> {
    /// # Safety
    /// `file` was opened by the layer below and is closed only after the last use of what this returns.
    pub(crate) unsafe fn new(file: *mut ffi::sqlite3_file, watch: &'a Watch) -> Self {
        Self { file, watch }
    }

    pub(crate) fn pointer(self) -> *mut ffi::sqlite3_file {
        self.file
    }

    pub(crate) fn methods(self) -> &'static ffi::sqlite3_io_methods {
        // SAFETY: an open file of SQLite's own layer points to one of its constant tables.
        unsafe { &*(*self.file).pMethods }
    }

    /// Reads into a buffer, with SQLite's code for how that went.
    pub(crate) fn read(self, into: &mut [u8], at: i64) -> c_int {
        let (Some(read), Ok(len)) = (self.methods().xRead, c_int::try_from(into.len())) else {
            return ffi::SQLITE_IOERR_READ;
        };
        // SAFETY: the file is open, and `into` has room for `len` bytes.
        let act = || unsafe { read(self.file, into.as_mut_ptr().cast(), len, at) };
        self.watch.around(Op::Read, act)
    }

    /// Writes a buffer, with SQLite's code for how that went.
    pub(crate) fn write(self, from: &[u8], at: i64) -> c_int {
        let (Some(write), Ok(len)) = (self.methods().xWrite, c_int::try_from(from.len())) else {
            return ffi::SQLITE_IOERR_WRITE;
        };
        // SAFETY: the file is open, and `from` holds `len` bytes, which the layer below only reads.
        let act = || unsafe { write(self.file, from.as_ptr().cast(), len, at) };
        self.watch.around(Op::Write(at, from), act)
    }

    /// Cuts or grows the file, with SQLite's code for how that went.
    pub(crate) fn truncate(self, size: i64) -> c_int {
        let Some(truncate) = self.methods().xTruncate else {
            return ffi::SQLITE_IOERR_TRUNCATE;
        };
        // SAFETY: the file is open.
        let act = || unsafe { truncate(self.file, size) };
        self.watch.around(Op::Truncate(size), act)
    }

    /// Waits for the disk, with SQLite's code for how that went.
    pub(crate) fn sync(self, flags: c_int) -> c_int {
        let Some(sync) = self.methods().xSync else {
            return ffi::SQLITE_IOERR_FSYNC;
        };
        // SAFETY: the file is open.
        let act = || unsafe { sync(self.file, flags) };
        self.watch.around(Op::Sync, act)
    }
}
