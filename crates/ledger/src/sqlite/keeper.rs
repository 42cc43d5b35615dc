//! Keeps the head of a ledger: on a thread of its own, about once a second while something is
//! committed, and at the end. No commit waits for it.

use super::head::{self, Beside, Head};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the head stays as it is at least.
const EVERY: Duration = Duration::from_secs(1);

/// What a commit has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The highest number of a run.
    pub(crate) runs: i64,
    /// A run that moved, and how often it has.
    pub(crate) moved: (i64, i64),
}

/// The keeper of the head, as the writer has it.
pub(crate) struct Keeper {
    /// What the transaction at work will have moved.
    pub(crate) pending: Option<Note>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    path: PathBuf,
    ledger: String,
    term: i64,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    note: Option<Note>,
    closing: bool,
}

impl Keeper {
    /// The keeper of a head with this term.
    pub(crate) fn new(path: PathBuf, ledger: String, term: i64) -> Self {
        Self {
            pending: None,
            shared: Arc::new(Shared {
                path,
                ledger,
                term,
                state: Mutex::default(),
                wake: Condvar::new(),
            }),
            thread: None,
        }
    }

    /// What was pending is committed.
    pub(crate) fn committed(&mut self) {
        let Some(note) = self.pending.take() else {
            return;
        };
        if self.shared.state().note.replace(note).is_none() {
            self.shared.wake.notify_one();
        }
        if self.thread.is_none() {
            self.start();
        }
    }

    fn start(&mut self) {
        let shared = self.shared.clone();
        let started = std::thread::Builder::new()
            .name("oncely-head".into())
            .spawn(move || shared.run());
        match started {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::warn!(%error, "the head of the ledger is not kept"),
        }
    }

    /// Writes what is left, and ends.
    pub(crate) fn close(&mut self) {
        self.shared.state().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.state();
        loop {
            if let Some(note) = state.note.take() {
                drop(state);
                self.write(note);
                state = self.state();
                if !state.closing {
                    let waited = self.wake.wait_timeout_while(state, EVERY, |s| !s.closing);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            } else if state.closing {
                return;
            } else {
                let waited = self.wake.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn write(&self, note: Note) {
        let written = head::change(&self.path, |found| {
            let mut next = match found {
                // The ledger has become another one, or was said to be what it is.
                Beside::Head(head) if head.ledger != self.ledger || head.term != self.term => {
                    return None;
                }
                Beside::Head(head) => head,
                Beside::Nothing | Beside::Broken => Head {
                    ledger: self.ledger.clone(),
                    term: self.term,
                    runs: 0,
                    log: None,
                    moved: Vec::new(),
                },
            };
            let log = oncely_vfs::log_mark(&self.path);
            next.add(note.runs, log, Some(note.moved));
            Some(next)
        });
        let Err(error) = written else { return };
        let head = head::path(&self.path);
        match error.kind() {
            // The writer says it, and a head that stays says less.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {}
            _ => tracing::warn!(%error, "{} cannot be written", head.display()),
        }
    }
}
