//! Disks that fail: one that loses its power, and one that refuses a single thing.

use crate::dice::Dice;
use oncely_vfs::{Disk, Op};
use rusqlite::ffi;
use std::collections::HashMap;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A sector: what a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A disk that keeps what is written in memory until it is synced, and loses its power at some moment.
pub(crate) struct Power {
    inner: Mutex<Inner>,
}

struct Inner {
    /// So many more changes, and the power is gone.
    left: u64,
    gone: bool,
    /// What was going on then.
    during: Option<&'static str>,
    files: HashMap<PathBuf, Stored>,
}

/// A file: what is on the disk, and what is on its way there.
#[derive(Default)]
struct Stored {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Its name is still to go from the folder.
    deleted: bool,
    /// Its name is still to come into the folder.
    new: bool,
}

impl Stored {
    /// A log or a journal is made when it is opened; the database was there before.
    fn at(file: &Path) -> Self {
        let new = file.extension().is_some_and(|ending| ending != "db");
        Self {
            new,
            ..Self::default()
        }
    }
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// What became of the changes that were on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Changes that were on their way.
    pub pending: u64,
    /// Of these, wholly lost.
    pub lost: u64,
    /// Of these, written in part.
    pub torn: u64,
}

impl Power {
    pub(crate) fn new(changes: u64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                left: changes,
                gone: false,
                during: None,
                files: HashMap::new(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.inner().gone
    }

    /// The power goes now, if it is still there.
    pub(crate) fn cut(&self) {
        self.inner().gone = true;
    }

    /// What was going on when the power went.
    pub(crate) fn during(&self) -> &'static str {
        self.inner().during.unwrap_or("end")
    }

    /// Writes what the disk holds to another folder. What was not synced is there, lost, or torn.
    pub(crate) fn leave(&self, folder: &Path, dice: &mut Dice) -> std::io::Result<Losses> {
        let mut losses = Losses::default();
        // How likely a sector is to have been written, in tenths: often none or all.
        let likely = [0, 0, 3, 5, 8, 10, 10][usize::try_from(dice.between(0, 6)).unwrap_or(0)];
        let inner = self.inner();
        let mut files: Vec<_> = inner.files.iter().collect();
        files.sort_by_key(|(path, _)| *path);
        for (path, stored) in files {
            let mut content = stored.durable.clone();
            for change in &stored.pending {
                losses.pending += 1;
                apply_some(&mut content, change, likely, dice, &mut losses);
            }
            let uncertain = stored.deleted || stored.new;
            if uncertain && dice.once_in(2) {
                continue;
            }
            if let Some(name) = path.file_name() {
                std::fs::write(folder.join(name), content)?;
            }
        }
        Ok(losses)
    }
}

fn apply_some(
    content: &mut Vec<u8>,
    change: &Change,
    likely: u64,
    dice: &mut Dice,
    losses: &mut Losses,
) {
    match change {
        Change::Truncate(size) => match dice.between(1, 10) <= likely {
            true => content.resize(*size, 0),
            false => losses.lost += 1,
        },
        Change::Write(at, bytes) => {
            let mut kept = 0;
            let mut sectors = 0;
            for part in sectors_of(*at, bytes.len()) {
                sectors += 1;
                if dice.between(1, 10) <= likely {
                    kept += 1;
                    put(
                        content,
                        at + part.start,
                        bytes.get(part).unwrap_or_default(),
                    );
                }
            }
            losses.lost += u64::from(kept == 0);
            losses.torn += u64::from(kept > 0 && kept < sectors);
        }
    }
}

/// The parts of a write that lie in one sector each.
fn sectors_of(at: usize, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from;
        let end = len.min(((at + start) / SECTOR + 1) * SECTOR - at);
        from = end;
        (start < len).then_some(start..end)
    })
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

