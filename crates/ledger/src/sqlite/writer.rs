//! The writer: one thread in each process that applies every waiting unit in one transaction,
//! commits, and answers all. The group grows with the load; no timer is needed.

use super::batch::{Me, Stop, Tx};
use super::jobs::{Job, Message, Request};
use super::keeper::Keeper;
use super::reserve::Reserve;
use super::rows::Tasks;
use super::store::Shared;
use super::turn::Turn;
use super::{schema, words};
use crate::sql::Warden;
use oncely_core::ledger::LedgerError;
use oncely_core::limits;
use oncely_core::points::{self, Point};
use rusqlite::{Connection, ErrorCode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often changes of other processes are looked for while somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How many groups are applied carefully after a statement of a task has failed.
const CAREFUL_GROUPS: u32 = 64;

/// The writer of one process.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) warden: Warden,
    pub(crate) turn: Turn,
    pub(crate) reserve: Reserve,
    /// How often room was made for what waits, without its being recorded.
    pub(crate) tried: u32,
    pub(crate) me: Me,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Receiver<Message>,
    pub(crate) tasks: Tasks,
    /// What the database said of changes when it was last asked.
    pub(crate) seen: i64,
    /// When this holder's lease was last written.
    pub(crate) renewed: i64,
    /// So many more groups have savepoints: a statement of a task has failed not long ago.
    pub(crate) careful: u32,
    pub(crate) closing: bool,
    pub(crate) keeper: Keeper,
}

