//! How runs begin and steps are begun: what a run is pinned to, and the intent of each attempt.

use crate::job::{Job, Rest, timeout};
use crate::runner::{Runner, Todo, end, find, specs};
use crate::tasks::Known;
use futures_util::FutureExt;
use oncely_core::action::{Call, Pin};
use oncely_core::effect::{Direction, Identity};
use oncely_core::fact::{End, Fact, Repeat};
use oncely_core::ids::StepId;
use oncely_core::ledger::{Held, LedgerError};
use oncely_core::question::{Notice, Question};
use oncely_core::round::Named;
use oncely_core::run::Stage;
use oncely_core::sabotage::{self, Switch};
use oncely_core::task::{ActionSpec, Items, Step, Task, Work};
use oncely_core::time::Timestamp;
use oncely_core::{Value, limits};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A run to be driven from its admission on.
pub(crate) struct Opened {
    pub(crate) job: Job,
    pub(crate) task: Arc<Task>,
}

impl Runner {
    /// Pins the run to the task as it is now; false when it ended instead.
    pub(crate) fn begin_or_end(
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
    pub(crate) fn start(
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
            Ok(intent) if job.state.may_have_begun(step) => {
                let found = find(task, step);
                let found = found.ok_or_else(|| {
                    LedgerError::Invalid(format!("run {} has no step `{step}`", job.row.id))
                })?;
                self.doubt(job, &found, intent, at)?;
            }
            Ok(intent) if !self.has_place(job, &intent) => return Ok(Some(Todo::Queue)),
            Ok(intent) => job.add(at, intent)?,
            Err(why) => job.add(
                at,
                end(End::Failed, &format!("step {}: {why}", Named(step))),
            )?,
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
        if let Some(notice) = Notice::parse(step) {
            let call = message(job, &notice)?;
            return Ok(intent(
                step,
                attempt,
                job,
                Some(call),
                Repeat::AskFirst,
                key,
            ));
        }
        let (call, repeat) = match &found.work {
            Work::Each(each) => (self.each_call(job, &each.items, at)?, Repeat::Safe),
            Work::Action(spec) => self.action_call(job, &found, spec, &key, at)?,
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
            Items::Files { from, pattern } => {
                let from = from.render(&context).map_err(|e| e.to_string())?;
                Ok(serde_json::json!({ "read": from, "as": "files", "match": pattern }))
            }
            Items::Rows(options) => options.render(&context).map_err(|e| e.to_string()),
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
            .render(&job.context_of(&step.id, at))
            .map_err(|e| e.to_string())?;
        let options = with_pin(options, &job.state.models);
        let action = self.action(spec.kind)?;
        if spec.inverse {
            return Ok((options, Repeat::Safe));
        }
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

    /// Decides the beginning of a run that is about to be admitted, so that its first intent shares
    /// the admission's commit; none when that cannot be known before.
    pub(crate) fn open(&self, held: Held, event: Value, known: &Known) -> Option<Opened> {
        let cancels = self.tasks.cancels(&known.task.id);
        if cancels
            || known.first_reads_run_id
            || self.stop.is_stopping()
            || sabotage::is_off(Switch::Intent)
        {
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

/// What a message about a question says, and to whom. The link in it is made when it is sent: who
/// reads the ledger cannot answer in somebody's name.
fn message(job: &Job, notice: &Notice) -> Result<Value, String> {
    let stage = job.state.steps.get(&notice.step).map(|s| &s.stage);
    let Some(Stage::Asked(asked)) = stage else {
        return Err("nobody is asked any more".into());
    };
    let Question {
        text,
        tick,
        hash,
        expires,
        ..
    } = &asked.question;
    Ok(serde_json::json!({
        "to": notice.told.person, "via": notice.told.via, "nth": notice.nth,
        "step": notice.step, "question": notice.question,
        "text": text, "tick": tick, "hash": hash, "expires": expires,
        "link_until": asked.link_until(notice.nth),
    }))
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

/// The key of an effect of this run. What takes a run back has the identity of what it takes back, in
/// the other direction.
pub(crate) fn effect_key(
    job: &Job,
    step: &StepId,
    item: Option<u64>,
) -> oncely_core::effect::EffectKey {
    let row = &job.row;
    let (event, generation, direction) = match &job.state.undoing {
        Some(undoing) => (&undoing.key, undoing.generation, Direction::Undo),
        None => (&row.key, row.generation, Direction::Do),
    };
    Identity {
        environment: &row.environment,
        task: &row.task,
        event,
        generation,
        step,
        item,
        direction,
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

fn quarantined(claims: u32) -> String {
    format!(
        "quarantined: {} processes that worked on it ended without any progress. Nothing more is \
         done by itself; find out why, then resume it.",
        claims.saturating_sub(1)
    )
}
