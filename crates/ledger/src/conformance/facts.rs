//! Promises about facts and where runs stand.

use super::stage::*;
use oncely_core::fact::{End, Fact, Request};
use oncely_core::ids::{ContentHash, Fence, RunId};
use oncely_core::ledger::{Answer, Begun, Guard, Ledger, LedgerError, Op, Query, UnitResult};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use std::sync::Arc;

pub fn requested(what: Request) -> Fact {
    Fact::Requested {
        what,
        by: "somebody".into(),
        reason: String::new(),
    }
}

/// Ends a run that is held under fence 1 and has not begun.
pub fn fail(run: RunId, fence: Fence) -> oncely_core::ledger::Unit {
    unit(
        vec![Guard::Fence(run, fence)],
        vec![
            facts(run, 9, vec![ended(End::Failed)]),
            stand(run, RunStatus::Failed, None, false),
        ],
    )
}

pub async fn facts_are_kept_in_order(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    assert_eq!(
        apply(
            &a,
            unit(vec![], vec![facts(run, 1, vec![began(), intent(Fence(1))])])
        )
        .await
        .seq,
        2
    );
    assert_eq!(
        apply(&a, unit(vec![], vec![facts(run, 2, vec![outcome()])]))
            .await
            .seq,
        3
    );
    let kept = recorded(&a, run).await;
    let at: Vec<i64> = kept.iter().map(|r| r.at.0).collect();
    assert_eq!(at, [1, 1, 2]);
    assert_eq!(
        kept.into_iter().map(|r| r.fact).collect::<Vec<_>>(),
        [began(), intent(Fence(1)), outcome()]
    );
    for from in 0..5 {
        let Answer::Facts(rest) = a.read(Query::Facts(run, from)).await.unwrap() else {
            panic!()
        };
        assert_eq!(rest.len() as u64, 3_u64.saturating_sub(from));
    }
}

pub async fn facts_that_cannot_follow_are_refused(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let before = stores.export(&a);
    let why = invalid(
        &a,
        unit(vec![], vec![facts(run, 1, vec![began(), outcome()])]),
    )
    .await;
    assert_eq!(
        why,
        "run 1: fact 1 cannot follow the facts before it: step `s` was never begun"
    );
    assert_eq!(stores.export(&a), before);
}

pub async fn nothing_follows_the_end_but_the_resume_of_a_failed_run(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    apply(&a, fail(run, held.fence)).await;
    let add = |fact| {
        unit(
            vec![Guard::RunSeq(run, 1)],
            vec![facts(run, 10, vec![fact])],
        )
    };
    let why = invalid(&a, add(requested(Request::Cancel))).await;
    assert_eq!(
        why,
        "run 1 is failed: nothing can be added to it. Nothing was changed."
    );
    let mut resume = add(requested(Request::Resume));
    resume
        .ops
        .push(stand(run, RunStatus::Pending, Some(10), false));
    apply(&a, resume).await;
    let found = row(&a, run).await;
    assert_eq!(
        (found.status, found.due),
        (RunStatus::Pending, Some(Timestamp(10)))
    );
    let held = lease_one(&a, 10).await;
    assert_eq!(held.fence, Fence(2));
}

pub async fn a_failed_run_goes_on_without_a_step_and_no_other_ended_run_does(stores: &impl Stores) {
    let a = stores.open();
    let skip = |run| {
        let fact = Fact::SkipAsked {
            step: "a".into(),
            by: "ann".into(),
            reason: "done by hand".into(),
        };
        let mut skip = unit(
            vec![Guard::RunSeq(run, 1)],
            vec![facts(run, 10, vec![fact])],
        );
        skip.ops
            .push(stand(run, RunStatus::Pending, Some(10), false));
        skip
    };
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    apply(&a, fail(run, held.fence)).await;
    apply(&a, skip(run)).await;
    assert_eq!(row(&a, run).await.status, RunStatus::Pending);
    assert_eq!(recorded(&a, run).await.len(), 2);
    let over = admitted(&a, admit("over")).await;
    let held = lease_one(&a, 5).await;
    let done = unit(
        vec![Guard::Fence(over, held.fence)],
        vec![
            facts(over, 9, vec![ended(End::Done)]),
            stand(over, RunStatus::Done, None, false),
        ],
    );
    apply(&a, done).await;
    assert_eq!(
        invalid(&a, skip(over)).await,
        "run 2 is done: nothing can be added to it. Nothing was changed."
    );
}

pub async fn an_ended_run_is_taken_back_once(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    apply(&a, fail(run, held.fence)).await;
    let add = |facts_so_far, fact| {
        unit(
            vec![Guard::RunSeq(run, facts_so_far)],
            vec![facts(run, 10, vec![fact])],
        )
    };
    // The run that takes it back is admitted in the commit that says so.
    let mut undo = admit("undo:1");
    undo.guards.push(Guard::RunSeq(run, 1));
    undo.ops
        .push(facts(run, 10, vec![requested(Request::Undo)]));
    apply(&a, undo).await;
    invalid(&a, add(2, requested(Request::Cancel))).await;
    let undone = unit(
        vec![],
        vec![
            facts(run, 11, vec![Fact::Undone { by: RunId(2) }]),
            stand(run, RunStatus::Undone, None, false),
        ],
    );
    apply(&a, undone).await;
    assert_eq!(row(&a, run).await.status, RunStatus::Undone);
    for late in [Request::Undo, Request::Resume] {
        let why = invalid(&a, add(3, requested(late))).await;
        assert_eq!(
            why,
            "run 1 is undone: nothing can be added to it. Nothing was changed."
        );
    }
    assert_eq!(recorded(&a, run).await.len(), 3);
}

