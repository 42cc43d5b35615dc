//! What a command says that waits for a run: that a step is tried again later, or that a stream pauses.

use super::drive::Stands;
use super::progress;
use crate::failure::Failure;
use crate::house::House;
use crate::output::{Voice, rfc3339};
use oncely_core::ids::{RunId, StepId};
use oncely_core::run::RunStatus;
use oncely_core::time::Clock;
use oncely_engine::Ask;
use std::collections::BTreeSet;

/// Shorter waits are not worth a line, in milliseconds.
const WORTH_SAYING_MS: i64 = 5_000;

/// Steps of which it was said that they wait.
#[derive(Default)]
pub(super) struct Waits(BTreeSet<StepId>);

impl Waits {
    /// Says it once of each step. What cannot be read is not said: the work says what is wrong.
    pub(super) async fn look(&mut self, voice: Voice, house: &House, run: RunId, bar: bool) {
        let _ = self.tell(voice, house, run, bar).await;
    }

    async fn tell(
        &mut self,
        voice: Voice,
        house: &House,
        run: RunId,
        bar: bool,
    ) -> Result<(), Failure> {
        let Some(row) = Ask(house.ledger()).run(run).await? else {
            return Ok(());
        };
        let worth = house.clock.now().plus_millis(WORTH_SAYING_MS);
        match row.status {
            RunStatus::Waiting if row.due.is_some_and(|due| due >= worth) => {
                self.waiting(voice, house, run).await
            }
            // A bar says so itself.
            RunStatus::Running if !bar => self.pausing(voice, house, run).await,
            _ => Ok(()),
        }
    }

    async fn waiting(&mut self, voice: Voice, house: &House, run: RunId) -> Result<(), Failure> {
        let stands = Stands::read(house, run).await?;
        let Some(waits) = stands.tried_again() else {
            return Ok(());
        };
        if self.0.insert(waits.step.clone()) {
            voice.record(&serde_json::json!({
                "run": run, "waits": waits.step, "reason": waits.why, "next": rfc3339(waits.due),
            }));
            let (state, label) = (
                voice.status(stands.row.status),
                house.label(&stands.row.task),
            );
            voice.say(format!("{state} {label}: {}", waits.sentence()));
        }
        Ok(())
    }

    async fn pausing(&mut self, voice: Voice, house: &House, run: RunId) -> Result<(), Failure> {
        let stands = Stands::read(house, run).await?;
        let Some(standing) = progress::under_way(house, &stands).await? else {
            return Ok(());
        };
        let Some(pauses) = standing.pauses() else {
            self.0.remove(&standing.step);
            return Ok(());
        };
        if self.0.insert(standing.step.clone()) {
            voice.record(&standing.record());
            let (state, label) = (
                voice.status(stands.row.status),
                house.label(&stands.row.task),
            );
            voice.say(format!("{state} {label}: {pauses}"));
        }
        Ok(())
    }
}
