//! People say what became of an attempt that nobody knows about, or have it looked up.

use crate::people::{People, PeopleError};
use crate::runner::find;
use crate::settle_items::Items;
use crate::tasks::Tasks;
use oncely_core::Value;
use oncely_core::fact::{Fact, ItemsBecame, Settlement};
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::RunRow;
use oncely_core::question::Notice;
use oncely_core::round::{Named, Round};
use oncely_core::run::{RunState, Stage};
use oncely_core::task::{Step, Work, can_be_looked_up};
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
        if self.somebody_can_look(run, named).await? {
            let all = Items {
                which: &[],
                became: ItemsBecame::LookUp,
            };
            let settled = self.settle_items(run, named, all, by, reason).await?;
            return Ok(settled.step);
        }
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

    /// The text of a run does not change: what can be looked up stays so. True where it is items that
    /// are looked up.
    async fn somebody_can_look(
        &self,
        run: RunId,
        named: Option<&str>,
    ) -> Result<bool, PeopleError> {
        let state = self.folded(run).await?;
        let (id, _) = doubt(run, &state, named)?;
        let step = self.step_of(&state, &id).await?;
        let why = match step.as_ref().map(|step| &step.work) {
            Some(Work::Each(each)) if each.steps.iter().any(can_be_looked_up) => return Ok(true),
            Some(Work::Each(_)) => format!(
                "nothing can look the items of step {} of run {run} up: no step of its `do` block has \
                 a `probe`.",
                Named(&id)
            ),
            _ if step.as_ref().is_some_and(can_be_looked_up) => return Ok(false),
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

impl People {
    /// The step of this id, in the text that the run is pinned to.
    pub(crate) async fn step_of(
        &self,
        state: &RunState,
        id: &StepId,
    ) -> Result<Option<Step>, PeopleError> {
        let Some(text) = state.text else {
            return Ok(None);
        };
        let pinned = Tasks::default().pinned(text, &*self.ledger).await?;
        let task = match &state.undoing {
            Some(undoing) => undo::task(&pinned, undoing),
            None => (*pinned).clone(),
        };
        Ok(find(&task, id).map(std::borrow::Cow::into_owned))
    }
}

/// The attempt that nobody knows about.
pub(crate) fn doubt(
    run: RunId,
    state: &RunState,
    named: Option<&str>,
) -> Result<(StepId, u32), PeopleError> {
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
