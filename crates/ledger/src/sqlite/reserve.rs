//! Room for what has happened: a file beside the ledger that takes up a part of its disk.
//!
//! On a full disk it is made shorter, piece by piece and each time only as much as is used at once, so that
//! the outcomes of effects already done are recorded; it is made whole again when there is room. The file
//! speaks to every process that shares the ledger: while it is short, nothing new is begun.

use super::place::{folder_of, with_ending};
use oncely_core::limits;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a file takes up and gives back whole.
const BLOCK: u64 = 4096;
/// The smallest reserve.
const SMALLEST: u64 = 16 * BLOCK;
/// The first piece that is given back; the next one is twice as large.
const PIECE: u64 = 16 * BLOCK;
/// Pieces that are given back for one commit, until nothing can be left of the largest reserve.
pub(crate) const PIECES: u32 = 8;

/// The reserve of a ledger.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    whole: u64,
}

impl Reserve {
    /// The reserve beside a ledger, which may not be there yet. A small disk has a small one.
    pub(crate) fn of(ledger: &Path) -> Self {
        let path = with_ending(ledger, "-reserve");
        let disk = Disk::of(&path).map_or(u64::MAX, |disk| disk.all);
        let whole = (disk / limits::RESERVE_PART).clamp(SMALLEST, limits::RESERVE_BYTES);
        Self {
            path,
            whole: whole / BLOCK * BLOCK,
        }
    }

    /// None: who does not wait for the disk has nothing to lose on it.
    pub(crate) fn none(ledger: &Path) -> Self {
        Self {
            whole: 0,
            ..Self::of(ledger)
        }
    }

    /// How long the write-ahead log may be, in pages, until it is copied back. Not every page of it is one
    /// that the file has to grow by, so that it can be copied back with what the reserve has.
    pub(crate) fn log_pages(&self) -> u32 {
        u32::try_from(2 * self.whole / BLOCK).unwrap_or(u32::MAX)
    }

    /// Makes it where there is none yet. A disk that is almost full has none.
    pub(crate) fn make(&self) {
        if self.whole > 0 && !self.path.exists() && !self.take() {
            std::fs::remove_file(&self.path).ok();
        }
    }

    /// Whether the disk was found full, and room was not found since.
    pub(crate) fn is_short(&self) -> bool {
        self.len().is_some_and(|len| len < self.whole)
    }

    /// Whether the disk was found full, and there is no room at this moment. Changes nothing.
    pub(crate) fn has_no_room(&self) -> bool {
        self.is_short() && !self.fits()
    }

    /// Says to everybody that the disk is full.
    pub(crate) fn mark(&self) {
        if self.whole > 0 && self.len().is_none_or(|len| len >= self.whole) {
            self.cut(self.whole - BLOCK).ok();
        }
    }

    /// Gives so many bytes back; false when nothing is left.
    pub(crate) fn give(&self, bytes: u64) -> bool {
        let left = self.left();
        let bytes = bytes.div_ceil(BLOCK).saturating_mul(BLOCK);
        left > 0 && self.cut(left.saturating_sub(bytes)).is_ok()
    }

    /// Gives the piece back that this try has; false when nothing is left.
    pub(crate) fn give_piece(&self, tried: u32) -> bool {
        tried < PIECES && self.give(PIECE << tried)
    }

    /// Bytes that can be given back, and those that are free beside them.
    pub(crate) fn within_reach(&self) -> u64 {
        let free = Disk::of(&self.path).map_or(0, |disk| disk.free);
        self.left().saturating_add(free)
    }

    /// Takes up its room again, if there is that much and half as much to work with. Where the file
    /// system sets nothing apart, there is no reserve, and there is room for as long as it says so.
    pub(crate) fn take(&self) -> bool {
        if !self.fits() {
            return false;
        }
        let left = self.left();
        match self.open().and_then(|file| fill(&file, left, self.whole)) {
            Ok(()) => true,
            Err(error) if is_full(&error) => {
                // A part of it would look like more than was given.
                self.cut(left).ok();
                false
            }
            Err(error) => {
                tracing::debug!(%error, "there is no reserve for a full disk");
                std::fs::remove_file(&self.path).ok();
                true
            }
        }
    }

    fn fits(&self) -> bool {
        let wanted = self.whole - self.left().min(self.whole) + self.whole / 2;
        Disk::of(&self.path).is_ok_and(|disk| disk.free >= wanted)
    }

