//! Reserved bytes: room for a checksum at the end of each page.
#![allow(unsafe_code)] // SQLite offers this as a C function only; see ARCHITECTURE.md.

use rusqlite::{Connection, ffi};
use std::ffi::c_int;

/// Bytes that are reserved at the end of each page.
pub const RESERVED: u8 = 8;

/// Reserves room for checksums in a database that has no tables yet. One that has some gets it with
/// the next `vacuum`, which writes every page anew.
///
/// # Errors
/// When SQLite does not take it.
pub fn reserve(conn: &Connection) -> rusqlite::Result<()> {
    control(conn, RESERVED.into()).map(drop)
}

/// Whether the pages of a database have room for checksums.
///
/// # Errors
/// When SQLite does not say.
pub fn is_reserved(conn: &Connection) -> rusqlite::Result<bool> {
    // A negative number asks.
    Ok(control(conn, -1)? == c_int::from(RESERVED))
}

fn control(conn: &Connection, bytes: c_int) -> rusqlite::Result<c_int> {
    let mut bytes = bytes;
    // SAFETY: the connection is open as long as it is borrowed, the name ends in a zero byte, and this
    // request reads and writes one int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            conn.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut bytes).cast(),
        )
    };
    match code {
        ffi::SQLITE_OK => Ok(bytes),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}
