//! Release tasks run when their file is saved, each time as an event of its own.

use oncely_core::ids::{ContentHash, Environment, EventKey, TaskId};
use oncely_core::task::Trigger;
use oncely_engine::{Known, Offer};
use oncely_sources::release::{self, Release};
use std::collections::BTreeMap;

/// The release of a developer's server.
const RELEASE: &str = "dev";

/// What the release tasks looked like when they were last looked at.
pub(super) struct Saved {
    texts: BTreeMap<TaskId, ContentHash>,
    environment: Environment,
    times: u64,
}

impl Saved {
    /// Those that were there at the start are not run.
    pub(super) fn at_start(tasks: &[Known], environment: &Environment) -> Self {
        let texts = tasks
            .iter()
            .map(|known| (known.task.id.clone(), known.task.text));
        Self {
            texts: texts.collect(),
            environment: environment.clone(),
            times: 0,
        }
    }

    /// The release tasks that are new or edited since.
    pub(super) fn changed(&mut self, tasks: &[Known]) -> Vec<(Known, Offer)> {
        let mut changed = Vec::new();
        for known in tasks {
            let task = &known.task;
            let before = self.texts.insert(task.id.clone(), task.text);
            let here = crate::commands::run::concerns(task, &self.environment);
            let release = matches!(task.on, Trigger::Release(_));
            if before != Some(task.text) && release && here {
                changed.push((known.clone(), self.offer(known)));
            }
        }
        changed
    }

    fn offer(&mut self, known: &Known) -> Offer {
        self.times += 1;
        let release = Release {
            id: RELEASE.into(),
            environment: self.environment.clone(),
            phase: None,
        };
        let event = release::event(&known.task, &release, false);
        let key = EventKey::from(format!("release:{RELEASE}-{}", self.times));
        Offer::new(known.task.id.clone(), key, event)
    }
}