    fn len(&self) -> Option<u64> {
        self.path.metadata().ok().map(|found| found.len())
    }

    fn left(&self) -> u64 {
        self.len().unwrap_or(0)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        // What was not there is not made up for by a file without blocks.
        self.open()?.set_len(len.min(self.left()))
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&self.path)
    }
}

/// A disk, as its file system says.
struct Disk {
    all: u64,
    free: u64,
}

impl Disk {
    fn of(path: &Path) -> io::Result<Self> {
        let found = statvfs(folder_of(path))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        // One that has no bound says that it has nothing.
        Ok(match found.f_blocks {
            0 => Self {
                all: u64::MAX,
                free: u64::MAX,
            },
            all => Self {
                all: bytes(all),
                free: bytes(found.f_bavail),
            },
        })
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Has blocks from one place to another, whatever the file system can.
fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let bytes = to.saturating_sub(from);
    if bytes == 0 {
        return Ok(());
    }
    let filled = fallocate(file, FallocateFlags::empty(), from, bytes).map_err(io::Error::from);
    match filled {
        Err(error) if !is_full(&error) => write_out(file, from, to),
        filled => filled,
    }
}

/// Bytes of chance, since some file systems keep no blocks for zeros.
fn write_out(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut chance = blake3::Hasher::new().update(b"reserve").finalize_xof();
    let mut block = vec![0_u8; usize::try_from(BLOCK).unwrap_or(0)];
    let mut at = from;
    while at < to {
        chance.fill(&mut block);
        file.write_all_at(&block, at)?;
        at += BLOCK;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn made() -> (tempfile::TempDir, Reserve) {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(&folder.path().join("ledger.db"));
        (folder, reserve)
    }

    #[test]
    fn a_reserve_is_private_has_its_blocks_and_is_given_back_by_the_piece() {
        let (_folder, reserve) = made();
        assert!(!reserve.is_short() && !reserve.give(1), "there is none yet");
        reserve.make();
        let found = || reserve.path.metadata().unwrap();
        assert_eq!(found().len(), limits::RESERVE_BYTES);
        assert!(found().blocks() * 512 >= found().len());
        assert_eq!(found().permissions().mode() & 0o777, 0o600);
        assert!(!reserve.is_short());
        reserve.mark();
        assert!(reserve.is_short());
        let marked = found().len();
        reserve.mark();
        assert_eq!(found().len(), marked, "it is said once");
        assert!(reserve.give(1), "whole blocks");
        assert_eq!(found().len(), marked - BLOCK);
        assert_eq!(found().blocks() * 512, found().len());
        reserve.make();
        assert!(reserve.is_short(), "whoever takes it says so");
        assert!(!reserve.has_no_room(), "there is room");
        assert!(reserve.take() && !reserve.is_short());
        assert_eq!(found().blocks() * 512, limits::RESERVE_BYTES);
    }

    #[test]
    fn what_one_commit_may_take_is_all_that_there_is() {
        let (_folder, reserve) = made();
        reserve.make();
        let given = (0..PIECES).filter(|tried| reserve.give_piece(*tried));
        assert_eq!(given.count(), 8);
        assert_eq!(reserve.left(), 0);
        assert!(!reserve.give_piece(0) && !reserve.give_piece(PIECES));
    }

    #[test]
    fn a_file_system_that_sets_nothing_apart_is_written_to() {
        let (_folder, reserve) = made();
        write_out(&reserve.open().unwrap(), BLOCK, 3 * BLOCK).unwrap();
        let found = reserve.path.metadata().unwrap();
        assert_eq!((found.len(), found.blocks() * 512), (3 * BLOCK, 2 * BLOCK));
    }

    #[test]
    fn a_reserve_that_somebody_has_deleted_says_that_the_disk_is_full_all_the_same() {
        let (_folder, reserve) = made();
        reserve.mark();
        assert!(reserve.is_short() && !reserve.has_no_room());
        assert!(!reserve.give(1));
        assert!(reserve.take() && !reserve.is_short());
    }

    #[test]
    fn who_has_no_reserve_neither_makes_one_nor_says_anything() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::none(&folder.path().join("ledger.db"));
        reserve.make();
        reserve.mark();
        assert!(!reserve.path.exists());
        assert!(!reserve.is_short() && !reserve.has_no_room() && !reserve.give_piece(0));
    }
}
