//! The names that expressions may read: fields of events, of runs and of loops, outputs of steps.
//! Names are checked against these tables at load, and the documentation is made from them.

use super::model::{ActionKind, Step, Trigger, Work};

/// A name that can be read, and what it means.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether there may be more below it: a table or list.
    pub open: bool,
}

/// What may be read below a name.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// These fields.
    Known(&'static [Field]),
    /// Whatever there is: the author knows.
    Open,
}

const fn field(name: &'static str, doc: &'static str) -> Field {
    Field {
        name,
        doc,
        open: false,
    }
}

const fn open(name: &'static str, doc: &'static str) -> Field {
    Field {
        name,
        doc,
        open: true,
    }
}

/// `event` of a release task.
pub const RELEASE: &[Field] = &[
    field("release", "The release that was deployed."),
    field(
        "phase",
        "`before` or `after` the new version takes traffic.",
    ),
    field("version", "The digits at the start of the file's name."),
    field("environment", "Where it was deployed."),
    field("late", "Whether later tasks of the release had run before."),
];

/// `event` of a task that watches objects.
pub const OBJECT: &[Field] = &[
    field("key", "What the object is known by."),
    field("name", "Its name without folders."),
    field("path", "Its path below the watched folder."),
    field("url", "The kept copy of its content, for `read`."),
    field("size", "Its size in bytes."),
    field("hash", "The BLAKE3 hash of its content."),
    field(
        "modified",
        "When it was changed, in milliseconds since 1970.",
    ),
];

/// `event` of a task that is started by the clock.
pub const SCHEDULE: &[Field] = &[
    field(
        "time",
        "When it was due, as clocks in its time zone show it: `2026-11-24T09:00:00+01:00`.",
    ),
    field("at", "The same, in milliseconds since 1970."),
    field(
        "missed",
        "Whether it comes more than a minute late: no server was running.",
    ),
];

/// `event` of a task that another program's request starts.
pub const WEBHOOK: &[Field] = &[
    open("body", "The JSON that was sent."),
    open(
        "headers",
        "The request's headers, names in lower case, without those that hold a secret or a signature.",
    ),
    open("query", "What stands behind `?` of the address, by name."),
];

/// `run`.
pub const RUN: &[Field] = &[
    field("id", "The run's number."),
    field("task", "The task's id."),
    field("key", "The event's key."),
    field(
        "generation",
        "Which time round: 1, and one more for each rerun.",
    ),
    field("environment", "Where it runs."),
];

/// `loop`, in a `do` block.
pub const LOOP: &[Field] = &[
    field("index", "The item's number, from 1."),
    field("index0", "The item's number, from 0."),
];

/// `steps.ID` of a step that is done in rounds.
pub const ROUNDS: &[Field] = &[
    field("rounds", "Rounds done."),
    field(
        "held",
        "Whether `until` held; else there were as many rounds as there may be.",
    ),
    open(
        "output",
        "What the last round gave; null where there was none.",
    ),
    open(
        "check",
        "What the last `check` gave; null where there is none.",
    ),
];

/// `steps.ID` of a `for_each` step.
pub const EACH: &[Field] = &[
    field("done", "Items done."),
    field(
        "set_aside",
        "Items set aside, each with its input and the reason.",
    ),
    field("total", "Items in all."),
];

const COMMAND: &[Field] = &[
    field("code", "The program's exit code."),
    field("stdout", "Its standard output as text."),
    field("stderr", "The end of its standard error."),
    open("json", "Its standard output as JSON, where it is JSON."),
    field("millis", "How long it ran, in milliseconds."),
];

const HTTP: &[Field] = &[
    field("status", "The status code."),
    open("headers", "The answer's headers, names in lower case."),
    field("text", "The answer's body as text."),
    open("json", "The answer's body as JSON, where it is JSON."),
    field(
        "truncated",
        "Whether the body was too long to be kept whole.",
    ),
];

const SQL: &[Field] = &[
    field("changed", "Rows that the statement changed."),
    open("rows", "Rows that it gave, each a table by column."),
    field("truncated", "Whether there were more rows than are kept."),
];

const PUT: &[Field] = &[
    field("path", "The file that was written."),
    field("bytes", "Its size."),
    field("hash", "The BLAKE3 hash of its content."),
    field("created", "Whether it was not there before."),
];

const EMAIL: &[Field] = &[
    field(
        "message_id",
        "The mail's `Message-ID`: the same for every attempt.",
    ),
    field("recipients", "How many addresses it was sent to."),
    field("bytes", "Its size."),
    field("response", "What the mail server said."),
];

const SLACK: &[Field] = &[
    field(
        "ts",
        "What the message is known by in its channel; null by webhook.",
    ),
    field("channel", "The channel's id; null by webhook."),
];

const PREDICT: &[Field] = &[
    field("label", "The predicted value."),
    field("score", "How sure the model is, from 0 to 1."),
];

const REQUIRE: &[Field] = &[field("held", "True.")];

const APPROVE: &[Field] = &[
    field("approved", "True."),
    field("by", "Who approved."),
    field("note", "What they wrote."),
    open("ticked", "What they ticked."),
];

const CALL: &[Field] = &[
    field("task", "The task that was called."),
    field("key", "The key it was called with."),
];

/// The roots of every expression, and what they mean.
pub const ROOTS: &[Field] = &[
    open("event", "The event's fields."),
    open("steps", "The outputs of earlier steps, by their ids."),
    open("run", "The run."),
    field("now", "The time, in milliseconds since 1970."),
    open("item", "The item, in a `do` block."),
    open("loop", "The item's place, in a `do` block."),
    open(
        "output",
        "What the attempt gave, in `until`; what the look-up gave, in `happened`.",
    ),
    field(
        "round",
        "The number of the round, from 1, in a step with `every`.",
    ),
    open(
        "check",
        "What `check` gave before the round, in a step with `every`.",
    ),
];

/// What a step of this kind gives.
#[must_use]
pub fn outputs(kind: ActionKind) -> &'static [Field] {
    match kind {
        ActionKind::Command => COMMAND,
        ActionKind::Http => HTTP,
        ActionKind::Sql => SQL,
        ActionKind::Put => PUT,
        ActionKind::Email => EMAIL,
        ActionKind::Slack => SLACK,
        ActionKind::Predict => PREDICT,
        ActionKind::Require => REQUIRE,
        ActionKind::Approve => APPROVE,
        ActionKind::Call => CALL,
    }
}

/// What a step gives to later steps.
#[must_use]
pub fn outputs_of(step: &Step) -> &'static [Field] {
    match &step.work {
        Work::Action(_) if step.policy.rounds.is_some() => ROUNDS,
        Work::Action(spec) => outputs(spec.kind),
        Work::Each(_) => EACH,
    }
}

/// What stands below `event` for this trigger.
#[must_use]
pub fn event_of(trigger: &Trigger) -> Shape {
    match trigger {
        Trigger::Release(_) => Shape::Known(RELEASE),
        Trigger::Object(_) => Shape::Known(OBJECT),
        Trigger::Schedule(_) => Shape::Known(SCHEDULE),
        Trigger::Webhook(_) => Shape::Known(WEBHOOK),
        Trigger::Call(_) => Shape::Open,
    }
}