pub async fn others_add_facts_to_a_held_run_without_moving_it(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    let cancel = unit(
        vec![Guard::RunSeq(run, 0)],
        vec![
            facts(run, 6, vec![requested(Request::Cancel)]),
            stand(run, RunStatus::Waiting, Some(99), false),
            Op::Wake(run, Timestamp(1)),
        ],
    );
    assert_eq!(apply(&b, cancel).await.seq, 1);
    let found = row(&b, run).await;
    assert_eq!(found.holder, held.row.holder);
    assert_eq!((found.status, found.due), (held.row.status, held.row.due));
    assert_eq!(found.claims, 1, "only the holder makes progress");
}

pub async fn the_holder_sees_that_others_added_facts(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    apply(
        &b,
        unit(vec![], vec![facts(run, 6, vec![requested(Request::Pause)])]),
    )
    .await;
    let own = unit(
        vec![Guard::Fence(run, held.fence)],
        vec![facts(run, 7, vec![began()])],
    );
    assert_eq!(
        apply(&a, own).await.seq,
        2,
        "one more than the holder wrote"
    );
}

pub async fn an_ended_run_is_released(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    apply(
        &a,
        unit(
            vec![Guard::Fence(run, held.fence)],
            vec![
                facts(run, 9, vec![ended(End::Cancelled)]),
                stand(run, RunStatus::Cancelled, Some(3), true),
            ],
        ),
    )
    .await;
    let found = row(&a, run).await;
    assert_eq!((found.holder, found.due), (None, None));
    assert!(lease(&a, claim(i64::MAX)).await.is_empty());
}

pub async fn a_unit_with_an_old_sequence_number_is_refused(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let begin = unit(
        vec![Guard::RunSeq(run, 0)],
        vec![facts(run, 1, vec![began()])],
    );
    apply(&a, begin.clone()).await;
    assert_eq!(
        one(&a, begin).await,
        UnitResult::Refused(Guard::RunSeq(run, 0))
    );
    assert_eq!(recorded(&a, run).await.len(), 1);
}

pub async fn a_unit_about_nothing_is_invalid_and_others_go_on(stores: &impl Stores) {
    let a = stores.open();
    let nobody = RunId(99);
    let wrong = unit(vec![], vec![Op::Wake(nobody, Timestamp(0))]);
    let (first, second, third) = tokio::join!(
        a.commit(vec![admit("k")]),
        a.commit(vec![wrong]),
        a.commit(vec![admit("l"), admit("m")]),
    );
    assert_eq!(first.unwrap().len(), 1);
    assert!(matches!(second, Err(LedgerError::Invalid(_))));
    assert!(
        third
            .unwrap()
            .iter()
            .all(|r| matches!(r, UnitResult::Applied(_)))
    );
    let why = invalid(
        &a,
        unit(vec![], vec![stand(nobody, RunStatus::Done, None, false)]),
    )
    .await;
    assert_eq!(
        why,
        "there is no run 99 in this ledger. Nothing was changed."
    );
    let twice = unit(
        vec![],
        vec![Op::Admit(admission("n")), Op::Admit(admission("o"))],
    );
    invalid(&a, twice).await;
    assert_eq!(
        all(&a, oncely_core::ledger::Filter::default()).await.len(),
        3
    );
}

pub async fn content_is_kept_once(stores: &impl Stores) {
    let a = stores.open();
    let content: Arc<[u8]> = Arc::from(b"hello".as_slice());
    let hash = ContentHash::of(&content);
    for _ in 0..2 {
        apply(&a, unit(vec![], vec![Op::Store(hash, content.clone())])).await;
    }
    assert_eq!(
        a.read(Query::Stored(hash)).await.unwrap(),
        Answer::Stored(Some(content))
    );
    let other = ContentHash::of(b"other");
    assert_eq!(
        a.read(Query::Stored(other)).await.unwrap(),
        Answer::Stored(None)
    );
}

pub async fn when_runs_began_is_told_for_many_at_once(stores: &impl Stores) {
    let a = stores.open();
    let [late, never, early] = ["late", "never", "early"].map(admit);
    let late = admitted(&a, late).await;
    let never = admitted(&a, never).await;
    let early = admitted(&a, early).await;
    // What somebody wrote into a reason looks like the fact, and is none.
    let words = Fact::Requested {
        what: Request::Start,
        by: "somebody".into(),
        reason: "{\"fact\":\"began\"}".into(),
    };
    apply(&a, unit(vec![], vec![facts(late, 1, vec![words.clone()])])).await;
    apply(&a, unit(vec![], vec![facts(never, 1, vec![words])])).await;
    apply(&a, unit(vec![], vec![facts(early, 2, vec![began()])])).await;
    apply(&a, unit(vec![], vec![facts(late, 3, vec![began()])])).await;
    apply(
        &a,
        unit(vec![], vec![facts(late, 4, vec![intent(Fence(1))])]),
    )
    .await;
    let asked = vec![early, never, RunId(99), late];
    let begun = |run, at| Begun {
        run,
        at: Timestamp(at),
        text: ContentHash([7; 32]),
    };
    let told = vec![begun(early, 2), begun(late, 3)];
    assert_eq!(
        a.read(Query::Began(asked)).await.unwrap(),
        Answer::Began(told)
    );
    assert_eq!(
        a.read(Query::Began(Vec::new())).await.unwrap(),
        Answer::Began(Vec::new())
    );
}