impl Writer {
    /// Works until it is told to close.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.wait() {
            self.serve(job);
        }
        self.close();
    }

    fn wait(&mut self) -> Option<Job> {
        while !self.closing {
            let watched = self.shared.watchers.load(Ordering::Relaxed) > 0;
            let message = if watched {
                self.inbox.recv_timeout(LOOK_EVERY)
            } else {
                self.inbox.recv().map_err(RecvTimeoutError::from)
            };
            match message {
                Ok(Message::Job(job)) => return Some(job),
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => self.look(),
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => self.closing = true,
            }
        }
        None
    }

    /// Tells those who watch when another process has changed the ledger.
    fn look(&mut self) {
        let version = self
            .conn
            .prepare_cached("pragma data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
        if let Ok(version) = version
            && version != self.seen
        {
            self.seen = version;
            self.shared.changed();
        }
    }

    fn serve(&mut self, first: Job) {
        let mut queue = VecDeque::from([first]);
        let mut renewals = take_renewals(&mut queue);
        while !queue.is_empty() {
            if let Err(error) = self.begin(Instant::now()) {
                self.failed(&mut queue, &error);
                continue;
            }
            points::pass(Point::LedgerBegun);
            self.drain_inbox(&mut queue);
            renewals.extend(take_renewals(&mut queue));
            queue.retain(|job| job.ticket.take());
            self.mind_the_room(&mut queue);
            self.group(&mut queue);
            if self.shared.watchers.load(Ordering::Relaxed) > 0 {
                self.look();
            }
        }
        for job in renewals.into_iter().filter(|job| job.ticket.take()) {
            let freed = self.renew_anyhow();
            self.has_room();
            job.answer_freed(freed);
        }
    }

    fn drain_inbox(&mut self, queue: &mut VecDeque<Job>) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Job(job) => queue.push_back(job),
                Message::Look => {}
                Message::Close => self.closing = true,
            }
        }
    }

    /// Waits for the turn and opens a transaction on a schema that this program knows.
    pub(crate) fn begin(&mut self, since: Instant) -> Result<(), LedgerError> {
        if !self.conn.is_autocommit() {
            return Ok(());
        }
        self.turn.enter()?;
        let begun = self.begin_inside(since);
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    fn begin_inside(&mut self, since: Instant) -> Result<(), LedgerError> {
        self.execute("begin immediate").map_err(|error| {
            match words::database(&self.shared.path, &error) {
                LedgerError::Busy { pid, .. } => LedgerError::Busy {
                    pid,
                    waited: since.elapsed(),
                },
                other => other,
            }
        })?;
        self.turn.sign();
        let (_, version) = self.ask(schema::version)?;
        schema::check(&self.shared.path, version)?;
        if self.me.registered && !self.me.lost {
            self.me.lost = !self.ask(|conn| self.has_row(conn))?;
        }
        Ok(())
    }

    pub(crate) fn has_row(&self, conn: &Connection) -> rusqlite::Result<bool> {
        conn.prepare_cached("select 1 from oncely_holders where id = ?1")?
            .exists([self.me.id.0])
    }

    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        question(&self.conn).map_err(|error| words::database(&self.shared.path, &error))
    }

    pub(crate) fn execute(&self, text: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(text)?.execute([]).map(drop)
    }

    /// Applies what waits, up to the bound, and commits it.
    fn group(&mut self, queue: &mut VecDeque<Job>) {
        match self.transaction(queue.make_contiguous(), limits::GROUP_UNITS) {
            Ok(()) => {
                while queue.front().is_some_and(Job::is_finished) {
                    if let Some(job) = queue.pop_front() {
                        job.answer();
                    }
                }
                points::pass(Point::LedgerAnswered);
            }
            Err(Stop::Database(error)) => {
                let error = words::database(&self.shared.path, &error);
                self.failed(queue, &error);
            }
            Err(Stop::Failed(error)) => self.failed(queue, &error),
            // The queue is applied again by whoever called.
            Err(Stop::Careless) => self.careful = CAREFUL_GROUPS,
            Err(Stop::Invalid(_) | Stop::Left { .. }) => {
                self.careful = CAREFUL_GROUPS;
                queue.drain(..).for_each(|job| self.one_by_one(job));
            }
        }
    }

    /// Applies a job with each unit in a transaction of its own, so that one which ends its
    /// transaction takes no other with it.
    fn one_by_one(&mut self, mut job: Job) {
        while !job.is_finished() {
            if let Err(error) = self.begin(Instant::now()) {
                return job.fail(error);
            }
            match self.transaction(std::slice::from_mut(&mut job), 1) {
                Ok(()) => {}
                Err(Stop::Careless) => self.careful = CAREFUL_GROUPS,
                Err(Stop::Left { words, .. }) => {
                    let result = oncely_core::ledger::UnitResult::SqlFailed(words);
                    job.results.push(result);
                    job.commit();
                }
                Err(Stop::Invalid(error) | Stop::Failed(error)) => return job.fail(error),
                Err(Stop::Database(error)) => {
                    return job.fail(words::database(&self.shared.path, &error));
                }
            }
        }
        job.answer();
    }

    /// Applies and commits, or leaves everything as it was.
    fn transaction(&mut self, jobs: &mut [Job], room: usize) -> Result<(), Stop> {
        let before = self.conn.total_changes();
        let done = self.apply(jobs, room).and_then(|registering| {
            points::pass(Point::LedgerApplied);
            self.commit()?;
            points::pass(Point::LedgerCommitted);
            Ok(registering)
        });
        match done {
            Ok(registering) => {
                self.tried = 0;
                if registering {
                    // Who only looks needs none.
                    self.reserve.make();
                    self.me.registered = true;
                    self.renewed = self.shared.clock.boot_millis();
                }
                jobs.iter_mut().for_each(Job::commit);
                self.careful = self.careful.saturating_sub(1);
                if self.conn.total_changes() != before {
                    self.shared.changed();
                }
                self.turn.leave();
                self.keeper.committed();
                Ok(())
            }
            Err(stop) => {
                self.roll_back();
                self.keeper.pending = None;
                jobs.iter_mut().for_each(Job::roll_back);
                Err(stop)
            }
        }
    }

    fn apply(&mut self, jobs: &mut [Job], mut room: usize) -> Result<bool, Stop> {
        let next_run = self
            .conn
            .prepare_cached("select coalesce(max(id), 0) + 1 from oncely_runs")?
            .query_row([], |row| row.get(0))?;
        let mut tx = Tx {
            conn: &self.conn,
            path: &self.shared.path,
            warden: &self.warden,
            clock: &*self.shared.clock,
            me: &mut self.me,
            tasks: &mut self.tasks,
            next_run,
            moved: &mut self.keeper.pending,
            check_facts: self.shared.check_facts,
            careful: self.careful > 0,
            register: false,
            registering: false,
            doomed: None,
        };
        for job in jobs {
            if room == 0 {
                break;
            }
            let done = tx.job(job, &mut room);
            if let Err(Stop::Left { words, late: true }) = &done {
                job.doomed = Some((job.results.len(), words.clone()));
            }
            done?;
        }
        Ok(tx.registering)
    }

    /// A constraint that a task deferred to the end speaks up here.
    fn commit(&mut self) -> Result<(), Stop> {
        self.execute("commit").map_err(|error| {
            if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
                let words = crate::sql::words(&error);
                Stop::Left { words, late: false }
            } else {
                Stop::Database(error)
            }
        })
    }

    pub(crate) fn roll_back(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.execute("rollback")
        {
            tracing::warn!(%error, "a transaction of the ledger could not be rolled back");
        }
        self.tasks.clear();
        self.turn.leave();
    }
}

/// Renewals have transactions of their own, and mostly need none.
fn take_renewals(queue: &mut VecDeque<Job>) -> Vec<Job> {
    let (renewals, others) = std::mem::take(queue)
        .into_iter()
        .partition(|job| matches!(job.request, Request::Renew));
    *queue = others;
    Vec::from_iter::<VecDeque<Job>>(renewals)
}
