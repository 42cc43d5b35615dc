//! A ledger in a SQLite file: the handle that the engine holds.

use super::batch::Me;
use super::behind;
use super::jobs::{Done, Job, Message, Request};
use super::keeper::Keeper;
use super::open::{self, Options};
use super::reader::{self, Readers};
use super::reserve::Reserve;
use super::rows::Tasks;
use super::turn::{self, Turn};
use super::writer::Writer;
use super::{holders, next_change, words};
use crate::clock::boot_id;
use crate::sql::Warden;
use oncely_core::Fut;
use oncely_core::forget::Forget;
use oncely_core::ids::HolderId;
use oncely_core::ledger::{
    Answer, Change, Claim, Leased, Ledger, LedgerError, Query, Unit, UnitResult, What,
};
use oncely_core::prune::{Prune, Pruned};
use oncely_core::time::Clock;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the end of a process waits for its writer.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A ledger in a SQLite file.
pub struct SqliteLedger {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    writer: Sender<Message>,
    ended: Mutex<Receiver<()>>,
    name: String,
    wait: Duration,
}

/// What the handle and its writer share.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) holder: AtomicI64,
    pub(crate) watchers: AtomicUsize,
    pub(crate) abandoned: AtomicBool,
    pub(crate) check_facts: bool,
    changes: watch::Sender<u64>,
}

impl Shared {
    /// Something has changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl SqliteLedger {
    /// Opens a ledger.
    ///
    /// # Errors
    /// When there is none and none was to be made, or it cannot be used: what is wrong, where, and
    /// what to do.
    pub fn open(path: &Path, options: Options) -> Result<Self, LedgerError> {
        let known = |error| words::database(path, &error);
        let mut conn = open::open(path, &options)?;
        let name = open::name(path, &conn)?;
        let term = behind::check(path, &conn, &name, options.may_be_behind)?;
        let warden = Warden::install(&mut conn, options.sql_budget).map_err(known)?;
        let boot = boot_id();
        let id = holders::new_id(&boot);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            clock: options.clock.clone(),
            holder: AtomicI64::new(id.0),
            watchers: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
            check_facts: options.check_facts,
            changes: watch::channel(1).0,
        });
        let (writer, inbox) = channel();
        let me = Me {
            id,
            role: options.role.clone(),
            boot,
            lease_ms: i64::try_from(options.lease.as_millis()).unwrap_or(i64::MAX),
            file: None,
            registered: false,
            lost: false,
        };
        let thread = Writer {
            conn,
            warden,
            turn: Turn::open(path)?,
            reserve: match options.synced {
                true => Reserve::of(path),
                false => Reserve::none(path),
            },
            tried: 0,
            me,
            shared: shared.clone(),
            inbox,
            tasks: Tasks::default(),
            seen: 0,
            renewed: 0,
            careful: 0,
            closing: false,
            keeper: Keeper::new(path.to_owned(), name.clone(), term),
        };
        Ok(Self {
            ended: Mutex::new(start(path, thread)?),
            readers: Arc::new(Readers::new(path)),
            shared,
            writer,
            name,
            wait: options.wait,
        })
    }

    /// Writes everything as JSON lines, from one consistent state. Each line has a `kind` that says
    /// what it is: `ledger`, `run` (with its event), `fact`, `progress`, `set_aside`, `item_fact`,
    /// `cursor`, `name`. Runs come in the order of their numbers, each followed by what belongs to
    /// it.
    ///
    /// Blocks. The write-ahead log cannot be cut while this goes on.
    ///
    /// # Errors
    /// When the ledger cannot be read, or the writer does not take it.
    pub fn export(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let path = &self.shared.path;
        let known = |error| words::written_out(path, error);
        let conn = reader::open(path)
            .map_err(io::Error::other)
            .map_err(known)?;
        crate::export::sqlite(&conn, out).map_err(known)
    }

    /// Counts what the ledger holds, and what it takes on the disk. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn stats(&self) -> Result<crate::Stats, LedgerError> {
        let path = &self.shared.path;
        self.readers.with(|conn| {
            let tx = conn.unchecked_transaction()?;
            super::stats::stats(path, &tx)
        })
    }

    /// Whether the disk of a ledger in a file was found full, and there is no room yet.
    #[must_use]
    pub fn is_full(path: &Path) -> bool {
        Reserve::of(path).has_no_room()
    }

    /// Looks the ledger over, while others work on it: the database, and each run with its key, its
    /// chain and its facts. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn verify(&self) -> Result<crate::Verified, LedgerError> {
        self.readers.with(super::verify::verify)
    }

    /// How the ledger is behind its head, if it is: see [`Options::may_be_behind`].
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn behind(&self) -> Result<Option<String>, LedgerError> {
        let path = &self.shared.path;
        self.readers.with(|conn| behind::said(path, conn))
    }

    /// Takes the ledger for what it is: it gets another name, and its head is made from it, so that no
    /// process that knew the head before adds to it. Killed between the two, it is refused as before.
    ///
    /// # Errors
    /// When the ledger cannot be read or written, or the head not written.
    pub fn take_as_it_is(&self) -> Result<(), LedgerError> {
        behind::rename(&self.shared.path)?;
        let conn = reader::open(&self.shared.path)
            .map_err(|error| words::database(&self.shared.path, &error))?;
        behind::renew(&self.shared.path, &conn).map(drop)
    }

    /// Says in the head at once how far the log has come on the disk.
    ///
    /// # Errors
    /// When the head cannot be written.
    #[cfg(any(test, feature = "conformance"))]
    pub fn mark_log(&self) -> io::Result<()> {
        use super::head::{self, Beside};
        let log = oncely_vfs::log_mark(&self.shared.path);
        head::change(&self.shared.path, |found| match found {
            Beside::Head(mut head) => {
                head.add(0, log, None);
                Some(head)
            }
            Beside::Nothing | Beside::Broken => None,
        })
    }

    /// Takes what was overwritten out of the write-ahead log too; says whether that could be done. With
    /// `anew` the whole file is written anew, so that no free part of a page holds anything either:
    /// others wait meanwhile. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub fn wipe(&self, anew: bool) -> Result<bool, LedgerError> {
        super::wipe::wipe(&self.shared.path, anew)
    }

    /// Ends this handle as if its process had been killed: what it holds is freed by others.
    #[cfg(any(test, feature = "conformance"))]
    pub fn kill(self) {
        self.shared.abandoned.store(true, Ordering::Release);
    }

    /// Asks the writer, and gives up when it is not this process's turn for too long.
    async fn ask(&self, request: Request) -> Result<Done, LedgerError> {
        let (job, mut answer) = Job::new(request);
        let ticket = job.ticket.clone();
        let since = Instant::now();
        self.writer
            .send(Message::Job(job))
            .map_err(|_| LedgerError::Closed)?;
        if let Ok(answer) = tokio::time::timeout(self.wait, &mut answer).await {
            return answer.unwrap_or(Err(LedgerError::Closed));
        }
        if ticket.give_up() {
            return Err(LedgerError::Busy {
                pid: turn::who_is_inside(&self.shared.path),
                waited: since.elapsed(),
            });
        }
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }
}

