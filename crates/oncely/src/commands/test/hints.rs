//! What is missing where a step reads a name that is not there: in the event, or in the answers.

use super::event::shown;
use super::play::Played;
use crate::cli::Test;
use oncely_core::Value;
use oncely_core::task::{ActionKind, Items, Step, Task, Work};
use oncely_engine::Known;
use std::collections::BTreeSet;

/// What to write, where a step failed, or an item was set aside, for want of a name.
pub(super) fn missing(
    known: &Known,
    played: &Played,
    event: &Value,
    args: &Test,
) -> Option<String> {
    let task = &known.task;
    let ended = played.state.ended.as_ref().map(|(_, why)| why.as_str());
    let aside = played
        .set_aside
        .iter()
        .map(|(_, item)| item.reason.as_str());
    let mut texts = Vec::new();
    for reason in ended.into_iter().chain(aside) {
        for name in wanted(task, reason) {
            let path = name.strip_prefix("event.");
            let what = match path.filter(|path| !there(event, path)) {
                Some(path) => Some(format!("{} has no `{path}`", shown(args))),
                None if name.starts_with("check.") => unlooked(task, reason, &name),
                None => unanswered([&name], task, played).pop(),
            };
            let Some(what) = what else { continue };
            let text = format!("{what}, which {} reads.", place(known, &name, reason));
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// The names that may be what a reason is about.
fn wanted(task: &Task, reason: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = quoted(reason).into_iter().collect();
    if reason.contains("cannot evaluate") {
        let about = failing(reason);
        let step = task.steps.iter().find(|s| Some(s.id.as_str()) == about);
        names.extend(step.into_iter().flat_map(reads));
    }
    names
}

/// The step that a reason is about.
fn failing(reason: &str) -> Option<&str> {
    let rest = reason.strip_prefix("step `")?;
    rest.split_once('`').map(|(id, _)| id)
}

/// The names among these that the answer of a caught step does not have, and how to write them.
pub(super) fn unanswered<'n>(
    names: impl IntoIterator<Item = &'n String>,
    task: &Task,
    played: &Played,
) -> Vec<String> {
    let texts = names.into_iter().filter_map(|name| {
        let (step, path) = name.strip_prefix("steps.")?.split_once('.')?;
        let found = step_of(task, step).filter(|found| is_answered(found))?;
        let output = played.state.outputs.get(step);
        let top = task.steps.iter().any(|s| s.id == found.id);
        if output.is_some_and(|output| there(output, path)) || (top && output.is_none()) {
            return None;
        }
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        Some(format!(
            "`{step}` gives no `{path}` unless --answers FILE says so, [steps.{step}] with {first} \
             = {}",
            table(rest)
        ))
    });
    texts.collect()
}

/// What the look before a round does not give, and how to write it.
fn unlooked(task: &Task, reason: &str, name: &str) -> Option<String> {
    let id = failing(reason)?;
    let step = task.steps.iter().find(|step| step.id.as_str() == id)?;
    step.policy.rounds.as_ref()?.check.as_ref()?;
    let path = name.strip_prefix("check.")?;
    let first = path.split(['.', '[']).next()?;
    Some(format!(
        "the check of `{id}` gives no `{path}` unless --answers FILE says so, [steps.{id}.check] with \
         {first} = …"
    ))
}

/// A value of TOML that has this path.
fn table(path: &str) -> String {
    match path.split_once('.') {
        _ if path.is_empty() => "…".into(),
        None => format!("{{ {path} = … }}"),
        Some((name, rest)) => format!("{{ {name} = {} }}", table(rest)),
    }
}

/// The path that an error says is not there.
fn quoted(reason: &str) -> Option<String> {
    let plain = reason.split_once("there is no `").map(|(_, rest)| rest);
    if let Some((path, _)) = plain.and_then(|rest| rest.split_once("` here")) {
        return Some(path.to_owned());
    }
    let (before, _) = reason.split_once("` is undefined")?;
    before.rsplit_once('`').map(|(_, path)| path.to_owned())
}

/// Every name that a step reads.
fn reads(step: &Step) -> BTreeSet<String> {
    let policy = [step.policy.when.as_ref(), step.policy.until.as_ref()];
    let mut names: BTreeSet<String> = policy
        .into_iter()
        .flatten()
        .flat_map(|expr| expr.names().iter().cloned())
        .collect();
    match &step.work {
        Work::Action(spec) => names.extend(spec.options.names()),
        Work::Each(each) => match &each.items {
            Items::List(expr) => names.extend(expr.names().iter().cloned()),
            Items::Read { from, .. } | Items::Files { from, .. } => names.extend(from.names()),
            Items::Rows(options) => names.extend(options.names()),
        },
    }
    names
}

fn step_of<'t>(task: &'t Task, id: &str) -> Option<&'t Step> {
    let inner = |step: &'t Step| match &step.work {
        Work::Each(each) => each.steps.as_slice(),
        Work::Action(_) => &[],
    };
    let all = task.steps.iter().chain(task.steps.iter().flat_map(inner));
    all.into_iter().find(|step| step.id.as_str() == id)
}

/// Whether what a step gives comes from the answers.
fn is_answered(step: &Step) -> bool {
    match &step.work {
        Work::Each(_) => false,
        Work::Action(spec) => !matches!(
            spec.kind,
            ActionKind::Predict | ActionKind::Require | ActionKind::Approve
        ),
    }
}

fn there(value: &Value, path: &str) -> bool {
    let found = path.split('.').try_fold(value, |value, name| match value {
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    });
    found.is_some()
}

/// Where a name is read: the file and its line, behind the beginning of the step that wants it.
fn place(known: &Known, name: &str, reason: &str) -> String {
    let (path, text) = (&known.task.path, &known.bundle.text);
    let begins = failing(reason).and_then(|id| text.find(&format!("\"{id}\"")));
    let begins = begins.unwrap_or(0);
    let after = text.get(begins..).and_then(|rest| rest.find(name));
    let at = after.map(|at| begins + at).or_else(|| text.find(name));
    match at.and_then(|at| text.get(..at)) {
        Some(before) => format!("{path}:{}", before.matches('\n').count() + 1),
        None => path.clone(),
    }
}
