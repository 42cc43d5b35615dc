//! The writer: one task in each process that applies every waiting unit in one transaction,
//! commits, and answers all. The group grows with the load; no timer is needed.

use super::db::{Db, Stop, in_time};
use super::doubt::{Doubt, Outcome, has_happened, judge, left_open};
use super::holders::Me;
use super::slice::{Slice, claims};
use super::statements::Fault;
use super::store::{Done, Job, Message, Request, Shared};
use super::{claim, connect, save, statements, words};
use crate::SystemClock;
use crate::memory::apply::apply_with;
use oncely_core::action::Statement;
use oncely_core::ledger::{Claim, Guard, Leased, LedgerError, Op, Unit, UnitResult, What};
use oncely_core::limits;
use oncely_core::time::Clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// The longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// A unit, and what it is a part of.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) unit: &'a Unit,
    /// The place of its job.
    job: usize,
    /// Its job claims: it is refused whole where its holder is gone.
    pub(crate) claims: bool,
}

/// What one transaction is for.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    Units(&'a [Part<'a>]),
    Lease(&'a What, &'a Claim),
    Renew,
}

/// What came of it.
pub(crate) enum Came {
    /// An answer for each unit.
    Units(Vec<Result<UnitResult, LedgerError>>),
    Leased(Leased),
    /// None when others have freed this holder.
    Freed(Option<u64>),
    /// A statement of one of several units failed: at most so many of them at a time.
    Fewer(usize),
}

/// The writer of one process.
pub(crate) struct Writer {
    pub(crate) db: Option<Db>,
    pub(crate) me: Me,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: UnboundedReceiver<Message>,
}

impl Writer {
    /// Works until it is told to close.
    pub(crate) async fn run(mut self) {
        let mut open = true;
        while open {
            let mut queue = VecDeque::new();
            open = match self.inbox.recv().await {
                Some(Message::Job(job)) => {
                    queue.push_back(job);
                    true
                }
                Some(Message::Close) | None => false,
            };
            while let Ok(message) = self.inbox.try_recv() {
                match message {
                    Message::Job(job) => queue.push_back(job),
                    Message::Close => open = false,
                }
            }
            self.serve(queue).await;
        }
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
                    Came::Units(_) | Came::Freed(_) | Came::Fewer(_) => Err(LedgerError::Closed),
                }
            }
            Request::Renew if self.me.may_wait() => Ok(Done::Freed(0)),
            Request::Renew => match self.insist(Work::Renew).await? {
                Came::Freed(Some(freed)) => {
                    self.me.looked = Some(SystemClock.boot_millis());
                    Ok(Done::Freed(freed))
                }
                Came::Freed(None) => Err(self.start_anew()),
                Came::Units(_) | Came::Leased(_) | Came::Fewer(_) => Err(LedgerError::Closed),
            },
            Request::Commit(_) => Err(LedgerError::Closed),
        }
    }

    /// Does the units of several jobs in as few transactions as possible. Units with statements of
    /// tasks share none with others; where one of them fails, half as many are tried, until it is
    /// alone.
    async fn group(&mut self, mut jobs: Vec<Job>) {
        let mut most = limits::GROUP_UNITS;
        while jobs.iter().any(|job| !job.is_finished()) {
            self.renew_between().await;
            for job in jobs.iter_mut().filter(|job| !job.is_finished()) {
                if job.needs_lease() && self.stop_when_late().is_err() {
                    job.failed = Some(LedgerError::LeaseLost);
                }
            }
            let parts = next_parts(&jobs, most);
            match self.insist(Work::Units(&parts)).await {
                Ok(Came::Fewer(fewer)) => most = fewer,
                Ok(Came::Units(results)) => {
                    let failed = |r: &_| matches!(r, Ok(UnitResult::SqlFailed(_)));
                    if !results.iter().any(failed) {
                        most = (most * 2).min(limits::GROUP_UNITS);
                    }
                    let places: Vec<usize> = parts.iter().map(|part| part.job).collect();
                    for (place, result) in places.into_iter().zip(results) {
                        if let Some(job) = jobs.get_mut(place) {
                            job.take(result);
                        }
                    }
                }
                Ok(Came::Leased(_) | Came::Freed(_)) => break,
                Err(error) => {
                    for job in jobs.iter_mut().filter(|job| !job.is_finished()) {
                        job.failed = Some(error.clone());
                    }
                }
            }
        }
        jobs.into_iter().for_each(Job::answer_units);
    }

    /// Renewals wait behind a group; one that takes long must not cost the lease.
    async fn renew_between(&mut self) {
        if !self.me.is_renewal_due() {
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
        self.me.gave_up |= self.me.is_late();
        if self.me.gave_up {
            return Err(LedgerError::LeaseLost);
        }
        Ok(())
    }

    /// Others have freed what this holder held: from now on it is another one.
    fn start_anew(&mut self) -> LedgerError {
        self.me.id = super::holders::new_id();
        self.me.registered = false;
        self.me.gave_up = false;
        self.shared.holder.store(self.me.id.0, Ordering::Release);
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
                self.me.gave_up = true;
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
            db.simple("begin").await?;
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
        if matches!(work, Work::Renew) || (holds && !self.me.registered) {
            self.me.renewed = began;
        }
        self.me.registered |= holds;
        if !matches!(work, Work::Renew) || matches!(came, Came::Freed(Some(1..))) {
            self.me.counted = true;
            self.shared.changed();
        }
        came
    }

    /// A clean end: what is still held is free at once.
    async fn close(&mut self) {
        let Some(mut db) = self.db.take().filter(|db| !db.is_closed()) else {
            return;
        };
        let abandoned = self.shared.abandoned.load(Ordering::Acquire);
        let text = "update oncely_holders set renewed = renewed - lease_ms where id = $1";
        let ended = if abandoned {
            db.run(text, &[&self.me.id.0]).await.map_err(Stop::from)
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
    db.simple("begin").await?;
    let mut freed = 0;
    if me.registered {
        super::slice::take_turn(db).await?;
        freed = me.free(db, &[me.id.0]).await?;
    }
    if me.counted {
        save::fold_changes(db, &[me.handle]).await?;
    }
    db.commit().await?;
    Ok(freed)
}

/// What it means that a statement failed: it was that of the only unit, or fewer are tried.
pub(crate) fn sql_failed(work: Work<'_>, fault: Fault) -> Came {
    match (work, fault) {
        (Work::Units([_]), Fault::Statement(words) | Fault::Slow(words)) => {
            Came::Units(vec![Ok(UnitResult::SqlFailed(words))])
        }
        (Work::Units(parts), Fault::Statement(_)) => Came::Fewer((parts.len() / 2).max(1)),
        // Each try of several costs as much time as that of the slow one.
        _ => Came::Fewer(1),
    }
}

/// The next units that may share a transaction. With statements of tasks at most so many.
fn next_parts(jobs: &[Job], most: usize) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let first = jobs.iter().find_map(|job| job.left().first());
    let sql = first.is_some_and(has_sql);
    let most = if sql { most } else { limits::GROUP_UNITS };
    // The units of a job keep their order; jobs do not depend on one another.
    for (place, job) in jobs.iter().enumerate() {
        let claims = job.claims();
        for unit in job.left().iter().take_while(|unit| has_sql(unit) == sql) {
            if parts.len() >= most {
                return parts;
            }
            parts.push(Part {
                unit,
                job: place,
                claims,
            });
        }
    }
    parts
}

fn statements_of(unit: &Unit) -> impl Iterator<Item = &Statement> {
    unit.ops.iter().flat_map(|op| match op {
        Op::Sql(statements) => statements.as_slice(),
        _ => &[],
    })
}

fn has_sql(unit: &Unit) -> bool {
    unit.ops.iter().any(|op| matches!(op, Op::Sql(_)))
}

/// Whether a unit speaks for a holder.
pub(crate) fn needs_lease(unit: &Unit) -> bool {
    let fenced = |guard: &Guard| matches!(guard, Guard::Fence(..) | Guard::Named(..));
    claims(unit) || unit.guards.iter().any(fenced)
}

impl Work<'_> {
    fn claims(self) -> bool {
        match self {
            Self::Units(parts) => parts.iter().any(|part| claims(part.unit)),
            Self::Lease(..) => true,
            Self::Renew => false,
        }
    }

    /// Whether it speaks for a holder.
    fn needs_lease(self) -> bool {
        match self {
            Self::Units(parts) => parts.iter().any(|part| needs_lease(part.unit)),
            Self::Lease(..) | Self::Renew => true,
        }
    }

    pub(crate) fn has_sql(self) -> bool {
        matches!(self, Self::Units(parts) if parts.iter().any(|part| has_sql(part.unit)))
    }
}

