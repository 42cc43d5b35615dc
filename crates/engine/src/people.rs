//! What people do to runs: they answer, settle, and ask. They hold no fence; the state that they
//! answer guards them.

use crate::ask::Ask;
use oncely_core::fact::{Fact, Request};
use oncely_core::ids::RunId;
use oncely_core::ledger::{Guard, Ledger, LedgerError, Op, RunRef, RunRow, Unit, UnitResult};
use oncely_core::people::Roster;
use oncely_core::points::{self, Point};
use oncely_core::question::Refusal;
use oncely_core::run::{RunState, RunStatus};
use oncely_core::time::{Clock, Timestamp};
use std::fmt;
use std::sync::Arc;

/// Why something asked of a run was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeopleError {
    /// There is no such run.
    NoRun(RunId),
    /// Its data was removed.
    Forgotten(RunId),
    /// It was pruned, by this person.
    Pruned(RunId, String),
    /// It cannot be done to the run as it stands; says why and what can.
    Cannot(String),
    /// An answer that does not count.
    Refused(RunId, Refusal),
    /// The ledger does not answer.
    Ledger(LedgerError),
}

impl fmt::Display for PeopleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRun(id) => write!(
                f,
                "there is no run {id} in this ledger. `oncely runs` lists them."
            ),
            Self::Forgotten(id) => write!(
                f,
                "run {id} was forgotten: what it was given and what it gave is not known any more. \
                 Nothing was changed. `oncely show {id}` says who asked for it."
            ),
            Self::Pruned(id, by) => write!(
                f,
                "run {id} was pruned by {by}: only its key is kept. Nothing was changed. `oncely show \
                 {id}` says when and why."
            ),
            Self::Cannot(why) => f.write_str(why),
            Self::Refused(run, Refusal::OtherText) => write!(
                f,
                "the question of run {run} has changed since it was shown. Read it again."
            ),
            Self::Refused(run, refusal) => write!(f, "run {run}: {refusal}. Nothing was changed."),
            Self::Ledger(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PeopleError {}

impl From<LedgerError> for PeopleError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// Who does something, and why.
#[derive(Debug, Clone, Copy)]
struct Act<'a> {
    by: &'a str,
    reason: &'a str,
}

/// The acts of people.
pub struct People {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) roster: Arc<Roster>,
}

/// From a run as it stands: the answer to the person, and the fact to be recorded.
pub(crate) type Decide<'d, T> =
    &'d (dyn Fn(&RunRow, &RunState) -> Result<(T, Fact), PeopleError> + Sync);

/// How often an act is tried again when the run changed meanwhile.
pub(crate) const TRIES: u32 = 20;

