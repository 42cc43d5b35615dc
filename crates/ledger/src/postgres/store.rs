//! A ledger in PostgreSQL: the handle that the engine holds.
//!
//! Its connections live on a thread of their own, so that opening, closing and exporting work from
//! anywhere, and a busy engine does not delay a commit.

use super::db::{Db, Stop, in_time};
use super::holders::{Me, Standing};
use super::lanes::Lane;
use super::options::{self, Patience, PostgresOptions};
use super::slice::claims;
use super::work::{has_sql, needs_lease};
use super::writer::Writer;
use super::{answers, connect, schema, server, whole, words};
use crate::sqlite::next_change;
use oncely_core::Fut;
use oncely_core::forget::Forget;
use oncely_core::ids::HolderId;
use oncely_core::ledger::{
    Answer, Change, Claim, Leased, Ledger, LedgerError, Query, Unit, UnitResult, What,
};
use oncely_core::prune::{Prune, Pruned};
use oncely_postgres::Address;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

/// How long the end of a process waits for its connections.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How often changes of other processes are looked for while somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the writer is asked for.
pub(crate) enum Request {
    Commit(Vec<Unit>),
    Lease(What, Claim),
    Renew,
    Prune(Prune),
    Forget(Forget),
}

/// What it answers.
pub(crate) enum Done {
    Units(Vec<UnitResult>),
    Leased(Leased),
    Freed(u64),
    Pruned(Pruned),
    Forgotten,
}

/// A request under way.
pub(crate) struct Job {
    pub(crate) request: Request,
    results: Vec<UnitResult>,
    pub(crate) failed: Option<LedgerError>,
    answer: oneshot::Sender<Result<Done, LedgerError>>,
}

impl Job {
    pub(crate) fn is_commit(&self) -> bool {
        matches!(self.request, Request::Commit(_))
    }

