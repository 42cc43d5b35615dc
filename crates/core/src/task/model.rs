//! What a task file says, once it has been read and checked.

use super::cancel::CancelOn;
use super::pace::Pace;
use super::rounds::Rounds;
use super::schedule::Schedule;
use super::webhook::WebhookTrigger;
use crate::backoff::Retry;
use crate::fact::OnUnknown;
use crate::ids::{ContentHash, Environment, StepId, TaskId};
use crate::template::{Expr, Node};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A task: what is to be done, and when.
#[derive(Debug, Clone)]
pub struct Task {
    /// The version for a release task, else `id` in the file or its name without the ending.
    pub id: TaskId,
    /// The file, relative to the project's root, with forward slashes.
    pub path: String,
    /// What people read.
    pub title: Option<String>,
    /// Where it runs; empty means everywhere.
    pub environments: Vec<Environment>,
    /// Words by which it is chosen.
    pub tags: Vec<String>,
    /// What starts it.
    pub on: Trigger,
    /// How many of its runs may work at once.
    pub limits: Limits,
    /// What cancels its runs.
    pub cancel_on: Vec<CancelOn>,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// The hash of the bundle it was read from.
    pub text: ContentHash,
}

/// The text that a run is pinned to: the task file and every file that it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The task file, relative to the project's root.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether it may be executed: a bare script is a task of its own.
    pub executable: bool,
    /// Files that it names, by path relative to the project's root.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

impl Bundle {
    /// The bytes that are stored, and that [`Bundle::hash`] is the hash of.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Bundle::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are not a bundle.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The hash that a run is pinned to.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(&self.to_bytes())
    }
}

/// The `on` part of a task.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// `on.release`: once in each environment, at a release.
    Release(ReleaseTrigger),
    /// `on.object`: once for each object that lands.
    Object(ObjectTrigger),
    /// `on.call`: once for each call with a new key.
    Call(CallTrigger),
    /// `on.schedule`: once for each tick of the clock.
    Schedule(ScheduleTrigger),
    /// `on.webhook`: once for each request with a new key.
    Webhook(WebhookTrigger),
}

impl Trigger {
    /// The trigger's name, as task files write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Release(_) => "release",
            Self::Object(_) => "object",
            Self::Call(_) => "call",
            Self::Schedule(_) => "schedule",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// Before or after the new version takes traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before it takes traffic.
    Before,
    /// After it has taken traffic.
    #[default]
    After,
}

/// `on.release`.
#[derive(Debug, Clone)]
pub struct ReleaseTrigger {
    /// The digits at the start of the file's name; the order of release tasks.
    pub version: String,
    /// When in a release it runs.
    pub phase: Phase,
    /// It runs once at every release, and not once for ever.
    pub every: bool,
    /// It does not wait for earlier tasks that wait for a person or are held.
    pub independent: bool,
    /// It runs at every release only until after_party's table has its version.
    pub until_recorded: bool,
}

/// What to do with things that were there before the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// Start a run for each.
    Run,
    /// Record them as skipped.
    Skip,
}

/// `on.object`.
#[derive(Debug, Clone)]
pub struct ObjectTrigger {
    /// The folder watched, relative to the project's root.
    pub folder: String,
    /// A glob that names must match; `*` does not cross `/`.
    pub pattern: String,
    /// What happens with objects that were there before the task.
    pub existing: Option<Existing>,
}

/// `on.schedule`.
#[derive(Debug, Clone)]
pub struct ScheduleTrigger {
    /// When it ticks.
    pub schedule: Schedule,
    /// What happens with ticks that passed while nobody was there.
    pub missed: Missed,
}

/// What happens with ticks that passed while nobody was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// Each of them comes, late.
    All,
    /// The last of them comes, for all.
    #[default]
    Last,
    /// None comes.
    None,
}

/// `on.call`.
#[derive(Debug, Clone)]
pub struct CallTrigger {
    /// The key of a call that brings none, as an expression over `event`.
    pub key: Option<Expr>,
}

/// `[limits]`.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Runs of this task that may work at the same time, over all processes.
    pub running: Option<u32>,
    /// Runs for which this expression gives the same text take turns.
    pub one_at_a_time: Option<Expr>,
}

/// One effect or decision, or a stream of them.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name within the task.
    pub id: StepId,
    /// When, how often, how long.
    pub policy: Policy,
    /// What it does.
    pub work: Work,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Work {
    /// One action.
    Action(ActionSpec),
    /// A `do` block for each item.
    Each(Each),
}

