//! Checks every page of the ledger's file as it is read, below SQLite.
//!
//! SQLite believes what the disk gives it: a flipped bit in an index is an answer like any other, and
//! its own integrity check does not see one in a value. So the ledger is opened through a layer of our
//! own over SQLite's access to files. It passes everything on, and does two things more:
//!
//! - The last 8 bytes of each page of the database are left free by SQLite, and hold a checksum of
//!   the page and of its number. It is computed when a page is written, and compared when one is read.
//! - A page that is read from the write-ahead log is compared with the checksum of its frame, which
//!   SQLite itself looks at only after a crash.
//!
//! What does not fit is an error ([`rotten`]), never an answer. A SQLite without this layer can read
//! such a file; what it writes has no checksums, and is refused here. A file without reserved bytes
//! is worked on without being checked.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

mod file;
mod log;
mod main_file;
mod page;
mod reserve;
mod rot;
mod sabotage;
mod under;
mod vfs;
mod wal;
mod watch;

pub use log::{Mark, log_mark, shorter_log};
pub use reserve::{RESERVED, is_reserved, reserve};
pub use rot::{Place, Rot, What, rotten};
pub use watch::naming;
#[cfg(feature = "faults")]
pub use watch::{Disk, Installed, Op, install};

use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Opens a database through this layer.
///
/// What is freed in it is overwritten: so each page of the file was written at some time, and one
/// that is not there is known to be lost.
///
/// # Errors
/// As SQLite opens it.
pub fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    vfs::register()?;
    let conn = Connection::open_with_flags_and_vfs(path, flags, vfs::NAME)?;
    conn.pragma_update(None, "secure_delete", true)?;
    Ok(conn)
}