fn start(path: &Path, writer: Writer) -> Result<Receiver<()>, LedgerError> {
    let (end, ended) = channel();
    std::thread::Builder::new()
        .name("oncely-ledger".into())
        .spawn(move || {
            writer.run();
            drop(end);
        })
        .map_err(|error| words::file(path, &error))?;
    Ok(ended)
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.readers.close();
        if self.writer.send(Message::Close).is_ok() {
            // Ends when the writer has dropped its end, or has been stuck for too long.
            let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
            ended.recv_timeout(CLOSE_WAIT).ok();
        }
    }
}

/// Somebody watches as long as this lives.
struct Watching<'a>(&'a AtomicUsize);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ledger for SqliteLedger {
    fn holder(&self) -> HolderId {
        HolderId(self.shared.holder.load(Ordering::Acquire))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn commit(&self, units: Vec<Unit>) -> Fut<'_, Result<Vec<UnitResult>, LedgerError>> {
        Box::pin(async move {
            if units.is_empty() {
                return Ok(Vec::new());
            }
            match self.ask(Request::Commit(units)).await? {
                Done::Units { results, .. } => Ok(results),
                Done::Leased(_) | Done::Freed(_) | Done::Pruned(_) | Done::Forgotten => {
                    Err(LedgerError::Closed)
                }
            }
        })
    }

    fn lease(&self, what: What, claim: Claim) -> Fut<'_, Result<Leased, LedgerError>> {
        Box::pin(async move {
            match self.ask(Request::Lease(what, claim)).await? {
                Done::Leased(leased) => Ok(leased),
                Done::Units { .. } | Done::Freed(_) | Done::Pruned(_) | Done::Forgotten => {
                    Err(LedgerError::Closed)
                }
            }
        })
    }

    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>> {
        Box::pin(async move {
            match self.ask(Request::Renew).await? {
                Done::Freed(freed) => Ok(freed),
                Done::Leased(_) | Done::Units { .. } | Done::Pruned(_) | Done::Forgotten => {
                    Err(LedgerError::Closed)
                }
            }
        })
    }

    fn prune(&self, part: Prune) -> Fut<'_, Result<Pruned, LedgerError>> {
        Box::pin(async move {
            match self.ask(Request::Prune(part)).await? {
                Done::Pruned(pruned) => Ok(pruned),
                _ => Err(LedgerError::Closed),
            }
        })
    }

    fn forget(&self, wanted: Forget) -> Fut<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            match self.ask(Request::Forget(wanted)).await? {
                Done::Forgotten => Ok(()),
                _ => Err(LedgerError::Closed),
            }
        })
    }

    fn read(&self, query: Query) -> Fut<'_, Result<Answer, LedgerError>> {
        let readers = self.readers.clone();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || readers.answer(&query))
                .await
                .unwrap_or(Err(LedgerError::Closed))
        })
    }

    fn is_full(&self) -> Option<bool> {
        Some(Self::is_full(&self.shared.path))
    }

    fn watch(&self, after: Change) -> Fut<'_, Change> {
        Box::pin(async move {
            self.shared.watchers.fetch_add(1, Ordering::Relaxed);
            let _watching = Watching(&self.shared.watchers);
            self.writer.send(Message::Look).ok();
            next_change(self.shared.changes.subscribe(), after).await
        })
    }
}
