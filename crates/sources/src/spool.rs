//! Copies of what runs will read, by content: a run never reads the watched path again.

use oncely_core::points::{self, Point};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder of content, private to the user.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// Content that is in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is.
    pub path: PathBuf,
}

const CHUNK_BYTES: usize = 256 * 1024;

impl Spool {
    /// The spool in this folder, made when it is first used.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where content lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Copies what the reader yields, durable when this returns. Known content is not kept twice.
    ///
    /// # Errors
    /// When it cannot be read or written; nothing half-written stays under its final name.
    pub fn keep(&self, reader: &mut dyn Read) -> io::Result<Spooled> {
        let incoming = self.folder.join("incoming");
        make_private(&self.folder)?;
        make_private(&incoming)?;
        let name = format!("{}-{:x}", std::process::id(), next_number());
        let temporary = incoming.join(name);
        let kept = self.copy(reader, &temporary);
        if kept.is_err() {
            // The copy is useless; a failure to remove it leaves only a stray file.
            let _ = fs::remove_file(&temporary);
        }
        kept
    }

    /// Removes content that is older than `age` and not needed; says how much.
    ///
    /// # Errors
    /// When the folder cannot be read. What is removed by another process meanwhile is no error.
    pub fn tidy(&self, needed: &BTreeSet<String>, age: Duration) -> io::Result<u64> {
        if !self.folder.is_dir() {
            return Ok(0);
        }
        let mut removed = 0;
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?.path();
            if folder.is_dir() {
                removed += tidy_folder(&folder, needed, age)?;
            }
        }
        Ok(removed)
    }

    fn copy(&self, reader: &mut dyn Read, temporary: &Path) -> io::Result<Spooled> {
        let mut file = private_file(temporary)?;
        let (hash, size) = pour(reader, &mut file)?;
        file.sync_all()?;
        points::pass(Point::SpoolCopied);
        let folder = self.folder.join(hash.get(..2).unwrap_or("00"));
        make_private(&folder)?;
        let path = folder.join(&hash);
        if path.metadata().is_ok_and(|m| m.len() == size) {
            fs::remove_file(temporary)?;
            // It counts as new: whoever keeps it again needs it from now on.
            File::options()
                .write(true)
                .open(&path)?
                .set_modified(SystemTime::now())?;
        } else {
            fs::rename(temporary, &path)?;
        }
        points::pass(Point::SpoolMoved);
        // Also when another process has just put it there, or made the folder.
        File::open(&folder)?.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        points::pass(Point::SpoolKept);
        Ok(Spooled { hash, size, path })
    }
}

fn tidy_folder(folder: &Path, needed: &BTreeSet<String>, age: Duration) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let touched = entry.metadata().and_then(|m| m.modified());
        let is_old = touched.is_ok_and(|at| at.elapsed().is_ok_and(|since| since >= age));
        if is_old && !needed.contains(&name) && fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

fn pour(reader: &mut dyn Read, file: &mut File) -> io::Result<(String, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0_u8; CHUNK_BYTES];
    let mut size = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        hasher.update(bytes);
        file.write_all(bytes)?;
        size += read as u64;
    }
    Ok((hasher.finalize().to_hex().to_string(), size))
}

fn private_file(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// A number that no other copy has: processes of several machines may share the folder, and those of
/// containers have the same ids.
fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut chance = [0_u8; 8];
    // Without it the process and the count still differ on one machine.
    rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty()).ok();
    u64::from_ne_bytes(chance) ^ NUMBER.fetch_add(1, Ordering::Relaxed)
}
