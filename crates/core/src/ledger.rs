//! What a ledger is to the engine: guarded units in, answers out.
//!
//! A unit is atomic; many units share one commit. A unit may be sent again after a commit whose end
//! is not known: its guards, or the unique key of its admission, keep it from being applied twice.

use crate::action::Statement;
use crate::chain::{Chain, key_hash};
use crate::effect::EffectKey;
use crate::fact::{Fact, Recorded, Repeat};
use crate::forget::{Forget, known_by};
use crate::ids::{
    ContentHash, Environment, EventKey, Fence, Generation, HolderId, RunId, StepId, TaskId,
};
use crate::items::{Progress, SetAside};
use crate::prune::{Prune, PruneRecord, Pruned};
use crate::run::RunStatus;
use crate::source::Cursor;
use crate::time::Timestamp;
use crate::{Fut, Value};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A run by number, or the one that this unit admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRef {
    /// The run that the unit's first operation admits.
    New,
    /// A run of the ledger.
    Id(RunId),
}

/// What must hold for a unit to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// This holder holds the run under this fence.
    Fence(RunId, Fence),
    /// The run has exactly so many facts.
    RunSeq(RunId, u64),
    /// The source's cursor is this one.
    Cursor(String, Option<Cursor>),
    /// The highest generation of this key is this one; none when it was never admitted.
    Generation(Environment, TaskId, EventKey, Option<Generation>),
    /// This holder holds the named lease under this fence.
    Named(String, Fence),
}

/// A run to be admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// Where.
    pub environment: Environment,
    /// The task.
    pub task: TaskId,
    /// The event's key.
    pub key: EventKey,
    /// Which time round.
    pub generation: Generation,
    /// The trigger's name.
    pub trigger: &'static str,
    /// The event's data, as JSON.
    pub event: Arc<str>,
    /// Runs of one lane take turns.
    pub lane: Option<String>,
    /// How many tasks have called one another up to here.
    pub depth: u32,
    /// The run that called for this one, or that this one takes back.
    pub parent: Option<RunId>,
    /// When.
    pub at: Timestamp,
    /// It is held by this holder from the start, with fence 1, and counted as claimed once.
    pub claimed: bool,
    /// What it is at first: pending, or skipped.
    pub status: RunStatus,
}

/// What a unit does, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Admits a run; only as the first operation. A known key makes the whole unit a duplicate.
    Admit(Admission),
    /// Adds facts to a run. Counts as progress when the holder does it.
    Facts {
        /// The run.
        run: RunRef,
        /// When.
        at: Timestamp,
        /// The facts, in order.
        facts: Vec<Fact>,
    },
    /// Says where a run stands now.
    Run {
        /// The run.
        run: RunRef,
        /// Its status.
        status: RunStatus,
        /// When it is due to be claimed; none when only an answer makes it so.
        due: Option<Timestamp>,
        /// Whether the holder goes on holding it.
        keep: bool,
    },
    /// Makes a run due, unless it is held: its holder will see what has changed by itself.
    Wake(RunId, Timestamp),
    /// Gives a run back without counting the claim: a clean shutdown.
    Release(RunId, Timestamp),
    /// Moves the item cursor of a step and records the items set aside on the way. Is progress.
    Items {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// How far it has come.
        progress: Progress,
        /// Items that failed; those recorded already are left as they are.
        set_aside: Vec<SetAside>,
    },
    /// Adds facts about single items. Is progress.
    ItemFacts {
        /// The run.
        run: RunId,
        /// The step, without the sub-step.
        step: StepId,
        /// The facts.
        facts: Vec<ItemFact>,
    },
    /// Moves a source's cursor.
    Cursor(String, Cursor),
    /// Keeps content by its hash; keeping it again changes nothing.
    Store(ContentHash, Arc<[u8]>),
    /// Executes statements of a task on the ledger's own database.
    Sql(Vec<Statement>),
    /// Remembers what task files looked like, so that unchanged ones need not be read.
    Files(Vec<FileMark>),
    /// Gives back a named lease.
    ReleaseName(String, Fence),
}

/// What happened to one sub-step of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemFact {
    /// Which item, from 0.
    pub item: u64,
    /// The sub-step of the `do` block.
    pub sub: StepId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: ItemEvent,
}

