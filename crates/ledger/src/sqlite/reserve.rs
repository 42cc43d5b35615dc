//! Room for what has happened: a file beside the ledger that is given back when the disk is full, so
//! that the outcomes of effects already done can be recorded, and made again when there is room.
//!
//! The file speaks to every process that shares the ledger: with its size the disk has room, empty it
//! has none.

use super::jobs::{Job, Request};
use super::place::{folder_of, with_ending};
use oncely_core::fact::Fact;
use oncely_core::ledger::{Guard, ItemEvent, LedgerError, Op, Unit};
use oncely_core::limits;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The reserve of a ledger.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
}

/// Whether the disk of the ledger in this file was found full, and there is still no room. Changes
/// nothing.
pub(crate) fn is_missing(ledger: &Path) -> bool {
    let reserve = Reserve::of(ledger);
    reserve.is_given() && reserve.wanted().is_err_and(|error| is_full(&error))
}

impl Reserve {
    /// The reserve beside a ledger.
    pub(crate) fn of(ledger: &Path) -> Self {
        Self {
            path: with_ending(ledger, "-reserve"),
        }
    }

    /// Makes it where there is none yet.
    pub(crate) fn make(&self) {
        if !self.path.exists() {
            self.take();
        }
    }

    /// Whether its room was given back.
    pub(crate) fn is_given(&self) -> bool {
        self.path.metadata().is_ok_and(|found| found.len() == 0)
    }

    /// Gives its room back; false when that has been done, or there never was any.
    pub(crate) fn give(&self) -> bool {
        let there = self.path.metadata().is_ok_and(|found| found.len() > 0);
        there && self.open().and_then(|file| file.set_len(0)).is_ok()
    }

    /// Takes its room, if there is that much and as much again to work with. Where the file system
    /// cannot set anything apart, there is no reserve, and there is room as long as it says so.
    pub(crate) fn take(&self) -> bool {
        match self.taken() {
            Ok(()) => true,
            Err(error) if is_full(&error) => {
                // Half a reserve would say that there is room.
                self.open().and_then(|file| file.set_len(0)).ok();
                false
            }
            Err(_) => {
                std::fs::remove_file(&self.path).ok();
                true
            }
        }
    }

    fn taken(&self) -> io::Result<()> {
        let wanted = self.wanted()?;
        fill(self.open()?, wanted)
    }

    /// How large it is to be, where there is that much and as much again; a small disk has a small one.
    fn wanted(&self) -> io::Result<u64> {
        let folder = folder_of(&self.path);
        let found = statvfs(&folder)?;
        let small = found.f_blocks.saturating_mul(found.f_frsize) / limits::RESERVE_PART;
        let wanted = small.clamp(1, limits::RESERVE_BYTES);
        if found.f_bavail.saturating_mul(found.f_frsize) < 2 * wanted {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(wanted)
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&self.path)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Has the blocks for so many bytes, whatever the file system can.
fn fill(mut file: File, bytes: u64) -> io::Result<()> {
    match fallocate(&file, FallocateFlags::empty(), 0, bytes).map_err(io::Error::from) {
        Err(error) if !is_full(&error) => {
            let zeros = vec![0_u8; usize::try_from(bytes).unwrap_or(0)];
            file.write_all(&zeros)?;
            file.sync_all()
        }
        filled => filled,
    }
}

/// Answers everybody who would begin something; those who record what has happened stay.
pub(crate) fn turn_away(queue: &mut VecDeque<Job>, ledger: &Path) {
    let (kept, refused): (VecDeque<Job>, VecDeque<Job>) =
        std::mem::take(queue).into_iter().partition(only_records);
    *queue = kept;
    for job in refused {
        job.fail(LedgerError::Full(ledger.display().to_string()));
    }
}

fn only_records(job: &Job) -> bool {
    match &job.request {
        Request::Commit(units) => units.iter().all(records),
        Request::Lease(..) => false,
        Request::Renew => true,
    }
}

/// A unit of whoever holds a run, which says what became of it and begins nothing.
fn records(unit: &Unit) -> bool {
    let held = unit
        .guards
        .iter()
        .any(|guard| matches!(guard, Guard::Fence(..)));
    held && unit.ops.iter().all(|op| match op {
        Op::Facts { facts, .. } => !facts.iter().any(|fact| matches!(fact, Fact::Intent { .. })),
        Op::ItemFacts { facts, .. } => !facts
            .iter()
            .any(|fact| matches!(fact.what, ItemEvent::Intent { .. })),
        Op::Items { set_aside, .. } => set_aside.is_empty(),
        Op::Run { .. } | Op::Wake(..) | Op::Release(..) | Op::ReleaseName(..) => true,
        Op::Admit(_) | Op::Sql(_) | Op::Store(..) | Op::Cursor(..) | Op::Files(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    #[test]
    fn a_reserve_is_private_has_its_blocks_and_is_given_and_taken() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        let reserve = Reserve::of(&ledger);
        assert!(!reserve.is_given() && !reserve.give(), "there is none yet");
        reserve.make();
        let found = reserve.path.metadata().unwrap();
        assert!(found.len() > 0 && found.len() <= limits::RESERVE_BYTES);
        assert!(found.blocks() * 512 >= found.len(), "{found:?}");
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert!(reserve.give() && reserve.is_given() && !reserve.give());
        assert!(!is_missing(&ledger), "there is room");
        assert_eq!(reserve.path.metadata().unwrap().blocks(), 0);
        reserve.make();
        assert!(reserve.is_given(), "whoever takes it says so");
        assert!(reserve.take() && !reserve.is_given());
    }
}
