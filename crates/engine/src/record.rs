//! Records what was decided and what came of it, and where the run stands then.

use crate::act::Ending;
use crate::job::{Job, Rest};
use crate::runner::{Runner, Todo};
use oncely_core::fact::Fact;
use oncely_core::ids::StepId;
use oncely_core::ledger::{Guard, LedgerError, Op, RunRef, Unit, UnitResult};
use oncely_core::points::{self, Point};
use oncely_core::run::RunStatus;
use oncely_core::sabotage::{self, Switch};
use oncely_core::task::Task;
use oncely_core::time::Timestamp;
use std::time::Duration;

pub(crate) enum Flushed {
    Done,
    Changed,
    Lost,
    SqlFailed(String),
    SqlLate(String),
    /// There is no room to begin anything; nothing was committed.
    Full,
}

/// How soon a ledger that had no room, or was busy, is asked again: twice as late each time.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
/// How late at most.
const PAUSE_MOST: Duration = Duration::from_secs(2);

impl Runner {
    /// Commits units. A full disk or a busy ledger is waited for, since an effect that happened must
    /// be recorded.
    pub(crate) async fn commit_patiently(
        &self,
        units: impl Fn() -> Vec<Unit>,
    ) -> Result<Vec<UnitResult>, LedgerError> {
        let mut pause = PAUSE;
        loop {
            match self.ledger.commit(units()).await {
                Err(error @ (LedgerError::Full(_) | LedgerError::Busy { .. })) => {
                    self.room.hears(&error);
                    if self.stop.wait_at_most(pause).await {
                        return Err(error);
                    }
                    pause = (pause * 2).min(PAUSE_MOST);
                    self.room.look(&*self.ledger);
                }
                other => return other,
            }
        }
    }

    /// Waits until there may be room again, or nothing new is to be begun.
    pub(crate) async fn wait_for_room(&self, pause: &mut Duration) {
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = self.stop.stopped() => {}
        }
        *pause = (*pause * 2).min(PAUSE_MOST);
        self.room.look(&*self.ledger);
    }

    /// Commits what is pending. Where there is no room for what is to be begun, nothing is committed: what
    /// has happened is to be recorded without it.
    async fn commit_all(
        &self,
        units: impl Fn() -> Vec<Unit>,
        todo: &Todo,
    ) -> Result<Option<Vec<UnitResult>>, LedgerError> {
        if !matches!(todo, Todo::Act(_)) {
            return self.commit_patiently(units).await.map(Some);
        }
        match self.ledger.commit(units()).await {
            Err(error @ LedgerError::Full(_)) => {
                self.room.hears(&error);
                Ok(None)
            }
            Err(LedgerError::Busy { .. }) => self.commit_patiently(units).await.map(Some),
            committed => {
                let results = committed?;
                self.room.is_there();
                Ok(Some(results))
            }
        }
    }

    /// Commits what is pending.
    pub(crate) async fn flush(
        &self,
        job: &mut Job,
        at: Timestamp,
        task: Option<&Task>,
        ending: Option<&Ending>,
        todo: &Todo,
    ) -> Result<Flushed, LedgerError> {
        if sabotage::is_off(Switch::Intent) && matches!(todo, Todo::Act(_)) {
            return Ok(Flushed::Done);
        }
        let units = || self.units(job, at, task, ending, todo);
        pass(job, ending, todo, BEFORE);
        let Some(results) = self.commit_all(units, todo).await? else {
            return Ok(Flushed::Full);
        };
        pass(job, ending, todo, AFTER);
        Ok(match results.into_iter().last() {
            Some(UnitResult::Applied(applied)) => {
                if let Some(task) = task {
                    self.tasks.mark_stored(task.text);
                }
                job.committed = applied.seq;
                if ending.is_some() {
                    job.suspicion.clear();
                }
                job.pending.clear();
                Flushed::Done
            }
            Some(UnitResult::Refused(Guard::RunSeq(..))) => Flushed::Changed,
            Some(UnitResult::SqlFailed(error)) => Flushed::SqlFailed(error),
            Some(UnitResult::SqlLate(error)) => Flushed::SqlLate(error),
            Some(UnitResult::Refused(_) | UnitResult::Duplicate(_)) | None => Flushed::Lost,
        })
    }

    fn units(
        &self,
        job: &Job,
        at: Timestamp,
        task: Option<&Task>,
        ending: Option<&Ending>,
        todo: &Todo,
    ) -> Vec<Unit> {
        let run = RunRef::Id(job.row.id);
        let mut ops = undone(job, at, todo);
        ops.extend(self.store(task));
        if let Some(ending) = ending {
            ops.extend(ending.ops.iter().cloned());
        }
        if !job.pending.is_empty() {
            ops.push(Op::Facts {
                run,
                at,
                facts: job.pending.clone(),
            });
        }
        ops.extend(uncounted(job, at, todo));
        ops.push(resting_op(run, job, at, todo));
        let guards = vec![
            Guard::Fence(job.row.id, job.fence),
            Guard::RunSeq(job.row.id, job.committed),
        ];
        let mut units = ending.map(|e| e.before.clone()).unwrap_or_default();
        units.push(Unit { guards, ops });
        units
    }

    /// The text that the run is pinned to is stored with its first commit.
    pub(crate) fn store(&self, task: Option<&Task>) -> Vec<Op> {
        let unstored = task.filter(|task| !self.tasks.is_stored(task.text));
        let known = unstored.and_then(|task| {
            self.tasks
                .current(&task.id)
                .filter(|k| k.task.text == task.text)
        });
        known
            .map(|k| Op::Store(k.task.text, k.bundle.to_bytes().into()))
            .into_iter()
            .collect()
    }

    /// Gives a run back whose open attempt goes on at its cursor.
    pub(crate) async fn release(&self, job: &Job) -> Result<Rest, LedgerError> {
        let unit = Unit {
            guards: vec![Guard::Fence(job.row.id, job.fence)],
            ops: vec![Op::Release(job.row.id, self.clock.now())],
        };
        self.commit_patiently(|| vec![unit.clone()]).await?;
        Ok(Rest::Released)
    }
}

