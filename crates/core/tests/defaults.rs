//! What is so of an action, a ledger, a transform or a source that says nothing about it, and which
//! promises are switched off in a process that was not told so: none.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::action::{Action, Call, Done, Failure, Probe, Site};
use oncely_core::effect::EffectKey;
use oncely_core::fact::Repeat;
use oncely_core::forget::Forget;
use oncely_core::ids::{Fence, Generation, HolderId, RunId};
use oncely_core::items::{Outputs, Transform};
use oncely_core::ledger::{
    Answer, Change, Claim, Leased, Ledger, LedgerError, Query, Unit, UnitResult, What,
};
use oncely_core::points;
use oncely_core::prune::{Prune, Pruned};
use oncely_core::sabotage::{Switch, is_off};
use oncely_core::time::Timestamp;
use oncely_core::{Fut, Value};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a future gives that waits for nothing.
fn now<T>(mut future: Fut<'_, T>) -> T {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

struct Plain;

impl Action for Plain {
    fn repeat(&self, _: &Call) -> Repeat {
        Repeat::AskFirst
    }

    fn run<'a>(&'a self, _: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(std::future::ready(Ok(Done::Output(Value::Null))))
    }
}

fn call() -> Call {
    let site = Site {
        environment: "production".into(),
        task: "tell".into(),
        event: "k".into(),
        generation: Generation::FIRST,
        run: RunId(1),
        fence: Fence(1),
        step: "a".into(),
        ledger: "l".into(),
        depth: 0,
    };
    Call {
        options: json!({}),
        key: EffectKey("key".into()),
        attempt: 1,
        timeout: Duration::from_secs(1),
        first_intent: Timestamp(0),
        site: Arc::new(site),
        input: Arc::new(Value::Null),
    }
}

#[test]
fn an_action_that_only_acts_is_not_looked_up_and_not_taken_back_by_itself() {
    let (plain, call) = (Plain, call());
    let nobody = Probe::CannotTell("this kind of step has nobody to ask".into());
    assert_eq!(now(plain.probe(&call)), nobody);
    assert_eq!(
        now(plain.undo(&call, &Value::Null)).unwrap_err(),
        Failure::permanent("this kind of step cannot be taken back by itself: give it an `undo`")
    );
    assert_eq!(
        now(plain.look(&call)).unwrap_err(),
        Failure::permanent("this kind of step cannot look")
    );
}

#[test]
fn an_action_that_only_acts_pins_nothing_and_neither_reads_nor_writes_rows() {
    let (plain, options) = (Plain, json!({}));
    assert_eq!(plain.pin(&options), Ok(None));
    assert!(plain.rows(&call()).is_none());
    assert!(plain.items(&options, Duration::from_secs(1)).is_none());
    assert!(plain.transform(&options, &[]).is_none());
}

struct Copies;

impl Transform for Copies {
    fn outputs(&self) -> &[&'static str] {
        &[]
    }

    fn apply(&mut self, _: &[&str], _: &mut Outputs) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn a_transform_that_tolerates_nothing_counts_nothing() {
    assert_eq!(Copies.unseen(), 0);
}

/// A ledger that is closed.
struct Closed;

fn closed<'a, T: Send + 'a>() -> Fut<'a, Result<T, LedgerError>> {
    Box::pin(std::future::ready(Err(LedgerError::Closed)))
}

impl Ledger for Closed {
    fn holder(&self) -> HolderId {
        HolderId(1)
    }
    fn name(&self) -> String {
        "l".into()
    }
    fn commit(&self, _: Vec<Unit>) -> Fut<'_, Result<Vec<UnitResult>, LedgerError>> {
        closed()
    }
    fn lease(&self, _: What, _: Claim) -> Fut<'_, Result<Leased, LedgerError>> {
        closed()
    }
    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>> {
        closed()
    }
    fn prune(&self, _: Prune) -> Fut<'_, Result<Pruned, LedgerError>> {
        closed()
    }
    fn forget(&self, _: Forget) -> Fut<'_, Result<(), LedgerError>> {
        closed()
    }
    fn read(&self, _: Query) -> Fut<'_, Result<Answer, LedgerError>> {
        closed()
    }
    fn watch(&self, after: Change) -> Fut<'_, Change> {
        Box::pin(std::future::ready(after))
    }
}

#[test]
fn a_ledger_that_cannot_tell_whether_its_disk_is_full_does_not_say_so() {
    assert_eq!(Closed.is_full(), None);
}

/// Asked in a process of its own too: what is off is read once, from its environment.
#[test]
fn a_promise_is_switched_off_by_its_name_alone() {
    let told = std::env::var("ONCELY_SABOTAGE").unwrap_or_default();
    let named: &[Switch] = match told.as_str() {
        "" => &[],
        "fence,chain" => &[Switch::Fence, Switch::Chain],
        other => panic!("{other} is not what these tests switch off"),
    };
    for switch in Switch::ALL {
        let off = points::THERE && named.contains(&switch);
        assert_eq!(is_off(switch), off, "{switch:?}");
    }
    if told.is_empty() {
        let there = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_promise_is_switched_off_by_its_name_alone"])
            .env("ONCELY_SABOTAGE", "fence,chain")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&there.stdout);
        assert!(
            there.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
}
