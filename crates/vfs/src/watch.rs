//! Lets tests stand between the layer and the disk: what is written, synced and deleted below a folder
//! can be made to fail, and is told. Only with the feature `faults`; else nothing of it is there.

use rusqlite::ffi;
use std::io;
use std::path::Path;

/// What is about to be done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "faults"), allow(dead_code, unreachable_pub))]
pub enum Op<'a> {
    /// It is opened, and made where it is not there.
    Open,
    /// It is read.
    Read,
    /// Bytes are written from there on.
    Write(i64, &'a [u8]),
    /// It is cut or grown to this length.
    Truncate(i64),
    /// What was written is to be on the disk.
    Sync,
    /// It is deleted; true when that is to be on the disk.
    Delete(bool),
    /// It gets a name, or another one. SQLite does not do that: see [`naming`].
    Name,
}

/// Gives a file a name, or another one, in the sight of whoever stands there.
///
/// # Errors
/// As what is done.
pub fn naming<T>(file: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut done = None;
    let code = Watch::of(file.to_owned()).around(Op::Name, || {
        let named = act();
        let code = match named {
            Ok(_) => ffi::SQLITE_OK,
            Err(_) => ffi::SQLITE_IOERR,
        };
        done = Some(named);
        code
    });
    done.unwrap_or_else(|| Err(io::Error::other(format!("it was refused with {code}"))))
}

#[cfg(feature = "faults")]
mod with_faults {
    use super::Op;
    use std::ffi::c_int;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};

    /// What stands in for a disk that fails.
    pub trait Disk: Send + Sync {
        /// Asked before something is done; with a code of SQLite it fails with that, and is not done.
        fn before(&self, file: &Path, op: &Op<'_>) -> Option<c_int>;
        /// Told after something was done.
        fn after(&self, file: &Path, op: &Op<'_>);
    }

    static DISKS: Mutex<Vec<(PathBuf, Arc<dyn Disk>)>> = Mutex::new(Vec::new());

    /// A disk below a folder, until this is dropped. What was opened meanwhile keeps it.
    #[derive(Debug)]
    pub struct Installed(PathBuf);

    /// Puts a disk below a folder, which is named as SQLite names it: whole, and without links.
    #[must_use]
    pub fn install(folder: &Path, disk: Arc<dyn Disk>) -> Installed {
        let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.push((folder.to_owned(), disk));
        Installed(folder.to_owned())
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
            disks.retain(|(folder, _)| *folder != self.0);
        }
    }

    /// Whoever stands between this file and the disk.
    pub(crate) struct Watch(Option<(PathBuf, Arc<dyn Disk>)>);

    impl Watch {
        pub(crate) fn of(file: PathBuf) -> Self {
            let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
            let found = disks.iter().find(|(folder, _)| file.starts_with(folder));
            Self(found.map(|(_, disk)| (file, disk.clone())))
        }

        pub(crate) fn around(&self, op: Op<'_>, act: impl FnOnce() -> c_int) -> c_int {
            let Some((file, disk)) = &self.0 else {
                return act();
            };
            if let Some(code) = disk.before(file, &op) {
                return code;
            }
            let code = act();
            if code == rusqlite::ffi::SQLITE_OK {
                disk.after(file, &op);
            }
            code
        }
    }
}

#[cfg(feature = "faults")]
pub(crate) use with_faults::Watch;
#[cfg(feature = "faults")]
pub use with_faults::{Disk, Installed, install};

/// Nobody stands there.
#[cfg(not(feature = "faults"))]
pub(crate) struct Watch;

#[cfg(not(feature = "faults"))]
impl Watch {
    pub(crate) fn of(_file: std::path::PathBuf) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn around(
        &self,
        _op: Op<'_>,
        act: impl FnOnce() -> std::ffi::c_int,
    ) -> std::ffi::c_int {
        act()
    }
}
