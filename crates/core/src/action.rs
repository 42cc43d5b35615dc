//! What an action is to the engine: it declares, runs, probes and takes back.

use crate::effect::EffectKey;
use crate::fact::Repeat;
use crate::ids::{Environment, EventKey, Fence, Generation, RunId, StepId, TaskId};
use crate::items::RowSink;
use crate::rows::RowSource;
use crate::time::Timestamp;
use crate::{Fut, Value};
use std::sync::Arc;
use std::time::Duration;

/// One call of an action, rendered.
#[derive(Debug, Clone)]
pub struct Call {
    /// Rendered options; where secrets may stand, `{"$secret": […]}`.
    pub options: Value,
    /// The effect key.
    pub key: EffectKey,
    /// From 1.
    pub attempt: u32,
    /// Longest time that the attempt may take.
    pub timeout: Duration,
    /// When the first attempt was about to be made.
    pub first_intent: Timestamp,
    /// Where the call belongs.
    pub site: Arc<Site>,
    /// What a program reads on standard input unless the task says otherwise:
    /// `{"event": …, "steps": …, "run": …}`, and `item` inside a `do` block.
    pub input: Arc<Value>,
}

/// Where a call belongs.
#[derive(Debug, Clone)]
pub struct Site {
    /// The environment.
    pub environment: Environment,
    /// The task.
    pub task: TaskId,
    /// The event's key.
    pub event: EventKey,
    /// Which time round.
    pub generation: Generation,
    /// The run.
    pub run: RunId,
    /// The claim under which it is made.
    pub fence: Fence,
    /// The step, or `step/sub-step` inside a `do` block.
    pub step: StepId,
    /// The ledger's own name: marks in other databases are told apart by it.
    pub ledger: String,
    /// How many tasks have called one another up to here.
    pub depth: u32,
}

/// What an action gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// It happened; this is its output.
    Output(Value),
    /// To be executed in the commit of its record, on the ledger's own database.
    InCommit {
        /// The statements, in order.
        statements: Vec<Statement>,
    },
    /// Another task is to be called, in the commit of the record.
    Call(Called),
}

/// A task that is called by a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// The task.
    pub task: TaskId,
    /// The key; the effect key where the step names none.
    pub key: EventKey,
    /// The event's data.
    pub event: Value,
}

/// What a run is pinned to for a step: a model and its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// Its checksum.
    pub checksum: String,
}

/// A statement and its parameters. Text never holds data.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// SQL.
    pub text: Arc<str>,
    /// Parameters by name, without the colon.
    pub bind: Vec<(Arc<str>, Value)>,
}

/// Why an attempt did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It is known not to have happened, and may work later.
    Retry {
        /// What went wrong, for people.
        error: String,
        /// What the other side asked to wait.
        after: Option<Duration>,
    },
    /// It is known not to have happened, and will not.
    Permanent {
        /// What went wrong, for people.
        error: String,
    },
    /// Nobody knows whether it happened.
    Unknown {
        /// Why, for people.
        error: String,
    },
}

impl Failure {
    /// It may work later.
    pub fn retry(error: impl Into<String>) -> Self {
        Self::Retry {
            error: error.into(),
            after: None,
        }
    }
    /// It will not work.
    pub fn permanent(error: impl Into<String>) -> Self {
        Self::Permanent {
            error: error.into(),
        }
    }
    /// Nobody knows.
    pub fn unknown(error: impl Into<String>) -> Self {
        Self::Unknown {
            error: error.into(),
        }
    }
    /// The text for people.
    #[must_use]
    pub fn error(&self) -> &str {
        match self {
            Self::Retry { error, .. } | Self::Permanent { error } | Self::Unknown { error } => {
                error
            }
        }
    }
}

/// What the other side says about an unknown attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// It happened, and gave this.
    Happened(Value),
    /// It did not happen. Believed only once the attempt's time is over.
    DidNotHappen,
    /// It cannot say.
    CannotTell(String),
}

/// The code that performs a kind of step.
pub trait Action: Send + Sync {
    /// What is declared about repeating this call.
    fn repeat(&self, call: &Call) -> Repeat;

    /// Does it. The intent is committed.
    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>>;

    /// Asks the other side about an attempt that nobody knows about.
    fn probe<'a>(&'a self, _call: &'a Call) -> Fut<'a, Probe> {
        Box::pin(std::future::ready(Probe::CannotTell(
            "this kind of step has nobody to ask".into(),
        )))
    }

    /// Takes back what a call did, from its output. Repeating it changes nothing more.
    fn undo<'a>(&'a self, _call: &'a Call, _output: &'a Value) -> Fut<'a, Result<Value, Failure>> {
        Box::pin(std::future::ready(Err(Failure::permanent(
            "this kind of step cannot be taken back by itself: give it an `undo`",
        ))))
    }

    /// What a run is pinned to for a step with these fixed options. Keeps a copy, so that the run
    /// ends with what it began with; `options.pinned` holds the checksum from then on.
    ///
    /// # Errors
    /// When what the options name is missing or damaged.
    fn pin(&self, _options: &Value) -> Result<Option<Pin>, Failure> {
        Ok(None)
    }

    /// For a `do` block whose rows go to a database: writes whole ranges with the item cursor.
    ///
    /// None when this kind of step writes no rows, or writes them in the ledger's own commit.
    ///
    /// # Errors
    /// When the options name no place to write to.
    fn rows(&self, _call: &Call) -> Option<Result<Box<dyn RowSink>, Failure>> {
        None
    }

    /// For `for_each = { rows = … }`: the select whose rows are items, each page asked for within
    /// this time.
    ///
    /// None when this kind of step reads no rows.
    ///
    /// # Errors
    /// When the options name no database, or no select that can be paged.
    fn items(
        &self,
        _options: &Value,
        _page_within: Duration,
    ) -> Option<Result<Box<dyn RowSource>, Failure>> {
        None
    }

    /// Looks whether a stream may go on: it changes nothing, so that there is no intent. A failure of
    /// any kind says that it may not, now.
    fn look<'a>(&'a self, _call: &'a Call) -> Fut<'a, Result<(), Failure>> {
        Box::pin(std::future::ready(Err(Failure::permanent(
            "this kind of step cannot look",
        ))))
    }

    /// For a pure step of a `do` block: computes an output for each record, without a record of it.
    ///
    /// # Errors
    /// When the options cannot be met, such as a model that is missing.
    fn transform(
        &self,
        _options: &Value,
        _columns: &[String],
    ) -> Option<Result<Box<dyn crate::items::Transform>, Failure>> {
        None
    }
}
