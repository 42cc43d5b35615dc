//! `command`: runs a program, a shell text or a script.
//!
//! The program runs below a supervisor of its own, so that it and what it started end when its time
//! is over or when oncely itself goes away, even by a kill -9.

mod answer;
mod caught;
mod options;
mod outcome;
mod prepare;
mod script;
mod spawn;
mod supervisor;

pub(crate) use caught::catch;
pub use supervisor::supervisor_main;

use crate::place::Ground;
use crate::secret::{Secrets, Veil};
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use options::Options;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// How the supervisor is started: oncely's own program and the hidden words that make it one.
#[derive(Debug, Clone)]
pub struct Supervisor {
    /// The program; `/proc/self/exe` still names the right one after an upgrade on disk.
    pub program: PathBuf,
    /// What comes before the supervisor's own arguments.
    pub args: Vec<OsString>,
}

/// What the `command` action needs to know.
#[derive(Clone)]
pub struct CommandConfig {
    /// The project's root: where programs run and where relative paths start.
    pub root: PathBuf,
    /// A folder of oncely's own where pinned scripts are kept by their content.
    pub scripts: PathBuf,
    /// How the supervisor is started.
    pub supervisor: Supervisor,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
}

/// The `command` action.
pub struct Command {
    config: CommandConfig,
    ground: Ground,
}

impl Command {
    /// The action.
    #[must_use]
    pub fn new(config: CommandConfig) -> Self {
        let ground = Ground {
            root: config.root.clone(),
            allowed: Vec::new(),
        };
        Self { config, ground }
    }

    async fn perform(&self, call: &Call) -> Result<Done, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let mut veil = Veil::default();
        let launch = prepare::launch(self, &options, call, &mut veil)?;
        let ended = spawn::run(&self.config.supervisor, launch, call.timeout).await;
        outcome::outcome(&options, &ended, call, &veil)
            .map(Done::Output)
            .map_err(|failure| veil.failure(failure))
    }
}

impl Action for Command {
    fn repeat(&self, call: &Call) -> Repeat {
        match crate::options::read::<Options>(&call.options) {
            Ok(options) if options.safe => Repeat::Safe,
            Ok(Options {
                key_honoured: Some(window_ms),
                ..
            }) => Repeat::WithKey { window_ms },
            _ => Repeat::AskFirst,
        }
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(self.perform(call))
    }
}
