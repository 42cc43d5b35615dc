//! `mirror = true`: what is done is recorded in after_party's table when a release comes to rest, and
//! that nothing is missing there is remembered, so that the next `oncely run` need not look.

use super::releasing::Releasing;
use super::wanted::newest;
use crate::adopt;
use crate::failure::Failure;
use crate::house::House;
use crate::project::Loaded;
use oncely_core::ids::{ContentHash, TaskId};
use oncely_core::ledger::{Op, RunRow, Unit};
use oncely_core::run::RunStatus;
use oncely_core::source::Cursor;
use oncely_engine::{Ask, Engine};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What starts a release task.
const RELEASE: &str = "release";

/// The newest run of each task.
type Rows = BTreeMap<TaskId, RunRow>;

impl Releasing<'_> {
    /// Records what is done in after_party's table, where that is asked for. It fails no release.
    pub(super) async fn mirror(&self, engine: &Arc<Engine>, loaded: &Loaded) {
        if !adopt::mirrors(&self.house.config) || engine.stopper().is_stopping() {
            return;
        }
        if let Err(failure) = self.catch_up(engine, loaded).await {
            self.voice.say(format!(
                "after_party's table was not looked at (mirror = true): {} The next `oncely run` does it.",
                failure.message
            ));
        }
    }

    async fn catch_up(&self, engine: &Arc<Engine>, loaded: &Loaded) -> Result<(), Failure> {
        let rows = newest(self.house, &self.house.config.environment.value).await?;
        let tasks = loaded.tasks.iter().map(|known| &known.task);
        let done = tasks.filter(|task| adopt::is_mirrored(task) && is_done(&rows, &task.id));
        let done: Vec<TaskId> = done.map(|task| task.id.clone()).collect();
        let complete = adopt::catch_up(self.house, self.voice, engine, done.into_iter()).await?;
        remember(self.house, complete.then(|| looks(&rows))).await
    }
}

/// Whether it was found that no row is missing, when what is done was the same.
pub(super) async fn is_complete(house: &House, rows: &Rows) -> Result<bool, Failure> {
    let kept = Ask(house.ledger()).cursor(name(house)).await?;
    Ok(kept.is_some_and(|Cursor(kept)| kept == looks(rows)))
}

async fn remember(house: &House, looks: Option<String>) -> Result<(), Failure> {
    let cursor = Cursor(looks.unwrap_or_default());
    let kept = Ask(house.ledger()).cursor(name(house)).await?;
    if kept.unwrap_or_else(|| Cursor(String::new())) == cursor {
        return Ok(());
    }
    let (guards, ops) = (Vec::new(), vec![Op::Cursor(name(house), cursor)]);
    house.ledger().commit(vec![Unit { guards, ops }]).await?;
    Ok(())
}

fn name(house: &House) -> String {
    format!("{}/mirrored", house.config.environment.value)
}

fn is_done(rows: &Rows, task: &TaskId) -> bool {
    let row = rows.get(task);
    row.is_some_and(|row| row.status == RunStatus::Done)
}

/// Which release tasks are done, and by which run.
fn looks(rows: &Rows) -> String {
    let mut looks = Vec::with_capacity(rows.len() * 32);
    for (task, row) in rows {
        if row.trigger == RELEASE && is_done(rows, task) {
            looks.extend_from_slice(task.as_str().as_bytes());
            looks.push(0);
            looks.extend_from_slice(&row.id.0.to_le_bytes());
        }
    }
    ContentHash::of(&looks).to_string()
}