/// Does the work in the open transaction.
async fn transaction(db: &mut Db, me: &Me, work: Work<'_>) -> Result<Outcome, Stop> {
    match work {
        Work::Units(parts) => apply(db, me, parts).await,
        Work::Lease(what, wanted) => {
            let (leased, slice) = claim::claim(db, me, what, wanted).await?;
            let holds = slice.state.holders.contains_key(&me.id);
            let taken = match &leased {
                Leased::Runs(held) => !held.is_empty() || matches!(what, What::Present),
                Leased::Named(_) => true,
                Leased::Busy(_) => false,
            };
            if taken {
                save::save(db, me, &slice).await?;
            }
            Ok(Outcome::nothing(Came::Leased(leased), holds))
        }
        Work::Renew => Ok(Outcome::nothing(Came::Freed(me.renew(db).await?), false)),
    }
}

async fn apply(db: &mut Db, me: &Me, parts: &[Part<'_>]) -> Result<Outcome, Stop> {
    let mut slice = Slice::load(db, me, parts).await?;
    let registration = me.registration();
    let mut results = Vec::with_capacity(parts.len());
    // After a unit that is wrong the others of its job are left.
    let mut wrong = None;
    for part in parts {
        let result = if wrong == Some(part.job) {
            Err(LedgerError::Closed)
        } else if slice.lost && part.claims {
            Err(LedgerError::LeaseLost)
        } else {
            apply_with(&mut slice.state, &registration, part.unit, || Ok(Ok(())))
        };
        if result.is_err() {
            wrong = Some(part.job);
        }
        results.push(result);
    }
    let applied = |r: &Result<UnitResult, _>| matches!(r, Ok(UnitResult::Applied(_)));
    if !results.iter().any(applied) {
        return Ok(Outcome::nothing(Came::Units(results), slice.registered));
    }
    // A unit that speaks for its holder found it registered: nothing is written anew for it.
    slice.registered |= me.registered;
    let counted = save::save(db, me, &slice).await?;
    // The statements of a unit that was refused are not executed.
    let wanted = parts.iter().zip(&results).filter(|(_, r)| applied(r));
    let statements: Vec<_> = wanted.flat_map(|(p, _)| statements_of(p.unit)).collect();
    if !statements.is_empty()
        && let Err(fault) = statements::execute(db, &statements, me.options.sql_budget).await?
    {
        db.roll_back().await;
        db.simple("begin").await?;
        let failed = sql_failed(Work::Units(parts), fault);
        return Ok(Outcome::nothing(failed, me.registered));
    }
    let holds = slice.registered || slice.state.holders.contains_key(&me.id);
    Ok(Outcome {
        came: Came::Units(results),
        holds,
        counted: Some(counted),
    })
}
