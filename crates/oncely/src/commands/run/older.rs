//! What happens when a release arrives that is older than one before it: what newer releases hold
//! back is not done any more.

use super::{release_id, releases_seen};
use crate::commands::drive::{self, Stands};
use crate::commands::people::people;
use crate::failure::Failure;
use crate::house::House;
use crate::output::Voice;
use crate::project;
use oncely_core::Value;
use oncely_core::fact::{BY_OLDER_RELEASE, Request};
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_engine::{Ask, Engine};
use std::sync::Arc;

/// A release that was seen before newer ones.
pub(super) struct Older {
    id: String,
    newer: Vec<String>,
}

impl Older {
    /// The release that is being made, if it is an older one.
    pub(super) async fn of(house: &House, flag: Option<&str>) -> Result<Option<Self>, Failure> {
        let id = release_id(flag, &house.config);
        let seen = releases_seen(house).await?;
        let newer = seen.after(&id).unwrap_or_default();
        let newer: Vec<_> = newer.iter().map(|seen| seen.id.clone()).collect();
        Ok((!newer.is_empty()).then_some(Self { id, newer }))
    }

    /// Cancels the runs of newer releases that are held.
    pub(super) async fn cancel_held(
        &self,
        voice: Voice,
        house: &House,
        engine: &Arc<Engine>,
    ) -> Result<(), Failure> {
        let filter = Filter {
            environment: Some(house.config.environment.value.clone()),
            status: vec![RunStatus::Waiting],
            ..Filter::default()
        };
        for row in Ask(house.ledger()).runs(filter).await? {
            let Some(release) = self.newer_of(&row) else {
                continue;
            };
            if Stands::read(house, row.id).await?.held_until().is_none() {
                continue;
            }
            let reason = format!("release {} arrived, which is older than {release}", self.id);
            let cancel = Request::Cancel;
            people(house)
                .request(row.id, cancel, BY_OLDER_RELEASE, &reason)
                .await?;
            let stands = drive::to_rest(house, engine, row.id).await?;
            let environment = &house.config.environment.value;
            let known = engine.tasks().current(&row.task);
            let label = known.map_or_else(
                || house.label(&row.task),
                |known| project::label(&known.task),
            );
            drive::say(voice, &label, &stands, environment);
        }
        Ok(())
    }

    /// The newer release that started the run.
    fn newer_of(&self, row: &RunRow) -> Option<&str> {
        if row.trigger != "release" {
            return None;
        }
        let event: Value = serde_json::from_str(&row.event).ok()?;
        let release = event.get("release")?.as_str()?;
        self.newer
            .iter()
            .map(String::as_str)
            .find(|newer| *newer == release)
    }
}

/// Whether a run was cancelled by an older release, and this one goes forward again.
pub(super) async fn was_cancelled(
    house: &House,
    row: &RunRow,
    release: &str,
) -> Result<bool, Failure> {
    if row.status != RunStatus::Cancelled || Older::of(house, Some(release)).await?.is_some() {
        return Ok(false);
    }
    let by = Stands::read(house, row.id).await?.state.cancelled_by;
    Ok(by.is_some_and(|(by, _)| by == BY_OLDER_RELEASE))
}
