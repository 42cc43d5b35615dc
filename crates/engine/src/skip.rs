//! A person says that the step at which a run stands shall not be done.

use crate::ask::Ask;
use crate::items;
use crate::people::{People, PeopleError, TRIES};
use crate::tasks::Tasks;
use oncely_core::fact::Fact;
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::{Guard, Op, RunRef, RunRow, Unit, UnitResult};
use oncely_core::run::{RunState, RunStatus, Stage};
use oncely_core::task::{ActionKind, Step, Task, Work};
use oncely_core::undo;
use std::sync::Arc;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipping {
    /// The step that shall not be done.
    pub step: StepId,
    /// Nobody knows whether it happened: it is passed over once somebody says that it did not.
    pub in_doubt: bool,
}

/// A run as it stands.
struct Stands {
    row: RunRow,
    state: RunState,
    task: Arc<Task>,
}

impl People {
    /// Asks a run to go on without the step at which it stands, whose name may be given.
    ///
    /// # Errors
    /// When the run has no such step, stands at another one, or cannot go on without it. Nothing was
    /// changed.
    pub async fn skip(
        &self,
        run: RunId,
        step: Option<&str>,
        by: &str,
        reason: &str,
    ) -> Result<Skipping, PeopleError> {
        for _ in 0..TRIES {
            let mut stands = self.stands(run).await?;
            let skipping = stands.skipping(step).map_err(unchanged)?;
            self.no_item_in_doubt(&stands, &skipping.step).await?;
            let fact = Fact::SkipAsked {
                step: skipping.step.clone(),
                by: by.to_owned(),
                reason: reason.to_owned(),
            };
            let guards = vec![Guard::RunSeq(run, stands.state.seq)];
            let at = self.clock.now();
            let applied = stands.state.apply(at, &fact);
            applied.map_err(|e| unchanged(format!("run {run}: {}.", e.why)))?;
            let run = RunRef::Id(run);
            let facts = vec![fact];
            let mut ops = vec![Op::Facts { run, at, facts }];
            if !skipping.in_doubt {
                ops.push(Op::Run {
                    run,
                    status: RunStatus::Pending,
                    due: Some(at),
                    keep: false,
                });
            }
            let said = self.ledger.commit(vec![Unit { guards, ops }]).await?;
            if let Some(UnitResult::Applied(_)) = said.first() {
                return Ok(skipping);
            }
        }
        Err(PeopleError::Cannot(format!(
            "run {run} keeps changing, so nothing was done. Try again."
        )))
    }

    async fn stands(&self, run: RunId) -> Result<Stands, PeopleError> {
        let ask = Ask(&*self.ledger);
        let row = ask.whole(run).await?;
        let facts = ask.facts(run).await?;
        let state =
            RunState::fold(&facts).map_err(|e| PeopleError::Cannot(format!("run {run}: {e}")))?;
        may_go_on(&row, &state).map_err(unchanged)?;
        let Some(text) = state.text else {
            return Err(unchanged(not_begun(&row)));
        };
        let pinned = Tasks::default().pinned(text, &*self.ledger).await?;
        let task = match &state.undoing {
            Some(undoing) => Arc::new(undo::task(&pinned, undoing)),
            None => pinned,
        };
        Ok(Stands { row, state, task })
    }

    /// Items that may have happened are not passed over unseen.
    async fn no_item_in_doubt(&self, stands: &Stands, step: &StepId) -> Result<(), PeopleError> {
        let run = stands.row.id;
        let ask = Ask(&*self.ledger);
        let Some(progress) = ask.progress(run, step.clone()).await? else {
            return Ok(());
        };
        let doubts = items::in_doubt(ask, run, step, &progress).await?;
        if doubts.is_empty() {
            return Ok(());
        }
        Err(unchanged(format!(
            "nobody knows whether {} of the items of step `{step}` of run {run} happened, and what \
             is in doubt is not passed over. `oncely resume {run}` finds out or asks.",
            doubts.len()
        )))
    }
}

