//! What has happened in a run, one fact after another. A run is the fold of its facts.

use crate::Value;
use crate::effect::EffectKey;
use crate::ids::{ContentHash, EventKey, Fence, Generation, RunId, StepId};
use crate::question::{Answer, Question};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fact and when it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// The hash of the fact as it was recorded, where its data was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<ContentHash>,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Whether an attempt may be made again when nobody knows whether it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Repeat {
    /// Doing it twice is the same as doing it once, or its effect shares a commit with its record.
    Safe,
    /// The other side recognises the effect key for this long after the first intent.
    WithKey {
        /// Milliseconds during which the key is recognised.
        window_ms: i64,
    },
    /// Only a person, a probe or the author's rule can say.
    AskFirst,
}

/// `on_unknown`: the author's rule for an attempt that nobody knows about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// Do it again.
    Repeat,
    /// Take it as done and go on.
    Skip,
    /// Stop and ask a person.
    #[default]
    Ask,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "was")]
pub enum Outcome {
    /// It happened.
    Done {
        /// What it gave, for later steps.
        output: Value,
    },
    /// It did not happen, and this is known.
    Failed {
        /// What went wrong, for people.
        error: String,
        /// Whether trying again may help.
        again: bool,
        /// Milliseconds that the other side asked to wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<i64>,
    },
    /// Nobody knows whether it happened.
    Unknown {
        /// Why, for people.
        error: String,
    },
}

/// What became of items that nobody knows about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemsBecame {
    /// They happened.
    Happened,
    /// They did not happen, and are to be done.
    DidNotHappen,
    /// The other side knows, and is to be asked.
    LookUp,
}

/// Who settled an unknown attempt, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "as")]
pub enum Settlement {
    /// It happened; this is its output.
    Happened {
        /// What later steps read.
        output: Value,
    },
    /// It did not happen, so it may be done.
    DidNotHappen,
}

/// Who settled: the other side, asked by the engine.
pub const BY_PROBE: &str = "probe";
/// Who settled: the rule that the author wrote.
pub const BY_RULE: &str = "on_unknown";

/// Who cancelled: a release that is older than the one which started the run.
pub const BY_OLDER_RELEASE: &str = "older release";

/// What a person asks of a run; the holder sees it at its next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// End it.
    Cancel,
    /// Hold it.
    Pause,
    /// Go on: after a pause, or from the step that failed.
    Resume,
    /// Do it all once more: the first fact of a run of the next generation.
    Rerun,
    /// Do it: the first fact of a run that a person started.
    Start,
    /// Take back what it did. The run has ended; another one does it.
    Undo,
}

/// What a run takes back, and what it needs to know of the run that did it. The facts of the other
/// run are not read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undoing {
    /// The run that is taken back.
    pub run: RunId,
    /// The event that it answered; keys of effects derive from it.
    pub key: EventKey,
    /// Which time round it was.
    pub generation: Generation,
    /// The steps that are taken back, the last one first.
    pub steps: Vec<StepId>,
    /// What its steps gave; templates read it under `steps`.
    pub outputs: serde_json::Map<String, Value>,
    /// The calls of steps whose action takes back by itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<StepId, Value>,
    /// Steps that are left as they are, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<StepId, String>,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Every step is done or was skipped.
    Done,
    /// A step failed for good.
    Failed,
    /// A person ended it.
    Cancelled,
    /// It was never to be done: an object that was there before the task, or `require … else = "end"`.
    Skipped,
    /// It was done before oncely came.
    Imported,
}

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum Fact {
    /// The run was pinned to its text.
    Began {
        /// The stored bundle.
        text: ContentHash,
        /// Models by name, each with the checksum it is pinned to.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        models: BTreeMap<String, String>,
    },
    /// A step was passed over.
    Skipped {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// An attempt is about to be made. No effect without this, committed.
    Intent {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// The claim under which it is made.
        fence: Fence,
        /// The rendered call, secrets by reference; none when it is the call of the first attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Value>,
        /// What was declared about repeating it.
        repeat: Repeat,
        /// The key that goes with the effect.
        key: EffectKey,
    },
    /// The process that was to make the attempt went away before it could say how it ended.
    Interrupted {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
    },
    /// An attempt ended.
    Outcome {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// The other side was asked about an unknown attempt and could not tell.
    Probed {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// What it said.
        answer: String,
    },
    /// A person had an unknown attempt looked up once more.
    ProbeAsked {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A step is to be done, and is held until then.
    Held {
        /// The step.
        step: StepId,
        /// Until when.
        until: Timestamp,
    },
    /// There is no further round of a step that is done in rounds.
    RoundsOver {
        /// The step.
        step: StepId,
        /// Rounds that were done.
        rounds: u32,
        /// Whether its condition held; else there were as many as there may be.
        held: bool,
    },
    /// A condition was judged.
    Judged {
        /// The step.
        step: StepId,
        /// Whether it held.
        held: bool,
        /// What is said when it did not.
        message: String,
        /// When it is judged again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again_at: Option<Timestamp>,
    },
    /// A person was asked.
    Asked {
        /// The step.
        step: StepId,
        /// What.
        #[serde(flatten)]
        question: Question,
    },
    /// Somebody made a link by which a person may answer.
    Linked {
        /// The step.
        step: StepId,
        /// The number of the fact by which it asks.
        question: u64,
        /// In whose name the link answers.
        person: String,
        /// Until when.
        expires: Timestamp,
        /// Who made it.
        by: String,
    },
    /// A person answered.
    Answered {
        /// The step.
        step: StepId,
        /// What.
        #[serde(flatten)]
        answer: Answer,
    },
    /// An unknown attempt was settled.
    Settled {
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// How.
        #[serde(flatten)]
        settlement: Settlement,
        /// Who or what: a person, `probe`, or the rule `on_unknown`.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person said what became of items that nobody knows about, or has them looked up.
    ItemsSettled {
        /// The step.
        step: StepId,
        /// Which attempt of it.
        attempt: u32,
        /// Which items; where none is named, all that are in doubt.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        items: Vec<u64>,
        /// What became of them.
        became: ItemsBecame,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person said that a step shall not be done; the holder sees it at its next commit.
    SkipAsked {
        /// The step.
        step: StepId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person asked something of the run.
    Requested {
        /// What.
        what: Request,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The run takes back what another one did. Its first fact.
    Undoes(Undoing),
    /// What the run did was taken back.
    Undone {
        /// The run that took it back.
        by: RunId,
    },
    /// The end of the ledger was lost: whatever comes next in the run may have been done without a
    /// record.
    EndLost {
        /// Not before this can anything have been done of which there is no record.
        since: Timestamp,
        /// Why the run is held for a person; nothing where it goes on by itself.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hold: String,
        /// Who goes on with the ledger as it is.
        by: String,
        /// Why.
        reason: String,
    },
    /// The data of the run was removed, because somebody asked to be forgotten: its event, its key, and
    /// what is in its facts. Its last fact.
    Forgotten {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// The hash of what is left of the facts before it.
        kept: ContentHash,
    },
    /// The run ended.
    Ended {
        /// How.
        end: End,
        /// Why, where that is not plain.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
}
