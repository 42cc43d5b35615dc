//! `on.object` over a folder: files that land in it, whole, once for each name and content.
//!
//! A file is taken when its writer has closed it or renamed it in, or when it has not changed for a
//! while. What it holds is copied into the spool first, and the key is made of its name and the
//! hash of that copy, so that the same file again is the same event and a changed file is a new one.

use crate::spool::{Spool, Spooled};
use globset::{GlobBuilder, GlobMatcher};
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecursiveMode, Watcher};
use oncely_core::Fut;
use oncely_core::event::Event;
use oncely_core::ids::EventKey;
use oncely_core::source::{
    Batch, Cursor, Problem, Receipt, Room, Source, SourceError, Sourced, Verdict,
};
use oncely_core::task::Existing;
use oncely_core::time::{Clock, Timestamp};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What is watched, and how.
#[derive(Clone)]
pub struct FolderConfig {
    /// The folder.
    pub folder: PathBuf,
    /// A glob that names below the folder must match; `*` does not cross `/`.
    pub pattern: String,
    /// What the task says about files that were there before it.
    pub existing: Option<Existing>,
    /// Where copies are kept.
    pub spool: Spool,
    /// How long a file must not have changed when nobody saw it being closed.
    pub settle: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Files that land in a folder.
pub struct Folder {
    looker: Arc<Mutex<Looker>>,
    doorbell: Arc<Doorbell>,
    existing: Option<Existing>,
    settle: Duration,
    /// Held so that the system goes on telling.
    _watcher: Option<notify::RecommendedWatcher>,
}

/// Rung when something changed in the folder.
#[derive(Default)]
struct Doorbell {
    bell: Notify,
    /// Files that were closed by their writer or renamed in.
    whole: Mutex<HashSet<PathBuf>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    size: u64,
    modified_nanos: i128,
    file: u64,
}

struct Looker {
    config: FolderConfig,
    matcher: GlobMatcher,
    doorbell: Arc<Doorbell>,
    /// Files that were there at the first look of a new task, and have not been taken since.
    before: Option<HashSet<PathBuf>>,
    /// Files that were dealt with, as they were then.
    seen: HashMap<PathBuf, Stat>,
    /// Files that may still be written, and since when they have looked like this.
    unsettled: HashMap<PathBuf, (Stat, i64)>,
    /// Files offered and not yet acknowledged.
    offered: HashMap<Receipt, (PathBuf, Stat)>,
    /// Problems that have been said.
    said: HashMap<PathBuf, String>,
    /// Files that were closed by their writer or renamed in, and not looked into since.
    closed: HashSet<PathBuf>,
}

/// The deepest folder below the watched one that is looked into.
const DEPTH: usize = 16;

/// Most files in the folder that are looked at.
const FILES: usize = 1_000_000;

impl Folder {
    /// Watches a folder.
    ///
    /// # Errors
    /// When the pattern is not a glob.
    pub fn new(config: FolderConfig) -> Result<Self, SourceError> {
        let matcher = GlobBuilder::new(&config.pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| SourceError {
                message: format!("match = {:?} is not a pattern: {error}", config.pattern),
                again_after: Duration::from_secs(60),
            })?
            .compile_matcher();
        let doorbell = Arc::new(Doorbell::default());
        // The names that the system tells of are compared with those that are found.
        let real = config.folder.canonicalize();
        let watcher = watch(real.as_ref().unwrap_or(&config.folder), &doorbell);
        let (existing, settle) = (config.existing, config.settle);
        let looker = Looker {
            config,
            matcher,
            doorbell: Arc::clone(&doorbell),
            before: None,
            seen: HashMap::new(),
            unsettled: HashMap::new(),
            offered: HashMap::new(),
            said: HashMap::new(),
            closed: HashSet::new(),
        };
        Ok(Self {
            looker: Arc::new(Mutex::new(looker)),
            doorbell,
            existing,
            settle,
            _watcher: watcher,
        })
    }

    fn waits(&self) -> bool {
        let looker = self.looker.lock().unwrap_or_else(PoisonError::into_inner);
        !looker.unsettled.is_empty()
    }
}

/// Where the system cannot tell of changes, the folder is looked at now and again.
fn watch(folder: &Path, doorbell: &Arc<Doorbell>) -> Option<notify::RecommendedWatcher> {
    let doorbell = Arc::clone(doorbell);
    let told = move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && may_matter(&event.kind)
        {
            if is_whole(&event.kind) {
                let mut whole = doorbell
                    .whole
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                whole.extend(event.paths);
            }
            doorbell.bell.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    match watcher.watch(folder, RecursiveMode::Recursive) {
        Ok(()) => Some(watcher),
        Err(error) => {
            tracing::warn!(
                "{} is not watched, only looked at: {error}",
                folder.display()
            );
            None
        }
    }
}

/// Looking at a folder opens it, and being told of that would mean looking again, for ever.
fn may_matter(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(_) => is_whole(kind),
        EventKind::Remove(_) => false,
        _ => true,
    }
}

fn is_whole(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
    )
}

