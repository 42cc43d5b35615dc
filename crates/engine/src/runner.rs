//! Takes one held run forward: decide, commit, act, commit the outcome with the next intent.

use crate::ask::Ask;
use crate::dispatch::{Place, Slots, Stop};
use crate::intake::{Intake, Offer};
use crate::items;
use crate::job::{Job, Rest, Suspicion, status_of, timeout};
use crate::sabotage;
use crate::tasks::{Actions, Known, Tasks};
use futures_util::FutureExt;
use oncely_core::action::{Action, Call, Called, Done, Failure, Pin, Probe};
use oncely_core::decide::{Next, decide, judge_until};
use oncely_core::effect::{Direction, Identity};
use oncely_core::fact::{BY_PROBE, End, Fact, Outcome, Repeat, Settlement};
use oncely_core::ids::StepId;
use oncely_core::ledger::{Guard, Held, Ledger, LedgerError, Op, RunRef, Unit, UnitResult};
use oncely_core::run::RunStatus;
use oncely_core::task::{ActionKind, ActionSpec, Items, Step, Task, Work};
use oncely_core::time::{Clock, Timestamp};
use oncely_core::{Value, limits};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// Everything that driving a run needs.
pub(crate) struct Runner {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) stop: Stop,
    pub(crate) slots: Slots,
    /// The project's root: files that tasks read lie below it.
    pub(crate) root: std::path::PathBuf,
}

/// How much longer than its time an attempt may take whose action does not end it by itself.
const FORGETFUL: Duration = Duration::from_secs(10);

/// When the attempt that began then is over for certain: until then it may be on its way.
pub(crate) fn over(begun: Timestamp, call: &Call) -> Timestamp {
    begun + call.timeout + FORGETFUL
}

/// What is to be done with a run once what is pending is committed.
#[derive(Debug, Clone)]
pub(crate) enum Todo {
    /// Make the step's open attempt.
    Act(StepId),
    /// Wait for a place to act, and decide anew: what nobody could repeat is not announced before
    /// it can be done, so that no crash leaves it in doubt for nothing.
    Queue,
    /// Leave it.
    Rest(Rest),
}

/// How an attempt ended, and what is committed with it.
pub(crate) struct Ending {
    step: StepId,
    attempt: u32,
    outcome: Outcome,
    ops: Vec<Op>,
    before: Vec<Unit>,
}

/// What came of an attempt.
enum Attempted {
    Ended(Ending),
    Lost,
    Released,
}

enum Flushed {
    Done,
    Changed,
    Lost,
    SqlFailed(String),
}

impl Runner {
    /// Drives a run that was claimed until it rests.
    pub(crate) async fn drive(
        &self,
        held: Held,
        suspicion: Suspicion,
    ) -> Result<Rest, LedgerError> {
        let mut job = Job {
            suspicion,
            ..Job::new(held)?
        };
        let known = match job.state.text {
            Some(text) => Some(self.tasks.pinned(text, &*self.ledger).await?),
            None => None,
        };
        let (task, todo) = self.advance(&mut job, known, None).await?;
        self.go_on(job, task, todo).await
    }

    /// Drives a run on, whose pending facts are committed.
    pub(crate) async fn go_on(
        &self,
        mut job: Job,
        mut task: Option<Arc<Task>>,
        mut todo: Todo,
    ) -> Result<Rest, LedgerError> {
        loop {
            let step = match todo {
                Todo::Rest(rest) => return Ok(rest),
                Todo::Queue => {
                    job.place = self.queue(&job).await?;
                    (task, todo) = self.advance(&mut job, task, None).await?;
                    continue;
                }
                Todo::Act(step) => step,
            };
            match self.attempt(&mut job, task.as_deref(), &step).await? {
                Attempted::Ended(ending) => {
                    (task, todo) = self.advance(&mut job, task, Some(ending)).await?;
                }
                Attempted::Lost => return Ok(Rest::Lost),
                Attempted::Released => return self.release(&job).await,
            }
        }
    }

