//! What the operator said: `oncely.toml`, over it environment variables, over them flags.

use crate::adopt::{AdoptSection, Rake};
use crate::databases::{self, DatabaseSection, Named};
use crate::failure::Failure;
use crate::gateway::{GatewaySection, GatewaySettings};
use crate::output::suggestion;
use crate::place::{self, Place};
use crate::protected::{EnvSection, Protected};
use crate::services::{EmailSection, EmailSettings, SlackSection};
use oncely_actions::SlackApi;
use oncely_core::ids::Environment;
use oncely_core::ledger::LEASE;
use oncely_core::people::{Person, Roster};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The name of the file at the root of a project.
pub(crate) const FILE: &str = "oncely.toml";

/// How long steps may go on once the process was told to stop.
const GRACE: Duration = Duration::from_secs(20);
/// A lease is renewed when a third of it has gone, and that is looked at four times a second.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_secs(3600);

/// A value and where it came from, for `oncely doctor`.
#[derive(Debug, Clone)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) from: String,
}

/// Everything that is configured.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) root: PathBuf,
    pub(crate) environment: Sourced<Environment>,
    pub(crate) protected: Protected,
    pub(crate) ledger: Sourced<Place>,
    pub(crate) tasks: Sourced<PathBuf>,
    /// Files of after_party that are tasks too.
    pub(crate) rake: Option<Rake>,
    pub(crate) spool: Sourced<PathBuf>,
    pub(crate) databases: BTreeMap<String, Named>,
    pub(crate) http_allow: Sourced<Vec<String>>,
    pub(crate) put_allow: Vec<PathBuf>,
    pub(crate) email: EmailSettings,
    pub(crate) slack: Sourced<SlackApi>,
    pub(crate) people: Sourced<Arc<Roster>>,
    pub(crate) gateway: Sourced<GatewaySettings>,
    pub(crate) acting: Sourced<usize>,
    pub(crate) acting_per_task: Sourced<usize>,
    pub(crate) grace: Sourced<Duration>,
    pub(crate) lease: Sourced<Duration>,
    pub(crate) secrets: Option<PathBuf>,
    /// The folder of everything that oncely keeps beside the ledger.
    data: PathBuf,
}

/// What flags say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    pub(crate) project: Option<PathBuf>,
    pub(crate) environment: Option<String>,
}

impl Flags {
    /// The flag by which the environment was named, as it is typed.
    pub(crate) fn env(&self) -> String {
        let named = self.environment.as_ref();
        named.map_or_else(String::new, |name| format!("--env {name} "))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    environment: Option<String>,
    ledger: Option<String>,
    tasks: Option<PathBuf>,
    spool: Option<PathBuf>,
    secrets: Option<PathBuf>,
    #[serde(default)]
    env: BTreeMap<String, EnvSection>,
    #[serde(default)]
    adopt: AdoptSection,
    #[serde(default)]
    db: BTreeMap<String, DatabaseSection>,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    put: Put,
    #[serde(default)]
    email: EmailSection,
    #[serde(default)]
    slack: SlackSection,
    people: Option<BTreeMap<String, PersonSection>>,
    #[serde(default)]
    gateway: GatewaySection,
    #[serde(default)]
    limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    allow: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    #[serde(default)]
    allow: Vec<PathBuf>,
}

/// A person, as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonSection {
    user: Option<String>,
    email: Option<String>,
    slack: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    acting: Option<usize>,
    acting_per_task: Option<usize>,
    grace: Option<String>,
    lease: Option<String>,
}

impl Config {
    /// Reads the configuration of the project that this folder belongs to.
    pub(crate) fn load(flags: &Flags) -> Result<Self, Failure> {
        let root = root(flags)?;
        let path = root.join(FILE);
        let file = read(&path)?;
        let from_file = |present: bool| {
            if present {
                FILE.to_owned()
            } else {
                "default".to_owned()
            }
        };
        let environment = environment(flags, file.environment.as_deref())?;
        let ledger = place::read(file.ledger.as_deref(), &root)?;
        let grace = duration("grace", file.limits.grace.as_deref(), GRACE)?;
        let lease = duration("lease", file.limits.lease.as_deref(), LEASE)?;
        Ok(Self {
            environment,
            protected: Protected::read(file.env, &root)?,
            ledger,
            tasks: Sourced {
                from: from_file(file.tasks.is_some()),
                value: file.tasks.unwrap_or_else(|| "tasks".into()),
            },
            rake: file.adopt.rake()?,
            spool: Sourced {
                from: from_file(file.spool.is_some()),
                value: root.join(file.spool.unwrap_or_else(|| ".oncely/spool".into())),
            },
            databases: databases::read(file.db, &root)?,
            http_allow: Sourced {
                from: from_file(file.http.allow.is_some()),
                value: file.http.allow.unwrap_or_default(),
            },
            put_allow: file
                .put
                .allow
                .iter()
                .map(|folder| root.join(folder))
                .collect(),
            email: file.email.settings(&root)?,
            slack: file.slack.api()?,
            people: people(file.people)?,
            gateway: file.gateway.settings()?,
            acting: Sourced {
                from: from_file(file.limits.acting.is_some()),
                value: file.limits.acting.unwrap_or(64).clamp(1, 10_000),
            },
            acting_per_task: Sourced {
                from: from_file(file.limits.acting_per_task.is_some()),
                value: file.limits.acting_per_task.unwrap_or(16).clamp(1, 10_000),
            },
            grace: Sourced {
                from: from_file(file.limits.grace.is_some()),
                value: grace,
            },
            lease: Sourced {
                from: from_file(file.limits.lease.is_some()),
                value: lease.clamp(SHORTEST_LEASE, LONGEST_LEASE),
            },
            secrets: secrets_folder(file.secrets, &root),
            data: root.join(".oncely"),
            root,
        })
    }

