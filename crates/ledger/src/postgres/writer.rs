//! The writer: one task in each process that applies every waiting unit in one transaction,
//! commits, and answers all. The group grows with the load; no timer is needed. Units with statements
//! of tasks have writers of their own: see `lanes.rs`.

use super::apply::transaction;
use super::db::{Db, Stop, in_time};
use super::doubt::{Doubt, Outcome, has_happened, judge, left_open};
use super::holders::Me;
use super::lanes::{Lane, Lanes};
use super::store::{Done, Job, Message, Request, Shared};
use super::work::{Came, Part, Work, has_sql, next_parts};
use super::{connect, save, words};
use crate::SystemClock;
use oncely_core::ledger::{LedgerError, UnitResult};
use oncely_core::limits;
use oncely_core::time::Clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// The longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// A writer of one process.
pub(crate) struct Writer {
    pub(crate) db: Option<Db>,
    pub(crate) me: Me,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lane: Lane,
}

impl Writer {
    /// Works as the main writer until it is told to close.
    pub(crate) async fn run(mut self, mut inbox: UnboundedReceiver<Message>) {
        let lanes = Lanes::start(&self.shared, &self.me);
        let mut open = true;
        while open {
            let mut queue = VecDeque::new();
            open = match inbox.recv().await {
                Some(Message::Job(job)) => {
                    queue.extend(lanes.take(job));
                    true
                }
                Some(Message::Close) | None => false,
            };
            while let Ok(message) = inbox.try_recv() {
                match message {
                    Message::Job(job) => queue.extend(lanes.take(job)),
                    Message::Close => open = false,
                }
            }
            self.serve(queue).await;
        }
        // What is held is given back when nothing works on it any more.
        lanes.close().await;
        self.close().await;
    }

    /// Does every job: commits that stand side by side share transactions.
    async fn serve(&mut self, mut queue: VecDeque<Job>) {
        while let Some(job) = queue.pop_front() {
            let mut group = vec![job];
            if group.iter().all(Job::is_commit) {
                while queue.front().is_some_and(Job::is_commit) {
                    group.extend(queue.pop_front());
                }
                self.group(group).await;
                continue;
            }
            for job in group {
                let done = self.single(&job.request).await;
                job.answer(done);
            }
        }
    }

    async fn single(&mut self, request: &Request) -> Result<Done, LedgerError> {
        match request {
            Request::Lease(what, wanted) => {
                self.stop_when_late()?;
                match self.insist(Work::Lease(what, wanted)).await? {
                    Came::Leased(leased) => Ok(Done::Leased(leased)),
                    _ => Err(LedgerError::Closed),
                }
            }
            Request::Renew if self.me.may_wait() => Ok(Done::Freed(0)),
            Request::Renew => match self.insist(Work::Renew).await? {
                Came::Freed(Some(freed)) => {
                    self.me.looked = Some(SystemClock.boot_millis());
                    Ok(Done::Freed(freed))
                }
                Came::Freed(None) => Err(self.start_anew()),
                _ => Err(LedgerError::Closed),
            },
            Request::Forget(wanted) => match self.insist(Work::Forget(wanted)).await? {
                Came::Forgotten => Ok(Done::Forgotten),
                _ => Err(LedgerError::Closed),
            },
            Request::Prune(part) => match self.insist(Work::Prune(part)).await? {
                Came::Pruned(pruned) => Ok(Done::Pruned(pruned)),
                _ => Err(LedgerError::Closed),
            },
            Request::Commit(_) => Err(LedgerError::Closed),
        }
    }

    /// Does the units of several jobs in as few transactions as possible. Units with statements of
    /// tasks share none with others; where one of them fails, half as many are tried, until it is
    /// alone.
    pub(crate) async fn group(&mut self, mut jobs: Vec<Job>) {
        let mut most = limits::GROUP_UNITS;
        while jobs.iter().any(|job| !job.is_finished()) {
            self.renew_between().await;
            for job in jobs.iter_mut().filter(|job| !job.is_finished()) {
                if job.needs_lease() && self.stop_when_late().is_err() {
                    job.failed = Some(LedgerError::LeaseLost);
                }
            }
            let parts = next_parts(&jobs, most);
            let places: Vec<usize> = parts.iter().map(|part| part.job).collect();
            match self.insist(self.work(&parts)).await {
                Ok(Came::Fewer(fewer)) => most = fewer,
                Ok(Came::Late) => jobs = self.late(jobs, &places).await,
                Ok(Came::Units(results)) => {
                    let failed = |r: &_| !matches!(r, Ok(UnitResult::Applied(_)));
                    if !results.iter().any(failed) {
                        most = (most * 2).min(limits::GROUP_UNITS);
                    }
                    take(&mut jobs, places, results);
                }
                Ok(Came::Leased(_) | Came::Freed(_) | Came::Pruned(_) | Came::Forgotten) => break,
                Err(error) => fail(&mut jobs, &error),
            }
        }
        jobs.into_iter().for_each(Job::answer_units);
    }

