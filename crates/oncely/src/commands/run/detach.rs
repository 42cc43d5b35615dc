//! `oncely run --detach`: leaves a release to the server at work.

use super::asked::{self, Asked};
use super::first_run_of;
use super::releasing::{Releasing, phase};
use super::{in_order, is_done, named_release, release_id, standing};
use crate::cli::FirstRun;
use crate::commands::chosen::Choice;
use crate::commands::people::who;
use crate::commands::servers;
use crate::failure::{Exit, Failure};
use crate::output::count;
use crate::project;
use oncely_sources::release::Release;

impl Releasing<'_> {
    /// Asks the server to do what is pending. What it would refuse is refused here.
    pub(super) async fn detach(&self) -> Result<Exit, Failure> {
        let environment = &self.house.config.environment.value;
        let Some(server) = servers::alive(self.house).await? else {
            return Err(Failure::usage(format!(
                "no `oncely serve` is at work in {environment}, which could do it. Nothing was \
                 admitted. Start one (`oncely serve --env {environment}`), or leave out --detach."
            )));
        };
        let loaded = project::load_clean(&self.house.config, self.voice.colour)?;
        let release = Release {
            id: release_id(self.args.release.as_deref(), &self.house.config),
            environment: environment.clone(),
            phase: phase(self.args.phase),
        };
        let rows = standing(self.house, &loaded.tasks, &release).await?;
        let choice = Choice::of(&self.args.chosen, &loaded)?;
        let (behind, pending): (Vec<_>, Vec<_>) = in_order(&loaded.tasks, &rows, &release)
            .into_iter()
            .filter(|wanted| choice.has(&wanted.known.task))
            .partition(|wanted| {
                let row = rows.get(&wanted.known.task.id);
                row.is_some_and(|row| is_done(&wanted.known.task, row.status))
            });
        named_release(&pending, &release)?;
        if first_run_of(self.args.first_run, &rows, &pending)? == FirstRun::Baseline {
            return Err(Failure::usage(
                "--first-run baseline is done here and not by a server. Nothing was changed. Leave \
                 out --detach, or say `oncely baseline`.",
            ));
        }
        if pending.is_empty() {
            return Ok(self.nothing_to_do(behind.len()));
        }
        let wish = Asked::of(self.args, &release.id, &who(None));
        let number = asked::ask(self.house, &wish).await?;
        self.voice.record(&serde_json::json!({
            "detached": true, "asked": number, "pending": pending.len(), "release": release.id,
            "server": { "pid": server.pid, "role": server.role },
        }));
        self.voice.say(format!(
            "Left to {}: {}, in order. Follow: oncely logs --follow",
            servers::named(&server),
            count(pending.len(), "task")
        ));
        match self.until {
            Some(until) => self.followed(&loaded, &release, number, until).await,
            None => Ok(Exit::Done),
        }
    }
}