impl Source for Folder {
    fn poll<'a>(
        &'a mut self,
        after: Option<&'a Cursor>,
        room: Room,
    ) -> Fut<'a, Result<Batch, SourceError>> {
        let looker = Arc::clone(&self.looker);
        let first = after.is_none();
        Box::pin(async move {
            let looking = tokio::task::spawn_blocking(move || {
                let mut looker = looker.lock().unwrap_or_else(PoisonError::into_inner);
                looker.look(first, room)
            });
            looking.await.unwrap_or_else(|panic| {
                Err(SourceError {
                    message: format!("looking at the folder went wrong: {panic}"),
                    again_after: Duration::from_secs(5),
                })
            })
        })
    }

    fn changed(&mut self) -> Fut<'_, ()> {
        let settle = self.waits().then_some(self.settle);
        Box::pin(async move {
            let rung = self.doorbell.bell.notified();
            match settle {
                None => rung.await,
                // A file that nobody closes is looked at again once it may have settled.
                Some(settle) => {
                    let _ = tokio::time::timeout(settle, rung).await;
                }
            }
        })
    }

    fn acknowledge<'a>(
        &'a mut self,
        verdicts: Vec<(Receipt, Verdict)>,
    ) -> Fut<'a, Result<(), SourceError>> {
        let mut looker = self.looker.lock().unwrap_or_else(PoisonError::into_inner);
        for (receipt, _) in verdicts {
            if let Some((path, stat)) = looker.offered.remove(&receipt) {
                if let Some(before) = &mut looker.before {
                    before.remove(&path);
                }
                looker.seen.insert(path, stat);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn existing(&self) -> Option<Existing> {
        self.existing
    }
}

enum Found {
    Event(Box<Sourced>),
    NotYet,
    Problem(String),
}

impl Looker {
    fn look(&mut self, first: bool, room: Room) -> Result<Batch, SourceError> {
        let root = self.root()?;
        self.hear();
        let mut batch = Batch::default();
        let mut files = Vec::new();
        self.walk(&root, &root, 0, &mut files, &mut batch.problems);
        files.sort();
        if first && self.before.is_none() {
            self.before = Some(files.iter().cloned().collect());
        }
        self.forget_missing(&files);
        let mut waits = false;
        for path in files {
            if batch.events.len() >= room.events {
                batch.more = true;
                break;
            }
            let existing = first && self.was_before(&path);
            match self.file(&root, &path, existing) {
                Ok(Some(Found::Event(event))) => batch.events.push(*event),
                Ok(Some(Found::NotYet)) => waits |= existing,
                Ok(Some(Found::Problem(message))) => self.say(&path, message, &mut batch.problems),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!(
                        "it cannot be taken: {error}. It stays where it is and is tried again."
                    );
                    self.say(&path, message, &mut batch.problems);
                }
            }
        }
        if first && !batch.more && !waits {
            batch.cursor = Some(Cursor("listed".into()));
        }
        Ok(batch)
    }

    /// Whether the file was there at the first look, and has not been taken since.
    fn was_before(&self, path: &Path) -> bool {
        self.before.as_ref().is_some_and(|b| b.contains(path))
    }

    /// Takes what the system told of before the folder is looked at, so that each file that it
    /// named is either found or gone.
    fn hear(&mut self) {
        let mut whole = self
            .doorbell
            .whole
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.closed.extend(whole.drain());
    }

    fn root(&self) -> Result<PathBuf, SourceError> {
        let root = self.config.folder.canonicalize();
        let readable = root.and_then(|root| fs::read_dir(&root).map(|_| root));
        readable.map_err(|error| SourceError {
            message: format!(
                "the folder {} cannot be read: {error}. Make it, or correct `source` in the task \
                 file; files that land there meanwhile are found then.",
                self.config.folder.display()
            ),
            again_after: Duration::from_secs(2),
        })
    }

    fn walk(
        &mut self,
        root: &Path,
        folder: &Path,
        depth: usize,
        files: &mut Vec<PathBuf>,
        problems: &mut Vec<Problem>,
    ) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if hidden || files.len() >= FILES {
                continue;
            }
            if kind.is_dir() && depth < DEPTH {
                self.walk(root, &path, depth + 1, files, problems);
            } else if self.is_wanted(root, &path) {
                if kind.is_file() {
                    files.push(path);
                } else if kind.is_symlink() {
                    self.follow(root, path, files, problems);
                }
            }
        }
    }

    fn is_wanted(&self, root: &Path, path: &Path) -> bool {
        path.strip_prefix(root)
            .is_ok_and(|name| self.matcher.is_match(name))
    }

    /// A link is followed only to a file inside the folder.
    fn follow(
        &mut self,
        root: &Path,
        path: PathBuf,
        files: &mut Vec<PathBuf>,
        problems: &mut Vec<Problem>,
    ) {
        match path.canonicalize() {
            Ok(target) if target.starts_with(root) => {
                if target.is_file() {
                    files.push(path);
                }
            }
            Ok(_) => {
                let message = "it is a link that leads out of the folder, so it is not read. Put \
                               the file itself there."
                    .to_owned();
                self.say(&path, message, problems);
            }
            Err(_) => {}
        }
    }

    fn forget_missing(&mut self, files: &[PathBuf]) {
        let there: HashSet<&PathBuf> = files.iter().collect();
        self.seen.retain(|path, _| there.contains(path));
        self.unsettled.retain(|path, _| there.contains(path));
        if let Some(before) = &mut self.before {
            before.retain(|path| there.contains(path));
        }
        self.closed.retain(|path| there.contains(path));
        self.said
            .retain(|path, _| there.contains(path) || path.is_symlink());
    }

    fn say(&mut self, path: &Path, message: String, problems: &mut Vec<Problem>) {
        if self.said.get(path) != Some(&message) {
            let about = path.display().to_string();
            problems.push(Problem {
                about,
                message: message.clone(),
            });
            self.said.insert(path.to_owned(), message);
        }
    }

    fn file(&mut self, root: &Path, path: &Path, existing: bool) -> io::Result<Option<Found>> {
        let stat = stat_of(&fs::metadata(path)?);
        // What was written again may look the same, where the clock of the disk is coarse.
        if self.seen.get(path) == Some(&stat) && !self.closed.contains(path) {
            return Ok(None);
        }
        let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) else {
            let message = "its name is not UTF-8, so it cannot be named in a task. Rename it.";
            return Ok(Some(Found::Problem(message.into())));
        };
        if !self.is_settled(path, stat) {
            return Ok(Some(Found::NotYet));
        }
        let mut file = File::open(path)?;
        if !is_inside(root, &file)? {
            return Ok(Some(Found::NotYet));
        }
        if stat_of(&file.metadata()?) != stat {
            return Ok(Some(Found::NotYet));
        }
        let spooled = self.config.spool.keep(&mut file)?;
        if stat_of(&file.metadata()?) != stat || spooled.size != stat.size {
            self.unsettled
                .insert(path.to_owned(), (stat, self.config.clock.boot_millis()));
            return Ok(Some(Found::NotYet));
        }
        self.unsettled.remove(path);
        let event = self.event(name, path, stat, &spooled, existing);
        Ok(Some(Found::Event(Box::new(event))))
    }

    /// Whether the file is whole: its writer closed it, or it has not changed for a while.
    fn is_settled(&mut self, path: &Path, stat: Stat) -> bool {
        let closed = self.closed.remove(path);
        let now = self.config.clock.boot_millis();
        let since = match self.unsettled.get(path) {
            Some((known, since)) if *known == stat => *since,
            _ => {
                self.unsettled.insert(path.to_owned(), (stat, now));
                now
            }
        };
        let settle = i64::try_from(self.config.settle.as_millis()).unwrap_or(i64::MAX);
        closed || now.saturating_sub(since) >= settle
    }

    fn event(
        &mut self,
        name: &str,
        path: &Path,
        stat: Stat,
        spooled: &Spooled,
        existing: bool,
    ) -> Sourced {
        let short = spooled.hash.get(..32).unwrap_or(&spooled.hash);
        let key = format!("{name}#{short}");
        let receipt = Receipt(key.clone());
        self.offered
            .insert(receipt.clone(), (path.to_owned(), stat));
        let modified = i64::try_from(stat.modified_nanos / 1_000_000).unwrap_or(0);
        let data = serde_json::json!({
            "key": key,
            "name": name,
            "path": spooled.path,
            "url": format!("file://{}", spooled.path.display()),
            "size": spooled.size,
            "hash": spooled.hash,
            "modified": modified,
        });
        let event = Event {
            key: EventKey::from(key),
            at: self.now(),
            data,
        };
        Sourced {
            event,
            receipt,
            existing,
        }
    }

    fn now(&self) -> Timestamp {
        self.config.clock.now()
    }
}

/// Whether what was opened lies in the folder: a name may have become a link since it was found.
fn is_inside(root: &Path, file: &File) -> io::Result<bool> {
    let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(opened.starts_with(root))
}

fn stat_of(metadata: &fs::Metadata) -> Stat {
    let nanos = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Stat {
        size: metadata.len(),
        modified_nanos: nanos,
        file: metadata.ino(),
    }
}

/// Whether a name below the folder matches a pattern, as the source would say.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(name))
}