    /// Waits for a place to act; none when the process is to stop.
    async fn queue(&self, job: &Job) -> Result<Option<Place>, LedgerError> {
        if self.stop.is_stopping() {
            return Ok(None);
        }
        if let Some(place) = self.slots.place_now(&job.row.task) {
            return Ok(Some(place));
        }
        tokio::select! {
            biased;
            () = self.stop.stopped() => Ok(None),
            place = self.slots.place(&job.row.task) => place.map(Some),
        }
    }

    /// Records an ending if there is one, decides as far as it goes, and commits it all together.
    async fn advance(
        &self,
        job: &mut Job,
        mut task: Option<Arc<Task>>,
        mut ending: Option<Ending>,
    ) -> Result<(Option<Arc<Task>>, Todo), LedgerError> {
        loop {
            let at = self.clock.now();
            if let Some(ending) = &ending {
                job.add(at, ending.fact())?;
            }
            let todo = self.plan(job, &mut task, at).await?;
            match self
                .flush(job, at, task.as_deref(), ending.as_ref(), &todo)
                .await?
            {
                Flushed::Done => return Ok((task, todo)),
                Flushed::Lost => return Ok((task, Todo::Rest(Rest::Lost))),
                Flushed::Changed => {
                    self.reload(job).await?;
                    ending = ending.filter(|e| e.is_open_in(job));
                }
                Flushed::SqlFailed(error) => {
                    self.reload(job).await?;
                    ending = ending.map(|e| e.refused(error));
                }
            }
        }
    }

    async fn reload(&self, job: &mut Job) -> Result<(), LedgerError> {
        let facts = Ask(&*self.ledger).facts(job.row.id).await?;
        job.reload(&facts)
    }

    /// Decides until there is an attempt to make or nothing to do.
    async fn plan(
        &self,
        job: &mut Job,
        task: &mut Option<Arc<Task>>,
        at: Timestamp,
    ) -> Result<Todo, LedgerError> {
        loop {
            if task.is_none() && !self.begin_or_end(job, task, at)? {
                return Ok(self.ended(job));
            }
            let Some(plan) = task.clone() else {
                return Ok(self.ended(job));
            };
            match decide(&plan, job.subject(), &job.state, job.now(at)) {
                Next::Record(fact) => job.add(at, fact)?,
                Next::Start { step, attempt } => {
                    if let Some(todo) = self.start(job, &plan, &step, attempt, at)? {
                        return Ok(todo);
                    }
                }
                Next::Probe { step, attempt } => {
                    let probing = Box::pin(self.probe(job, &plan, &step, attempt, at));
                    if let Some(todo) = probing.await? {
                        return Ok(todo);
                    }
                }
                Next::Act { step, .. } => return Ok(Todo::Act(step)),
                Next::Wait { until, why } => {
                    return Ok(Todo::Rest(Rest::Waiting { until, why }));
                }
                Next::Park { step, error } => {
                    return Ok(Todo::Rest(Rest::Unknown { step, error }));
                }
                Next::Begin | Next::Over => return Ok(self.ended(job)),
            }
        }
    }

    fn ended(&self, job: &Job) -> Todo {
        let status = job.state.ended.as_ref().map(|(end, _)| status_of(*end));
        Todo::Rest(Rest::Ended(status.unwrap_or(RunStatus::Failed)))
    }

    /// Pins the run to the task as it is now; false when it ended instead.
    fn begin_or_end(
        &self,
        job: &mut Job,
        task: &mut Option<Arc<Task>>,
        at: Timestamp,
    ) -> Result<bool, LedgerError> {
        if job.state.ended.is_some() {
            return Ok(false);
        }
        if job.state.cancel {
            job.add(
                at,
                end(End::Cancelled, "a person cancelled it before it began"),
            )?;
            return Ok(false);
        }
        let Some(known) = self.tasks.current_or_read(&job.row.task) else {
            let why = format!(
                "there is no task `{}` any more. Nothing was done; bring the file back and resume.",
                job.row.task
            );
            job.add(at, end(End::Failed, &why))?;
            return Ok(false);
        };
        match self.pins(&known.task) {
            Err(error) => {
                job.add(at, end(End::Failed, &error))?;
                Ok(false)
            }
            Ok(models) => {
                let text = known.task.text;
                job.add(at, Fact::Began { text, models })?;
                self.tasks.remember(text, &known.task);
                *task = Some(known.task);
                Ok(true)
            }
        }
    }

