//! Files that oncely keeps for itself, named by their content: written once, whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `folder/name` unless they are there. Only the owner may read them.
pub(crate) fn keep(folder: &Path, name: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let kept = folder.join(name);
    if fs::read(&kept).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let mut make = fs::DirBuilder::new();
    make.recursive(true).mode(0o700).create(folder)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let half = folder.join(format!(".{}-{count}.half", std::process::id()));
    let done = write(&half, bytes, mode).and_then(|()| fs::rename(&half, &kept));
    if done.is_err() {
        let _ = fs::remove_file(&half);
    }
    done
}

fn write(half: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A process of the same number may have left one.
    let _ = fs::remove_file(half);
    let mut open = fs::OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(mode).open(half)?;
    file.write_all(bytes)?;
    file.sync_all()
}
