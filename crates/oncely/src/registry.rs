//! From configuration to code: which action performs a kind of step, which source watches a trigger.

use crate::adopt::WithMirror;
use crate::config::Config;
use crate::failure::Failure;
use crate::house::House;
use crate::links::MessageLinks;
use crate::place::Place;
use crate::store::machine;
use oncely_actions::{
    Allowed, CallTask, Command, CommandConfig, Database, Email, EmailConfig, Http, HttpConfig,
    Predict, PredictConfig, Put, PutConfig, Secrets, Slack, SlackConfig, Sql, SqlConfig,
    Supervisor, Tell,
};
use oncely_core::action::Action;
use oncely_core::source::Source;
use oncely_core::task::{
    ActionKind, ObjectTrigger, ScheduleTrigger, Task, Trigger, WebhookTrigger,
};
use oncely_engine::{Actions, Pumped};
use oncely_sources::webhook::HookConfig;
use oncely_sources::{Folder, FolderConfig, Spool, Ticks};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The hidden command that supervises a step's program.
pub(crate) const SUPERVISE: &str = "__supervise";

/// How long a file must not have changed when nobody saw it being closed.
const SETTLE: Duration = Duration::from_secs(1);

/// The actions of this process.
pub(crate) struct Registry {
    command: Arc<dyn Action>,
    http: Arc<dyn Action>,
    sql: Arc<dyn Action>,
    put: Arc<dyn Action>,
    email: Arc<dyn Action>,
    slack: Arc<dyn Action>,
    predict: Arc<dyn Action>,
    call: Arc<dyn Action>,
    tell: Arc<dyn Action>,
}

impl Registry {
    /// Actions as the configuration has them.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        Self::keeping_models_in(config, config.data().join("models"))
    }

    /// The same, with another folder for copies of models that runs are pinned to.
    pub(crate) fn keeping_models_in(config: &Config, cache: PathBuf) -> Result<Self, Failure> {
        let secrets = secrets(config);
        let allowed: Result<Vec<_>, _> = config
            .http_allow
            .value
            .iter()
            .map(|text| Allowed::parse(text))
            .collect();
        let allowed =
            allowed.map_err(|e| Failure::usage(format!("oncely.toml, http.allow: {e}")))?;
        let data = config.data();
        let email: Arc<dyn Action> = Arc::new(Email::new(EmailConfig {
            server: config.email.server.clone(),
            from: config.email.from.clone(),
            root: config.root.clone(),
            sources: vec![data.join("spool")],
            secrets: Arc::clone(&secrets),
        }));
        let slack: Arc<dyn Action> = Arc::new(Slack::new(SlackConfig {
            api: config.slack.value.clone(),
            allowed: allowed.clone(),
            secrets: Arc::clone(&secrets),
        }));
        Ok(Self {
            tell: Arc::new(Tell {
                links: Arc::new(MessageLinks::new(config.clone())),
                people: Arc::clone(&config.people.value),
                email: Arc::clone(&email),
                slack: Arc::clone(&slack),
            }),
            email,
            slack,
            command: Arc::new(Command::new(CommandConfig {
                root: config.root.clone(),
                scripts: data.join("scripts"),
                supervisor: Supervisor {
                    program: PathBuf::from("/proc/self/exe"),
                    args: vec![SUPERVISE.into()],
                },
                secrets: Arc::clone(&secrets),
            })),
            http: Arc::new(Http::new(HttpConfig { allowed, secrets })),
            sql: sql(config),
            put: Arc::new(Put::new(PutConfig {
                root: config.root.clone(),
                allowed: config.put_allow.clone(),
                sources: vec![config.spool.value.clone()],
            })),
            predict: Arc::new(Predict::new(PredictConfig {
                models: models(config),
                cache,
            })),
            call: Arc::new(CallTask),
        })
    }
}

impl Actions for Registry {
    fn get(&self, kind: ActionKind) -> Option<Arc<dyn Action>> {
        let action = match kind {
            ActionKind::Command => &self.command,
            ActionKind::Http => &self.http,
            ActionKind::Sql => &self.sql,
            ActionKind::Put => &self.put,
            ActionKind::Email => &self.email,
            ActionKind::Slack => &self.slack,
            ActionKind::Predict => &self.predict,
            ActionKind::Call => &self.call,
            // What is asked the core decides; what is left to do is to tell those who may answer.
            ActionKind::Approve => &self.tell,
            // A decision, made by the core.
            ActionKind::Require => return None,
        };
        Some(Arc::clone(action))
    }
}

/// Where secrets come from.
pub(crate) fn secrets(config: &Config) -> Arc<dyn Secrets> {
    Arc::new(FromOutside {
        folder: config.secrets.clone(),
    })
}