    fn pins(&self, task: &Task) -> Result<BTreeMap<String, String>, String> {
        let mut models = BTreeMap::new();
        for (step, spec) in specs(task) {
            let Some(action) = self.actions.get(spec.kind) else {
                continue;
            };
            let pin = action
                .pin(&spec.fixed)
                .map_err(|failure| format!("step `{step}`: {}", failure.error()))?;
            if let Some(Pin { name, checksum }) = pin {
                models.insert(name, checksum);
            }
        }
        Ok(models)
    }

    /// Adds the intent of an attempt; a resting place when it is not to be made now.
    fn start(
        &self,
        job: &mut Job,
        task: &Task,
        step: &StepId,
        attempt: u32,
        at: Timestamp,
    ) -> Result<Option<Todo>, LedgerError> {
        if self.stop.is_stopping() {
            return Ok(Some(Todo::Rest(Rest::Released)));
        }
        if job.claims > limits::CLAIMS_WITHOUT_PROGRESS {
            job.add(at, end(End::Failed, &quarantined(job.claims)))?;
            return Ok(None);
        }
        match self.intent(job, task, step, attempt, at) {
            Ok(intent) if !self.has_place(job, &intent) => return Ok(Some(Todo::Queue)),
            Ok(intent) => job.add(at, intent)?,
            Err(why) => job.add(at, end(End::Failed, &format!("step `{step}`: {why}")))?,
        }
        Ok(None)
    }

    /// Whether this intent may be committed: what must not be repeated needs its place first.
    fn has_place(&self, job: &mut Job, intent: &Fact) -> bool {
        let asks = matches!(
            intent,
            Fact::Intent {
                repeat: Repeat::AskFirst,
                ..
            }
        );
        if asks && job.place.is_none() {
            job.place = self.slots.place_now(&job.row.task);
        }
        !asks || job.place.is_some()
    }

    fn intent(
        &self,
        job: &Job,
        task: &Task,
        step: &StepId,
        attempt: u32,
        at: Timestamp,
    ) -> Result<Fact, String> {
        let found = find(task, step).ok_or("the task has no such step")?;
        let key = effect_key(job, step, None);
        let known = job.state.steps.get(step);
        if let Some((repeat, true)) = known.map(|k| (k.repeat, k.call.is_some())) {
            let repeat = repeat.unwrap_or(Repeat::AskFirst);
            return Ok(intent(step, attempt, job, None, repeat, key));
        }
        let (call, repeat) = match &found.work {
            Work::Each(each) => (self.each_call(job, &each.items, at)?, Repeat::Safe),
            Work::Action(spec) => self.action_call(job, found, spec, &key, at)?,
        };
        Ok(intent(step, attempt, job, Some(call), repeat, key))
    }

    fn each_call(&self, job: &Job, source: &Items, at: Timestamp) -> Result<Value, String> {
        let context = job.context(at);
        match source {
            Items::List(expr) => {
                let list = expr.value(&context).map_err(|e| e.to_string())?;
                if !list.is_array() {
                    return Err(format!("`{}` is not a list", expr.source()));
                }
                Ok(serde_json::json!({ "list": list }))
            }
            Items::Read {
                from,
                format,
                columns,
            } => {
                let from = from.render(&context).map_err(|e| e.to_string())?;
                Ok(serde_json::json!({ "read": from, "as": format, "columns": columns }))
            }
        }
    }

    fn action_call(
        &self,
        job: &Job,
        step: &Step,
        spec: &ActionSpec,
        key: &oncely_core::effect::EffectKey,
        at: Timestamp,
    ) -> Result<(Value, Repeat), String> {
        let options = spec
            .options
            .render(&job.context(at))
            .map_err(|e| e.to_string())?;
        let options = with_pin(options, &job.state.models);
        let action = self.action(spec.kind)?;
        let call = Call {
            options,
            key: key.clone(),
            attempt: 1,
            timeout: timeout(step),
            first_intent: at,
            site: Arc::new(job.site(&step.id, "")),
            input: Arc::new(Value::Null),
        };
        let repeat = action.repeat(&call);
        Ok((call.options, repeat))
    }

