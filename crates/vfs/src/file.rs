//! Open files: the table of functions that SQLite calls for one, each passed on to the layer below.
#![allow(unsafe_code)] // SQLite's layers are tables of C functions; see ARCHITECTURE.md.

use crate::main_file::MainFile;
use crate::under::Under;
use crate::wal::Wal;
use crate::watch::Watch;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64};
use std::ffi::{c_int, c_void};
use std::path::PathBuf;

/// An open file as SQLite sees it. SQLite gives the memory; the file of the layer below lies behind.
#[repr(C, align(8))]
pub(crate) struct File {
    base: sqlite3_file,
    state: *mut State,
}

/// What we know of an open file.
struct State {
    kind: Kind,
    watch: Watch,
}

/// What a file is to us.
pub(crate) enum Kind {
    Main(MainFile),
    Wal(Wal),
    /// Journals and what else is only passed on.
    Other,
}

impl Kind {
    pub(crate) fn of(flags: c_int, path: PathBuf) -> Self {
        match flags {
            _ if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 => Self::Main(MainFile::new(path)),
            _ if flags & ffi::SQLITE_OPEN_WAL != 0 => Self::Wal(Wal::new(path)),
            _ => Self::Other,
        }
    }

    fn read(&mut self, under: Under<'_>, into: &mut [u8], at: i64) -> c_int {
        match self {
            Self::Main(file) => file.read(under, into, at),
            Self::Wal(log) => log.read(under, into, at),
            Self::Other => under.read(into, at),
        }
    }

    fn write(&mut self, under: Under<'_>, from: &[u8], at: i64) -> c_int {
        match self {
            Self::Main(file) => file.write(under, from, at),
            Self::Wal(log) => log.write(under, from, at),
            Self::Other => under.write(from, at),
        }
    }
}

/// Where the file of the layer below lies behind ours.
pub(crate) const OWN: usize = size_of::<File>();

/// The file of the layer below, which may not be open yet.
///
/// # Safety
/// `file` is memory that SQLite gave for one of our files.
pub(crate) unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite gives `szOsFile` bytes: ours, and as many as the layer below asks for.
    unsafe { file.byte_add(OWN) }
}

/// Makes an open file of it.
///
/// # Safety
/// As [`behind`], and the file behind was opened by the layer below.
pub(crate) unsafe fn begin(file: *mut sqlite3_file, kind: Kind, watch: Watch) {
    let own = File {
        base: sqlite3_file { pMethods: &METHODS },
        state: Box::into_raw(Box::new(State { kind, watch })),
    };
    // SAFETY: there is room for it, aligned to 8 bytes as SQLite's memory is.
    unsafe { file.cast::<File>().write(own) }
}

/// Says that the file is not open, so that SQLite does not close it.
///
/// # Safety
/// As [`behind`].
pub(crate) unsafe fn not_open(file: *mut sqlite3_file) {
    // SAFETY: the memory is there, and begins with this field.
    unsafe { (*file).pMethods = std::ptr::null() }
}

/// What we know of an open file, and the one behind it.
///
/// # Safety
/// `file` was begun and is not closed, and SQLite asks one thing of it at a time.
unsafe fn parts<'a>(file: *mut sqlite3_file) -> (&'a mut Kind, Under<'a>) {
    // SAFETY: `begin` has written a `File` there, whose box lives until `close`, and has opened the one
    // behind.
    unsafe {
        let State { kind, watch } = &mut *(*file.cast::<File>()).state;
        (kind, Under::new(behind(file), watch))
    }
}