/// The folder of the project's models.
pub(crate) fn models(config: &Config) -> PathBuf {
    config.root.join("models")
}

fn sql(config: &Config) -> Arc<dyn Action> {
    let sql = Sql::new(SqlConfig {
        databases: databases(config),
        sabotage_mark: false,
    });
    let sql: Arc<dyn Action> = Arc::new(sql.with_ledger(ledger_file(config)));
    match config.rake.clone().filter(|rake| rake.mirror) {
        Some(rake) => Arc::new(WithMirror {
            sql,
            rake,
            root: config.root.clone(),
        }),
        None => sql,
    }
}

fn databases(config: &Config) -> BTreeMap<String, Database> {
    let named = config.databases.iter();
    let secrets = secrets(config);
    let named = named.map(|(name, place)| (name.clone(), place.database(name, &*secrets)));
    let own = ("ledger".to_owned(), Database::Ledger);
    named.chain(std::iter::once(own)).collect()
}

fn ledger_file(config: &Config) -> Option<PathBuf> {
    match &config.ledger.value {
        Place::File(path) => Some(path.clone()),
        Place::Postgres(_) => None,
    }
}

/// The source that watches a task's trigger; none where events come by hand.
pub(crate) fn source(house: &House, task: &Task) -> Result<Option<Pumped>, Failure> {
    match &task.on {
        Trigger::Object(object) => folder(house, task, object).map(Some),
        Trigger::Schedule(trigger) => Ok(Some(ticks(house, task, trigger))),
        Trigger::Webhook(trigger) => hook(house, task, trigger).map(Some),
        Trigger::Release(_) | Trigger::Call(_) => Ok(None),
    }
}

/// A schedule that is changed begins anew: its cursor has another name.
fn ticks(house: &House, task: &Task, trigger: &ScheduleTrigger) -> Pumped {
    let name = format!("schedule:{}", trigger.schedule);
    let ticks = Ticks::new(trigger.clone(), house.shared_clock());
    let pumped = pumped(house, task, &name, Box::new(ticks));
    Pumped {
        hold: Some(format!("source/{}", pumped.name)),
        ..pumped
    }
}

fn pumped(house: &House, task: &Task, source_name: &str, source: Box<dyn Source>) -> Pumped {
    Pumped {
        task: task.id.clone(),
        name: format!(
            "{}/{}/{source_name}",
            house.config.environment.value, task.id
        ),
        hold: None,
        source,
    }
}

/// The door of a task, which each process has to itself, where the configuration has a house that it belongs to.
fn hook(house: &House, task: &Task, trigger: &WebhookTrigger) -> Result<Pumped, Failure> {
    if house.config.gateway.value.listen.is_none() {
        return Err(Failure::usage(no_listener(trigger)));
    }
    let secrets = secrets(&house.config);
    let hook = house.doors.open(HookConfig {
        trigger: trigger.clone(),
        secret: Arc::new(move |name| secrets.get(name)),
        clock: house.shared_clock(),
    });
    let name = format!("webhook:{}", trigger.path);
    Ok(pumped(house, task, &name, Box::new(hook)))
}

/// What is wrong with a webhook where nothing listens.
pub(crate) fn no_listener(trigger: &WebhookTrigger) -> String {
    format!(
        "it waits for requests at {}, and nothing listens: `[gateway] listen` of oncely.toml says \
         where, such as \"127.0.0.1:8090\". Nothing can start it before",
        trigger.path
    )
}

/// Each machine has folders of its own; one that several share is polled by one process of each.
fn folder(house: &House, task: &Task, object: &ObjectTrigger) -> Result<Pumped, Failure> {
    let name = format!("folder:{}", object.folder);
    let folder = Folder::new(FolderConfig {
        folder: house.config.root.join(&object.folder),
        pattern: object.pattern.clone(),
        existing: object.existing,
        spool: Spool::new(house.config.spool.value.clone()),
        settle: SETTLE,
        clock: house.shared_clock(),
    });
    let folder = folder.map_err(|e| Failure::usage(format!("{}: {e}", task.path)))?;
    let pumped = pumped(house, task, &name, Box::new(folder));
    let hold = format!("source/{} on {}", pumped.name, machine());
    Ok(Pumped {
        hold: Some(hold),
        ..pumped
    })
}

/// Secrets from `ONCELY_SECRET_NAME`, or from files in a folder.
struct FromOutside {
    folder: Option<PathBuf>,
}

impl Secrets for FromOutside {
    fn get(&self, name: &str) -> Option<String> {
        if let Ok(value) = std::env::var(format!("ONCELY_SECRET_{name}")) {
            return Some(value);
        }
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let path = self.folder.as_ref().filter(|_| plain)?.join(name);
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim_end_matches(['\n', '\r']).to_owned())
    }
}
