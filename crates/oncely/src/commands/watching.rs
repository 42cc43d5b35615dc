//! The sources that a server watches, kept in step with the task files.

use crate::adopt;
use crate::house::House;
use crate::output::Voice;
use crate::project::{self, Loaded, TaskFile};
use crate::registry;
use oncely_core::ids::TaskId;
use oncely_core::source::Problem;
use oncely_core::task::{Task, Trigger};
use oncely_engine::{Engine, Known, Notice, Notices, pump};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Pumps by task, and what the task folder looked like.
pub(super) struct Watching<'h> {
    house: &'h House,
    engine: Arc<Engine>,
    voice: Voice,
    notices: Notices,
    pumps: BTreeMap<TaskId, Pumping>,
    files: Vec<TaskFile>,
    /// What the files that task files name looked like.
    named: BTreeMap<String, Option<(u64, i64, u64)>>,
}

struct Pumping {
    /// What the trigger said when the pump was started.
    trigger: String,
    handle: AbortHandle,
}

impl<'h> Watching<'h> {
    pub(super) fn new(voice: Voice, house: &'h House, engine: &Arc<Engine>) -> Self {
        Self {
            house,
            engine: Arc::clone(engine),
            voice,
            notices: Arc::new(move |notice| say(voice, notice)),
            pumps: BTreeMap::new(),
            files: looks(house),
            named: BTreeMap::new(),
        }
    }

    /// How many sources are watched.
    pub(super) fn sources(&self) -> usize {
        self.pumps.len()
    }

    /// Reads the tasks anew when a file came, went or changed. Runs in flight keep their text.
    pub(super) fn look(&mut self) {
        let files = looks(self.house);
        let config = &self.house.config;
        let mut named = self.named.iter();
        let same = named.all(|(path, look)| project::look(config, path) == *look);
        if files == self.files && same {
            return;
        }
        self.files = files;
        match project::load(&self.house.config) {
            Ok(loaded) => {
                let tasks = adopt::with_mirror(config, loaded.tasks.clone());
                self.engine.tasks().replace(tasks);
                self.take(&loaded);
                self.voice
                    .record(&serde_json::json!({ "reloaded": loaded.tasks.len() }));
                let tasks = crate::output::count(loaded.tasks.len(), "task");
                self.voice
                    .say(format!("The task files changed: {tasks} now."));
            }
            Err(failure) => tracing::warn!("{}", failure.message),
        }
    }

    /// Watches what these tasks name, and nothing else. A bad file never takes the others with it.
    pub(super) fn take(&mut self, loaded: &Loaded) {
        let config = &self.house.config;
        let named = loaded.named.iter();
        self.named = named
            .map(|path| (path.clone(), project::look(config, path)))
            .collect();
        if !loaded.problems.is_empty() {
            let text = project::render(&loaded.problems, self.voice.colour);
            self.voice.say(format!(
                "{text}\n\nThe other tasks go on; these start nothing before they are mended.\n"
            ));
            for (problem, _) in &loaded.problems {
                let message = serde_json::json!({ "problem": problem.to_string() });
                self.voice.record(&message);
            }
        }
        let environment = &self.house.config.environment.value;
        let wanted = |known: &&Known| super::run::concerns(&known.task, environment);
        let tasks: BTreeMap<TaskId, String> = loaded
            .tasks
            .iter()
            .filter(wanted)
            .filter_map(|known| Some((known.task.id.clone(), trigger(&known.task)?)))
            .collect();
        self.pumps.retain(|id, pumping| {
            let stays = tasks.get(id) == Some(&pumping.trigger);
            if !stays {
                pumping.handle.abort();
            }
            stays
        });
        for known in loaded
            .tasks
            .iter()
            .filter(|known| tasks.contains_key(&known.task.id))
        {
            if !self.pumps.contains_key(&known.task.id) {
                self.start(&known.task);
            }
        }
    }

    fn start(&mut self, task: &Task) {
        let pumped = match registry::source(self.house, task) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(failure) => return stopped_watching(&self.notices, &task.id, &failure.message),
        };
        let id = task.id.clone();
        let notices = Arc::clone(&self.notices);
        let pumping = pump(Arc::clone(&self.engine), pumped, Arc::clone(&notices));
        let handle = tokio::spawn(async move {
            if let Err(error) = pumping.await {
                stopped_watching(&notices, &id, &error.to_string());
            }
        });
        let handle = handle.abort_handle();
        let trigger = trigger(task).unwrap_or_default();
        self.pumps
            .insert(task.id.clone(), Pumping { trigger, handle });
    }
}

/// What is watched for a task, as text that changes when it does.
fn trigger(task: &Task) -> Option<String> {
    match &task.on {
        Trigger::Object(object) => Some(format!("{object:?}")),
        Trigger::Schedule(trigger) => Some(format!("{trigger:?}")),
        Trigger::Webhook(trigger) => Some(format!("{trigger:?}")),
        Trigger::Release(_) | Trigger::Call(_) => None,
    }
}

fn looks(house: &House) -> Vec<TaskFile> {
    project::files(&house.config).unwrap_or_default()
}

fn stopped_watching(notices: &Notices, task: &TaskId, error: &str) {
    let problem = Problem {
        about: task.to_string(),
        message: error.to_owned(),
    };
    notices(Notice::Problem(task.clone(), problem));
}

fn say(voice: Voice, notice: Notice) {
    match notice {
        Notice::Admitted(task, key) => {
            voice.record(&serde_json::json!({ "admitted": key, "task": task }));
            voice.say(format!("{task}: {key} arrived"));
        }
        Notice::Duplicate(task, key) => {
            voice.record(&serde_json::json!({ "duplicate": key, "task": task }));
            voice.say(format!("{task}: {key} was here before, nothing is started"));
        }
        Notice::Problem(task, problem) => {
            voice.record(&serde_json::json!({
                "problem": problem.message, "about": problem.about, "task": task,
            }));
            voice.say(line(&task, &problem));
        }
    }
}

/// What a problem is about, after the task that it is a problem of.
fn line(task: &TaskId, problem: &Problem) -> String {
    let Problem { about, message } = problem;
    match about == task.as_str() {
        true => format!("{task}: {message}"),
        false => format!("{task}: {about}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_task_once() {
        let said = |about: &str| {
            let (about, message) = (about.to_owned(), "it is no CSV.".to_owned());
            line(&TaskId::from("census"), &Problem { about, message })
        };
        assert_eq!(said("a.pdf"), "census: a.pdf: it is no CSV.");
        assert_eq!(said("census"), "census: it is no CSV.");
    }
}
