//! Checkpoints from a connection and a thread of their own, so that no commit waits for one.

use super::turn::Turn;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of the write-ahead log from which on it is copied back while work goes on.
const COPY_FROM_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of the write-ahead log from which on the writer copies it back itself: while it does not
/// write, the log can be copied to its end and begun anew.
const WRITER_COPIES_FROM_BYTES: u64 = 64 * 1024 * 1024;
/// How long nothing was written before the log is cut to nothing.
const IDLE: Duration = Duration::from_secs(2);

/// Tells the checkpoint thread that something was written.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    sender: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    log: PathBuf,
    synced: bool,
}

impl Checkpointer {
    /// Starts no thread before something is written.
    pub(crate) fn new(path: &Path, synced: bool) -> Self {
        Self {
            sender: None,
            thread: None,
            path: path.to_owned(),
            log: with_ending(path, "-wal"),
            synced,
        }
    }

    /// Something was committed, and it is still the writer's turn.
    pub(crate) fn written(&mut self, writer: &Connection) {
        let bytes = log_bytes(&self.log);
        if bytes >= WRITER_COPIES_FROM_BYTES {
            checkpoint(writer, "pragma wal_checkpoint(passive)");
        }
        if self.sender.is_none() {
            self.start();
        }
        if let Some(sender) = &self.sender {
            // A full channel means that it has been told already.
            sender.try_send(()).ok();
        }
    }

    fn start(&mut self) {
        let (sender, receiver) = sync_channel(1);
        let (path, synced) = (self.path.clone(), self.synced);
        let thread = std::thread::Builder::new()
            .name("oncely-checkpoint".into())
            .spawn(move || work(&path, synced, &receiver));
        match thread {
            Ok(thread) => (self.sender, self.thread) = (Some(sender), Some(thread)),
            Err(error) => tracing::warn!(%error, "the ledger has no thread for checkpoints"),
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn work(path: &Path, synced: bool, receiver: &Receiver<()>) {
    let conn = match open(path, synced) {
        Ok(conn) => conn,
        Err(error) => {
            tracing::warn!(%error, "the ledger cannot be opened for checkpoints");
            return;
        }
    };
    let log = with_ending(path, "-wal");
    let mut dirty = false;
    loop {
        match receiver.recv_timeout(IDLE) {
            Ok(()) => {
                dirty = true;
                if log_bytes(&log) >= COPY_FROM_BYTES {
                    checkpoint(&conn, "pragma wal_checkpoint(passive)");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if std::mem::take(&mut dirty) {
                    cut(&conn, path);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn open(path: &Path, synced: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.pragma_update(None, "synchronous", if synced { "full" } else { "off" })?;
    Ok(conn)
}

fn log_bytes(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |log| log.len())
}

/// Cuts the log to nothing, if no other process is writing just now.
fn cut(conn: &Connection, path: &Path) {
    if let Ok(mut turn) = Turn::open(path)
        && turn.try_enter()
    {
        checkpoint(conn, "pragma wal_checkpoint(truncate)");
        turn.leave();
    }
}

/// A checkpoint that does not come about is made by the next one.
fn checkpoint(conn: &Connection, text: &str) {
    if let Err(error) = conn.query_row(text, [], |_| Ok(())) {
        tracing::debug!(%error, "no checkpoint this time");
    }
}

/// A file beside the ledger.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
