//! `oncely check`: every task file is read, and everything that is wrong is said at once.

use super::against::Branch;
use super::changed;
use super::strangers;
use crate::cli::Check;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::output::{Voice, count};
use crate::project::{self, Loaded};
use oncely_core::task::Trigger;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Check) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let mut loaded = project::load(&config)?;
    if !loaded.problems.is_empty() {
        tell(voice, &loaded, "");
        return Ok(Exit::Usage);
    }
    let strangers = strangers::among(&config, &loaded, |_| true);
    if !strangers.is_empty() {
        loaded.problems = strangers;
        tell(voice, &loaded, "");
        return Ok(Exit::Usage);
    }
    let exit = match &args.against {
        Some(name) => against(voice, &config, &loaded, name, args.deny_late)?,
        None => Exit::Done,
    };
    if exit == Exit::Done {
        voice.record(&serde_json::json!({ "tasks": loaded.tasks.len(), "errors": 0 }));
        voice.say(format!("{}, no errors.", count(loaded.tasks.len(), "task")));
        if changed::is_near(&config.ledger.value) {
            changed::tell(voice, &changed::beside(flags, &loaded.tasks));
        }
    }
    Ok(exit)
}

fn tell(voice: Voice, loaded: &Loaded, with: &str) {
    for (problem, _) in &loaded.problems {
        voice.record(&serde_json::to_value(problem).unwrap_or_default());
    }
    voice.say(project::render(&loaded.problems, voice.colour));
    let errors = count(loaded.problems.len(), "error");
    let files = count(loaded.files, "task file");
    voice.say(format!("\n{errors} in {files}{with}."));
}

/// What these files and those of another branch get wrong only together.
fn against(
    voice: Voice,
    config: &Config,
    loaded: &Loaded,
    name: &str,
    deny_late: bool,
) -> Result<Exit, Failure> {
    let here = project::files(config)?.into_iter().map(|file| file.path);
    let branch = Branch::read(config, name, &here.collect())?;
    let both = project::load_beside(config, branch.others.clone())?;
    if !both.problems.is_empty() {
        let with = format!(" and {} of {name}", branch.others.len());
        tell(voice, &both, &with);
        return Ok(Exit::Usage);
    }
    let late = late(voice, loaded, &branch);
    Ok(match late && deny_late {
        true => Exit::Usage,
        false => Exit::Done,
    })
}

/// Says which release tasks are late: older than some that the other branch has already.
fn late(voice: Voice, loaded: &Loaded, branch: &Branch) -> bool {
    let mut any = false;
    for known in &loaded.tasks {
        let Trigger::Release(release) = &known.task.on else {
            continue;
        };
        let path = &known.task.path;
        if !branch.is_late(path, &release.version) {
            continue;
        }
        any = true;
        let other = &branch.name;
        voice.record(&serde_json::json!({ "late": path, "against": other }));
        voice.say(format!(
            "{path} is late: {other} has newer release tasks. Where those ran before, it runs after \
             them. Rename it to a newer version if the order matters."
        ));
    }
    any
}