/// The facts of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "item_fact")]
pub enum ItemEvent {
    /// An attempt is about to be made.
    Intent {
        /// The claim.
        fence: Fence,
        /// The rendered call.
        call: Value,
        /// What was declared about repeating it.
        repeat: Repeat,
        /// The effect key.
        key: EffectKey,
    },
    /// It ended.
    Outcome {
        /// How.
        outcome: crate::fact::Outcome,
    },
}

/// What a task file looked like when it was last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// Relative to the project's root.
    pub path: String,
    /// Size in bytes, time of change in nanoseconds and file number.
    pub stat: (u64, i64, u64),
    /// The task in it.
    pub task: TaskId,
    /// The hash of its bundle.
    pub text: ContentHash,
}

/// Guards and operations that are applied together or not at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unit {
    /// What must hold.
    pub guards: Vec<Guard>,
    /// What is done.
    pub ops: Vec<Op>,
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitResult {
    /// It was applied.
    Applied(Applied),
    /// Its key was admitted before; nothing was changed.
    Duplicate(RunId),
    /// A guard did not hold; nothing was changed.
    Refused(Guard),
    /// A statement of a task failed; nothing was changed.
    SqlFailed(String),
    /// Statements of a task waited too long for somebody else's lock, or took too long; nothing was
    /// changed, and they may go through later.
    SqlLate(String),
}

/// What an applied unit made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The run it admitted or added facts to.
    pub run: Option<RunId>,
    /// How many facts that run has now. More than the holder knows means that others added some.
    pub seq: u64,
}

/// What is to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Runs that are due.
    Runs,
    /// This run, if it is due or would be.
    Run(RunId),
    /// A name that one holder has at a time.
    Named(String),
    /// Nothing: only to stand among the processes at work from now on.
    Present,
}

/// Under which conditions runs are claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Runs of this environment.
    pub environment: Environment,
    /// The time that due runs are due at.
    pub now: Timestamp,
    /// At most so many.
    pub limit: usize,
    /// At most so many held runs of these tasks, over all holders.
    pub caps: Vec<(TaskId, u32)>,
    /// Runs of these tasks are left alone: this process has no place or no file for them.
    pub except: Vec<TaskId>,
    /// Whether a run that was claimed before without progress may be claimed (alone).
    pub suspects: bool,
}

/// What was claimed.
#[derive(Debug, Clone, PartialEq)]
pub enum Leased {
    /// Runs, held now. One whose facts are not those of its chain is never among them: it is set
    /// aside as unknown, and due no more.
    Runs(Vec<Held>),
    /// The name, held now.
    Named(Fence),
    /// Somebody else has the name.
    Busy(HolderInfo),
}

/// A run that is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its row.
    pub row: RunRow,
    /// Its facts.
    pub facts: Vec<Recorded>,
    /// The claim.
    pub fence: Fence,
    /// Claims since the last progress, this one included.
    pub claims: u32,
}

/// A run's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its number.
    pub id: RunId,
    /// Where.
    pub environment: Environment,
    /// The task.
    pub task: TaskId,
    /// The event's key.
    pub key: EventKey,
    /// Which time round.
    pub generation: Generation,
    /// The trigger's name.
    pub trigger: String,
    /// The event's data, as JSON. Of a run that has ended it may have been removed: then it is empty.
    pub event: Arc<str>,
    /// The hash of the event's data, which is kept for ever.
    #[serde(default)]
    pub event_hash: ContentHash,
    /// Where it stands.
    pub status: RunStatus,
    /// Facts so far.
    pub seq: u64,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// When it was last changed.
    pub changed: Timestamp,
    /// When it is due, if it is.
    pub due: Option<Timestamp>,
    /// Who holds it.
    pub holder: Option<HolderId>,
    /// The last claim.
    pub fence: Fence,
    /// Claims since the last progress.
    pub claims: u32,
    /// Runs of one lane take turns.
    pub lane: Option<String>,
    /// How many tasks have called one another up to here.
    pub depth: u32,
    /// The run that called for this one, or that this one takes back.
    pub parent: Option<RunId>,
    /// The head of its chain of facts.
    #[serde(default)]
    pub chain: Chain,
}

/// How a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// The stored text of its task.
    pub text: ContentHash,
}

impl RunRow {
    /// Whether its event is the one that was admitted.
    #[must_use]
    pub fn has_its_event(&self) -> bool {
        let removed = self.event.is_empty() && self.status.is_ended();
        removed || ContentHash::of(self.event.as_bytes()) == self.event_hash
    }