    /// The folder of everything that oncely keeps beside the ledger.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The same, with everything that is kept in a folder of this name of its own: the ledger, if it
    /// were a file, copies of what lands, scripts and models.
    pub(crate) fn apart(mut self, name: &str) -> Self {
        self.data = self.data.join(name);
        self.spool.value = self.data.join("spool");
        self.ledger.value = Place::File(self.data.join("ledger.db"));
        self
    }

    /// The folder of task files.
    pub(crate) fn tasks_folder(&self) -> PathBuf {
        self.root.join(&self.tasks.value)
    }
}

/// Whom questions can be put to.
fn people(
    section: Option<BTreeMap<String, PersonSection>>,
) -> Result<Sourced<Arc<Roster>>, Failure> {
    let from = if section.is_some() { FILE } else { "default" };
    let people = section.unwrap_or_default().into_iter();
    let people = people.map(|(name, p)| {
        let PersonSection {
            user,
            email,
            slack,
            roles,
        } = p;
        let person = Person {
            user,
            email,
            slack,
            roles,
        };
        (name, person)
    });
    let roster = Roster::new(people.collect())
        .map_err(|why| Failure::usage(format!("{FILE}, people: {why}. Nothing was run.")))?;
    Ok(Sourced {
        value: Arc::new(roster),
        from: from.into(),
    })
}

/// A name that nobody mistypes into another one: a new environment does everything anew.
fn environment(flags: &Flags, file: Option<&str>) -> Result<Sourced<Environment>, Failure> {
    let variable = std::env::var("ONCELY_ENV").ok().filter(|v| !v.is_empty());
    let (value, from) = match (&flags.environment, &variable, file) {
        (Some(flag), _, _) => (flag.as_str(), "--env"),
        (None, Some(variable), _) => (variable.as_str(), "ONCELY_ENV"),
        (None, None, Some(file)) => (file, FILE),
        (None, None, None) => ("development", "default"),
    };
    if !is_environment(value) {
        return Err(Failure::usage(format!(
            "{value:?} ({from}) {NO_ENVIRONMENT} Nothing was run."
        )));
    }
    Ok(Sourced {
        value: value.into(),
        from: from.into(),
    })
}

/// What is wrong with a name that is none.
pub(crate) const NO_ENVIRONMENT: &str =
    "is no name for an environment: letters, digits, -, _ and . only, at most 64.";

/// Whether an environment may be called so.
pub(crate) fn is_environment(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 64 && name.chars().all(plain)
}

fn duration(name: &str, text: Option<&str>, usual: Duration) -> Result<Duration, Failure> {
    let Some(text) = text else {
        return Ok(usual);
    };
    let millis = oncely_core::task::parse_duration(text).ok_or_else(|| {
        Failure::usage(format!(
            "{FILE}: limits.{name} = {text:?} is not a duration. Write it like \"20s\" or \"2m\"."
        ))
    })?;
    Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// systemd and Docker put secrets into folders of their own.
fn secrets_folder(configured: Option<PathBuf>, root: &Path) -> Option<PathBuf> {
    let systemd = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    configured
        .map(|folder| root.join(folder))
        .or(systemd)
        .or_else(|| Some(PathBuf::from("/run/secrets")).filter(|f| f.is_dir()))
}

fn root(flags: &Flags) -> Result<PathBuf, Failure> {
    let here = match &flags.project {
        Some(folder) => folder.clone(),
        None => std::env::current_dir()
            .map_err(|e| Failure::usage(format!("the current folder cannot be read: {e}")))?,
    };
    let here = here.canonicalize().map_err(|e| {
        Failure::usage(format!("the folder {} cannot be read: {e}", here.display()))
    })?;
    if flags.project.is_some() {
        return Ok(here);
    }
    let found = here.ancestors().find(|folder| folder.join(FILE).is_file());
    found.map(Path::to_path_buf).ok_or_else(|| {
        Failure::usage(format!(
            "there is no {FILE} in {} or above it. `oncely init` makes a project here.",
            here.display()
        ))
    })
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::usage(format!(
                "there is no {}. `oncely init` makes one.",
                path.display()
            )));
        }
        Err(error) => {
            return Err(Failure::usage(format!(
                "{} cannot be read: {error}",
                path.display()
            )));
        }
    };
    toml::from_str(&text).map_err(|error| {
        let near = near(error.message()).unwrap_or_default();
        Failure::usage(format!(
            "{}:\n{error}{near}Nothing was run.",
            path.display()
        ))
    })
}

/// What was meant by a key that is none: the reader names both, each between backticks.
fn near(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    Some(format!("{}\n", suggestion(wrong, names).trim_start()))
}