    pub(crate) fn action(&self, kind: ActionKind) -> Result<Arc<dyn Action>, String> {
        self.actions
            .get(kind)
            .ok_or_else(|| format!("this oncely cannot do `{kind}` steps"))
    }

    async fn probe(
        &self,
        job: &mut Job,
        task: &Task,
        step: &StepId,
        attempt: u32,
        at: Timestamp,
    ) -> Result<Option<Todo>, LedgerError> {
        let found = find(task, step);
        let call = found.and_then(|s| job.call(s, &self.ledger.name()));
        let answer = match (found.map(|s| &s.work), &call) {
            (Some(Work::Action(spec)), Some(call)) => match self.action(spec.kind) {
                Ok(_) => self.look_up(spec.kind, call).await,
                Err(error) => Probe::CannotTell(error),
            },
            _ => Probe::CannotTell("this kind of step has nobody to ask".into()),
        };
        let settle = |settlement| Fact::Settled {
            step: step.clone(),
            attempt,
            settlement,
            by: BY_PROBE.into(),
            reason: "the other side was asked".into(),
        };
        match answer {
            Probe::Happened(output) => job.add(at, settle(Settlement::Happened { output }))?,
            Probe::CannotTell(answer) => {
                job.add(
                    at,
                    Fact::Probed {
                        step: step.clone(),
                        attempt,
                        answer,
                    },
                )?;
            }
            Probe::DidNotHappen => {
                // The request could still be on its way until its time is over.
                let begun = job.state.steps.get(step).and_then(|s| s.last_intent);
                let over = call.map_or(at, |c| over(begun.unwrap_or(at), &c));
                if over > at {
                    let why = format!("step `{step}` is looked up again");
                    return Ok(Some(Todo::Rest(Rest::Waiting {
                        until: Some(over),
                        why,
                    })));
                }
                job.add(at, settle(Settlement::DidNotHappen))?;
            }
        }
        Ok(None)
    }

    /// Commits units. A full disk or a busy ledger is waited for, since an effect that happened must
    /// be recorded.
    pub(crate) async fn commit_patiently(
        &self,
        units: impl Fn() -> Vec<Unit>,
    ) -> Result<Vec<UnitResult>, LedgerError> {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.ledger.commit(units()).await {
                Err(error @ (LedgerError::Full(_) | LedgerError::Busy { .. })) => {
                    tracing::warn!("{error}");
                    if self.stop.wait_at_most(pause).await {
                        return Err(error);
                    }
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                other => return other,
            }
        }
    }

    /// Commits what is pending.
    async fn flush(
        &self,
        job: &mut Job,
        at: Timestamp,
        task: Option<&Task>,
        ending: Option<&Ending>,
        todo: &Todo,
    ) -> Result<Flushed, LedgerError> {
        if sabotage::acts_first() && matches!(todo, Todo::Act(_)) {
            return Ok(Flushed::Done);
        }
        let units = || self.units(job, at, task, ending, todo);
        let results = self.commit_patiently(units).await?;
        Ok(match results.into_iter().last() {
            Some(UnitResult::Applied(applied)) => {
                if let Some(task) = task {
                    self.tasks.mark_stored(task.text);
                }
                job.committed = applied.seq;
                if ending.is_some() {
                    job.suspicion.clear();
                }
                job.pending.clear();
                Flushed::Done
            }
            Some(UnitResult::Refused(Guard::RunSeq(..))) => Flushed::Changed,
            Some(UnitResult::SqlFailed(error)) => Flushed::SqlFailed(error),
            Some(UnitResult::Refused(_) | UnitResult::Duplicate(_)) | None => Flushed::Lost,
        })
    }

    fn units(
        &self,
        job: &Job,
        at: Timestamp,
        task: Option<&Task>,
        ending: Option<&Ending>,
        todo: &Todo,
    ) -> Vec<Unit> {
        let run = RunRef::Id(job.row.id);
        let mut ops = self.store(task);
        if let Some(ending) = ending {
            ops.extend(ending.ops.iter().cloned());
        }
        if !job.pending.is_empty() {
            ops.push(Op::Facts {
                run,
                at,
                facts: job.pending.clone(),
            });
        }
        ops.extend(uncounted(job, at, todo));
        ops.push(resting_op(run, job, at, todo));
        let guards = vec![
            Guard::Fence(job.row.id, job.fence),
            Guard::RunSeq(job.row.id, job.committed),
        ];
        let mut units = ending.map(|e| e.before.clone()).unwrap_or_default();
        units.push(Unit { guards, ops });
        units
    }