    /// Whether its data was removed, because somebody asked to be forgotten.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        self.event.is_empty() && self.status.is_ended() && known_by(&self.key).is_some()
    }

    /// What its key is known by, also where the key itself was removed.
    #[must_use]
    pub fn known_by(&self) -> [u8; 16] {
        let forgotten = known_by(&self.key).filter(|_| self.event.is_empty());
        forgotten.unwrap_or_else(|| {
            key_hash(
                &self.environment,
                &self.task,
                &self.key,
                Some(self.generation),
            )
        })
    }

    /// The run that this one takes back, if it is an undo.
    #[must_use]
    pub fn undoes(&self) -> Option<RunId> {
        self.parent.filter(|_| self.trigger == crate::undo::TRIGGER)
    }
}

/// A process that works on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderInfo {
    /// Its number.
    pub id: HolderId,
    /// Its process.
    pub pid: u32,
    /// What it is: `oncely serve`, `oncely run`.
    pub role: String,
    /// Since when.
    pub since: Timestamp,
}

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Of this environment.
    pub environment: Option<Environment>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Of this key.
    pub key: Option<EventKey>,
    /// Held by this process.
    pub holder: Option<HolderId>,
    /// In one of these states; empty means any.
    pub status: Vec<RunStatus>,
    /// With a number below this one.
    pub before: Option<RunId>,
    /// At most so many, newest first; 0 means [`Filter::MOST`].
    pub limit: usize,
}

impl Filter {
    /// Most rows in one answer.
    pub const MOST: usize = 10_000;
}

/// A question to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A run's row.
    Run(RunId),
    /// Rows of runs.
    Runs(Filter),
    /// The newest run of each task of an environment.
    Newest(Environment),
    /// A run's facts, from this number.
    Facts(RunId, u64),
    /// When each of these runs began, and with which text.
    Began(Vec<RunId>),
    /// Which of these runs have facts that are not those of their chain.
    Broken(Vec<RunId>),
    /// Content by its hash.
    Stored(ContentHash),
    /// How far a step has come.
    Progress(RunId, StepId),
    /// Items set aside by a run, from this place, at most so many.
    SetAside(RunId, u64, usize),
    /// Facts about single items of a step, for items in this range.
    ItemFacts(RunId, StepId, std::ops::Range<u64>),
    /// A source's cursor.
    Cursor(String),
    /// How many runs are in each state.
    Counts(Environment),
    /// When the next run is due that nobody holds.
    NextDue(Environment),
    /// What task files looked like.
    Files,
    /// Processes that work on the ledger.
    Holders,
    /// Who holds this name.
    NameHolder(String),
    /// Names that are held, in order.
    Names,
    /// What was pruned, the newest first, at most so many.
    Prunes(usize),
    /// The prune that removed this run.
    PruneOf(RunId),
    /// The runs that this one called for, and those that take it back.
    Children(RunId),
    /// The runs that were admitted under a key, whether or not they are still there.
    Admitted(Environment, TaskId, EventKey),
}

/// An answer of the ledger; which one belongs to the question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Query::Run`].
    Run(Option<RunRow>),
    /// To [`Query::Runs`], [`Query::Newest`] and [`Query::Children`].
    Runs(Vec<RunRow>),
    /// To [`Query::Facts`].
    Facts(Vec<Recorded>),
    /// To [`Query::Began`]: runs in the order that was asked for, without those that have not begun.
    Began(Vec<Begun>),
    /// To [`Query::Broken`].
    Broken(Vec<RunId>),
    /// To [`Query::Stored`].
    Stored(Option<Arc<[u8]>>),
    /// To [`Query::Progress`].
    Progress(Option<Progress>),
    /// To [`Query::SetAside`], with the step of each.
    SetAside(Vec<(StepId, SetAside)>),
    /// To [`Query::ItemFacts`].
    ItemFacts(Vec<ItemFact>),
    /// To [`Query::Cursor`].
    Cursor(Option<Cursor>),
    /// To [`Query::Counts`].
    Counts(Vec<(RunStatus, u64)>),
    /// To [`Query::NextDue`].
    NextDue(Option<Timestamp>),
    /// To [`Query::Files`].
    Files(Vec<FileMark>),
    /// To [`Query::Holders`].
    Holders(Vec<HolderInfo>),
    /// To [`Query::NameHolder`].
    NameHolder(Option<HolderInfo>),
    /// To [`Query::Names`].
    Names(Vec<(String, HolderId)>),
    /// To [`Query::Prunes`].
    Prunes(Vec<PruneRecord>),
    /// To [`Query::PruneOf`].
    PruneOf(Option<PruneRecord>),
    /// To [`Query::Admitted`]: one of each generation, in order.
    Admitted(Vec<RunId>),
}

