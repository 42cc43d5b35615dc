//! Copies of what runs will read, by content: a run never reads the watched path again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

    fn copy(&self, reader: &mut dyn Read, temporary: &Path) -> io::Result<Spooled> {
        let mut file = private_file(temporary)?;
        let (hash, size) = pour(reader, &mut file)?;
        file.sync_all()?;
        let folder = self.folder.join(hash.get(..2).unwrap_or("00"));
        make_private(&folder)?;
        let path = folder.join(&hash);
        if path.metadata().is_ok_and(|m| m.len() == size) {
            fs::remove_file(temporary)?;
        } else {
            fs::rename(temporary, &path)?;
            File::open(&folder)?.sync_all()?;
        }
        Ok(Spooled { hash, size, path })
    }
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

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| u64::from(d.subsec_nanos()));
    (nanos << 20) | (NUMBER.fetch_add(1, Ordering::Relaxed) & 0xf_ffff)
}
