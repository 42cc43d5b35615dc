//! Which way the items of a step are worked, and what the ledger is told on the way.

use super::input::Origin;
use super::pace::Pace;
use super::point::Point;
use super::program::Program;
use super::{effects, stream};
use crate::dispatch::Place;
use crate::job::Job;
use crate::runner::Runner;
use oncely_core::action::{Call, Done, Failure};
use oncely_core::ids::StepId;
use oncely_core::ledger::{Guard, LedgerError, Op, Unit, UnitResult};
use oncely_core::limits;
use oncely_core::points::{self, Point as At};
use oncely_core::task::{Each, Step};

/// How the work on items ended.
pub(crate) enum Over {
    /// Somebody else has the run.
    Lost,
    /// The process is stopping; the next claim goes on at the cursor.
    Released,
    /// The step's attempt ended, with what is committed along with it.
    Ended(Result<Done, Failure>, Vec<Op>),
}

/// Works the items of a step from where they were left.
pub(crate) async fn run(
    runner: &Runner,
    job: &Job,
    step: &Step,
    each: &Each,
    call: &Call,
    place: Option<Place>,
) -> Result<Over, LedgerError> {
    let Some(place) = place else {
        return Ok(Over::Released);
    };
    let origin = match Origin::of(runner, call) {
        Ok(origin) => origin,
        Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
    };
    let columns = match columns(&origin).await {
        Ok(columns) => columns,
        Err(failure) => return Ok(Over::Ended(Err(failure), Vec::new())),
    };
    let work = Work {
        runner,
        job,
        step,
        each,
    };
    let begun = work.point(origin.is_rows()).await?;
    match Program::compile(&work, columns.as_deref()) {
        Err(failure) => Ok(Over::Ended(Err(failure), Vec::new())),
        Ok(Some(program)) => {
            let pace = Pace::new(&work, place, limits::RANGE_ITEMS);
            stream::run(&work, origin, program, begun, pace).await
        }
        Ok(None) => {
            let pace = Pace::new(&work, place, effects::WAVE);
            effects::run(&work, origin, begun, pace).await
        }
    }
}

/// The names of the columns; a database is asked on a thread that may wait for it.
async fn columns(origin: &Origin) -> Result<Option<Vec<String>>, Failure> {
    if !origin.is_rows() {
        return origin.columns();
    }
    let origin = origin.clone();
    tokio::task::spawn_blocking(move || origin.columns())
        .await
        .unwrap_or_else(|panic| Err(Failure::retry(format!("the select broke: {panic}"))))
}

/// The step whose items are worked.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) runner: &'a Runner,
    pub(crate) job: &'a Job,
    pub(crate) step: &'a Step,
    pub(crate) each: &'a Each,
}

/// What the ledger said to progress.
pub(crate) enum Told {
    /// It has it.
    Recorded,
    /// It has it, and somebody asked something of the run.
    Asked,
    /// Somebody else has the run.
    Lost,
}

impl Work<'_> {
    /// The name of a sub-step: `step/sub`.
    pub(crate) fn sub_id(&self, sub: &Step) -> StepId {
        StepId::from(format!("{}/{}", self.step.id, sub.id))
    }

    /// Commits operations under the claim; people's requests do not keep them from being recorded.
    pub(crate) async fn tell(&self, ops: Vec<Op>) -> Result<Told, LedgerError> {
        let fence = Guard::Fence(self.job.row.id, self.job.fence);
        let seq = Guard::RunSeq(self.job.row.id, self.job.committed);
        let unit = Unit {
            guards: vec![fence.clone(), seq],
            ops: ops.clone(),
        };
        let (task, step) = (self.job.row.task.as_str(), self.step.id.as_str());
        points::pass_in(At::ItemsToldBefore, task, step);
        let result = self.commit(unit).await?;
        points::pass_in(At::ItemsToldAfter, task, step);
        match result {
            UnitResult::Refused(Guard::RunSeq(..)) => {}
            UnitResult::Refused(_) | UnitResult::Duplicate(_) => return Ok(Told::Lost),
            UnitResult::Applied(_) | UnitResult::SqlFailed(_) | UnitResult::SqlLate(_) => {
                self.job.suspicion.clear();
                return Ok(Told::Recorded);
            }
        }
        match self
            .commit(Unit {
                guards: vec![fence],
                ops,
            })
            .await?
        {
            UnitResult::Refused(_) | UnitResult::Duplicate(_) => Ok(Told::Lost),
            UnitResult::Applied(_) | UnitResult::SqlFailed(_) | UnitResult::SqlLate(_) => {
                Ok(Told::Asked)
            }
        }
    }

    /// Commits one unit, waiting for a full disk or a busy ledger.
    pub(crate) async fn commit(&self, unit: Unit) -> Result<UnitResult, LedgerError> {
        let results = self.runner.commit_patiently(|| vec![unit.clone()]).await?;
        results.into_iter().next().ok_or(LedgerError::Closed)
    }

    /// The end of an attempt whose items are all dealt with.
    pub(crate) fn done(&self, point: &Point) -> Over {
        let progress = &point.progress;
        let output = serde_json::json!({
            "done": progress.done,
            "set_aside": progress.set_aside,
            "total": progress.next,
            "unseen": progress.unseen,
        });
        Over::Ended(Ok(Done::Output(output)), self.items_ops(point, Vec::new()))
    }

    /// The end of an attempt that somebody asked to hold or end; it goes on at the cursor.
    pub(crate) fn held(&self, point: &Point) -> Over {
        let why = format!("held at item {}", point.progress.next);
        Over::Ended(Err(Failure::retry(why)), self.items_ops(point, Vec::new()))
    }
}