impl Change {
    fn of(op: &Op<'_>) -> Option<Self> {
        match op {
            Op::Write(at, bytes) => Some(Self::Write(usize::try_from(*at).ok()?, bytes.to_vec())),
            Op::Truncate(size) => Some(Self::Truncate(usize::try_from(*size).ok()?)),
            _ => None,
        }
    }

    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => put(content, at, &bytes),
            Self::Truncate(size) => content.resize(size, 0),
        }
    }
}

impl Disk for Power {
    fn before(&self, file: &Path, op: &Op<'_>) -> Option<c_int> {
        let mut inner = self.inner();
        if inner.gone {
            return Some(ffi::SQLITE_IOERR);
        }
        if matches!(op, Op::Open | Op::Read) {
            return None;
        }
        inner.left = inner.left.saturating_sub(1);
        if inner.left > 0 {
            return None;
        }
        inner.gone = true;
        inner.during = Some(during(file, op));
        // It was on its way too.
        if let Some(change) = Change::of(op) {
            let new = || Stored::at(file);
            let stored = inner.files.entry(file.to_owned()).or_insert_with(new);
            stored.pending.push(change);
        }
        Some(ffi::SQLITE_IOERR)
    }

    fn after(&self, file: &Path, op: &Op<'_>) {
        let mut inner = self.inner();
        let new = || Stored::at(file);
        let stored = inner.files.entry(file.to_owned()).or_insert_with(new);
        match op {
            Op::Open if stored.deleted => *stored = Stored::at(file),
            Op::Open | Op::Read | Op::Name => {}
            Op::Write(..) | Op::Truncate(_) => stored.pending.extend(Change::of(op)),
            Op::Sync => {
                for change in std::mem::take(&mut stored.pending) {
                    change.apply(&mut stored.durable);
                }
                // SQLite syncs the folder with the first sync of a file that it has made.
                if std::mem::take(&mut stored.new) {
                    inner.files.retain(|_, stored| !stored.deleted);
                }
            }
            Op::Delete(true) => {
                inner.files.remove(file);
            }
            Op::Delete(false) => stored.deleted = true,
        }
    }
}

/// In words, for what was seen.
fn during(file: &Path, op: &Op<'_>) -> &'static str {
    let log = file.extension().is_some_and(|ending| ending == "db-wal");
    match (op, log) {
        (Op::Sync, true) => "sync of the log",
        (Op::Sync, false) => "sync of the database",
        (Op::Delete(_), _) => "deleting",
        (_, true) => "write to the log",
        (_, false) => "write to the database",
    }
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A write.
    Write,
    /// A sync.
    Sync,
    /// Opening a file.
    Open,
    /// Reading.
    Read,
    /// Cutting a file.
    Truncate,
    /// Deleting one.
    Delete,
}

/// A disk that refuses one thing, with a code of SQLite; from then on all of that kind if it is stuck.
pub(crate) struct Refusing {
    kind: Kind,
    code: c_int,
    stuck: bool,
    /// So many more, and one is refused.
    left: Mutex<u64>,
}

impl Refusing {
    pub(crate) fn new(kind: Kind, code: c_int, stuck: bool, nth: u64) -> Self {
        let left = Mutex::new(nth);
        Self {
            kind,
            code,
            stuck,
            left,
        }
    }

    /// Whether something was refused.
    pub(crate) fn has_refused(&self) -> bool {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }
}

impl Disk for Refusing {
    fn before(&self, _file: &Path, op: &Op<'_>) -> Option<c_int> {
        let kind = match op {
            Op::Open => Kind::Open,
            Op::Read => Kind::Read,
            Op::Write(..) => Kind::Write,
            Op::Truncate(_) => Kind::Truncate,
            Op::Sync => Kind::Sync,
            Op::Delete(_) | Op::Name => Kind::Delete,
        };
        if kind != self.kind {
            return None;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left == 0 {
            return self.stuck.then_some(self.code);
        }
        *left -= 1;
        (*left == 0).then_some(self.code)
    }

    fn after(&self, _file: &Path, _op: &Op<'_>) {}
}
