//! `oncely skip RUN [STEP]`: a run goes on without the step at which it stands.

use super::drive::Stands;
use super::people::{go_on, people, say_why, who};
use crate::cli::Skip;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::Voice;
use oncely_core::ids::RunId;
use oncely_core::run::Stage;
use oncely_engine::{PeopleError, Skipping};

pub(crate) fn run(voice: Voice, flags: &Flags, args: Skip) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely skip", false)?;
    house.block_on(async {
        let run = RunId(args.run);
        let step = args.step.as_deref();
        let named = step.map_or_else(String::new, |step| format!(" {step}"));
        say_why(&house, run, &args.reason, &format!("skip {run}{named}")).await?;
        let people = people(&house);
        let asked = people.skip(run, step, &who(args.by), &args.reason).await;
        let Skipping { step, in_doubt } = asked.map_err(failure)?;
        voice.say(format!("Asked to skip step `{step}` of run {run}."));
        if in_doubt {
            voice.record(&serde_json::json!({ "run": run, "step": step, "status": "unknown" }));
            voice.say(format!(
                "Nobody knows whether it happened. Where it did not, it is passed over once you say \
                 so:\n        oncely settle {run} done|not-done --reason \"…\""
            ));
            return Ok(Exit::Unknown);
        }
        let exit = go_on(voice, &house, run, args.detach).await?;
        if !args.detach {
            let stands = Stands::read(&house, run).await?;
            let stage = stands.state.steps.get(&step).map(|known| &known.stage);
            if stage == Some(&Stage::Done) {
                voice.say(format!(
                    "       Step `{step}` was at work already, and is done: it was not skipped."
                ));
            }
        }
        Ok(exit)
    })
}

/// A task that has no run is passed over by another command.
fn failure(error: PeopleError) -> Failure {
    match error {
        PeopleError::NoRun(_) => Failure::usage(format!(
            "{error} A release task that has no run yet is recorded as skipped by `oncely baseline`."
        )),
        error => Failure::from(error),
    }
}
