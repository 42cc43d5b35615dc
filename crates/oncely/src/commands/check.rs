//! `oncely check`: every task file is read, and everything that is wrong is said at once.

use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::output::{Voice, count};
use crate::project;

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let loaded = project::load(&config)?;
    for (problem, _) in &loaded.problems {
        voice.record(&serde_json::to_value(problem).unwrap_or_default());
    }
    if !loaded.problems.is_empty() {
        voice.say(project::render(&loaded.problems, voice.colour));
        let errors = count(loaded.problems.len(), "error");
        let files = count(loaded.files, "task file");
        voice.say(format!("\n{errors} in {files}."));
        return Ok(Exit::Usage);
    }
    voice.record(&serde_json::json!({ "tasks": loaded.tasks.len(), "errors": 0 }));
    voice.say(format!("{}, no errors.", count(loaded.tasks.len(), "task")));
    Ok(Exit::Done)
}
