//! The writer: one thread in each process that applies every waiting unit in one transaction,
//! commits, and answers all. The group grows with the load; no timer is needed.

use super::batch::{Me, Stop, Tx};
use super::jobs::{Job, Message, Request};
use super::rows::Tasks;
use super::store::Shared;
use super::turn::Turn;
use super::{holders, schema, words};
use crate::clock::wants_renewal;
use crate::rules::due_when_freed;
use crate::sql::Warden;
use oncely_core::ids::HolderId;
use oncely_core::ledger::LedgerError;
use oncely_core::limits;
use oncely_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode, params};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often changes of other processes are looked for while somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The writer of one process.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) warden: Warden,
    pub(crate) turn: Turn,
    pub(crate) me: Me,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Receiver<Message>,
    pub(crate) tasks: Tasks,
    /// What the database said of changes when it was last asked.
    pub(crate) seen: i64,
    /// When this holder's lease was last written.
    pub(crate) renewed: i64,
    pub(crate) closing: bool,
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
                queue.drain(..).for_each(|job| job.fail(error.clone()));
                break;
            }
            self.drain_inbox(&mut queue);
            renewals.extend(take_renewals(&mut queue));
            queue.retain(|job| job.ticket.take());
            self.group(&mut queue);
            if self.shared.watchers.load(Ordering::Relaxed) > 0 {
                self.look();
            }
        }
        for job in renewals.into_iter().filter(|job| job.ticket.take()) {
            let freed = self.renew();
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
    fn begin(&mut self, since: Instant) -> Result<(), LedgerError> {
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

    fn has_row(&self, conn: &Connection) -> rusqlite::Result<bool> {
        conn.prepare_cached("select 1 from oncely_holders where id = ?1")?
            .exists([self.me.id.0])
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        question(&self.conn).map_err(|error| words::database(&self.shared.path, &error))
    }

    fn execute(&self, text: &str) -> rusqlite::Result<()> {
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
            }
            Err(Stop::Database(error)) => {
                let error = words::database(&self.shared.path, &error);
                queue.drain(..).for_each(|job| job.fail(error.clone()));
            }
            Err(Stop::Failed(error)) => {
                queue.drain(..).for_each(|job| job.fail(error.clone()));
            }
            Err(Stop::Invalid(_) | Stop::Left { .. }) => {
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
            self.commit()?;
            Ok(registering)
        });
        match done {
            Ok(registering) => {
                if registering {
                    self.me.registered = true;
                    self.renewed = self.shared.clock.boot_millis();
                }
                jobs.iter_mut().for_each(Job::commit);
                if self.conn.total_changes() != before {
                    self.shared.changed();
                }
                self.turn.leave();
                Ok(())
            }
            Err(stop) => {
                self.roll_back();
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
            check_facts: self.shared.check_facts,
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

    fn roll_back(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.execute("rollback")
        {
            tracing::warn!(%error, "a transaction of the ledger could not be rolled back");
        }
        self.tasks.clear();
        self.turn.leave();
    }

    /// Renews the own lease when a third of it has gone, and frees those who are gone.
    fn renew(&mut self) -> Result<u64, LedgerError> {
        if self.me.registered && !self.ask(|conn| self.has_row(conn))? {
            return Err(self.start_anew());
        }
        let gone = self.gone()?;
        let boot_now = self.shared.clock.boot_millis();
        let late = self.me.registered && wants_renewal(self.renewed, self.me.lease_ms, boot_now);
        if gone.is_empty() && !late {
            return Ok(0);
        }
        self.begin(Instant::now())?;
        if self.me.lost {
            self.roll_back();
            return Err(self.start_anew());
        }
        let gone = self.gone();
        let done = gone.and_then(|gone| {
            let freed = self.ask(|conn| self.write_renewal(conn, late, boot_now, &gone))?;
            self.ask(|_| self.execute("commit"))?;
            Ok((freed, gone))
        });
        let (freed, gone) = done.inspect_err(|_| self.roll_back())?;
        self.turn.leave();
        if late {
            self.renewed = boot_now;
        }
        if !gone.is_empty() {
            self.shared.changed();
        }
        gone.iter()
            .for_each(|id| holders::remove(&self.shared.path, *id));
        Ok(freed)
    }

    fn gone(&self) -> Result<Vec<i64>, LedgerError> {
        let boot_now = self.shared.clock.boot_millis();
        let path = &self.shared.path;
        self.ask(|conn| holders::gone(conn, path, self.me.id, &self.me.boot, boot_now))
    }

    fn write_renewal(
        &self,
        conn: &Connection,
        late: bool,
        boot_now: i64,
        gone: &[i64],
    ) -> rusqlite::Result<u64> {
        if late {
            conn.prepare_cached("update oncely_holders set renewed = ?2 where id = ?1")?
                .execute(params![self.me.id.0, boot_now])?;
        }
        let now = self.shared.clock.now();
        gone.iter().map(|id| free(conn, HolderId(*id), now)).sum()
    }

    /// Others have freed what this holder held: from now on it is another one.
    fn start_anew(&mut self) -> LedgerError {
        if let Some(file) = self.me.file.take() {
            file.remove();
        }
        self.me.id = holders::new_id(&self.me.boot);
        self.me.registered = false;
        self.me.lost = false;
        self.shared.holder.store(self.me.id.0, Ordering::Release);
        LedgerError::LeaseLost
    }

    /// A clean end: what is still held is free at once.
    fn close(&mut self) {
        if self.shared.abandoned.load(Ordering::Acquire) {
            return;
        }
        if self.me.registered && self.begin(Instant::now()).is_ok() {
            let now = self.shared.clock.now();
            let freed = free(&self.conn, self.me.id, now).and_then(|_| self.execute("commit"));
            if let Err(error) = freed {
                tracing::warn!(%error, "the ledger could not be left cleanly; others will see to it");
            }
            self.roll_back();
        }
        if let Some(file) = self.me.file.take() {
            file.remove();
        }
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

/// Gives back everything that a holder holds and forgets it; says how many runs that were.
fn free(conn: &Connection, holder: HolderId, now: Timestamp) -> rusqlite::Result<u64> {
    let held: Vec<_> = conn
        .prepare_cached("select id, status, due from oncely_runs where holder = ?1")?
        .query_map([holder.0], |row| {
            let due = row.get::<_, Option<i64>>(2)?.map(Timestamp);
            Ok((row.get::<_, i64>(0)?, super::rows::status(row, 1)?, due))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (id, status, due) in &held {
        let due = due_when_freed(*status, *due, now).map(|at| at.0);
        conn.prepare_cached("update oncely_runs set holder = null, due = ?2 where id = ?1")?
            .execute(params![id, due])?;
    }
    conn.prepare_cached("update oncely_names set holder = null where holder = ?1")?
        .execute([holder.0])?;
    conn.prepare_cached("delete from oncely_holders where id = ?1")?
        .execute([holder.0])?;
    Ok(held.len() as u64)
}