    /// The text that the run is pinned to is stored with its first commit.
    pub(crate) fn store(&self, task: Option<&Task>) -> Vec<Op> {
        let unstored = task.filter(|task| !self.tasks.is_stored(task.text));
        let known = unstored.and_then(|task| {
            self.tasks
                .current(&task.id)
                .filter(|k| k.task.text == task.text)
        });
        known
            .map(|k| Op::Store(k.task.text, k.bundle.to_bytes().into()))
            .into_iter()
            .collect()
    }

    /// Gives a run back whose open attempt goes on at its cursor.
    async fn release(&self, job: &Job) -> Result<Rest, LedgerError> {
        let unit = Unit {
            guards: vec![Guard::Fence(job.row.id, job.fence)],
            ops: vec![Op::Release(job.row.id, self.clock.now())],
        };
        self.commit_patiently(|| vec![unit.clone()]).await?;
        Ok(Rest::Released)
    }

    /// Makes the open attempt of a step.
    async fn attempt(
        &self,
        job: &mut Job,
        task: Option<&Task>,
        step: &StepId,
    ) -> Result<Attempted, LedgerError> {
        let found = task.and_then(|t| find(t, step));
        let (Some(found), Some(call)) =
            (found, found.and_then(|s| job.call(s, &self.ledger.name())))
        else {
            return Err(LedgerError::Invalid(format!(
                "run {} has no open step `{step}`",
                job.row.id
            )));
        };
        let place = match job.place.take() {
            Some(place) => Some(place),
            None => self.queue(job).await?,
        };
        if place.is_none() {
            // It is safe or has a key: whoever claims the run next makes the attempt.
            return Ok(Attempted::Released);
        }
        let (result, ops) = match &found.work {
            Work::Action(spec) => (self.act(spec.kind, &call).await, Vec::new()),
            // Boxed, so that the runs which stream nothing need no room for it.
            Work::Each(each) => match Box::pin(items::run(self, job, found, each, &call)).await? {
                items::Over::Lost => return Ok(Attempted::Lost),
                items::Over::Released => return Ok(Attempted::Released),
                items::Over::Ended(result, ops) => (result, ops),
            },
        };
        let mut ending = self.ending(job, found, &call, result);
        ending.ops.extend(ops);
        Ok(Attempted::Ended(ending))
    }