/// The policy that stands beside a step's action.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The step is skipped unless this holds.
    pub when: Option<Expr>,
    /// The step is tried again until this holds of its `output`.
    pub until: Option<Expr>,
    /// The step is done in rounds, which have an `until` of their own.
    pub rounds: Option<Rounds>,
    /// How often and how soon it is tried again.
    pub retry: Retry,
    /// Longest time of one attempt, in milliseconds; none means the action's own default.
    pub timeout_ms: Option<i64>,
    /// How long it is held before it is done, in milliseconds.
    pub hold_ms: Option<i64>,
    /// What to do when nobody knows whether an attempt happened.
    pub on_unknown: OnUnknown,
    /// How the step is taken back.
    pub undo: Option<Undo>,
    /// How an attempt that nobody knows about is looked up.
    pub probe: Option<ProbeSpec>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            when: None,
            until: None,
            rounds: None,
            retry: Retry::default(),
            timeout_ms: None,
            hold_ms: None,
            on_unknown: OnUnknown::Ask,
            undo: None,
            probe: None,
        }
    }
}

/// The declared way to look an attempt up.
#[derive(Debug, Clone)]
pub struct ProbeSpec {
    /// The action that looks, and changes nothing.
    pub look: ActionSpec,
    /// Whether the attempt happened, of the `output` of the look.
    pub happened: Expr,
}

/// How an attempt of a step is looked up.
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'t> {
    /// By the `probe` that the task declares.
    Declared(&'t ProbeSpec),
    /// By the step's own action.
    Own(ActionKind),
    /// Nobody can look.
    Nobody,
}

/// The declared inverse of a step.
#[derive(Debug, Clone)]
pub enum Undo {
    /// `undo = "never"`: it cannot be taken back, and the author knows.
    Never,
    /// The action that takes it back.
    Action(ActionSpec),
}

/// An action and its options, with templates not yet rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSpec {
    /// Which action.
    pub kind: ActionKind,
    /// Its options, a table in long form whatever short form the file used.
    pub options: Node,
    /// Those of them that need no rendering: what the action is asked with before any event.
    pub fixed: crate::Value,
    /// The action takes back, by itself, what it did with these options.
    pub inverse: bool,
}

impl ActionSpec {
    /// An action with these options.
    #[must_use]
    pub fn new(kind: ActionKind, options: Node) -> Self {
        let fixed = options.fixed();
        Self {
            kind,
            options,
            fixed,
            inverse: false,
        }
    }

    /// What takes back, by the action itself, what it did with these options.
    #[must_use]
    pub fn inverse(kind: ActionKind, options: Node) -> Self {
        Self {
            inverse: true,
            ..Self::new(kind, options)
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kinds of step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ActionKind {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl ActionKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The key that names it in a task file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

kinds! {
    /// Runs a program or a shell text.
    Command = "command",
    /// Sends a request.
    Http = "http",
    /// Executes a statement.
    Sql = "sql",
    /// Writes a file or object.
    Put = "put",
    /// Sends a mail.
    Email = "email",
    /// Sends a message to Slack.
    Slack = "slack",
    /// Predicts a value for a record.
    Predict = "predict",
    /// Goes on only when a condition holds.
    Require = "require",
    /// Waits for a person.
    Approve = "approve",
    /// Calls another task.
    Call = "call",
}

impl std::fmt::Display for ActionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// `for_each` and its `do` block.
#[derive(Debug, Clone)]
pub struct Each {
    /// Where the items come from.
    pub items: Items,
    /// What is done for each.
    pub steps: Vec<Step>,
    /// How fast.
    pub pace: Pace,
}

/// Where the items of a `for_each` step come from.
#[derive(Debug, Clone)]
pub enum Items {
    /// An expression that gives a list.
    List(Expr),
    /// A file, read as a stream.
    Read {
        /// The file: `{{ event.url }}` or a path below the project's root.
        from: Node,
        /// How it is read.
        format: Format,
        /// Names of the columns of a file that has no header.
        columns: Option<Vec<String>>,
    },
    /// The files of a folder, in the order of their names.
    Files {
        /// The folder, below the project's root.
        from: Node,
        /// A glob that names must match.
        pattern: String,
    },
    /// Rows of a table, paged by a key: `rows`, `key`, `db` and `bind`.
    Rows(Node),
}

/// How a file is cut into items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180 with a header, or with `columns`.
    Csv,
    /// One JSON value a line.
    Jsonl,
    /// One text a line.
    Lines,
}
