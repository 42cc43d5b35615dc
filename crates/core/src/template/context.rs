//! What expressions may read.

use crate::Value;
use crate::time::Timestamp;
use minijinja::value::{Serde, Value as Jinja};

/// The roots of every expression.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `event`: the event's fields.
    pub event: &'a Value,
    /// `steps`: the outputs of done steps.
    pub steps: &'a serde_json::Map<String, Value>,
    /// `run`: id, task, key, generation, environment.
    pub run: &'a Value,
    /// `now`: milliseconds since 1970.
    pub at: Timestamp,
}

/// The values that an evaluation reads.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    scope: Scope<'a>,
    output: Option<&'a Value>,
    item: Option<&'a Value>,
    index: u64,
    round: Option<u32>,
    check: Option<&'a Value>,
}

impl<'a> Context<'a> {
    /// The context of a step.
    #[must_use]
    pub fn new(scope: Scope<'a>) -> Self {
        Self {
            scope,
            output: None,
            item: None,
            index: 0,
            round: None,
            check: None,
        }
    }

    /// The same with `output`, for `until`.
    #[must_use]
    pub fn with_output<'b>(&self, output: &'b Value) -> Context<'b>
    where
        'a: 'b,
    {
        Context {
            output: Some(output),
            ..*self
        }
    }

    /// The same with `round` and `check`, for a step that is done in rounds.
    #[must_use]
    pub fn with_round<'b>(&self, round: u32, check: Option<&'b Value>) -> Context<'b>
    where
        'a: 'b,
    {
        Context {
            round: Some(round),
            check,
            ..*self
        }
    }

    /// The same with `item` and `loop`, for a `do` block; `steps` are those of the block.
    #[must_use]
    pub fn with_item<'b>(
        &self,
        item: &'b Value,
        index: u64,
        steps: &'b serde_json::Map<String, Value>,
    ) -> Context<'b>
    where
        'a: 'b,
    {
        let scope = Scope {
            steps,
            ..self.scope
        };
        Context {
            scope,
            item: Some(item),
            index,
            ..*self
        }
    }

    /// Reads a path whose first name is a root; none when there is nothing.
    #[must_use]
    pub fn get(&self, root: &str, fields: &[String]) -> Option<Value> {
        match root {
            "event" => dig(self.scope.event, fields).cloned(),
            "run" => dig(self.scope.run, fields).cloned(),
            "output" => dig(self.output?, fields).cloned(),
            "item" => dig(self.item?, fields).cloned(),
            "steps" => match fields.split_first() {
                Some((step, rest)) => dig(self.scope.steps.get(step)?, rest).cloned(),
                None => Some(Value::Object(self.scope.steps.clone())),
            },
            "loop" => dig(&self.loop_value()?, fields).cloned(),
            "round" if fields.is_empty() => Some(self.round?.into()),
            "check" => dig(self.check?, fields).cloned(),
            "now" if fields.is_empty() => Some(self.scope.at.0.into()),
            _ => None,
        }
    }

    fn loop_value(&self) -> Option<Value> {
        self.item?;
        Some(serde_json::json!({ "index": self.index, "index0": self.index.saturating_sub(1) }))
    }

    /// The roots among `names`, for the interpreter.
    pub(crate) fn jinja(&self, names: &[String]) -> Jinja {
        let wanted = names.iter().filter_map(|name| {
            self.get(name, &[])
                .map(|value| (name.clone(), Jinja::from(Serde(value))))
        });
        wanted.collect::<std::collections::BTreeMap<_, _>>().into()
    }
}

fn dig<'v>(value: &'v Value, fields: &[String]) -> Option<&'v Value> {
    fields.iter().try_fold(value, |value, field| match value {
        Value::Array(list) => list.get(field.parse::<usize>().ok()?),
        _ => value.get(field),
    })
}
