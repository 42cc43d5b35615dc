//! What is asked of the writer, and how whoever asked gets an answer or gives up.

use oncely_core::forget::Forget;
use oncely_core::ledger::{Claim, Leased, LedgerError, Unit, UnitResult, What};
use oncely_core::prune::{Prune, Pruned};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::oneshot;

/// What the writer is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// Apply units.
    Commit(Vec<Unit>),
    /// Claim runs or a name.
    Lease(What, Claim),
    /// Renew the lease and free what others left behind.
    Renew,
    /// Remove a part of what is kept of old runs.
    Prune(Prune),
    /// Remove the data of runs.
    Forget(Forget),
}

/// What the writer answers.
#[derive(Debug)]
pub(crate) enum Done {
    /// Results, and the units, so that whoever asked lets go of them and not the writer.
    Units {
        results: Vec<UnitResult>,
        _units: Vec<Unit>,
    },
    Leased(Leased),
    Freed(u64),
    Pruned(Pruned),
    Forgotten,
}

/// Sent to the writer.
pub(crate) enum Message {
    Job(Job),
    /// Somebody watches: look for changes of other processes now and then.
    Look,
    Close,
}

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Settles, once, whether the writer took a job or the asker gave up: never both.
#[derive(Debug, Default)]
pub(crate) struct Ticket(AtomicU8);

impl Ticket {
    /// The writer takes the job; false when the asker has given up.
    pub(crate) fn take(&self) -> bool {
        self.settle(TAKEN) != GIVEN_UP
    }

    /// The asker gives up; false when the job is being worked on.
    pub(crate) fn give_up(&self) -> bool {
        self.settle(GIVEN_UP) != TAKEN
    }

    /// What it is from now on.
    fn settle(&self, wanted: u8) -> u8 {
        match self
            .0
            .compare_exchange(WAITING, wanted, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => wanted,
            Err(settled) => settled,
        }
    }
}

/// A request on its way through the writer.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) ticket: Arc<Ticket>,
    reply: oneshot::Sender<Result<Done, LedgerError>>,
    /// Results so far; those of a transaction that is still open come last.
    pub(crate) results: Vec<UnitResult>,
    /// How many of them are committed.
    committed: usize,
    pub(crate) leased: Option<Leased>,
    pub(crate) pruned: Option<Pruned>,
    pub(crate) forgotten: bool,
    pub(crate) failed: Option<LedgerError>,
    /// A unit that took too long in a transaction that was lost is not executed again.
    pub(crate) doomed: Option<(usize, String)>,
}

impl Job {
    /// A job and where its answer will arrive.
    pub(crate) fn new(request: Request) -> (Self, oneshot::Receiver<Result<Done, LedgerError>>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            request,
            ticket: Arc::default(),
            reply,
            results: Vec::new(),
            committed: 0,
            leased: None,
            pruned: None,
            forgotten: false,
            failed: None,
            doomed: None,
        };
        (job, answer)
    }

    /// Units that wait to be applied.
    pub(crate) fn is_finished(&self) -> bool {
        self.failed.is_some()
            || match &self.request {
                Request::Commit(units) => self.results.len() >= units.len(),
                Request::Lease(..) => self.leased.is_some(),
                Request::Prune(_) => self.pruned.is_some(),
                Request::Forget(_) => self.forgotten,
                Request::Renew => true,
            }
    }

    /// The transaction is durable.
    pub(crate) fn commit(&mut self) {
        self.committed = self.results.len();
    }

    /// The transaction is gone.
    pub(crate) fn roll_back(&mut self) {
        self.results.truncate(self.committed);
        self.leased = None;
        self.pruned = None;
        self.forgotten = false;
    }

    /// Whether something is to be claimed, for which this process must be a holder.
    pub(crate) fn claims(&self) -> bool {
        use oncely_core::ledger::Op;
        match &self.request {
            Request::Lease(..) => true,
            Request::Commit(units) => units
                .iter()
                .any(|unit| matches!(unit.ops.first(), Some(Op::Admit(a)) if a.claimed)),
            Request::Renew | Request::Prune(_) | Request::Forget(_) => false,
        }
    }

    /// Answers with what was done, or why not.
    pub(crate) fn answer(self) {
        let done = match (self.failed, self.request) {
            (Some(error), _) => Err(error),
            (None, Request::Commit(units)) => {
                let (results, _units) = (self.results, units);
                Ok(Done::Units { results, _units })
            }
            (None, Request::Lease(..)) => self.leased.map(Done::Leased).ok_or(LedgerError::Closed),
            (None, Request::Prune(_)) => self.pruned.map(Done::Pruned).ok_or(LedgerError::Closed),
            (None, Request::Forget(_)) => Ok(Done::Forgotten),
            (None, Request::Renew) => Err(LedgerError::Closed),
        };
        self.reply.send(done).ok();
    }

    /// Answers a renewal.
    pub(crate) fn answer_freed(self, freed: Result<u64, LedgerError>) {
        self.reply.send(freed.map(Done::Freed)).ok();
    }

    /// Answers that it cannot be done.
    pub(crate) fn fail(mut self, error: LedgerError) {
        self.failed = Some(error);
        self.answer();
    }
}
