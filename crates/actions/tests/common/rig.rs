//! The three ways in which every action is tested: done twice, failed at each point, taken back
//! twice.

use super::again;
use oncely_core::Value;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use std::any::Any;

/// An action, a call of it, and a view of what it did out there.
pub(crate) struct Rig {
    pub(crate) action: Box<dyn Action>,
    pub(crate) call: Call,
    /// What can be seen of the effect, one text for each thing that is there.
    pub(crate) seen: Box<dyn Fn() -> Vec<String>>,
    /// What has to live as long as the rig.
    pub(crate) keep: Box<dyn Any>,
}

/// What takes a fault away.
pub(crate) type Mend = Box<dyn FnOnce(&mut Rig)>;

/// A fault that a rig has, and how it is mended.
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) rig: Rig,
    /// Which failure is right.
    pub(crate) expected: Expected,
    /// Takes the fault away; nothing where it cannot be.
    pub(crate) mend: Option<Mend>,
}

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Retry,
    Permanent,
    Unknown,
}

pub(crate) fn kind(failure: &Failure) -> Expected {
    match failure {
        Failure::Retry { .. } => Expected::Retry,
        Failure::Permanent { .. } => Expected::Permanent,
        Failure::Unknown { .. } => Expected::Unknown,
    }
}

/// Runs the call twice, as after a crash between effect and record, and holds the action to what it
/// declares about repeating.
pub(crate) async fn done_twice(rig: &Rig) {
    let first = done(rig, &rig.call).await;
    let seen = (rig.seen)();
    let second = done(rig, &again(&rig.call)).await;
    let seen_again = (rig.seen)();
    match rig.action.repeat(&rig.call) {
        Repeat::Safe => {
            assert_eq!(seen, seen_again, "twice is not the same as once");
            assert_eq!(steady(first), steady(second));
        }
        Repeat::WithKey { .. } | Repeat::AskFirst => {
            assert_eq!(seen.len() * 2, seen_again.len());
            let (before, after) = seen_again.split_at(seen.len());
            assert_eq!(before, after, "not the same key and the same bytes");
            let key = rig.call.key.0.as_str();
            assert!(before.iter().all(|one| one.contains(key)), "{before:?}");
        }
    }
}

async fn done(rig: &Rig, call: &Call) -> Done {
    rig.action.run(call).await.expect("the step works")
}

/// An output without what may differ from attempt to attempt.
fn steady(done: Done) -> Done {
    match done {
        Done::Output(Value::Object(mut output)) => {
            for changing in ["millis", "created", "headers"] {
                output.shift_remove(changing);
            }
            Done::Output(Value::Object(output))
        }
        other => other,
    }
}

/// Runs the call with its fault: the failure is of the right kind and leaves no trace; once the
/// fault is mended, the call works.
pub(crate) async fn failed_without_trace(mut fault: Fault) {
    let name = &fault.name;
    let before = (fault.rig.seen)();
    let failure = match fault.rig.action.run(&fault.rig.call).await {
        Err(failure) => failure,
        Ok(done) => panic!("{name}: {done:?}"),
    };
    assert_eq!(kind(&failure), fault.expected, "{name}: {failure:?}");
    assert_eq!((fault.rig.seen)(), before, "{name} left a trace");
    if let Some(mend) = fault.mend.take() {
        mend(&mut fault.rig);
        let done = fault.rig.action.run(&again(&fault.rig.call)).await;
        assert!(done.is_ok(), "{name} was mended: {done:?}");
        assert_ne!((fault.rig.seen)(), before, "{name} was mended");
    }
}

/// Does, takes back, and takes back again: the second time changes nothing more.
pub(crate) async fn undone_twice(rig: &Rig) {
    let before = (rig.seen)();
    let Done::Output(output) = done(rig, &rig.call).await else {
        panic!("an output was expected");
    };
    assert_ne!((rig.seen)(), before);
    for _ in 0..2 {
        let undone = rig.action.undo(&rig.call, &output).await;
        assert!(undone.is_ok(), "{undone:?}");
        assert_eq!((rig.seen)(), before);
    }
}
