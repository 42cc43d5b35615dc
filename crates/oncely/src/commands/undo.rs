//! `oncely undo RUN`: shows what would be taken back, asks, and takes it back in reverse order.

use super::people::{go_on, people, who};
use super::plan::effect;
use crate::cli::{Taking, Undo as Args};
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::Voice;
use oncely_core::ids::{RunId, StepId};
use oncely_core::task::Step;
use oncely_core::undo::{Inverse, inverse};
use oncely_engine::Undo;
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

pub(crate) fn run(voice: Voice, flags: &Flags, args: Args) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely undo", false)?;
    house.block_on(async {
        let run = RunId(args.run);
        let undo = people(&house).undo_plan(run).await?;
        if !args.how.dry_run {
            let command = format!("undo {run}");
            let here = &undo.row.environment;
            let protected = &house.config.protected;
            protected.reason(here, &args.how.reason, &command)?;
        }
        show(voice, &house, &undo);
        undo.check(args.how.partly || args.how.dry_run)?;
        if args.how.dry_run {
            voice.say("\nNothing was done.");
            return Ok(Exit::Done);
        }
        agreed(&args.how, "Take this back?")?;
        let by = who(args.how.by);
        let people = people(&house);
        let taking = people.undo(run, &by, &args.how.reason, args.how.partly);
        let undo_run = taking.await?;
        voice.say(format!("\nRun {undo_run} takes run {run} back."));
        let exit = go_on(voice, &house, undo_run, args.detach).await?;
        if exit == Exit::Done && !args.detach && undo.row.trigger == "release" {
            voice.say(format!(
                "The next `oncely run` does {} again. Where that is not wanted, take its file away.",
                house.label(&undo.row.task)
            ));
        }
        Ok(exit)
    })
}

/// What an undo of a run would do, a line for each step.
pub(super) fn show(voice: Voice, house: &House, undo: &Undo) {
    let row = &undo.row;
    voice.record(&serde_json::json!({
        "undo_of": row.id, "task": row.task, "key": row.key, "status": row.status,
        "takes_back": undo.plan.steps, "stays": undo.plan.left, "missing": undo.plan.missing,
    }));
    voice.say(format!(
        "Run {} of {}  {}",
        row.id,
        voice.bold(house.label(&row.task)),
        voice.status(row.status)
    ));
    for id in &undo.plan.steps {
        let how = found(undo, id).map(how).unwrap_or_default();
        voice.say(format!("  takes back  {id}: {how}"));
    }
    stays(voice, "stays", &undo.plan.left);
    stays(voice, "no undo", &undo.plan.missing);
    if !undo.plan.left.is_empty() && row.trigger == "release" {
        voice.say("  The next `oncely run` that has this task does what stays once more, too.");
    }
    if undo.plan.is_empty() {
        voice.say("  Nothing that it did has an effect to be taken back.");
    }
}

fn stays(voice: Voice, label: &str, steps: &BTreeMap<StepId, String>) {
    for (id, why) in steps {
        voice.say(format!("  {label:<10}  {id}: {why}"));
    }
}

fn found<'u>(undo: &'u Undo, id: &StepId) -> Option<&'u Step> {
    let task = undo.task.as_ref()?;
    task.steps.iter().find(|step| step.id == *id)
}

fn how(step: &Step) -> String {
    match inverse(step) {
        Inverse::Declared(spec) => effect(spec),
        Inverse::Own(_) => "removes the file, if it is as it was written".into(),
        _ => String::new(),
    }
}

/// Asks whether to go on.
///
/// # Errors
/// When the answer is not yes, or there is nobody to ask.
pub(super) fn agreed(how: &Taking, question: &str) -> Result<(), Failure> {
    if how.yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Failure::usage(
            "there is no terminal to ask on: say --yes when what is shown may be taken back. \
             Nothing was done.",
        ));
    }
    let mut line = String::new();
    // Where the question cannot be written or read there is no answer.
    let _ = write!(std::io::stderr(), "\n{question} yes or no: ");
    let _ = std::io::stderr().flush();
    let _ = std::io::stdin().lock().read_line(&mut line);
    match line.trim() {
        "yes" | "y" => Ok(()),
        _ => Err(Failure::failed("nothing was taken back.")),
    }
}