/// The open file of the layer below.
///
/// # Safety
/// As [`parts`].
unsafe fn below<'a>(file: *mut sqlite3_file) -> Under<'a> {
    // SAFETY: as for `parts`.
    unsafe { parts(file).1 }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file.
    let under = unsafe { below(file) };
    let Some(close) = under.methods().xClose else {
        return ffi::SQLITE_IOERR_CLOSE;
    };
    // SAFETY: the file behind is open, and closed once.
    let code = unsafe { close(under.pointer()) };
    // SAFETY: SQLite closes a file once; the box is not used after that.
    drop(unsafe { Box::from_raw((*file.cast::<File>()).state) });
    code
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: i64,
) -> c_int {
    let Ok(len) = usize::try_from(len) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite reads open files, into a buffer of that many bytes that is its own.
    let ((kind, under), into) = unsafe {
        into.write_bytes(0, len);
        let into = std::slice::from_raw_parts_mut(into.cast::<u8>(), len);
        (parts(file), into)
    };
    kind.read(under, into, at)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: i64,
) -> c_int {
    let Ok(len) = usize::try_from(len) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite writes open files, from a buffer of that many bytes.
    let ((kind, under), from) = unsafe {
        (
            parts(file),
            std::slice::from_raw_parts(from.cast::<u8>(), len),
        )
    };
    kind.write(under, from, at)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, op: c_int, value: *mut c_void) -> c_int {
    // SAFETY: SQLite asks open files.
    let (kind, under) = unsafe { parts(file) };
    if let (ffi::SQLITE_FCNTL_CKPT_START, Kind::Main(main)) = (op, kind) {
        main.forget();
    }
    let Some(control) = under.methods().xFileControl else {
        return ffi::SQLITE_NOTFOUND;
    };
    // SAFETY: the file behind is open; the value is what this request takes, as SQLite sees to.
    unsafe { control(under.pointer(), op, value) }
}

unsafe extern "C" fn device(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite asks open files.
    let under = unsafe { below(file) };
    let Some(device) = under.methods().xDeviceCharacteristics else {
        return 0;
    };
    // SAFETY: the file behind is open. Parts of pages cannot be compared: SQLite reads whole ones.
    unsafe { device(under.pointer()) & !ffi::SQLITE_IOCAP_SUBPAGE_READ }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite cuts open files.
    unsafe { below(file) }.truncate(size)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite syncs open files.
    let (kind, under) = unsafe { parts(file) };
    let code = under.sync(flags);
    if let (ffi::SQLITE_OK, Kind::Wal(log)) = (code, kind) {
        log.synced();
    }
    code
}

/// A function that only passes on.
macro_rules! pass_on {
    ($name:ident, $method:ident, $otherwise:expr $(, $value:ident: $kind:ty)*) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $value: $kind)*) -> c_int {
            // SAFETY: SQLite asks open files.
            let under = unsafe { below(file) };
            let Some(method) = under.methods().$method else {
                return $otherwise;
            };
            // SAFETY: the file behind is open, and the values are SQLite's own for this method.
            unsafe { method(under.pointer() $(, $value)*) }
        }
    };
}

pass_on!(size, xFileSize, ffi::SQLITE_IOERR_FSTAT, found: *mut sqlite3_int64);
pass_on!(lock, xLock, ffi::SQLITE_IOERR_LOCK, level: c_int);
pass_on!(unlock, xUnlock, ffi::SQLITE_IOERR_UNLOCK, level: c_int);
pass_on!(is_reserved, xCheckReservedLock, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK, found: *mut c_int);
pass_on!(sector, xSectorSize, 4096);
pass_on!(
    shared_map, xShmMap, ffi::SQLITE_IOERR_SHMMAP,
    region: c_int, size: c_int, extend: c_int, found: *mut *mut c_void
);
pass_on!(
    shared_lock, xShmLock, ffi::SQLITE_IOERR_SHMLOCK,
    offset: c_int, count: c_int, flags: c_int
);
pass_on!(shared_unmap, xShmUnmap, ffi::SQLITE_OK, and_delete: c_int);

unsafe extern "C" fn shared_barrier(file: *mut sqlite3_file) {
    // SAFETY: SQLite asks open files.
    let under = unsafe { below(file) };
    if let Some(barrier) = under.methods().xShmBarrier {
        // SAFETY: the file behind is open.
        unsafe { barrier(under.pointer()) }
    }
}

/// Version 2: without the methods that map pages into memory, which would pass by what we compare.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(device),
    xShmMap: Some(shared_map),
    xShmLock: Some(shared_lock),
    xShmBarrier: Some(shared_barrier),
    xShmUnmap: Some(shared_unmap),
    xFetch: None,
    xUnfetch: None,
};
