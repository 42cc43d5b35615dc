//! Takes events in: checks them, gives them their generation, and admits them once.

use crate::begin::Opened;
use crate::job::status_of;
use crate::people::PeopleError;
use crate::tasks::{Known, Tasks};
use oncely_core::Value;
use oncely_core::action::Called;
use oncely_core::chain::Chain;
use oncely_core::event::checked_json;
use oncely_core::fact::{End, Fact, Request};
use oncely_core::ids::{ContentHash, Environment, EventKey, Fence, Generation, RunId, TaskId};
use oncely_core::ledger::{
    Admission, Guard, Held, Ledger, LedgerError, Op, RunRef, RunRow, Unit, UnitResult,
};
use oncely_core::points::{self, Point};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::sabotage::{self, Switch};
use oncely_core::source::Cursor;
use oncely_core::template::{Context, Scope};
use oncely_core::time::{Clock, Timestamp};
use std::sync::Arc;

/// An event offered to a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The task.
    pub task: TaskId,
    /// The event's key.
    pub key: EventKey,
    /// Its data.
    pub data: Value,
    /// Which time round.
    pub generation: Generation,
    /// The run that called.
    pub parent: Option<RunId>,
    /// How many tasks have called one another up to here.
    pub depth: u32,
    /// It is recorded and never run, for this reason.
    pub skip: Option<String>,
    /// It is over already, for this reason to believe so. Its task need not be there.
    pub over: Option<(End, String)>,
    /// Who asked for a further time round, and why.
    pub rerun: Option<(String, String)>,
    /// Who started it, and how, where a person did.
    pub started: Option<(String, String)>,
    /// The run that calls lost its end: this one may have been called since, and done.
    pub lost: Option<Fact>,
}

impl Offer {
    /// An event for a task, the first time round.
    #[must_use]
    pub fn new(task: TaskId, key: EventKey, data: Value) -> Self {
        let generation = Generation::FIRST;
        Self {
            task,
            key,
            data,
            generation,
            parent: None,
            depth: 0,
            skip: None,
            over: None,
            rerun: None,
            started: None,
            lost: None,
        }
    }

    /// The event of a run that ended, once more: the next generation.
    ///
    /// # Errors
    /// When the run has not ended, is being taken back, or its event cannot be read.
    pub fn again(row: &RunRow, state: &RunState, by: &str, reason: &str) -> Result<Self, String> {
        if let Some(first) = row.undoes() {
            return Err(format!(
                "run {} takes run {first} back: `oncely rerun {first}` does that one once more. \
                 Nothing was changed.",
                row.id
            ));
        }
        if state.undo_asked && state.undone.is_none() {
            return Err(format!(
                "run {} is being taken back: it can be done once more when that has ended. Nothing \
                 was changed.",
                row.id
            ));
        }
        if row.is_forgotten() {
            return Err(PeopleError::Forgotten(row.id).to_string());
        }
        if !row.status.is_ended() {
            return Err(format!(
                "run {} is {}: only a run that has ended is done once more. Nothing was changed.",
                row.id, row.status
            ));
        }
        let data = serde_json::from_str(&row.event)
            .map_err(|e| format!("the event of run {} cannot be read: {e}", row.id))?;
        Ok(Self {
            generation: Generation(row.generation.0.saturating_add(1)),
            rerun: Some((by.to_owned(), reason.to_owned())),
            ..Self::new(row.task.clone(), row.key.clone(), data)
        })
    }

    /// The same once more after it was taken back, or given up for an older release: a release goes
    /// forward again.
    #[must_use]
    pub fn forward_again(self, before: &RunRow, release: &str) -> Self {
        let reason = format!(
            "run {} is {}, and release {release} goes forward again",
            before.id, before.status
        );
        Self {
            generation: Generation(before.generation.0.saturating_add(1)),
            rerun: Some(("oncely run".into(), reason)),
            ..self
        }
    }

    /// The same, started by a person.
    #[must_use]
    pub fn started_by(self, by: &str, reason: &str) -> Self {
        let started = Some((by.to_owned(), reason.to_owned()));
        Self { started, ..self }
    }

    /// What a `call` step asks for.
    pub(crate) fn call(called: Called) -> Self {
        Self::new(called.task, called.key, called.event)
    }
}

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// It started this run.
    Admitted(RunId),
    /// It had started this run before.
    Duplicate(RunId),
    /// It was not taken; says why.
    Refused(String),
}

/// How far a source has been seen, moved in the commit that admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The source.
    pub source: String,
    /// Its cursor before.
    pub from: Option<Cursor>,
    /// Its cursor after.
    pub to: Cursor,
}

/// Where events come in.
pub struct Intake {
    ledger: Arc<dyn Ledger>,
    tasks: Arc<Tasks>,
    environment: Environment,
    clock: Arc<dyn Clock>,
}

/// Decides the beginning of a run before it is admitted.
pub(crate) type Opener<'a> = &'a (dyn Fn(Held, Value, &Known) -> Option<Opened> + Sync);

