//! `call`: starts another task, in the commit that records the step.

use crate::caught::{Caught, Given, Lines, over};
use crate::options;
use oncely_core::action::{Action, Call, Called, Done, Failure};
use oncely_core::event::checked_json;
use oncely_core::fact::Repeat;
use oncely_core::ids::EventKey;
use oncely_core::limits::CALL_DEPTH;
use oncely_core::{Fut, Value};
use serde::Deserialize;

/// The `call` action.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallTask;

#[derive(Deserialize)]
struct Options {
    task: String,
    #[serde(default)]
    event: Value,
    key: Option<String>,
}

impl Action for CallTask {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::Safe
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(std::future::ready(called(call)))
    }
}

fn called(call: &Call) -> Result<Done, Failure> {
    if call.site.depth >= CALL_DEPTH {
        return Err(Failure::permanent(format!(
            "tasks have called one another {CALL_DEPTH} times up to here, which is the most: \
             look for a task that calls itself"
        )));
    }
    let options: Options = options::read(&call.options)?;
    let key: EventKey = options.key.unwrap_or_else(|| call.key.0.clone()).into();
    checked_json(&key, &options.event).map_err(|error| Failure::permanent(error.to_string()))?;
    Ok(Done::Call(Called {
        task: options.task.into(),
        key,
        event: options.event,
    }))
}

/// A task that is not called.
pub(crate) fn catch(call: &Call, given: &Given) -> Result<Caught, Failure> {
    let Done::Call(Called { task, key, event }) = called(call)? else {
        return Err(Failure::permanent("the step calls no task"));
    };
    let mut lines = Lines::default();
    lines.named("task", Some(&task));
    lines.named("key", Some(&key));
    lines.json(&event);
    let usual = serde_json::json!({ "task": task, "key": key });
    Ok(Caught {
        text: lines.text(),
        result: Ok(over(usual, given)),
    })
}
