//! People say what became of single items that nobody knows about, or have them looked up.

use crate::ask::Ask;
use crate::items::in_doubt;
use crate::people::{People, PeopleError};
use crate::settle::doubt;
use oncely_core::fact::{Fact, ItemsBecame};
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::RunRow;
use oncely_core::limits;
use oncely_core::round::Named;
use oncely_core::run::RunState;
use oncely_core::task::Work;

/// Items, and what became of them.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    /// Which; none names all that are in doubt.
    pub which: &'a [u64],
    /// What became of them.
    pub became: ItemsBecame,
}

/// Items that were settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemsSettled {
    /// Of this step.
    pub step: StepId,
    /// So many.
    pub items: usize,
}

impl People {
    /// Says what became of items that nobody knows about. The step goes on with that; items of which
    /// nothing was said stay in doubt.
    ///
    /// # Errors
    /// When no attempt of the run is unknown, or one of these items is not. Nothing was changed.
    pub async fn settle_items(
        &self,
        run: RunId,
        named: Option<&str>,
        items: Items<'_>,
        by: &str,
        reason: &str,
    ) -> Result<ItemsSettled, PeopleError> {
        let state = self.folded(run).await?;
        let meant = doubt(run, &state, named)?;
        let count = self.may_settle(run, &state, &meant.0, items.which).await?;
        let decide = |_: &RunRow, state: &RunState| {
            if doubt(run, state, named)? != meant {
                return Err(PeopleError::Cannot(format!(
                    "somebody else has settled step {} of run {run} meanwhile. Nothing was changed.",
                    Named(&meant.0)
                )));
            }
            let fact = Fact::ItemsSettled {
                step: meant.0.clone(),
                attempt: meant.1,
                items: items.which.to_vec(),
                became: items.became,
                by: by.to_owned(),
                reason: reason.to_owned(),
            };
            Ok(((), fact))
        };
        self.act(run, &decide).await?;
        let step = meant.0;
        Ok(ItemsSettled { step, items: count })
    }

    /// The items of a step that nobody knows about.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn items_in_doubt(&self, run: RunId, step: &StepId) -> Result<Vec<u64>, PeopleError> {
        let ask = Ask(&*self.ledger);
        let progress = ask.progress(run, step.clone()).await?.unwrap_or_default();
        Ok(in_doubt(ask, run, step, &progress).await?)
    }

    async fn may_settle(
        &self,
        run: RunId,
        state: &RunState,
        step: &StepId,
        which: &[u64],
    ) -> Result<usize, PeopleError> {
        let cannot = |why: String| Err(PeopleError::Cannot(format!("{why} Nothing was changed.")));
        if which.len() > limits::ITEMS_SETTLED {
            let most = limits::ITEMS_SETTLED;
            return cannot(format!("at most {most} items are settled at once."));
        }
        let known = self.step_of(state, step).await?;
        if !known.is_some_and(|step| matches!(step.work, Work::Each(_))) {
            return cannot(format!("step {} of run {run} has no items.", Named(step)));
        }
        let open = self.items_in_doubt(run, step).await?;
        if let Some(item) = which.iter().find(|item| !open.contains(item)) {
            let open = listed(&open);
            return cannot(format!(
                "item {item} of step {} of run {run} is not in doubt. In doubt: {open}.",
                Named(step)
            ));
        }
        Ok(match which.len() {
            0 => open.len(),
            some => some,
        })
    }
}

/// Numbers of items, the first of many.
#[must_use]
pub fn listed(items: &[u64]) -> String {
    let named: Vec<String> = items.iter().take(10).map(u64::to_string).collect();
    let more = if items.len() > named.len() {
        ", …"
    } else {
        ""
    };
    match named.is_empty() {
        true => "none".into(),
        false => format!("{}{more}", named.join(", ")),
    }
}
