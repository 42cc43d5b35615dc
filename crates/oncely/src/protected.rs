//! Protected environments: `[env.NAME] protected = true`. Whoever changes there what became of a run
//! says why.

use crate::config::{self, FILE};
use crate::failure::Failure;
use oncely_core::ids::Environment;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `[env.NAME]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvSection {
    #[serde(default)]
    protected: bool,
}

/// The environments where people say why.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protected {
    names: BTreeSet<String>,
    file: PathBuf,
}

impl Protected {
    /// What the file says.
    pub(crate) fn read(
        sections: BTreeMap<String, EnvSection>,
        root: &Path,
    ) -> Result<Self, Failure> {
        if let Some(name) = sections.keys().find(|name| !config::is_environment(name)) {
            return Err(Failure::usage(format!(
                "{FILE}, env: {name:?} {} Nothing was run.",
                config::NO_ENVIRONMENT
            )));
        }
        let protected = sections
            .into_iter()
            .filter(|(_, section)| section.protected);
        Ok(Self {
            names: protected.map(|(name, _)| name).collect(),
            file: root.join(FILE),
        })
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, environment: &Environment) -> bool {
        self.names.contains(&environment.to_string())
    }

    /// Their names, for `oncely doctor`.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        }
    }

    /// Refuses what is done here without a reason; `command` is what to type, but for the reason.
    pub(crate) fn reason(
        &self,
        environment: &Environment,
        reason: &str,
        command: &str,
    ) -> Result<(), Failure> {
        let name = environment.to_string();
        if !self.names.contains(&name) || !reason.trim().is_empty() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "the environment {name} is protected ([env.{name}] protected = true in {}), and this \
             needs a reason. Nothing was changed. Say why:\n        oncely {command} --reason \"…\"",
            self.file.display()
        )))
    }
}
