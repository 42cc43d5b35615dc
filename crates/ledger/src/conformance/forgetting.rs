//! Promises about runs whose data was removed.

use super::items::{aside, item_outcome, items};
use super::pruning::{self, part};
use super::stage::*;
use oncely_core::fact::{End, Fact, Outcome};
use oncely_core::forget::Forget;
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{Answer, Ledger, LedgerError, Op, Query, UnitResult};
use oncely_core::prune::{Place, Prune};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::time::Timestamp;

/// What is nowhere afterwards.
const SECRET: &str = "ana@example.com";

fn wanted(runs: &[RunId]) -> Forget {
    Forget {
        runs: runs.to_vec(),
        by: "bo".into(),
        reason: "asked on Monday".into(),
        at: Timestamp(900),
    }
}

/// A run whose key, event, call, output and items hold the secret.
async fn told<L: Ledger>(ledger: &L, status: RunStatus) -> RunId {
    let mut a = admission(SECRET);
    a.event = format!("{{\"to\":\"{SECRET}\"}}").into();
    let run = admitted(ledger, unit(vec![], vec![Op::Admit(a)])).await;
    let Fact::Intent {
        step,
        attempt,
        fence,
        repeat,
        key,
        ..
    } = intent(Fence(0))
    else {
        panic!()
    };
    let intent = Fact::Intent {
        step: step.clone(),
        attempt,
        fence,
        call: Some(serde_json::json!({ "to": SECRET })),
        repeat,
        key,
    };
    let outcome = Fact::Outcome {
        step,
        attempt,
        outcome: Outcome::Done {
            output: serde_json::json!({ "sent_to": SECRET }),
        },
    };
    let item_facts = Op::ItemFacts {
        run,
        step: "each".into(),
        facts: vec![item_outcome(1)],
    };
    let ops = vec![
        facts(run, 2, vec![began(), intent]),
        facts(run, 3, vec![outcome, ended(End::Done)]),
        items(run, "each", 1, vec![aside(1, SECRET)]),
        item_facts,
        stand(run, status, None, false),
    ];
    apply(ledger, unit(vec![], ops)).await;
    run
}

async fn broken<L: Ledger>(ledger: &L, run: RunId) -> Vec<RunId> {
    match ledger.read(Query::Broken(vec![run])).await.unwrap() {
        Answer::Broken(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn refused<L: Ledger>(ledger: &L, wanted: Forget) -> String {
    match ledger.forget(wanted).await {
        Err(LedgerError::Invalid(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// Removes what is left of items.
async fn sweep<L: Ledger>(ledger: &L) {
    let items = Prune {
        from: Place::Items,
        ..part()
    };
    pruning::whole(ledger, items).await;
}

pub async fn a_forgotten_run_keeps_its_key_and_what_was_done<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let run = told(&ledger, RunStatus::Done).await;
    let before = recorded(&ledger, run).await;
    ledger.forget(wanted(&[run])).await.unwrap();
    sweep(&ledger).await;
    let export = stores.export(&ledger);
    assert!(!export.contains(SECRET), "{export}");
    assert!(export.contains("\"fact\":\"forgotten\""), "{export}");
    // Which steps, when, and how they ended.
    let after = recorded(&ledger, run).await;
    assert_eq!(after.len(), before.len() + 1);
    let moments =
        |all: &[oncely_core::fact::Recorded]| all.iter().map(|fact| fact.at).collect::<Vec<_>>();
    assert_eq!(moments(&after)[..before.len()], moments(&before)[..]);
    let (a, b) = (
        RunState::fold(&before).unwrap(),
        RunState::fold(&after).unwrap(),
    );
    assert_eq!((a.ended, a.text), (b.ended, b.text));
    assert_eq!(a.steps.len(), b.steps.len());
    let last = &after.last().unwrap().fact;
    assert!(
        matches!(last, Fact::Forgotten { by, reason, .. } if by == "bo" && reason == "asked on Monday"),
        "{last:?}"
    );
    let row = row(&ledger, run).await;
    assert!(row.is_forgotten());
    assert_eq!((row.status, row.seq), (RunStatus::Done, 5));
    // It is none that was damaged, and its event is still known.
    assert_eq!(broken(&ledger, run).await, []);
    let mut again = admission(SECRET);
    again.event = "{\"other\":true}".into();
    let again = unit(vec![], vec![Op::Admit(again)]);
    let other = stores.open();
    assert_eq!(one(&other, again).await, UnitResult::Duplicate(run));
    let asked = Query::Admitted(environment(), task(TASK), SECRET.into());
    assert_eq!(
        other.read(asked).await.unwrap(),
        Answer::Admitted(vec![run])
    );
}

pub async fn who_has_not_ended_is_not_forgotten_and_all_are_or_none<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let run = told(&ledger, RunStatus::Failed).await;
    let open = admitted(&ledger, admit("open")).await;
    let mut release = admission("of a release");
    release.trigger = "release";
    let release = admitted(&ledger, unit(vec![], vec![Op::Admit(release)])).await;
    let ended = stand(release, RunStatus::Done, None, false);
    apply(&ledger, unit(vec![], vec![ended])).await;
    let before = stores.export(&ledger);
    let why = refused(&ledger, wanted(&[run, open])).await;
    assert!(why.starts_with("run 2 of task is pending"), "{why}");
    let why = refused(&ledger, wanted(&[run, release])).await;
    assert!(why.contains("answers a release"), "{why}");
    let why = refused(&ledger, wanted(&[run, RunId(99)])).await;
    assert!(why.starts_with("there is no run 99"), "{why}");
    assert_eq!(stores.export(&ledger), before);
    ledger.forget(wanted(&[run])).await.unwrap();
    let why = refused(&ledger, wanted(&[run])).await;
    assert!(why.contains("was forgotten before"), "{why}");
}

pub async fn a_forgotten_run_is_pruned_like_another<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let run = told(&ledger, RunStatus::Done).await;
    ledger.forget(wanted(&[run])).await.unwrap();
    let newest = admitted(&ledger, admit("newest")).await;
    let ended = stand(newest, RunStatus::Done, None, false);
    apply(&ledger, unit(vec![], vec![ended])).await;
    let mut late = part();
    late.old.before = Timestamp(901);
    assert_eq!(pruning::whole(&ledger, late).await.runs, 1);
    assert_eq!(
        one(&ledger, admit(SECRET)).await,
        UnitResult::Duplicate(run)
    );
    let export = stores.export(&ledger);
    assert!(!export.contains(SECRET), "{export}");
}

pub async fn children_are_found<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let parent = admitted(&ledger, admit("parent")).await;
    for key in ["one", "two"] {
        let mut child = admission(key);
        child.parent = Some(parent);
        admitted(&ledger, unit(vec![], vec![Op::Admit(child)])).await;
    }
    let Answer::Runs(found) = ledger.read(Query::Children(parent)).await.unwrap() else {
        panic!()
    };
    let keys: Vec<&str> = found.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["one", "two"]);
}
