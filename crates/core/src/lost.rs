//! What may go on by itself after the end of the ledger was lost, and what is for a person.
//!
//! A step may have been done since, and so may all that come after it. What the other side recognises
//! by its key, finds by its mark, or can be asked about is done again, or found done. What is merely
//! harmless when it is done twice in a row is not: a week later it can undo what came after it.

use crate::fact::{OnUnknown, Repeat};
use crate::ids::StepId;
use crate::round::{Named, Round};
use crate::run::{RunState, Stage};
use crate::task::{ActionKind, ActionSpec, Lookup, Step, Task, Work, lookup};
use crate::template::Expr;
use crate::time::Timestamp;

/// When something may have been done, and when it would be done again.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Not before this can it have been done without a record.
    pub since: Timestamp,
    /// Now.
    pub at: Timestamp,
}

/// What becomes of a step that may have been done without a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecorded {
    /// It is done again: that changes nothing, or the other side finds that it was done.
    Again,
    /// The other side is asked, or the rule of the task says what counts.
    Settled,
    /// Only a person can say, for this reason.
    Person(String),
}

/// Why a run is for a person; none where it goes on by itself. `repeat` says of an action what is
/// declared about doing it twice.
#[must_use]
pub fn why_hold(
    task: &Task,
    state: &RunState,
    span: Span,
    repeat: &dyn Fn(&Step, &ActionSpec) -> Repeat,
) -> Option<String> {
    if state.cancel {
        return None;
    }
    if let Some(undoing) = &state.undoing {
        return Some(format!("it takes run {} back", undoing.run));
    }
    let is_over = |step: &&Step| {
        let known = state.steps.get(&step.id).map(|known| &known.stage);
        !matches!(known, Some(Stage::Done | Stage::Skipped))
    };
    task.steps.iter().filter(is_over).find_map(|step| {
        let declared = match &step.work {
            Work::Action(spec) => repeat(step, spec),
            Work::Each(_) => Repeat::Safe,
        };
        match unrecorded(step, state, declared, span) {
            Unrecorded::Person(why) => Some(why),
            Unrecorded::Again | Unrecorded::Settled => None,
        }
    })
}

/// What becomes of a step that may have been done without a record.
#[must_use]
pub fn unrecorded(step: &Step, state: &RunState, repeat: Repeat, span: Span) -> Unrecorded {
    let name = Named(&step.id);
    let asks = matches!(&step.work, Work::Action(spec) if is_question(spec.kind));
    if asks {
        return Unrecorded::Again;
    }
    if step.policy.rounds.is_some() || Round::parse(&step.id).is_some() {
        return Unrecorded::Person(format!(
            "step {name} is done in rounds, and nobody knows which were done"
        ));
    }
    if let Some(read) = reads_unrecorded(step, state) {
        return Unrecorded::Person(format!(
            "whether step {name} is to be done depends on `{read}`, which may have been another"
        ));
    }
    match &step.work {
        Work::Each(each) if each.steps.iter().all(|s| is_marked(&s.work)) => Unrecorded::Again,
        Work::Each(_) => Unrecorded::Person(format!(
            "items of step {name} may have been done, and nobody knows which"
        )),
        Work::Action(spec) => unrecorded_action(step, spec, repeat, span),
    }
}

fn unrecorded_action(step: &Step, spec: &ActionSpec, repeat: Repeat, span: Span) -> Unrecorded {
    let name = Named(&step.id);
    let in_time = matches!(repeat, Repeat::WithKey { window_ms }
        if span.at.millis_since(span.since) < window_ms);
    if in_time || changes_nothing_twice(spec, repeat) {
        return Unrecorded::Again;
    }
    if matches!(lookup(step), Lookup::Declared(_)) || step.policy.on_unknown == OnUnknown::Repeat {
        return Unrecorded::Settled;
    }
    Unrecorded::Person(match repeat {
        Repeat::WithKey { .. } => format!(
            "step {name} may have been done so long ago that its key is not recognised any more"
        ),
        Repeat::Safe => format!(
            "step {name} may have been done; once more, it could undo what was done after it"
        ),
        Repeat::AskFirst => {
            format!("step {name} may have been done, and there is nobody to ask")
        }
    })
}

/// What asks a person, or judges.
fn is_question(kind: ActionKind) -> bool {
    matches!(kind, ActionKind::Approve | ActionKind::Require)
}

/// What only looks, or finds by its mark or its key that it was done: rows, and the run that is called,
/// of which each step is in doubt as well.
fn changes_nothing_twice(spec: &ActionSpec, repeat: Repeat) -> bool {
    match spec.kind {
        ActionKind::Sql | ActionKind::Predict | ActionKind::Call => !spec.inverse,
        ActionKind::Http => repeat == Repeat::Safe && only_reads(spec),
        _ => false,
    }
}

/// Without a method it is a GET, or a POST, which nobody calls safe.
fn only_reads(spec: &ActionSpec) -> bool {
    let method = spec.fixed.get("method").and_then(|method| method.as_str());
    let reads = |method: &str| ["GET", "HEAD", "OPTIONS"].contains(&method);
    spec.options.get("method").is_none() || method.is_some_and(|m| reads(&m.to_ascii_uppercase()))
}

fn is_marked(work: &Work) -> bool {
    let marked = [ActionKind::Sql, ActionKind::Predict];
    matches!(work, Work::Action(spec) if marked.contains(&spec.kind) && !spec.inverse)
}

/// The name in the step's condition that may have had another value when it was judged.
fn reads_unrecorded(step: &Step, state: &RunState) -> Option<String> {
    let names = step.policy.when.as_ref().map(Expr::names)?;
    let is_known = |name: &&String| {
        let mut parts = name.split('.');
        match (parts.next(), parts.next()) {
            (Some("event" | "run"), _) => true,
            (Some("steps"), Some(step)) => state.is_recorded(&StepId::from(step)),
            _ => false,
        }
    };
    names.iter().find(|name| !is_known(name)).cloned()
}