    fn work<'a>(&self, parts: &'a [Part<'a>]) -> Work<'a> {
        match parts {
            [part, ..] if matches!(self.lane, Lane::Late) && has_sql(part.unit) => {
                Work::Alone(part)
            }
            _ => Work::Units(parts),
        }
    }

    /// The statements of the only unit that was tried want time: it is tried where it may have it.
    async fn late(&mut self, mut jobs: Vec<Job>, places: &[usize]) -> Vec<Job> {
        let Some(place) = places.first() else {
            return jobs;
        };
        if let Lane::Statements(late) = &self.lane {
            if let Some(job) = jobs.get(*place) {
                late.note(job);
            }
            return late.take(jobs);
        }
        let parts = next_parts(&jobs, 1);
        let Some(part) = parts.first() else {
            return jobs;
        };
        match self.insist(Work::Alone(part)).await {
            Ok(Came::Units(results)) => take(&mut jobs, vec![*place], results),
            Ok(_) => fail(&mut jobs, &LedgerError::Closed),
            Err(error) => fail(&mut jobs, &error),
        }
        jobs
    }

    /// Renewals wait behind a group; one that takes long must not cost the lease.
    async fn renew_between(&mut self) {
        if !self.is_main() || !self.me.is_renewal_due() {
            return;
        }
        match self.insist(Work::Renew).await {
            Ok(Came::Freed(None)) => {
                self.start_anew();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the lease is not renewed yet"),
        }
    }

    /// A holder that could not renew its lease in time gives up before others take over.
    fn stop_when_late(&mut self) -> Result<(), LedgerError> {
        if self.me.is_late() {
            self.me.standing.give_up();
        }
        if self.me.standing.gave_up() {
            return Err(LedgerError::LeaseLost);
        }
        Ok(())
    }

    /// Others have freed what this holder held: from now on it is another one.
    fn start_anew(&mut self) -> LedgerError {
        self.me.standing.start_anew();
        LedgerError::LeaseLost
    }

    /// Tries until it goes through, or the wait is over. Where a commit ended in doubt, the next try
    /// sees by the count of changes whether it has happened, so that nothing is applied twice.
    async fn insist(&mut self, work: Work<'_>) -> Result<Came, LedgerError> {
        let since = Instant::now();
        let mut pause = Duration::from_millis(5);
        let mut doubt = None;
        loop {
            let stop = match self.attempt(work, &mut doubt).await {
                Ok(came) => return Ok(came),
                Err(stop) => stop,
            };
            let is_over = !stop.is_passing() || since.elapsed() >= self.me.options.wait;
            let claims = matches!(stop, Stop::Doubt(_)) && work.claims();
            if claims || (is_over && doubt.is_some() && work.needs_lease()) {
                // What was claimed or recorded is not known: all is given back at the next renewal.
                self.me.standing.give_up();
                return Err(LedgerError::LeaseLost);
            }
            if is_over {
                return Err(words::gave_up(&self.shared.place, stop, since.elapsed()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }

    async fn attempt(&mut self, work: Work<'_>, doubt: &mut Option<Doubt>) -> Result<Came, Stop> {
        let patience = self.shared.patience;
        let mut db = match self.db.take().filter(|db| !db.is_closed()) {
            Some(db) => db,
            None => connect::connect(&self.shared.address, patience).await?,
        };
        if doubt.is_some() {
            let asked = has_happened(&mut db, &self.me, doubt);
            if let Some(sure) = in_time(patience.answer, asked).await? {
                self.db = Some(db);
                return Ok(self.learn(sure.outcome, work, sure.began));
            }
        }
        let limit = match work.has_sql() {
            true => patience.statements,
            false => patience.answer,
        };
        let began = SystemClock.boot_millis();
        let inside = async {
            db.begin();
            transaction(&mut db, &self.me, work).await
        };
        // A connection that is silent is dropped: it may be open at this end only.
        let done = match in_time(limit, inside).await {
            Ok(outcome) => {
                let committed = in_time(patience.answer, db.commit()).await;
                judge(committed, outcome, work, began, doubt)
            }
            Err(stop) => Err(stop),
        };
        self.db = left_open(db, &done, patience.answer).await;
        Ok(self.learn(done?, work, began))
    }

    /// What it means for this holder that a transaction was committed.
    fn learn(&mut self, outcome: Outcome, work: Work<'_>, began: i64) -> Came {
        let Outcome { came, holds, .. } = outcome;
        let standing = &self.me.standing;
        if self.is_main() {
            if matches!(work, Work::Renew) || (holds && !standing.registered()) {
                standing.written(began);
            }
            standing.register(holds);
        }
        if !matches!(work, Work::Renew) || matches!(came, Came::Freed(Some(1..))) {
            standing.count();
            self.shared.changed();
        }
        came
    }

    /// Whether this is the writer that speaks for the holder itself.
    const fn is_main(&self) -> bool {
        matches!(self.lane, Lane::Main)
    }

    /// A clean end: what is still held is free at once.
    async fn close(&mut self) {
        let Some(mut db) = self.db.take().filter(|db| !db.is_closed()) else {
            return;
        };
        let abandoned = self.shared.abandoned.load(Ordering::Acquire);
        let text = "update oncely_holders set renewed = renewed - lease_ms where id = $1";
        let ended = if abandoned {
            db.run(text, &[&self.me.id().0]).await.map_err(Stop::from)
        } else {
            leave(&mut db, &self.me).await
        };
        if let Err(error) = ended {
            tracing::warn!(
                ?error,
                "the ledger could not be left cleanly; others will see to it"
            );
        }
    }
}

/// Gives back what is held; what this handle has counted is kept under another number.
async fn leave(db: &mut Db, me: &Me) -> Result<u64, Stop> {
    db.begin();
    let mut freed = 0;
    if me.standing.registered() {
        super::slice::take_turn(db).await?;
        freed = me.free(db, &[me.id().0]).await?;
    }
    if me.standing.counted() {
        save::fold_changes(db, &[me.handle]).await?;
    }
    db.commit().await?;
    Ok(freed)
}

fn take(jobs: &mut [Job], places: Vec<usize>, results: Vec<Result<UnitResult, LedgerError>>) {
    for (place, result) in places.into_iter().zip(results) {
        if let Some(job) = jobs.get_mut(place) {
            job.take(result);
        }
    }
}

fn fail(jobs: &mut [Job], error: &LedgerError) {
    for job in jobs.iter_mut().filter(|job| !job.is_finished()) {
        job.failed = Some(error.clone());
    }
}
