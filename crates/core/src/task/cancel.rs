//! `cancel_on`: a run is cancelled when another task is started for the same thing.

use super::diagnostic::Problem;
use super::fields::Shape;
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
        "Which run: an expression over the `event` of the other task that gives the key of this one.",
    ),
];

/// What cancels runs of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelOn {
    /// The task whose runs cancel.
    pub task: TaskId,
    /// The key of the run that is cancelled, over the event of the run that cancels.
    pub key: Expr,
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
        if let Some(on) = on
            && !matches!(on, Trigger::Call(_) | Trigger::Webhook(_))
        {
            let name = on.name();
            let problem = Problem::new(format!("`cancel_on` finds no run of on.{name}"))
                .label("its keys are not ones that another event could name")
                .help("runs of on.call and on.webhook have keys of your own");
            self.report(table.key_span("cancel_on"), problem);
        }
        let values: &[Val<'_>] = match value.get_ref() {
            DeValue::Array(values) => values,
            _ => std::slice::from_ref(value),
        };
        if values.is_empty() || values.len() > limits::CANCEL_ON {
            let most = limits::CANCEL_ON;
            let problem = Problem::new(format!("`cancel_on` names 1 to {most} tasks"));
            self.report(value.span(), problem);
        }
        values.iter().filter_map(|v| self.canceller(v)).collect()
    }

    fn canceller(&mut self, value: &Val<'_>) -> Option<CancelOn> {
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
        Some(CancelOn {
            task: named?,
            key: key?,
        })
    }
}