    /// The units that have no answer yet.
    pub(crate) fn left(&self) -> &[Unit] {
        match &self.request {
            Request::Commit(units) if self.failed.is_none() => {
                units.get(self.results.len()..).unwrap_or_default()
            }
            _ => &[],
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.left().is_empty()
    }

    pub(crate) fn needs_lease(&self) -> bool {
        self.left().iter().any(needs_lease)
    }

    /// Whether any of its units has statements of a task.
    pub(crate) fn has_sql(&self) -> bool {
        matches!(&self.request, Request::Commit(units) if units.iter().any(has_sql))
    }

    /// Whether any of its units claims what it admits.
    pub(crate) fn claims(&self) -> bool {
        matches!(&self.request, Request::Commit(units) if units.iter().any(claims))
    }

    /// Takes the answer of one unit; after one that is wrong the others are left.
    pub(crate) fn take(&mut self, result: Result<UnitResult, LedgerError>) {
        match result {
            Ok(result) if self.failed.is_none() => self.results.push(result),
            Ok(_) => {}
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    pub(crate) fn answer(self, done: Result<Done, LedgerError>) {
        // Whoever asked may have gone away.
        self.answer.send(done).ok();
    }

    pub(crate) fn answer_units(mut self) {
        let results = std::mem::take(&mut self.results);
        let done = self.failed.take().map_or(Ok(Done::Units(results)), Err);
        self.answer(done);
    }
}

/// What the writer is told.
pub(crate) enum Message {
    Job(Job),
    Close,
}

enum Question {
    Read(Query, oneshot::Sender<Result<Answer, LedgerError>>),
    Export(std::sync::mpsc::Sender<Result<Vec<u8>, LedgerError>>),
    Stats(std::sync::mpsc::Sender<Result<crate::Stats, LedgerError>>),
    Verify(std::sync::mpsc::Sender<Result<crate::Verified, LedgerError>>),
    Look,
}

/// What the handle and its tasks share.
pub(crate) struct Shared {
    pub(crate) address: Address,
    pub(crate) place: String,
    standing: Arc<Standing>,
    pub(crate) abandoned: AtomicBool,
    watchers: AtomicUsize,
    changes: watch::Sender<u64>,
    wait: Duration,
    pub(crate) patience: Patience,
}

impl Shared {
    /// Something has changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// A ledger in a PostgreSQL database.
pub struct PostgresLedger {
    shared: Arc<Shared>,
    writer: UnboundedSender<Message>,
    reader: UnboundedSender<Question>,
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
    name: String,
}

impl PostgresLedger {
    /// Opens a ledger. Blocks until the server has answered.
    ///
    /// # Errors
    /// When the server cannot be reached, would acknowledge before it is durable, or only reads;
    /// when there is no ledger and none was to be made.
    pub fn open(url: &str, options: PostgresOptions) -> Result<Self, LedgerError> {
        let address = options::address(url, &options)?;
        let me = Me::new(options);
        let shared = Arc::new(Shared {
            place: address.place(),
            address,
            standing: me.standing.clone(),
            abandoned: AtomicBool::new(false),
            watchers: AtomicUsize::new(0),
            changes: watch::channel(1).0,
            wait: me.options.wait,
            patience: me.options.patience(),
        });
        let (writer, inbox) = unbounded_channel();
        let (reader, questions) = unbounded_channel();
        let (opened, opening) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel();
        let theirs = shared.clone();
        let failed = |error: io::Error| LedgerError::Unusable(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        std::thread::Builder::new()
            .name("oncely-ledger".into())
            .spawn(move || {
                runtime.block_on(work(theirs, me, inbox, questions, opened));
                drop(end);
            })
            .map_err(failed)?;
        let name = opening.recv().unwrap_or(Err(LedgerError::Closed))?;
        Ok(Self {
            shared,
            writer,
            reader,
            ended: Mutex::new(ended),
            name,
        })
    }

    /// Writes everything as JSON lines, from one consistent state: see
    /// [`crate::SqliteLedger::export`]. Blocks, and holds everything in memory meanwhile.
    ///
    /// # Errors
    /// When the ledger cannot be read, or the writer does not take it.
    pub fn export(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let (answer, answered) = std::sync::mpsc::channel();
        self.reader
            .send(Question::Export(answer))
            .map_err(io::Error::other)?;
        let text = answered.recv().map_err(io::Error::other)?;
        out.write_all(&text.map_err(io::Error::other)?)
    }

    /// Counts what the ledger holds, and what it takes on the disk. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn stats(&self) -> Result<crate::Stats, LedgerError> {
        let (answer, answered) = std::sync::mpsc::channel();
        self.reader
            .send(Question::Stats(answer))
            .map_err(|_| LedgerError::Closed)?;
        answered.recv().unwrap_or(Err(LedgerError::Closed))
    }

    /// Looks the ledger over, while others work on it: each run with its key, its chain and its facts.
    /// Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn verify(&self) -> Result<crate::Verified, LedgerError> {
        let (answer, answered) = std::sync::mpsc::channel();
        self.reader
            .send(Question::Verify(answer))
            .map_err(|_| LedgerError::Closed)?;
        answered.recv().unwrap_or(Err(LedgerError::Closed))
    }

    /// Ends this handle as if its process had been killed and its lease had run out.
    #[cfg(any(test, feature = "conformance"))]
    pub fn kill(self) {
        self.shared.abandoned.store(true, Ordering::Release);
    }

    async fn ask(&self, request: Request) -> Result<Done, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            request,
            results: Vec::new(),
            failed: None,
            answer,
        };
        self.writer
            .send(Message::Job(job))
            .map_err(|_| LedgerError::Closed)?;
        answered.await.unwrap_or(Err(LedgerError::Closed))
    }
}

async fn work(
    shared: Arc<Shared>,
    me: Me,
    inbox: UnboundedReceiver<Message>,
    questions: UnboundedReceiver<Question>,
    opened: std::sync::mpsc::Sender<Result<String, LedgerError>>,
) {
    let found = open(&shared, me.options.create).await;
    let (db, reading, name) = match found {
        Ok(found) => found,
        Err(stop) => {
            let error = match stop {
                Stop::Database(error) => words::database(&shared.place, &error),
                Stop::Silent => words::silent(&shared.place),
                other => words::gave_up(&shared.place, other, Duration::ZERO),
            };
            opened.send(Err(error)).ok();
            return;
        }
    };
    opened.send(Ok(name.clone())).ok();
    let reader = tokio::spawn(read(shared.clone(), reading, questions, name));
    let writer = Writer {
        db: Some(db),
        me,
        shared,
        lane: Lane::Main,
    };
    writer.run(inbox).await;
    reader.abort();
}

async fn open(shared: &Shared, create: bool) -> Result<(Db, Db, String), Stop> {
    let mut db = connect::connect(&shared.address, shared.patience).await?;
    let mut reading = connect::connect(&shared.address, shared.patience).await?;
    let place = &shared.place;
    let opened = async {
        server::check(&mut db, place).await?;
        server::check_apart(&mut db, &mut reading, place).await?;
        schema::open(&mut db, place, create).await
    };
    let name = in_time(shared.patience.answer, opened).await?;
    Ok((db, reading, name))
}

/// Answers questions on a connection of its own.
async fn read(
    shared: Arc<Shared>,
    reading: Db,
    mut questions: UnboundedReceiver<Question>,
    name: String,
) {
    let (mut db, mut seen) = (Some(reading), 0);
    loop {
        let watched = shared.watchers.load(Ordering::Relaxed) > 0;
        let question = if watched {
            let next = tokio::time::timeout(LOOK_EVERY, questions.recv()).await;
            next.unwrap_or(Some(Question::Look))
        } else {
            questions.recv().await
        };
        match question {
            None => return,
            Some(Question::Read(query, answer)) => {
                answer.send(patiently(&shared, &mut db, &query).await).ok();
            }
            Some(Question::Export(answer)) => {
                let text = match connected(&shared, &mut db).await {
                    Ok(db) => whole::export(db, &name).await,
                    Err(stop) => Err(stop),
                };
                let place = &shared.place;
                answer
                    .send(text.map_err(|stop| words::gave_up(place, stop, Duration::ZERO)))
                    .ok();
            }
            Some(Question::Stats(answer)) => {
                let found = match connected(&shared, &mut db).await {
                    Ok(db) => super::stats::stats(db).await,
                    Err(stop) => Err(stop),
                };
                let place = &shared.place;
                answer
                    .send(found.map_err(|stop| words::gave_up(place, stop, Duration::ZERO)))
                    .ok();
            }
            Some(Question::Verify(answer)) => {
                let found = match connected(&shared, &mut db).await {
                    Ok(db) => super::verify::verify(db).await,
                    Err(stop) => Err(stop),
                };
                let place = &shared.place;
                answer
                    .send(found.map_err(|stop| words::gave_up(place, stop, Duration::ZERO)))
                    .ok();
            }
            Some(Question::Look) => {
                if let Ok(now) = look(&shared, &mut db).await
                    && now != seen
                {
                    seen = now;
                    shared.changed();
                }
            }
        }
    }
}

async fn connected<'a>(shared: &Shared, db: &'a mut Option<Db>) -> Result<&'a mut Db, Stop> {
    let open = match db.take().filter(|db| !db.is_closed()) {
        Some(open) => open,
        None => connect::connect(&shared.address, shared.patience).await?,
    };
    Ok(db.insert(open))
}