impl Intake {
    /// An intake for one environment of a ledger.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        tasks: Arc<Tasks>,
        environment: Environment,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger,
            tasks,
            environment,
            clock,
        }
    }

    /// Where its runs happen.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Admits offers, for whoever claims the runs first.
    ///
    /// # Errors
    /// When the ledger does not answer. A refused offer is a result, not an error.
    pub async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Offered>, LedgerError> {
        let (offered, _) = self.admit(offers, None, &|_, _, _| None).await?;
        Ok(offered)
    }

    /// Admits offers; those that `open` can begin are held from their admission on.
    pub(crate) async fn admit(
        &self,
        offers: Vec<Offer>,
        seen: Option<Seen>,
        open: Opener<'_>,
    ) -> Result<(Vec<Offered>, Vec<Opened>), LedgerError> {
        let at = self.clock.now();
        let mut results = Vec::with_capacity(offers.len());
        let mut units = Vec::with_capacity(offers.len());
        let mut opened = Vec::with_capacity(offers.len());
        for offer in offers {
            match self.prepare(offer, at, open) {
                Ok((unit, begun)) => {
                    results.push(None);
                    units.push(unit);
                    opened.push(begun);
                }
                Err(why) => results.push(Some(Offered::Refused(why))),
            }
        }
        let mut seen = seen;
        if let Some(seen) = seen.take_if(|_| sabotage::is_off(Switch::Cursor)) {
            self.ledger.commit(vec![cursor_unit(seen)]).await?;
        }
        units.extend(seen.map(cursor_unit));
        if units.is_empty() {
            return Ok((results.into_iter().flatten().collect(), Vec::new()));
        }
        points::pass(Point::AdmitBefore);
        let mut answers = self.ledger.commit(units).await?.into_iter();
        points::pass(Point::AdmitAfter);
        let mut held = Vec::new();
        let mut opened = opened.into_iter();
        for slot in results.iter_mut().filter(|slot| slot.is_none()) {
            let (answer, begun) = (answers.next(), opened.next().flatten());
            *slot = Some(self.answer(answer, begun, &mut held));
        }
        Ok((results.into_iter().flatten().collect(), held))
    }

    fn answer(
        &self,
        answer: Option<UnitResult>,
        opened: Option<Opened>,
        held: &mut Vec<Opened>,
    ) -> Offered {
        match answer {
            Some(UnitResult::Applied(applied)) => {
                let run = applied.run.unwrap_or_default();
                if let Some(mut opened) = opened {
                    self.tasks.mark_stored(opened.task.text);
                    opened.job.admitted_as(run, applied.seq);
                    // The intent of its first attempt is in the same commit.
                    let (row, open) = (&opened.job.row, opened.job.state.open_step());
                    if let Some(step) = open {
                        points::pass_in(Point::IntentAfter, row.task.as_str(), step.as_str());
                    }
                    held.push(opened);
                }
                Offered::Admitted(run)
            }
            Some(UnitResult::Duplicate(run)) => Offered::Duplicate(run),
            Some(UnitResult::Refused(_)) => {
                Offered::Refused("another generation of this key was admitted meanwhile".into())
            }
            Some(UnitResult::SqlFailed(error) | UnitResult::SqlLate(error)) => {
                Offered::Refused(error)
            }
            None => Offered::Refused("the ledger did not say what became of it".into()),
        }
    }

    /// The unit that admits an offer, for a commit that holds more.
    pub(crate) fn unit(&self, offer: Offer) -> Result<Unit, String> {
        Ok(self.prepare(offer, self.clock.now(), &|_, _, _| None)?.0)
    }

    /// The unit that admits an offer, and its run when it begins in that commit.
    fn prepare(
        &self,
        offer: Offer,
        at: Timestamp,
        open: Opener<'_>,
    ) -> Result<(Unit, Option<Opened>), String> {
        if offer.over.is_some() {
            return Ok((self.over(offer, at)?, None));
        }
        let known = self
            .tasks
            .current_or_read(&offer.task)
            .ok_or_else(|| format!("there is no task `{}`. Nothing was started.", offer.task))?;
        let json = checked_json(&offer.key, &offer.data).map_err(|e| e.to_string())?;
        let lane = lane(&known, &offer, at)?;
        let mut admission = Admission {
            environment: self.environment.clone(),
            task: offer.task,
            key: offer.key,
            generation: offer.generation,
            trigger: known.task.on.name(),
            event: json.into(),
            lane,
            depth: offer.depth,
            parent: offer.parent,
            at,
            claimed: false,
            status: if offer.skip.is_some() {
                RunStatus::Skipped
            } else {
                RunStatus::Pending
            },
        };
        let is_told = offer.rerun.is_some() || offer.started.is_some() || offer.lost.is_some();
        let limited = admission.lane.is_some() || known.task.limits.running.is_some();
        let mut opened = if offer.skip.is_some() || limited || is_told {
            None
        } else {
            open(held(&admission), offer.data, &known)
        };
        admission.claimed = opened.is_some();
        let mut ops = Vec::with_capacity(4);
        ops.push(Op::Admit(admission));
        ops.extend(
            asked_for(offer.started, offer.rerun).map(|(what, who)| requested(what, who, at)),
        );
        ops.extend(offer.lost.map(|fact| Op::Facts {
            run: RunRef::New,
            at,
            facts: vec![fact],
        }));
        ops.extend(offer.skip.map(|reason| ended(End::Skipped, reason, at)));
        if let Some(opened) = &mut opened {
            let facts = std::mem::take(&mut opened.job.pending);
            self.begin(&mut ops, facts, &known, at);
        }
        let guards = Vec::new();
        Ok((Unit { guards, ops }, opened))
    }

    /// The unit that records what was done at a release, by another tool or by another run.
    fn over(&self, offer: Offer, at: Timestamp) -> Result<Unit, String> {
        let json = checked_json(&offer.key, &offer.data).map_err(|e| e.to_string())?;
        let (end, reason) = offer.over.unwrap_or((End::Imported, String::new()));
        let admission = Admission {
            environment: self.environment.clone(),
            task: offer.task,
            key: offer.key,
            generation: offer.generation,
            trigger: AT_A_RELEASE,
            event: json.into(),
            lane: None,
            depth: 0,
            parent: None,
            at,
            claimed: false,
            status: status_of(end),
        };
        let ops = vec![Op::Admit(admission), ended(end, reason, at)];
        let guards = Vec::new();
        Ok(Unit { guards, ops })
    }

    /// The operations of a run that begins as it is admitted.
    fn begin(&self, ops: &mut Vec<Op>, facts: Vec<Fact>, known: &Known, at: Timestamp) {
        if !self.tasks.is_stored(known.task.text) {
            ops.push(Op::Store(known.task.text, known.bundle.to_bytes().into()));
        }
        ops.push(Op::Facts {
            run: RunRef::New,
            at,
            facts,
        });
        ops.push(Op::Run {
            run: RunRef::New,
            status: RunStatus::Running,
            due: None,
            keep: true,
        });
    }
}