/// Counts the changes of a ledger; what is the same has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Change(pub u64);

/// Why a ledger did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerError {
    /// It cannot be used at all: what is wrong and what to do next.
    Unusable(String),
    /// There is none, and none was to be made.
    Absent(String),
    /// The disk is full. What was recorded is kept.
    Full(String),
    /// Another process has held the ledger too long.
    Busy {
        /// Which.
        pid: Option<u32>,
        /// For how long this one waited.
        waited: Duration,
    },
    /// It was closed: the process is ending.
    Closed,
    /// An operation that the trait forbids, such as facts that cannot follow one another.
    Invalid(String),
    /// This holder's lease ran out: it was stopped for too long and must give everything up.
    LeaseLost,
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) | Self::Absent(why) | Self::Invalid(why) => f.write_str(why),
            Self::Full(why) => write!(
                f,
                "the ledger's disk is full: {why}. What was recorded is kept and nothing was \
                 started. Free some space; work goes on by itself."
            ),
            Self::Busy {
                pid: Some(pid),
                waited,
            } => write!(
                f,
                "process {pid} has been writing to the ledger for {} s and may be stopped. \
                 Let it go on (kill -CONT {pid}) or end it (kill {pid}); nothing is lost either way.",
                waited.as_secs()
            ),
            Self::Busy { pid: None, waited } => write!(
                f,
                "the ledger was not free for {} s. Nothing was changed; try again.",
                waited.as_secs()
            ),
            Self::Closed => f.write_str("the ledger is closed: this process is ending."),
            Self::LeaseLost => f.write_str(
                "this process was stopped for longer than its lease, so others went on with its \
                 work. It gave up what it held; nothing is lost.",
            ),
        }
    }
}

impl std::error::Error for LedgerError {}

/// The database of everything that has happened.
pub trait Ledger: Send + Sync {
    /// This process, as the ledger knows it.
    fn holder(&self) -> HolderId;

    /// The ledger's own name, made when it was created.
    fn name(&self) -> String;

    /// Applies units, each whole or not at all, all of them in as few commits as possible, and
    /// answers when they are durable: one result for each unit, in order.
    fn commit(&self, units: Vec<Unit>) -> Fut<'_, Result<Vec<UnitResult>, LedgerError>>;

    /// Claims runs or a name. Counts the claim before any work is done.
    fn lease(&self, what: What, claim: Claim) -> Fut<'_, Result<Leased, LedgerError>>;

    /// Renews everything that this holder holds and frees what dead or late holders held.
    /// Called every [`RENEW_EVERY`]; says how many runs were freed.
    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>>;

    /// Removes a part of what is kept of runs that ended long ago, in one commit: their rows, events,
    /// facts and items. Their keys stay, their numbers are not given again, and it is recorded who
    /// removed them.
    fn prune(&self, part: Prune) -> Fut<'_, Result<Pruned, LedgerError>>;

    /// Removes the data of runs that have ended, of all of them or of none, in one commit: events, keys
    /// but for their hashes, and what facts hold of calls and answers. That they were done stays.
    fn forget(&self, wanted: Forget) -> Fut<'_, Result<(), LedgerError>>;

    /// Answers a question from one consistent state.
    fn read(&self, query: Query) -> Fut<'_, Result<Answer, LedgerError>>;

    /// Whether its disk was found full and has no room yet, so that nothing new is begun; none where
    /// that shows only when something is tried.
    fn is_full(&self) -> Option<bool> {
        None
    }

    /// Ends when the ledger has changed since `after`, by whomever, or after a while.
    fn watch(&self, after: Change) -> Fut<'_, Change>;
}

/// How often a holder renews its lease.
pub const RENEW_EVERY: Duration = Duration::from_millis(250);

/// How long a lease lasts without being renewed: only a stopped process lets it run out, since the
/// lock of one that died is seen at once.
pub const LEASE: Duration = Duration::from_secs(15);