async fn patiently(
    shared: &Shared,
    db: &mut Option<Db>,
    query: &Query,
) -> Result<Answer, LedgerError> {
    let since = Instant::now();
    loop {
        let answer = match connected(shared, db).await {
            Ok(db) => in_time(shared.patience.answer, answers::answer(db, query)).await,
            Err(stop) => Err(stop),
        };
        if matches!(answer, Err(Stop::Silent)) {
            *db = None;
        }
        match answer {
            Ok(answer) => return Ok(answer),
            Err(stop) if stop.is_passing() && since.elapsed() < shared.wait => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(stop) => return Err(words::gave_up(&shared.place, stop, since.elapsed())),
        }
    }
}

/// A number that differs when something has changed.
async fn look(shared: &Shared, db: &mut Option<Db>) -> Result<i64, Stop> {
    let open = connected(shared, db).await?;
    let text = "select coalesce(sum(count), 0)::bigint from oncely_changes";
    let asked = async { Ok(open.rows(text, &[]).await?) };
    let rows = match in_time(shared.patience.answer, asked).await {
        Ok(rows) => rows,
        Err(stop) => {
            *db = None;
            return Err(stop);
        }
    };
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => 0,
    })
}

impl Drop for PostgresLedger {
    fn drop(&mut self) {
        if self.writer.send(Message::Close).is_ok() {
            // Ends when the thread has dropped its end, or has been stuck for too long.
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

impl Ledger for PostgresLedger {
    fn holder(&self) -> HolderId {
        self.shared.standing.id()
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
                Done::Units(results) => Ok(results),
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
                Done::Units(_) | Done::Freed(_) | Done::Pruned(_) | Done::Forgotten => {
                    Err(LedgerError::Closed)
                }
            }
        })
    }

    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>> {
        Box::pin(async move {
            match self.ask(Request::Renew).await? {
                Done::Freed(freed) => Ok(freed),
                Done::Leased(_) | Done::Units(_) | Done::Pruned(_) | Done::Forgotten => {
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
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.reader
                .send(Question::Read(query, answer))
                .map_err(|_| LedgerError::Closed)?;
            answered.await.unwrap_or(Err(LedgerError::Closed))
        })
    }

    fn watch(&self, after: Change) -> Fut<'_, Change> {
        Box::pin(async move {
            self.shared.watchers.fetch_add(1, Ordering::Relaxed);
            let _watching = Watching(&self.shared.watchers);
            self.reader.send(Question::Look).ok();
            next_change(self.shared.changes.subscribe(), after).await
        })
    }
}
