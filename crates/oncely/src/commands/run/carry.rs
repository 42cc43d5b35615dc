//! A server carries on the releases that were left to it: one after another, each in the turn that
//! `oncely run` would take.

use super::asked::{self, Asked};
use super::releasing::Releasing;
use super::turn::Turn;
use crate::cli::OnBusy;
use crate::commands::servers;
use crate::failure::Failure;
use crate::house::House;
use crate::output::Voice;
use crate::project;
use oncely_core::ids::RunId;
use oncely_engine::{Ask, Engine};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// How often is looked for releases that were left to this server.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Stands as the server of this environment where no other does, and carries releases on, until it is told
/// to stop.
pub(crate) async fn carry(voice: Voice, house: &House, engine: &Arc<Engine>) {
    let mut carrying = Carrying {
        voice,
        house,
        engine,
        rests: None,
    };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !engine.stopper().is_stopping() {
        looks.tick().await;
        if let Err(failure) = carrying.look().await {
            tracing::warn!("{}", failure.message);
        }
    }
}

/// A run that a release waits for, and how many facts it had.
type Rests = (RunId, u64);

struct Carrying<'a> {
    voice: Voice,
    house: &'a House,
    engine: &'a Arc<Engine>,
    /// The release that waits, and for what.
    rests: Option<(u64, Rests)>,
}

impl Carrying<'_> {
    async fn look(&mut self) -> Result<(), Failure> {
        if !servers::attend(self.house).await? {
            return Ok(());
        }
        let Some(asked) = asked::open(self.house).await?.into_iter().next() else {
            return Ok(());
        };
        match self.rests {
            Some((number, rests)) if number == asked.number && self.still(rests).await? => Ok(()),
            _ => self.go_on(&asked).await,
        }
    }

    /// Whether nothing has happened to the run since.
    async fn still(&self, (run, seq): Rests) -> Result<bool, Failure> {
        let row = Ask(self.house.ledger()).run(run).await?;
        Ok(row.is_some_and(|row| row.seq == seq))
    }

    async fn go_on(&mut self, asked: &Asked) -> Result<(), Failure> {
        self.rests = None;
        let turn = Turn {
            house: self.house,
            voice: self.voice,
            on_busy: OnBusy::Skip,
        };
        let Some(named) = turn.now().await? else {
            return Ok(());
        };
        let outcome = self.release(asked).await;
        turn.give_back(named).await?;
        match outcome {
            Ok(Some(rests)) => self.rests = Some((asked.number, rests)),
            Ok(None) => asked::end(self.house, asked.number, None).await?,
            // It goes on in the next server.
            Err(_) if self.engine.stopper().is_stopping() => {}
            Err(failure) => {
                let why = &failure.message;
                asked::end(self.house, asked.number, Some(why)).await?;
                let (release, by) = (&asked.release, &asked.by);
                self.voice.say(format!(
                    "Release {release}, which {by} left to this server, was given up: {why}"
                ));
            }
        }
        Ok(())
    }

    /// Does what can be done of a release; what it waits for, if it does.
    async fn release(&self, asked: &Asked) -> Result<Option<Rests>, Failure> {
        let loaded = project::load(&self.house.config)?;
        let loaded = project::clean(loaded, self.voice.colour)?;
        let args = asked.args();
        let releasing = Releasing {
            house: self.house,
            voice: self.voice,
            args: &args,
            serving: true,
            rests: Cell::new(None),
            until: None,
        };
        let outcome = releasing.all(self.engine, &loaded).await;
        releasing.mirror(self.engine, &loaded).await;
        outcome?;
        Ok(releasing.rests.get())
    }
}
