//! The layer itself: SQLite's own access to files, with our table for what is opened.
#![allow(unsafe_code)] // SQLite's layers are tables of C functions; see ARCHITECTURE.md.

use crate::file::{self, Kind, OWN};
use crate::watch::{Op, Watch};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_vfs};
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The name by which SQLite knows this layer.
pub(crate) const NAME: &CStr = c"oncely";

/// Makes the layer known to SQLite, once.
pub(crate) fn register() -> rusqlite::Result<()> {
    static DONE: OnceLock<c_int> = OnceLock::new();
    match *DONE.get_or_init(make_known) {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

fn make_known() -> c_int {
    // SAFETY: may be called at any time and from any thread.
    let code = unsafe { ffi::sqlite3_initialize() };
    if code != ffi::SQLITE_OK {
        return code;
    }
    // SAFETY: without a name this is the layer that SQLite uses by itself, which lives for ever.
    let own = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
    // SAFETY: if there is one, it points to a layer.
    let Some(below) = (unsafe { own.as_ref() }) else {
        return ffi::SQLITE_ERROR;
    };
    let Ok(size) = c_int::try_from(OWN) else {
        return ffi::SQLITE_ERROR;
    };
    // Everything but opening and deleting is the function of the layer below, which finds what it needs in its own
    // files and in `pAppData`.
    let layer = Box::new(sqlite3_vfs {
        szOsFile: below.szOsFile + size,
        pNext: std::ptr::null_mut(),
        zName: NAME.as_ptr(),
        xOpen: Some(open),
        xDelete: Some(delete),
        ..*below
    });
    // SAFETY: the box is never freed, as SQLite keeps the pointer.
    unsafe { ffi::sqlite3_vfs_register(Box::into_raw(layer), 0) }
}

/// The layer below ours.
fn below() -> *mut sqlite3_vfs {
    // SAFETY: the layer that SQLite uses by itself; ours is never that.
    unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) }
}

unsafe extern "C" fn open(
    _own: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives memory for one of our files.
    unsafe { file::not_open(file) };
    let below = below();
    // SAFETY: a layer that is registered is never freed.
    let Some(open) = (unsafe { below.as_ref() }).and_then(|below| below.xOpen) else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: a file that has a name has one that ends in a zero byte.
    let path = unsafe { path(name) };
    let watch = Watch::of(path.clone());
    // SAFETY: the values are SQLite's own for this function; the memory behind ours is for this file.
    let act = || unsafe { open(below, name, file::behind(file), flags, flags_out) };
    let code = watch.around(Op::Open, act);
    if code == ffi::SQLITE_OK {
        // SAFETY: the file behind was just opened.
        unsafe { file::begin(file, Kind::of(flags, path), watch) };
    }
    code
}

unsafe extern "C" fn delete(_own: *mut sqlite3_vfs, name: *const c_char, durably: c_int) -> c_int {
    let below = below();
    // SAFETY: a layer that is registered is never freed.
    let Some(delete) = (unsafe { below.as_ref() }).and_then(|below| below.xDelete) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    // SAFETY: the name ends in a zero byte.
    let watch = Watch::of(unsafe { path(name) });
    // SAFETY: the values are SQLite's own for this function.
    watch.around(Op::Delete(durably != 0), || unsafe {
        delete(below, name, durably)
    })
}

/// # Safety
/// The name is null or ends in a zero byte.
unsafe fn path(name: *const c_char) -> PathBuf {
    if name.is_null() {
        return PathBuf::new();
    }
    // SAFETY: as asked for.
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(OsStr::from_bytes(name.to_bytes()))
}