impl People {
    /// Acts on this ledger, of these people.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, roster: Arc<Roster>) -> Self {
        Self {
            ledger,
            clock,
            roster,
        }
    }

    /// Asks a run to end, to hold, or to go on.
    ///
    /// # Errors
    /// When that cannot be asked of the run as it stands.
    pub async fn request(
        &self,
        run: RunId,
        what: Request,
        by: &str,
        reason: &str,
    ) -> Result<(), PeopleError> {
        let act = Act { by, reason };
        let decide = |row: &RunRow, state: &RunState| {
            askable(row, state, what)?;
            let (by, reason) = (act.by.to_owned(), act.reason.to_owned());
            Ok(((), Fact::Requested { what, by, reason }))
        };
        // What waits goes on waiting until somebody looks at what is asked, which is due at once.
        let due = |row: &RunRow, at| {
            Some(match row.status {
                RunStatus::Waiting => is_due(run, RunStatus::Waiting, at),
                _ => is_due(run, RunStatus::Pending, at),
            })
        };
        self.record(run, &decide, &due).await
    }

    /// Records that the end of the ledger was lost. What is held is due, so that its holder sees it.
    pub(crate) async fn lose_end(&self, run: RunId, fact: Fact) -> Result<(), PeopleError> {
        let held = matches!(&fact, Fact::EndLost { hold, .. } if !hold.is_empty());
        let decide = |_: &RunRow, _: &RunState| Ok(((), fact.clone()));
        let due = |row: &RunRow, at| {
            let status = match row.status {
                RunStatus::Waiting => RunStatus::Waiting,
                _ => RunStatus::Pending,
            };
            held.then(|| is_due(run, status, at))
        };
        self.record(run, &decide, &due).await
    }

    /// A run's facts, folded.
    pub(crate) async fn folded(&self, run: RunId) -> Result<RunState, PeopleError> {
        let facts = Ask(&*self.ledger).facts(run).await?;
        RunState::fold(&facts).map_err(|e| PeopleError::Cannot(format!("run {run}: {e}")))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Records what somebody does to a run, which is due then.
    pub(crate) async fn act<T>(&self, run: RunId, decide: Decide<'_, T>) -> Result<T, PeopleError> {
        let due = |_: &RunRow, at| Some(is_due(run, RunStatus::Pending, at));
        self.record(run, decide, &due).await
    }

    /// Records what somebody did about a run, which stands as before.
    pub(crate) async fn note<T>(
        &self,
        run: RunId,
        decide: Decide<'_, T>,
    ) -> Result<T, PeopleError> {
        self.record(run, decide, &|_, _| None).await
    }

    async fn record<T>(
        &self,
        run: RunId,
        decide: Decide<'_, T>,
        then: &(dyn Fn(&RunRow, Timestamp) -> Option<Op> + Sync),
    ) -> Result<T, PeopleError> {
        for _ in 0..TRIES {
            let ask = Ask(&*self.ledger);
            let row = ask.whole(run).await?;
            let facts = ask.facts(run).await?;
            let mut state = RunState::fold(&facts)
                .map_err(|e| PeopleError::Cannot(format!("run {run}: {e}")))?;
            let (answer, fact) = decide(&row, &state)?;
            let at = self.clock.now();
            state
                .apply(at, &fact)
                .map_err(|e| PeopleError::Cannot(format!("run {run}: {}", e.why)))?;
            let said = Op::Facts {
                run: RunRef::Id(run),
                at,
                facts: vec![fact],
            };
            let unit = Unit {
                guards: vec![Guard::RunSeq(run, facts.len() as u64)],
                ops: std::iter::once(said).chain(then(&row, at)).collect(),
            };
            points::pass_in(Point::PersonBefore, row.task.as_str(), "");
            let results = self.ledger.commit(vec![unit]).await?;
            points::pass_in(Point::PersonAfter, row.task.as_str(), "");
            match results.first() {
                Some(UnitResult::Applied(_)) => return Ok(answer),
                _ => continue,
            }
        }
        Err(PeopleError::Cannot(format!(
            "run {run} keeps changing, so nothing was done. Try again."
        )))
    }
}

fn is_due(run: RunId, status: RunStatus, at: Timestamp) -> Op {
    Op::Run {
        run: RunRef::Id(run),
        status,
        due: Some(at),
        keep: false,
    }
}

fn askable(row: &RunRow, state: &RunState, what: Request) -> Result<(), PeopleError> {
    let run = row.id;
    let ended = state.ended.is_some() || row.status.is_ended();
    let why = match what {
        Request::Cancel | Request::Pause if ended => {
            format!("run {run} is {} already.", row.status)
        }
        Request::Resume if state.undo_asked => {
            format!("run {run} is being taken back, or was: it is not gone on with.")
        }
        Request::Resume if row.status == RunStatus::Failed || state.paused => return Ok(()),
        Request::Resume if row.status == RunStatus::Unknown => format!(
            "run {run} is unknown: it goes on by itself once `oncely settle {run}` says whether its \
             attempt happened."
        ),
        Request::Resume => format!(
            "run {run} is {}: only a failed or paused run is resumed.",
            row.status
        ),
        Request::Cancel if state.undoing.is_some() => format!(
            "run {run} takes another one back, and what was begun to be taken back is not left half \
             done. `oncely pause {run}` holds it."
        ),
        Request::Cancel | Request::Pause => return Ok(()),
        Request::Rerun => format!("run {run} cannot become a rerun: a rerun is a run of its own."),
        Request::Undo => {
            format!("run {run} does not take itself back: an undo is a run of its own.")
        }
        Request::Start => format!("run {run} has been started already."),
    };
    Err(PeopleError::Cannot(format!("{why} Nothing was changed.")))
}