/// The points before a commit, by what it holds: an outcome, an intent, a rest, an end, an undo.
const BEFORE: [Point; 5] = [
    Point::OutcomeBefore,
    Point::IntentBefore,
    Point::RestBefore,
    Point::EndBefore,
    Point::UndoneBefore,
];

/// The points after it.
const AFTER: [Point; 5] = [
    Point::OutcomeAfter,
    Point::IntentAfter,
    Point::RestAfter,
    Point::EndAfter,
    Point::UndoneAfter,
];

/// One commit may hold several of these.
fn pass(job: &Job, ending: Option<&Ending>, todo: &Todo, at: [Point; 5]) {
    let [outcome, intent, rest, end, undone] = at;
    let (task, open) = (job.row.task.as_str(), job.state.open_step());
    let step = open.map_or("", StepId::as_str);
    if let Some(ending) = ending {
        points::pass_in(outcome, task, ending.step().as_str());
    }
    match todo {
        Todo::Act(step) => points::pass_in(intent, task, step.as_str()),
        Todo::Rest(Rest::Waiting { .. } | Rest::Unknown { .. }) => {
            points::pass_in(rest, task, step);
        }
        Todo::Rest(Rest::Ended(status)) => {
            points::pass_in(end, task, "");
            if *status == RunStatus::Done && job.state.undoing.is_some() {
                points::pass_in(undone, task, "");
            }
        }
        Todo::Queue | Todo::Rest(Rest::Released | Rest::Lost) => {}
    }
}

/// What is said of the run that was taken back, in the commit that ends what took it back.
fn undone(job: &Job, at: Timestamp, todo: &Todo) -> Vec<Op> {
    let Todo::Rest(Rest::Ended(RunStatus::Done)) = todo else {
        return Vec::new();
    };
    let Some(undoing) = &job.state.undoing else {
        return Vec::new();
    };
    let run = RunRef::Id(undoing.run);
    let facts = vec![Fact::Undone { by: job.row.id }];
    let status = RunStatus::Undone;
    vec![
        Op::Facts { run, at, facts },
        Op::Run {
            run,
            status,
            due: None,
            keep: false,
        },
    ]
}

/// A claim that finds nothing to do yet is no sign of a crash: it is not counted.
fn uncounted(job: &Job, at: Timestamp, todo: &Todo) -> Option<Op> {
    let waits = matches!(
        todo,
        Todo::Rest(Rest::Waiting { .. } | Rest::Unknown { .. })
    );
    (waits && job.pending.is_empty()).then(|| Op::Release(job.row.id, at))
}

fn resting_op(run: RunRef, job: &Job, at: Timestamp, todo: &Todo) -> Op {
    let (status, due, keep) = match todo {
        Todo::Act(_) | Todo::Queue => (RunStatus::Running, None, true),
        Todo::Rest(Rest::Ended(status)) => (*status, None, false),
        Todo::Rest(Rest::Waiting { until, .. }) => (RunStatus::Waiting, *until, false),
        Todo::Rest(Rest::Unknown { .. }) => (RunStatus::Unknown, None, false),
        Todo::Rest(Rest::Released | Rest::Lost) => return Op::Release(job.row.id, at),
    };
    Op::Run {
        run,
        status,
        due,
        keep,
    }
}