    /// Asks the other side: a probe that panics, or takes longer than the call may, could not tell.
    pub(crate) async fn look_up(&self, kind: ActionKind, call: &Call) -> Probe {
        let action = match self.action(kind) {
            Ok(action) => action,
            Err(error) => return Probe::CannotTell(error),
        };
        let asking = AssertUnwindSafe(async { action.probe(call).await }).catch_unwind();
        tokio::select! {
            answer = tokio::time::timeout(call.timeout, asking) => match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => Probe::CannotTell(format!(
                    "the code that asks panicked: {}", panic_text(&*panic)
                )),
                Err(_) => Probe::CannotTell("the other side did not answer in time".into()),
            },
            () = self.stop.aborted() => Probe::CannotTell("the process was told to stop".into()),
        }
    }

    /// Performs a call: panics are caught, and its time is bounded even when the action forgets it.
    pub(crate) async fn act(&self, kind: ActionKind, call: &Call) -> Result<Done, Failure> {
        let action = self.action(kind).map_err(Failure::permanent)?;
        let work = AssertUnwindSafe(async { action.run(call).await }).catch_unwind();
        let bound = call.timeout + FORGETFUL;
        tokio::select! {
            biased;
            ended = tokio::time::timeout(bound, work) => match ended {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => Err(Failure::unknown(format!(
                    "the step's code panicked: {}", panic_text(&*panic)
                ))),
                Err(_) => Err(Failure::unknown(format!(
                    "it did not end within {} s", bound.as_secs()
                ))),
            },
            () = self.stop.aborted() => Err(Failure::unknown(
                "the process was told to stop and its grace time ran out",
            )),
        }
    }

    fn ending(&self, job: &Job, step: &Step, call: &Call, result: Result<Done, Failure>) -> Ending {
        let mut ending = Ending {
            step: step.id.clone(),
            attempt: call.attempt,
            outcome: Outcome::Unknown {
                error: String::new(),
            },
            ops: Vec::new(),
            before: Vec::new(),
        };
        ending.outcome = match result {
            Err(failure) => outcome_of(failure),
            Ok(Done::Output(output)) => Outcome::Done {
                output: bounded(output),
            },
            Ok(Done::InCommit { statements }) => {
                ending.ops.push(Op::Sql(statements));
                Outcome::Done {
                    output: serde_json::json!({}),
                }
            }
            Ok(Done::Call(called)) => match self.call_unit(job, called) {
                Ok((unit, output)) => {
                    ending.before.push(unit);
                    Outcome::Done { output }
                }
                Err(error) => Outcome::Failed {
                    error,
                    again: false,
                    after_ms: None,
                },
            },
        };
        let context = job.context(self.clock.now());
        ending.outcome =
            judge_until(step, &context, ending.outcome).unwrap_or_else(|e| Outcome::Failed {
                error: e.to_string(),
                again: false,
                after_ms: None,
            });
        ending
    }

    fn call_unit(&self, job: &Job, called: Called) -> Result<(Unit, Value), String> {
        let depth = job.row.depth + 1;
        if depth > limits::CALL_DEPTH {
            return Err(format!(
                "more than {} tasks have called one another",
                limits::CALL_DEPTH
            ));
        }
        let output = serde_json::json!({ "task": called.task, "key": called.key });
        let offer = Offer {
            parent: Some(job.row.id),
            depth,
            ..Offer::call(called)
        };
        Ok((self.intake.unit(offer)?, output))
    }
}

impl Ending {
    fn fact(&self) -> Fact {
        Fact::Outcome {
            step: self.step.clone(),
            attempt: self.attempt,
            outcome: self.outcome.clone(),
        }
    }

    /// Whether the attempt still waits for its outcome: a commit whose end was not known may have
    /// recorded it.
    fn is_open_in(&self, job: &Job) -> bool {
        job.state.open_step() == Some(&self.step)
    }

    fn refused(self, error: String) -> Self {
        let outcome = Outcome::Failed {
            error: clip(error),
            again: false,
            after_ms: None,
        };
        Self {
            outcome,
            ops: Vec::new(),
            before: Vec::new(),
            ..self
        }
    }
}

/// A claim that finds nothing to do yet is no sign of a crash: it is not counted.
fn uncounted(job: &Job, at: Timestamp, todo: &Todo) -> Option<Op> {
    let waits = matches!(
        todo,
        Todo::Rest(Rest::Waiting { .. } | Rest::Unknown { .. })
    );
    (waits && job.pending.is_empty()).then(|| Op::Release(job.row.id, at))
}

fn resting_op(run: RunRef, job: &Job, at: Timestamp, todo: &Todo) -> Op {
    let (status, due, keep) = match todo {
        Todo::Act(_) | Todo::Queue => (RunStatus::Running, None, true),
        Todo::Rest(Rest::Ended(status)) => (*status, None, false),
        Todo::Rest(Rest::Waiting { until, .. }) => (RunStatus::Waiting, *until, false),
        Todo::Rest(Rest::Unknown { .. }) => (RunStatus::Unknown, None, false),
        Todo::Rest(Rest::Released | Rest::Lost) => return Op::Release(job.row.id, at),
    };
    Op::Run {
        run,
        status,
        due,
        keep,
    }
}

fn intent(
    step: &StepId,
    attempt: u32,
    job: &Job,
    call: Option<Value>,
    repeat: Repeat,
    key: oncely_core::effect::EffectKey,
) -> Fact {
    Fact::Intent {
        step: step.clone(),
        attempt,
        fence: job.fence,
        call,
        repeat,
        key,
    }
}

fn end(end: End, reason: &str) -> Fact {
    Fact::Ended {
        end,
        reason: reason.to_owned(),
    }
}

