//! `oncely run --wait`: waits for answers, and for what was left to a server, up to a time.

use super::asked::{self, Standing};
use super::releasing::Releasing;
use super::{in_order, standing};
use crate::commands::chosen::Choice;
use crate::commands::drive::{self, Stands};
use crate::commands::terminal;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::moment;
use crate::project::{self, Loaded};
use oncely_core::ids::{RunId, TaskId};
use oncely_core::ledger::{Change, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::Engine;
use oncely_sources::release::Release;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Until when is waited; none where nobody said how long.
///
/// # Errors
/// When the time is none.
pub(super) fn until(house: &House, wait: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = wait.filter(|text| !text.is_empty()) else {
        return Ok(wait.map(|_| Timestamp(i64::MAX)));
    };
    let millis = oncely_core::task::parse_duration(text).ok_or_else(|| {
        Failure::usage(format!(
            "--wait={text} is no length of time. Write it like --wait=30m or --wait=90s. Nothing was \
             run."
        ))
    })?;
    let until = house.clock.now().0.saturating_add(millis);
    Ok(Some(Timestamp(until)))
}

/// Ends when the ledger has changed, or a while has passed.
async fn next(house: &House, change: &mut Change) {
    tokio::select! {
        seen = house.ledger().watch(*change) => *change = seen,
        () = tokio::time::sleep(Duration::from_millis(500)) => {}
    }
}

impl Releasing<'_> {
    /// Waits for the answer to what a run asks, and drives it on, as long as there is time.
    pub(super) async fn answered(
        &self,
        engine: &Arc<Engine>,
        label: &str,
        mut stands: Stands,
    ) -> Result<Stands, Failure> {
        let house = self.house;
        let stop = engine.stopper();
        while let Some(until) = self.until
            && (stands.waits_for_person() || stands.held_until().is_some())
            && !stop.is_stopping()
        {
            drive::say(self.voice, label, &stands, &house.config.environment.value);
            self.say_until(until);
            let (run, seq) = (stands.row.id, stands.row.seq);
            let mut change = Change::default();
            loop {
                let now = house.clock.now();
                if now >= until || stop.is_stopping() {
                    return Ok(stands);
                }
                stands = Stands::read(house, run).await?;
                let due = stands.row.due.is_some_and(|due| due <= now);
                if stands.row.seq != seq || due || stands.question_is_over(now) {
                    break;
                }
                tokio::select! {
                    () = next(house, &mut change) => {}
                    () = stop.stopped() => {}
                }
            }
            stands = terminal::to_rest(self.voice, house, engine, run).await?;
        }
        Ok(stands)
    }

    fn say_until(&self, until: Timestamp) {
        self.voice.say(match until.0 {
            i64::MAX => "        Waiting.".to_owned(),
            _ => format!("        Waiting until {} UTC.", moment(until)),
        });
    }

    /// Waits until a server has ended a release, and says what it does meanwhile.
    pub(super) async fn followed(
        &self,
        loaded: &Loaded,
        release: &Release,
        number: u64,
        until: Timestamp,
    ) -> Result<Exit, Failure> {
        let before = standing(self.house, &loaded.tasks, release).await?;
        // What waits for somebody is news to whoever waits for it.
        let old = before.values().filter(|row| row.status.is_ended());
        let mut said = Said(old.map(Said::of).collect());
        let mut change = Change::default();
        loop {
            let stood = asked::standing(self.house, number).await?;
            let rows = standing(self.house, &loaded.tasks, release).await?;
            let exit = self.tell(loaded, release, &rows, &mut said).await?;
            match stood {
                Standing::GivenUp(why) => return Err(Failure::failed(why)),
                Standing::Ended => return Ok(exit),
                Standing::Open if exit == Exit::Unknown => return Ok(exit),
                Standing::Open if self.house.clock.now() >= until => {
                    self.voice
                        .say("The time is over, and not all is done. The server goes on with it.");
                    return Ok(exit.worse(Exit::Waiting));
                }
                Standing::Open => next(self.house, &mut change).await,
            }
        }
    }

    /// Says what has come to rest since the last time, and how it all stands.
    async fn tell(
        &self,
        loaded: &Loaded,
        release: &Release,
        rows: &BTreeMap<TaskId, RunRow>,
        said: &mut Said,
    ) -> Result<Exit, Failure> {
        let choice = Choice::of(&self.args.chosen, loaded)?;
        let mut exit = Exit::Done;
        for wanted in in_order(&loaded.tasks, rows, release) {
            let task = &wanted.known.task;
            let Some(row) = rows.get(&task.id).filter(|_| choice.has(task)) else {
                continue;
            };
            let stands = Stands::read(self.house, row.id).await?;
            exit = exit.worse(stands.exit(true));
            let rests = stands.row.status.is_ended()
                || matches!(row.status, RunStatus::Unknown | RunStatus::Waiting);
            if rests && said.0.insert(Said::of(&stands.row)) {
                let environment = &self.house.config.environment.value;
                drive::say(self.voice, &project::label(task), &stands, environment);
            }
        }
        Ok(exit)
    }
}

/// Runs of which it was said how they stand.
struct Said(BTreeSet<(RunId, u64)>);

impl Said {
    fn of(row: &RunRow) -> (RunId, u64) {
        (row.id, row.seq)
    }
}
