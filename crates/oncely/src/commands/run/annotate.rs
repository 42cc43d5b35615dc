//! Marks in GitHub's view of a workflow: what failed, is unknown or waits, at the file of its task.

use crate::commands::drive::{self, Stands};
use crate::config::Config;
use crate::output::Voice;
use crate::project;
use oncely_core::run::RunStatus;
use oncely_core::task::{Diagnostic, Task};
use std::path::Path;

/// Marks a task that did not end well, or waits.
pub(super) fn task(voice: Voice, config: &Config, task: &Task, stands: &Stands) {
    let id = stands.row.id;
    let (kind, words, text) = match stands.row.status {
        RunStatus::Failed => {
            let text = format!("{}\n{}", stands.reason(), drive::ways_on(&stands.row));
            ("error", "failed", text)
        }
        RunStatus::Cancelled => ("error", "was cancelled", stands.reason()),
        RunStatus::Unknown => {
            let settle = format!("oncely settle {id} done|not-done --reason \"…\"");
            let text = format!("{}\nSay what became of it: {settle}", stands.reason());
            ("error", "is unknown", text)
        }
        RunStatus::Waiting => ("notice", "waits", waits(stands)),
        _ => return,
    };
    let title = format!("{} {words}", project::label(task));
    let file = in_repository(config, &task.path);
    voice.command(kind, &[("file", &file), ("title", &title)], &text);
}

/// What it waits for, and how that is answered.
fn waits(stands: &Stands) -> String {
    let id = stands.row.id;
    match stands.asked() {
        Some(asked) if stands.waits_for_person() => {
            let tick = drive::tick_all(&asked.question);
            let answer = format!("oncely approve {id}{tick}   or: oncely reject {id}");
            format!("{}\n{answer}", asked.question.text)
        }
        _ => format!("Look: oncely show {id}"),
    }
}

/// Marks what is wrong with task files, each at its place.
pub(super) fn problems(voice: Voice, config: &Config, problems: &[(Diagnostic, String)]) {
    for (problem, _) in problems {
        let file = in_repository(config, &problem.path);
        let (line, column) = (problem.line.to_string(), problem.column.to_string());
        let help = problem.help.as_ref().map(|help| format!("\n{help}"));
        let text = format!("{}{}", problem.message, help.unwrap_or_default());
        let place = [("file", file.as_str()), ("line", &line), ("col", &column)];
        voice.command("error", &place, &text);
    }
}

/// GitHub knows files by their place in the repository, which a project may be a folder of.
fn in_repository(config: &Config, path: &str) -> String {
    let workspace = std::env::var_os("GITHUB_WORKSPACE");
    let workspace = workspace.and_then(|folder| Path::new(&folder).canonicalize().ok());
    let below =
        workspace.and_then(|folder| Some(config.root.strip_prefix(folder).ok()?.to_owned()));
    let below = below.unwrap_or_default();
    below.join(path).to_string_lossy().into_owned()
}