fn quarantined(claims: u32) -> String {
    format!(
        "quarantined: {} processes that worked on it ended without any progress. Nothing more is \
         done by itself; find out why, then resume it.",
        claims.saturating_sub(1)
    )
}

/// The key of an effect of this run.
pub(crate) fn effect_key(
    job: &Job,
    step: &StepId,
    item: Option<u64>,
) -> oncely_core::effect::EffectKey {
    Identity {
        environment: &job.row.environment,
        task: &job.row.task,
        event: &job.row.key,
        generation: job.row.generation,
        step,
        item,
        direction: Direction::Do,
    }
    .key()
}

/// Puts the checksum that the run is pinned to beside the model's name.
pub(crate) fn with_pin(mut options: Value, models: &BTreeMap<String, String>) -> Value {
    let model = options
        .get("model")
        .and_then(Value::as_str)
        .and_then(|name| models.get(name));
    if let (Some(checksum), Some(table)) = (model.cloned(), options.as_object_mut()) {
        table.insert("pinned".into(), checksum.into());
    }
    options
}

/// What is recorded of a failure.
pub(crate) fn outcome_of(failure: Failure) -> Outcome {
    match failure {
        Failure::Retry { error, after } => Outcome::Failed {
            error: clip(error),
            again: true,
            after_ms: after.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        },
        Failure::Permanent { error } => Outcome::Failed {
            error: clip(error),
            again: false,
            after_ms: None,
        },
        Failure::Unknown { error } => Outcome::Unknown { error: clip(error) },
    }
}

/// An error text within its bound.
pub(crate) fn clip(mut error: String) -> String {
    if error.len() > limits::ERROR_BYTES {
        let mut end = limits::ERROR_BYTES;
        while !error.is_char_boundary(end) {
            end -= 1;
        }
        error.truncate(end);
        error.push_str(" … (cut)");
    }
    error
}

/// An output within its bound: what is too large is said, not kept.
pub(crate) fn bounded(output: Value) -> Value {
    let bytes = output.to_string().len();
    if bytes <= limits::OUTPUT_BYTES {
        return output;
    }
    serde_json::json!({ "too_large": true, "bytes": bytes })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}

/// The step of this id.
pub(crate) fn find<'t>(task: &'t Task, id: &StepId) -> Option<&'t Step> {
    task.steps.iter().find(|step| step.id == *id)
}

/// Every action of a task, those of `do` blocks too.
pub(crate) fn specs(task: &Task) -> impl Iterator<Item = (&StepId, &ActionSpec)> {
    task.steps.iter().flat_map(|step| {
        let inner = match &step.work {
            Work::Each(each) => each.steps.as_slice(),
            Work::Action(_) => &[],
        };
        std::iter::once(step)
            .chain(inner)
            .filter_map(|s| match &s.work {
                Work::Action(spec) => Some((&s.id, spec)),
                Work::Each(_) => None,
            })
    })
}

/// A run to be driven from its admission on.
pub(crate) struct Opened {
    pub(crate) job: Job,
    pub(crate) task: Arc<Task>,
}

impl Runner {
    /// Decides the beginning of a run that is about to be admitted, so that its first intent shares
    /// the admission's commit; none when that cannot be known before.
    pub(crate) fn open(&self, held: Held, event: Value, known: &Known) -> Option<Opened> {
        if known.first_reads_run_id || self.stop.is_stopping() || sabotage::acts_first() {
            return None;
        }
        let at = held.row.admitted;
        let mut job = Job::fresh(held, event);
        let mut task = None;
        let todo = self.plan(&mut job, &mut task, at).now_or_never()?.ok()?;
        match (todo, task) {
            (Todo::Act(_), Some(task)) => Some(Opened { job, task }),
            _ => None,
        }
    }

    /// Drives a run that was admitted with its first intent.
    pub(crate) async fn drive_opened(&self, opened: Opened) -> Result<Rest, LedgerError> {
        let Some(step) = opened.job.state.open_step().cloned() else {
            return Ok(Rest::Lost);
        };
        self.go_on(opened.job, Some(opened.task), Todo::Act(step))
            .await
    }
}