/// The first fact of a run that a person asked for. Who starts what goes forward again has started
/// it.
fn asked_for(
    started: Option<(String, String)>,
    rerun: Option<(String, String)>,
) -> Option<(Request, (String, String))> {
    match (rerun, started) {
        (Some((_, why)), Some((by, _))) => Some((Request::Rerun, (by, why))),
        (Some(who), None) => Some((Request::Rerun, who)),
        (None, started) => started.map(|who| (Request::Start, who)),
    }
}

/// Who asked for the run that is being admitted, and why: its first fact.
fn requested(what: Request, (by, reason): (String, String), at: Timestamp) -> Op {
    Op::Facts {
        run: RunRef::New,
        at,
        facts: vec![Fact::Requested { what, by, reason }],
    }
}

/// What starts that which is over already: other tools know releases only.
const AT_A_RELEASE: &str = "release";

/// How and why the run that is being admitted has ended.
fn ended(end: End, reason: String, at: Timestamp) -> Op {
    Op::Facts {
        run: RunRef::New,
        at,
        facts: vec![Fact::Ended { end, reason }],
    }
}

fn cursor_unit(seen: Seen) -> Unit {
    Unit {
        guards: vec![Guard::Cursor(seen.source.clone(), seen.from)],
        ops: vec![Op::Cursor(seen.source, seen.to)],
    }
}

/// Runs with the same text of `one_at_a_time` take turns.
fn lane(known: &Known, offer: &Offer, at: Timestamp) -> Result<Option<String>, String> {
    let Some(expr) = &known.task.limits.one_at_a_time else {
        return Ok(None);
    };
    let steps = serde_json::Map::new();
    let run = serde_json::json!({ "task": offer.task, "key": offer.key });
    let scope = Scope {
        event: &offer.data,
        steps: &steps,
        run: &run,
        at,
    };
    let value = expr
        .value(&Context::new(scope))
        .map_err(|error| format!("one_at_a_time: {error}. Nothing was started."))?;
    Ok(Some(format!("{} {}", offer.task, text_of(&value))))
}

/// What an expression gave, as text.
pub(crate) fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The run that an admission will make, held under its first fence.
fn held(admission: &Admission) -> Held {
    let row = RunRow {
        id: RunId(0),
        environment: admission.environment.clone(),
        task: admission.task.clone(),
        key: admission.key.clone(),
        generation: admission.generation,
        trigger: admission.trigger.to_owned(),
        event: Arc::clone(&admission.event),
        event_hash: ContentHash::default(),
        status: admission.status,
        seq: 0,
        admitted: admission.at,
        changed: admission.at,
        due: None,
        holder: None,
        fence: Fence(1),
        claims: 1,
        lane: None,
        depth: admission.depth,
        parent: admission.parent,
        chain: Chain::default(),
    };
    Held {
        row,
        facts: Vec::new(),
        fence: Fence(1),
        claims: 1,
    }
}

impl crate::job::Job {
    /// The run has its number now.
    fn admitted_as(&mut self, id: RunId, seq: u64) {
        self.row.id = id;
        if let Some(run) = self.run.as_object_mut() {
            run.insert("id".into(), serde_json::json!(id));
        }
        self.committed = seq;
    }
}