impl Stands {
    /// The step at which the run stands, if it is the one that is meant and can be passed over.
    fn skipping(&self, named: Option<&str>) -> Result<Skipping, String> {
        let run = self.row.id;
        if let Some(name) = named {
            self.is_ahead(name)?;
        }
        let Some(step) = self.task.steps.iter().find(|step| !self.is_behind(step)) else {
            return Err(format!("run {run} has no step left to be skipped."));
        };
        let id = &step.id;
        if let Some(name) = named.filter(|name| *name != id.as_str()) {
            return Err(format!(
                "run {run} stands at step `{id}` and not at `{name}`. Only the step at which a run stands \
                 is skipped."
            ));
        }
        let stage = self.state.standing(id);
        let in_doubt = matches!(stage, Some(Stage::Unknown { .. }));
        match &step.work {
            Work::Action(spec) if spec.kind == ActionKind::Approve => Err(format!(
                "step `{id}` of run {run} asks a person. A question is answered and not skipped: \
                 `oncely approve {run}`, or `oncely reject {run}`; `oncely cancel {run}` ends the run."
            )),
            Work::Each(_) if matches!(stage, Some(Stage::Open { .. })) => Err(format!(
                "step `{id}` of run {run} is at work on its items. `oncely pause {run}` holds it \
                 first; `oncely skip {run}` then leaves the items that are not done, and `oncely \
                 resume {run}` goes on."
            )),
            Work::Each(_) if in_doubt => Err(format!(
                "nobody knows what became of items of step `{id}` of run {run}, and what is in doubt \
                 is not passed over. Say so first: `oncely settle {run}`."
            )),
            _ => Ok(Skipping {
                step: id.clone(),
                in_doubt,
            }),
        }
    }

    fn is_behind(&self, step: &Step) -> bool {
        let known = self.state.steps.get(&step.id);
        known.is_some_and(|known| matches!(known.stage, Stage::Done | Stage::Skipped))
    }

    /// Whether there is a step of this name that has not been done.
    fn is_ahead(&self, name: &str) -> Result<(), String> {
        let run = self.row.id;
        let Some(step) = self.task.steps.iter().find(|s| s.id.as_str() == name) else {
            let ids: Vec<&str> = self.task.steps.iter().map(|s| s.id.as_str()).collect();
            return Err(format!(
                "run {run} has no step `{name}`. Its steps: {}.",
                ids.join(", ")
            ));
        };
        match self.state.steps.get(&step.id).map(|known| &known.stage) {
            Some(Stage::Done) => Err(format!(
                "step `{name}` of run {run} is done, and what is done is not skipped. `oncely undo \
                 {run}` takes back what a run did, once it has ended."
            )),
            Some(Stage::Skipped) => Err(format!("step `{name}` of run {run} was skipped already.")),
            _ => Ok(()),
        }
    }
}

fn may_go_on(row: &RunRow, state: &RunState) -> Result<(), String> {
    let run = row.id;
    if state.undo_asked {
        return Err(format!(
            "run {run} is being taken back, or was: it is not gone on with."
        ));
    }
    if row.status.is_ended() && row.status != RunStatus::Failed {
        return Err(format!("run {run} is {} already.", row.status));
    }
    if state.cancel && !row.status.is_ended() {
        return Err(format!("run {run} was asked to end: it does nothing more."));
    }
    Ok(())
}

fn not_begun(row: &RunRow) -> String {
    let run = row.id;
    match row.trigger == "release" {
        true => format!(
            "run {run} has not begun, so that it stands at no step. `oncely cancel {run}` ends it. \
             Release tasks that have no run yet are recorded as skipped by `oncely baseline`."
        ),
        false => format!(
            "run {run} has not begun, so that it stands at no step. `oncely cancel {run}` ends it."
        ),
    }
}

fn unchanged(why: String) -> PeopleError {
    PeopleError::Cannot(format!("{why} Nothing was changed."))
}
