//! Questions of runs, answered at the terminal of the developer's server: no other process reaches
//! its ledger.

use crate::commands::drive::Stands;
use crate::commands::people::people;
use crate::commands::terminal;
use crate::failure::Failure;
use crate::house::House;
use crate::output::Voice;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Change, Filter};
use oncely_core::question::Identity;
use oncely_core::run::{Asked, RunStatus};
use oncely_core::time::Clock;
use oncely_engine::{Ask, Reply, Stop};
use std::collections::BTreeSet;

/// Answers what runs ask.
pub(super) struct Questions<'h> {
    pub(super) voice: Voice,
    pub(super) house: &'h House,
    pub(super) stop: Stop,
    /// Every question is answered with yes.
    pub(super) yes: bool,
}

impl Questions<'_> {
    /// Answers what is asked until the server stops.
    pub(super) async fn answer(self) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let mut change = Change::default();
        while !self.stop.is_stopping() {
            let filter = Filter {
                environment: Some(self.house.config.environment.value.clone()),
                status: vec![RunStatus::Waiting],
                ..Filter::default()
            };
            for row in Ask(self.house.ledger()).runs(filter).await?.iter().rev() {
                self.one(row.id, &mut seen).await?;
            }
            tokio::select! {
                now = self.house.ledger().watch(change) => change = now,
                () = self.stop.stopped() => {}
            }
        }
        Ok(())
    }

    async fn one(&self, run: RunId, seen: &mut BTreeSet<(RunId, u64)>) -> Result<(), Failure> {
        let stands = Stands::read(self.house, run).await?;
        let open = stands.waits_for_person() && !stands.question_is_over(self.house.clock.now());
        let Some(asked) = stands.asked().filter(|_| open) else {
            return Ok(());
        };
        if !seen.insert((run, asked.seq)) {
            return Ok(());
        }
        match self.reply(&stands, asked).await {
            None => self.voice.say(format!(
                "run {run} waits on: nobody answered here. `oncely dev --yes` answers with yes, and \
                 saving the task's file asks anew."
            )),
            Some(reply) => {
                if let Err(refused) = people(self.house).answer(run, &reply).await {
                    self.voice.say(refused.to_string());
                }
            }
        }
        Ok(())
    }

    async fn reply(&self, stands: &Stands, asked: &Asked) -> Option<Reply> {
        let by = self.somebody(stands, asked);
        if self.yes {
            return Some(Reply {
                approved: true,
                by,
                identity: Identity::Claimed,
                note: "oncely dev --yes".into(),
                ticked: asked.question.tick.clone(),
                shown: Some(asked.question.hash),
                question: Some(asked.seq),
            });
        }
        if self.voice.json || !terminal::somebody_is_there() {
            return None;
        }
        terminal::ask_as(self.house, self.stop.clone(), stands, by).await
    }

    /// The developer, where they may answer; else the first who may, in whose name they try it out.
    fn somebody(&self, stands: &Stands, asked: &Asked) -> String {
        let own = terminal::name(self.house);
        let people = people(self.house);
        if people.may_answer(&stands.state, asked, &own).is_ok() {
            return own;
        }
        let roster = &self.house.config.people.value;
        let named = roster
            .named(&asked.question.by)
            .map(|(name, _)| name.to_owned());
        let mut all = named.chain(asked.question.by.iter().cloned());
        all.find(|name| people.may_answer(&stands.state, asked, name).is_ok())
            .unwrap_or(own)
    }
}
