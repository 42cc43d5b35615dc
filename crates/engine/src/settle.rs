//! People say what became of an attempt that nobody knows about, or have it looked up.

use crate::people::{People, PeopleError};
use crate::runner::find;
use crate::tasks::Tasks;
use oncely_core::Value;
use oncely_core::fact::{Fact, Settlement};
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::RunRow;
use oncely_core::question::Notice;
use oncely_core::round::{Named, Round};
use oncely_core::run::{RunState, Stage};
use oncely_core::task::{Work, can_be_looked_up};
use oncely_core::undo;

impl People {
    /// Says what became of an attempt that nobody knows about, of the step of this name if one is
    /// given.
    ///
    /// # Errors
    /// When no attempt of the run is unknown, or one of another step is.
    pub async fn settle(
        &self,
        run: RunId,
        named: Option<&str>,
        happened: Option<Value>,
        by: &str,
        reason: &str,
    ) -> Result<StepId, PeopleError> {
        let decide = |_: &RunRow, state: &RunState| {
            let (step, attempt) = doubt(run, state, named)?;
            let settlement = match &happened {
                Some(output) => Settlement::Happened {
                    output: output.clone(),
                },
                None => Settlement::DidNotHappen,
            };
            let (by, reason) = (by.to_owned(), reason.to_owned());
            Ok((
                step.clone(),
                Fact::Settled {
                    step,
                    attempt,
                    settlement,
                    by,
                    reason,
                },
            ))
        };
        self.act(run, &decide).await
    }

    /// Has an attempt looked up that nobody knows about.
    ///
    /// # Errors
    /// As with [`People::settle`], and when there is nobody to ask. Nothing was changed.
    pub async fn look_up(
        &self,
        run: RunId,
        named: Option<&str>,
        by: &str,
        reason: &str,
    ) -> Result<StepId, PeopleError> {
        self.somebody_can_look(run, named).await?;
        let decide = |_: &RunRow, state: &RunState| {
            let (step, attempt) = doubt(run, state, named)?;
            let (by, reason) = (by.to_owned(), reason.to_owned());
            Ok((
                step.clone(),
                Fact::ProbeAsked {
                    step,
                    attempt,
                    by,
                    reason,
                },
            ))
        };
        self.act(run, &decide).await
    }

    /// The text of a run does not change: what can be looked up stays so.
    async fn somebody_can_look(&self, run: RunId, named: Option<&str>) -> Result<(), PeopleError> {
        let state = self.folded(run).await?;
        let (id, _) = doubt(run, &state, named)?;
        let Some(text) = state.text else {
            return Ok(());
        };
        let pinned = Tasks::default().pinned(text, &*self.ledger).await?;
        let task = match &state.undoing {
            Some(undoing) => undo::task(&pinned, undoing),
            None => (*pinned).clone(),
        };
        let step = find(&task, &id);
        let why = match step.map(|step| (step.work.clone(), can_be_looked_up(&step))) {
            Some((_, true)) => return Ok(()),
            Some((Work::Each(_), _)) => format!(
                "the items of step {} of run {run} are looked up one by one after a crash, and \
                 not together.",
                Named(&id)
            ),
            _ => format!(
                "nothing can look step {} of run {run} up: its task file has no `probe` for it.",
                Named(&id)
            ),
        };
        Err(PeopleError::Cannot(format!(
            "{why} Nothing was changed. Look yourself, and say what became of it:\n        oncely \
             settle {run} {} done|not-done --reason \"…\"",
            Round::step_of(&id)
        )))
    }
}

/// The attempt that nobody knows about.
fn doubt(run: RunId, state: &RunState, named: Option<&str>) -> Result<(StepId, u32), PeopleError> {
    let unknown = state.steps.iter().find_map(|(id, step)| match &step.stage {
        Stage::Unknown { .. } if !Notice::is_id(id) => Some((id.clone(), step.attempts)),
        _ => None,
    });
    let Some((step, attempt)) = unknown else {
        return Err(PeopleError::Cannot(format!(
            "no attempt of run {run} is unknown: there is nothing to settle."
        )));
    };
    match named.filter(|named| *named != Round::step_of(&step).as_str()) {
        None => Ok((step, attempt)),
        Some(named) => Err(PeopleError::Cannot(format!(
            "it is step {} of run {run} that nobody knows about, and not `{named}`. Nothing was \
             changed.",
            Named(&step)
        ))),
    }
}
