//! Steps that a person says shall not be done.

use super::fold::{Folded, RunState};
use super::step::{Stage, StepState};
use crate::ids::StepId;

impl RunState {
    /// Who said that this step shall not be done, and why; none where nobody did.
    #[must_use]
    pub fn skip_asked(&self, step: &StepId) -> Option<String> {
        let (by, reason) = self.skips.get(step)?;
        Some(match reason.is_empty() {
            true => format!("{by} said so"),
            false => format!("{by} said so: {reason}"),
        })
    }

    /// A person says it. What is at work or in doubt stays so until that is known.
    pub(super) fn ask_to_skip(&mut self, step: &StepId, by: &str, reason: &str) -> Folded {
        match self.steps.get(step).map(|known| &known.stage) {
            Some(Stage::Done) => return Err(format!("step `{step}` is done")),
            Some(Stage::Skipped) => return Err(format!("step `{step}` was skipped already")),
            Some(Stage::Asked(_)) => return Err(format!("step `{step}` asks a person")),
            _ => {}
        }
        let said = (by.to_owned(), reason.to_owned());
        self.skips.insert(step.clone(), said);
        Ok(())
    }

    /// What was done of it so far, such as some of its items, stays known.
    pub(super) fn skip(&mut self, step: &StepId) -> Folded {
        let asked = self.skips.contains_key(step);
        match self.steps.get_mut(step) {
            None => self.fresh(step, StepState::new(Stage::Skipped)),
            Some(_) if !asked => Err(format!("something has happened to step `{step}` already")),
            Some(known) => match known.stage {
                Stage::Failed { .. }
                | Stage::Refused { .. }
                | Stage::Judged { .. }
                | Stage::Held { .. } => {
                    known.stage = Stage::Skipped;
                    Ok(())
                }
                Stage::Open { .. } | Stage::Unknown { .. } => {
                    Err(format!("nobody knows yet what became of step `{step}`"))
                }
                Stage::Asked(_) => Err(format!("step `{step}` asks a person")),
                Stage::Done | Stage::Skipped => Err(format!("step `{step}` is behind us")),
            },
        }
    }
}
