//! Rules about single operations that every store applies, as pure functions.

use oncely_core::fact::{Fact, Request};
use oncely_core::ids::RunId;
use oncely_core::ledger::{Guard, ItemEvent, ItemFact, LedgerError, Op, RunRef, Unit};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;

/// Whether facts of the holder show that the claim led somewhere. That it began is not enough: an
/// event that kills its process gets so far each time.
pub(crate) fn is_progress(facts: &[Fact]) -> bool {
    facts.iter().any(|fact| {
        !matches!(
            fact,
            Fact::Began { .. } | Fact::Intent { .. } | Fact::Interrupted { .. }
        )
    })
}

/// Whether facts about items show that the claim led somewhere.
pub(crate) fn items_are_progress(facts: &[ItemFact]) -> bool {
    facts
        .iter()
        .any(|fact| matches!(fact.what, ItemEvent::Outcome { .. }))
}

/// What a run's status says about facts to be added: after the end only the resume of a failed run,
/// with its step or without it, and what is said about taking it back.
pub(crate) fn may_follow(run: RunId, status: RunStatus, facts: &[Fact]) -> Result<(), LedgerError> {
    let allowed = match facts.first() {
        None => true,
        Some(
            Fact::SkipAsked { .. }
            | Fact::Requested {
                what: Request::Resume,
                ..
            },
        ) => status == RunStatus::Failed,
        Some(
            Fact::Undone { .. }
            | Fact::Requested {
                what: Request::Undo,
                ..
            },
        ) => status != RunStatus::Undone,
        Some(_) => false,
    };
    if !status.is_ended() || allowed {
        return Ok(());
    }
    Err(LedgerError::Invalid(format!(
        "run {run} is {status}: nothing can be added to it. Nothing was changed."
    )))
}

/// Checks the shape of a unit: it admits first or not at all, and refers to what it admits.
pub(crate) fn shape(unit: &Unit) -> Result<(), LedgerError> {
    let admits = matches!(unit.ops.first(), Some(Op::Admit(_)));
    let wrong = unit.ops.iter().enumerate().any(|(place, op)| match op {
        Op::Admit(_) => place > 0,
        Op::Facts { run, .. } | Op::Run { run, .. } => *run == RunRef::New && !admits,
        _ => false,
    });
    if wrong {
        return Err(LedgerError::Invalid(
            "a unit admits at most one run, as its first operation, before it speaks of it. \
             Nothing was changed."
                .into(),
        ));
    }
    Ok(())
}

/// What is said about a run that is not there.
pub(crate) fn no_run(run: RunId) -> LedgerError {
    LedgerError::Invalid(format!(
        "there is no run {run} in this ledger. Nothing was changed."
    ))
}

/// Whether the unit speaks for the holder of this run: it has shown its fence.
pub(crate) fn shows_fence(unit: &Unit, run: RunId) -> bool {
    unit.guards
        .iter()
        .any(|guard| matches!(guard, Guard::Fence(id, _) if *id == run))
}

/// When a run is due whose holder went away: what was being worked on is due at once.
pub(crate) fn due_when_freed(
    status: RunStatus,
    due: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    match status {
        RunStatus::Pending | RunStatus::Running => Some(due.map_or(now, |at| at.min(now))),
        _ => due,
    }
}
