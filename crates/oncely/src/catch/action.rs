//! An action whose calls are caught: shown, answered, and not done.

use super::answers::Answers;
use super::reply::Reply;
use oncely_actions::{Catching, Caught, Given};
use oncely_core::action::{Action, Call, Done, Failure, Pin};
use oncely_core::effect::EffectKey;
use oncely_core::fact::Repeat;
use oncely_core::ids::{RunId, StepId, TaskId};
use oncely_core::question::Notice;
use oncely_core::round::Named;
use oncely_core::rows::RowSource;
use oncely_core::task::ActionKind;
use oncely_core::template::SECRET;
use oncely_core::{Fut, Value};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An effect that was caught.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
    pub(crate) step: StepId,
    pub(crate) kind: ActionKind,
    pub(crate) key: EffectKey,
    pub(crate) attempt: u32,
    /// The item of a `for_each` step, from 1.
    pub(crate) item: Option<u64>,
    /// Its options as they were rendered, secrets by their names.
    pub(crate) call: Value,
    /// What would have been done, for people.
    pub(crate) text: String,
    /// It takes something back.
    pub(crate) undo: bool,
    /// What somebody said that it gave.
    pub(crate) given: Option<Given>,
}

impl Effect {
    /// Its first line: which step, what kind, and its key.
    pub(crate) fn title(&self) -> String {
        let step = match Notice::parse(&self.step) {
            Some(notice) => format!("`{}` tells {}", notice.step, notice.told.person),
            None => Named(&self.step).to_string(),
        };
        let item = self.item.map(|item| format!(", item {item}"));
        let again = match self.attempt {
            1 => String::new(),
            attempt => format!(", attempt {attempt}"),
        };
        let (kind, key) = (self.kind, &self.key);
        format!("{step}  {kind}  {key}{}{again}", item.unwrap_or_default())
    }

    /// All of it, for programs.
    pub(crate) fn record(&self) -> Value {
        serde_json::json!({
            "run": self.run, "task": self.task, "step": self.step, "kind": self.kind,
            "key": self.key, "attempt": self.attempt, "item": self.item, "undo": self.undo,
            "call": self.call, "text": self.text, "answered": self.given,
        })
    }
}

/// What is told of each effect.
pub(crate) type Hear = Box<dyn Fn(Effect) + Send + Sync>;

/// Catches effects: says what they are, and answers them.
pub(crate) struct Catcher {
    pub(crate) catching: Catching,
    pub(crate) answers: Answers,
    pub(crate) hear: Hear,
    /// What comes now takes a run back.
    pub(crate) undoing: AtomicBool,
}

impl Catcher {
    fn reply(&self, call: &Call, item: Option<u64>, undo: bool) -> Option<&Reply> {
        let step = &call.site.step;
        if Notice::parse(step).is_some() {
            return None;
        }
        self.answers.reply(undo, step, call.attempt, item)
    }

    /// Catches a call of which this is known to people.
    fn caught(
        &self,
        kind: ActionKind,
        call: &Call,
        undo: bool,
        catch: impl FnOnce(&Given) -> Result<Caught, Failure>,
    ) -> Result<Value, Failure> {
        let item = call.input.pointer("/loop/index").and_then(Value::as_u64);
        let reply = self.reply(call, item, undo);
        let given = match reply {
            Some(Reply::Gives(given)) => Some(given.clone()),
            _ => None,
        };
        let nothing = Given::default();
        let Caught { text, result } = catch(given.as_ref().unwrap_or(&nothing))?;
        (self.hear)(Effect {
            run: call.site.run,
            task: call.site.task.clone(),
            step: call.site.step.clone(),
            kind,
            key: call.key.clone(),
            attempt: call.attempt,
            item,
            call: by_name(&call.options),
            text,
            undo,
            given,
        });
        match reply.and_then(Reply::failure) {
            Some(failure) => Err(failure),
            None => result,
        }
    }
}

/// An action whose calls are caught.
pub(super) struct CaughtAction {
    pub(super) kind: ActionKind,
    /// The real one: it says what may be repeated.
    pub(super) real: Arc<dyn Action>,
    pub(super) catcher: Arc<Catcher>,
}

impl Action for CaughtAction {
    fn repeat(&self, call: &Call) -> Repeat {
        self.real.repeat(call)
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        let undo = self.catcher.undoing.load(Ordering::SeqCst);
        let catch = |given: &Given| self.catcher.catching.catch(self.kind, call, given);
        let caught = self.catcher.caught(self.kind, call, undo, catch);
        Box::pin(ready(caught.map(Done::Output)))
    }

    fn undo<'a>(&'a self, call: &'a Call, output: &'a Value) -> Fut<'a, Result<Value, Failure>> {
        let path = output.get("path").and_then(Value::as_str);
        let text = match path {
            Some(path) => format!("removes {path}, if it is as it was written\n"),
            None => "takes back what it did\n".to_owned(),
        };
        let result = Ok(serde_json::json!({ "path": path, "removed": true }));
        let catch = |_: &Given| Ok(Caught { text, result });
        Box::pin(ready(self.catcher.caught(self.kind, call, true, catch)))
    }

    fn items(
        &self,
        options: &Value,
        _page_within: Duration,
    ) -> Option<Result<Box<dyn RowSource>, Failure>> {
        let select = options.get("rows").and_then(Value::as_str)?;
        let said = self.catcher.answers.rows(select).ok_or_else(|| {
            Failure::permanent(
                "it reads the rows of a table, and no database is asked here: give them with \
                 --answers FILE, by its id: rows = [{ … }, …]",
            )
        });
        Some(said.map(|rows| Box::new(rows) as Box<dyn RowSource>))
    }

    fn pin(&self, options: &Value) -> Result<Option<Pin>, Failure> {
        self.real.pin(options)
    }
}

/// Options with secrets by their names, as texts.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Object(table) => match table.get(SECRET).and_then(Value::as_array) {
            Some(pieces) => pieces.iter().map(piece).collect::<String>().into(),
            None => Value::Object(
                table
                    .iter()
                    .filter(|(name, _)| *name != "script_text")
                    .map(|(name, value)| (name.clone(), by_name(value)))
                    .collect(),
            ),
        },
        Value::Array(list) => list.iter().map(by_name).collect(),
        other => other.clone(),
    }
}

fn piece(value: &Value) -> String {
    match value.get("name").and_then(Value::as_str) {
        Some(name) => format!("<secret {name}>"),
        None => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    }
}
