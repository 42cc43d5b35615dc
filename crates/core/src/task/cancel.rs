//! `cancel_on`: a run is cancelled when another task is started for the same thing.

use super::diagnostic::Problem;
use super::fields::{Shape, event_of};
use super::load::CallSite;
use super::model::Trigger;
use super::names::Scope;
use super::reader::{Reader, Table, Val};
use super::top::KeyDoc;
use crate::ids::TaskId;
use crate::limits;
use crate::template::Expr;
use toml::de::DeValue;

/// The keys of `cancel_on`, and what they mean.
pub const CANCEL_ON: &[KeyDoc] = &[
    (
        "task",
        "The other task: when a run of it is started, a run of this one is cancelled.",
    ),
    (
        "key",
        "Which run: an expression over the `event` of the other task that gives the key of this one, or \
         what `equals` gives.",
    ),
    (
        "equals",
        "What `key` is compared with in place of the key: an expression over the `event` of this task, \
         needed where the keys of its runs are not your own (files, the clock, releases).",
    ),
];

/// What cancels runs of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelOn {
    /// The task whose runs cancel.
    pub task: TaskId,
    /// The key of the run that is cancelled, over the event of the run that cancels.
    pub key: Expr,
    /// What that is compared with in place of the key: over the event of the run that is cancelled.
    pub equals: Option<Expr>,
}

impl Reader<'_> {
    /// What cancels runs of this task: one table, or a list of them.
    pub(super) fn cancel_on(
        &mut self,
        table: &Table<'_, '_>,
        on: Option<&Trigger>,
    ) -> Vec<CancelOn> {
        let Some(value) = table.get("cancel_on") else {
            return Vec::new();
        };
        let values: &[Val<'_>] = match value.get_ref() {
            DeValue::Array(values) => values,
            _ => std::slice::from_ref(value),
        };
        if values.is_empty() || values.len() > limits::CANCEL_ON {
            let most = limits::CANCEL_ON;
            let problem = Problem::new(format!("`cancel_on` names 1 to {most} tasks"));
            self.report(value.span(), problem);
        }
        let cancellers = values.iter().filter_map(|v| self.canceller(v, on));
        cancellers.collect()
    }

    fn canceller(&mut self, value: &Val<'_>, on: Option<&Trigger>) -> Option<CancelOn> {
        let table = self.table(value, "cancel_on")?;
        let keys: Vec<_> = CANCEL_ON.iter().map(|(name, _)| *name).collect();
        self.known(&table, &keys, "`cancel_on`");
        let needed = [
            ("task", "task = \"invoice_paid\""),
            ("key", "key = \"event.body.invoice\""),
        ];
        for (key, help) in needed {
            if !table.has(key) {
                self.missing(table.span.clone(), key, "`cancel_on`", help);
            }
        }
        let named = table.get("task").and_then(|value| {
            let task = self.word(value, "task")?.to_owned();
            let span = value.span();
            self.cancels.push(CallSite {
                task: task.clone(),
                span,
            });
            Some(TaskId::from(task))
        });
        let scope = Scope::event_only(Shape::Open, "call");
        let key = table.get("key").and_then(|v| self.expr(v, "key", &scope));
        let scope = match on {
            Some(on) => Scope::event_only(event_of(on), on.name()),
            None => scope,
        };
        let equals = table.get("equals");
        if let (Some(on), None) = (on, equals) {
            self.has_keys_of_its_own(&table, on);
        }
        let equals = equals.map(|v| self.expr(v, "equals", &scope));
        Some(CancelOn {
            task: named?,
            key: key?,
            equals: match equals {
                Some(equals) => Some(equals?),
                None => None,
            },
        })
    }

    /// Runs that are not started under a key of the author's cannot be named by it.
    fn has_keys_of_its_own(&mut self, table: &Table<'_, '_>, on: &Trigger) {
        let example = match on {
            Trigger::Call(_) | Trigger::Webhook(_) => return,
            Trigger::Object(_) => "equals = \"event.name\"",
            _ => "equals = \"true\" and key = \"true\" mean every run that is under way",
        };
        let name = on.name();
        let problem = Problem::new(format!("`cancel_on` of on.{name} needs `equals`"))
            .label("the keys of its runs are not ones that another event could name")
            .help(format!("over the event of this task: {example}"));
        self.report(table.span.clone(), problem);
    }
}
