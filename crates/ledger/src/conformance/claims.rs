//! Promises about claiming runs and names.

use super::facts::{fail, requested};
use super::stage::*;
use oncely_core::fact::Request;
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{
    Answer, Claim, Guard, Leased, Ledger, Op, Query, Unit, UnitResult, What,
};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;

pub async fn a_due_run_is_claimed_once(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    let held = lease_one(&a, 5).await;
    assert_eq!((held.row.id, held.fence, held.claims), (run, Fence(1), 1));
    assert_eq!(held.row.holder, Some(a.holder()));
    assert_eq!(held.row.changed, Timestamp(5));
    assert_eq!(held.row, row(&b, run).await);
    assert!(lease(&b, claim(100)).await.is_empty());
    assert!(lease(&a, claim(100)).await.is_empty());
}

pub async fn runs_are_claimed_when_they_are_due_and_in_that_order(stores: &impl Stores) {
    let a = stores.open();
    for (key, due) in [("a", 30), ("b", 10), ("c", 20), ("d", 10), ("e", 40)] {
        let run = admitted(&a, admit(key)).await;
        apply(
            &a,
            unit(
                vec![],
                vec![stand(run, RunStatus::Pending, Some(due), false)],
            ),
        )
        .await;
    }
    let next = a.read(Query::NextDue(environment())).await.unwrap();
    assert_eq!(next, Answer::NextDue(Some(Timestamp(10))));
    assert_eq!(
        ids(&lease(
            &a,
            Claim {
                limit: 3,
                ..claim(30)
            }
        )
        .await),
        [2, 4, 3]
    );
    assert_eq!(ids(&lease(&a, claim(30)).await), [1]);
    assert!(
        lease(
            &a,
            Claim {
                environment: "other".into(),
                ..claim(99)
            }
        )
        .await
        .is_empty()
    );
    assert!(
        lease(
            &a,
            Claim {
                limit: 0,
                ..claim(99)
            }
        )
        .await
        .is_empty()
    );
}

pub async fn a_cap_holds_over_all_holders(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for key in ["a", "b", "c"] {
        admitted(&a, admit(key)).await;
    }
    let mut other = admission("d");
    other.task = "other".into();
    admitted(&a, unit(vec![], vec![Op::Admit(other)])).await;
    let capped = || Claim {
        caps: vec![(task(TASK), 2)],
        ..claim(9)
    };
    assert_eq!(
        ids(&lease(
            &a,
            Claim {
                limit: 1,
                ..capped()
            }
        )
        .await),
        [1]
    );
    assert_eq!(ids(&lease(&b, capped()).await), [2, 4]);
    assert!(lease(&b, capped()).await.is_empty());
    apply(&a, fail(RunId(1), Fence(1))).await;
    assert_eq!(ids(&lease(&b, capped()).await), [3]);
}

pub async fn tasks_left_alone_are_left_alone(stores: &impl Stores) {
    let a = stores.open();
    admitted(&a, admit("k")).await;
    assert!(
        lease(
            &a,
            Claim {
                except: vec![task(TASK)],
                ..claim(9)
            }
        )
        .await
        .is_empty()
    );
    assert_eq!(
        lease(
            &a,
            Claim {
                except: vec![task("other")],
                ..claim(9)
            }
        )
        .await
        .len(),
        1
    );
}

pub async fn runs_of_a_lane_take_turns(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for key in ["a", "b", "c"] {
        admitted(&a, in_lane(key, "lane")).await;
    }
    admitted(&a, in_lane("d", "elsewhere")).await;
    assert_eq!(ids(&lease(&a, claim(9)).await), [1, 4]);
    assert!(lease(&b, claim(9)).await.is_empty());
    let first = RunId(1);
    let wait = |due| {
        unit(
            vec![Guard::Fence(first, Fence(1))],
            vec![
                facts(first, 9, vec![began()]),
                stand(first, RunStatus::Waiting, due, false),
            ],
        )
    };
    apply(&a, wait(Some(50))).await;
    assert!(
        lease(&b, claim(9)).await.is_empty(),
        "the first has begun and not ended"
    );
    assert_eq!(ids(&lease(&b, claim(50)).await), [1]);
    apply(&b, fail(first, Fence(2))).await;
    assert_eq!(ids(&lease(&a, claim(50)).await), [2]);
}

pub async fn a_resumed_run_of_a_lane_does_not_block_it_for_ever(stores: &impl Stores) {
    let a = stores.open();
    for key in ["a", "b"] {
        admitted(&a, in_lane(key, "lane")).await;
    }
    let (first, second) = (RunId(1), RunId(2));
    lease_one(&a, 1).await;
    apply(&a, fail(first, Fence(1))).await;
    lease_one(&a, 2).await;
    apply(
        &a,
        unit(
            vec![Guard::Fence(second, Fence(1))],
            vec![
                facts(second, 2, vec![began()]),
                stand(second, RunStatus::Waiting, Some(3), false),
            ],
        ),
    )
    .await;
    apply(
        &a,
        unit(
            vec![Guard::RunSeq(first, 1)],
            vec![
                facts(first, 3, vec![requested(Request::Resume)]),
                stand(first, RunStatus::Pending, Some(3), false),
            ],
        ),
    )
    .await;
    assert_eq!(
        ids(&lease(&a, claim(9)).await),
        [1],
        "both have begun: the first goes first"
    );
    apply(
        &a,
        unit(
            vec![Guard::Fence(first, Fence(2))],
            vec![
                facts(first, 9, vec![ended(oncely_core::fact::End::Failed)]),
                stand(first, RunStatus::Failed, None, false),
            ],
        ),
    )
    .await;
    assert_eq!(ids(&lease(&a, claim(9)).await), [2]);
}

pub async fn a_suspect_is_claimed_alone(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for key in ["a", "b", "c"] {
        admitted(&a, admit(key)).await;
    }
    lease(
        &a,
        Claim {
            limit: 2,
            ..claim(9)
        },
    )
    .await;
    stores.kill(a);
    b.renew().await.unwrap();
    let calm = || Claim {
        suspects: false,
        ..claim(9)
    };
    assert_eq!(ids(&lease(&b, calm()).await), [3]);
    assert!(lease(&b, calm()).await.is_empty());
    let one = lease_one(&b, 9).await;
    assert_eq!((one.row.id, one.claims, one.fence), (RunId(1), 2, Fence(2)));
    assert_eq!(ids(&lease(&b, claim(9)).await), [2]);
}

pub async fn an_intent_is_no_progress(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 9).await.fence;
    let commit = |more| unit(vec![Guard::Fence(run, fence)], vec![facts(run, 9, more)]);
    apply(&a, commit(vec![began(), intent(fence)])).await;
    assert_eq!(row(&a, run).await.claims, 1);
    apply(&a, commit(vec![outcome()])).await;
    assert_eq!(row(&a, run).await.claims, 0);
}

pub async fn a_clean_release_is_not_counted(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 9).await.fence;
    let release = |fence| {
        unit(
            vec![Guard::Fence(run, fence)],
            vec![Op::Release(run, Timestamp(12))],
        )
    };
    apply(&a, release(fence)).await;
    let found = row(&a, run).await;
    assert_eq!(
        (found.holder, found.claims, found.due),
        (None, 0, Some(Timestamp(12)))
    );
    let again = lease_one(&b, 12).await;
    assert_eq!((again.claims, again.fence), (1, Fence(2)));
    assert!(matches!(
        one(&a, release(fence)).await,
        UnitResult::Refused(_)
    ));
}

pub async fn a_late_holder_is_refused(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 9).await.fence;
    stores.clock().advance(60_000);
    assert_eq!(b.renew().await.unwrap(), 1);
    let late = |fence| {
        unit(
            vec![Guard::Fence(run, fence)],
            vec![facts(run, 9, vec![began()])],
        )
    };
    assert_eq!(
        one(&a, late(fence)).await,
        UnitResult::Refused(Guard::Fence(run, fence))
    );
    let newer = lease_one(&b, 9).await.fence;
    assert_eq!(
        one(&a, late(fence)).await,
        UnitResult::Refused(Guard::Fence(run, fence))
    );
    assert_eq!(
        one(&a, late(newer)).await,
        UnitResult::Refused(Guard::Fence(run, newer))
    );
    apply(&b, late(newer)).await;
    assert_eq!(recorded(&a, run).await.len(), 1);
}

pub async fn a_run_is_claimed_by_number_whatever_its_due(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    apply(
        &a,
        unit(vec![], vec![stand(run, RunStatus::Waiting, None, false)]),
    )
    .await;
    assert!(lease(&a, claim(i64::MAX)).await.is_empty());
    let ask = |claim| a.lease(What::Run(run), claim);
    assert!(
        runs(
            ask(Claim {
                environment: "other".into(),
                ..claim(5)
            })
            .await
            .unwrap()
        )
        .is_empty()
    );
    let held = runs(ask(claim(5)).await.unwrap());
    assert_eq!(held[0].row.due, Some(Timestamp(5)), "a crash leaves it due");
    assert!(runs(b.lease(What::Run(run), claim(5)).await.unwrap()).is_empty());
    apply(&a, fail(run, Fence(1))).await;
    assert!(runs(ask(claim(5)).await.unwrap()).is_empty());
    assert!(runs(a.lease(What::Run(RunId(99)), claim(5)).await.unwrap()).is_empty());
}

pub async fn a_run_asked_for_by_number_takes_its_turn_in_its_lane(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for key in ["a", "b", "c"] {
        admitted(&a, in_lane(key, "lane")).await;
    }
    admitted(&a, in_lane("d", "elsewhere")).await;
    let a = &a;
    let ask = |run| async move {
        let leased = a.lease(What::Run(RunId(run)), claim(9)).await;
        ids(&runs(leased.unwrap()))
    };
    let waits = |run, fence| {
        let ops = vec![
            facts(run, 9, vec![began()]),
            stand(run, RunStatus::Waiting, None, false),
        ];
        unit(vec![Guard::Fence(run, Fence(fence))], ops)
    };
    // None has begun: whichever is asked for.
    assert_eq!(ask(2).await, [2]);
    // Somebody holds one: no other.
    assert!(runs(b.lease(What::Run(RunId(1)), claim(9)).await.unwrap()).is_empty());
    apply(a, waits(RunId(2), 1)).await;
    // One has begun: none that has not, whether it stands before or behind it.
    assert_eq!(ask(1).await, [0; 0]);
    assert_eq!(ask(3).await, [0; 0]);
    assert_eq!(ask(4).await, [4], "another lane");
    let begins = |run| unit(vec![], vec![facts(RunId(run), 9, vec![began()])]);
    apply(a, begins(1)).await;
    apply(a, begins(3)).await;
    // All have begun: the first goes first, and the others wait for its end.
    assert_eq!(ask(2).await, [0; 0]);
    assert_eq!(ask(3).await, [0; 0]);
    assert_eq!(ask(1).await, [1]);
    apply(a, fail(RunId(1), Fence(1))).await;
    assert_eq!(ask(3).await, [0; 0]);
    assert_eq!(ask(2).await, [2]);
}

pub async fn waking_makes_due_unless_held(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let wake = |at| unit(vec![], vec![Op::Wake(run, Timestamp(at))]);
    let set = |due| unit(vec![], vec![stand(run, RunStatus::Waiting, due, false)]);
    for (due, at, then) in [(None, 7, 7), (Some(9), 7, 7), (Some(5), 7, 5)] {
        apply(&a, set(due)).await;
        apply(&a, wake(at)).await;
        let found = row(&a, run).await;
        assert_eq!(
            (found.due, found.status),
            (Some(Timestamp(then)), RunStatus::Waiting)
        );
    }
    lease_one(&a, 8).await;
    apply(&a, wake(1)).await;
    assert_eq!(row(&a, run).await.due, Some(Timestamp(5)));
    apply(&a, fail(run, Fence(1))).await;
    apply(&a, wake(1)).await;
    assert_eq!(row(&a, run).await.due, None);
}

pub async fn a_name_has_one_holder_at_a_time(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let name = || What::Named("release".into());
    assert_eq!(
        a.lease(name(), claim(1)).await.unwrap(),
        Leased::Named(Fence(1))
    );
    let Leased::Busy(who) = b.lease(name(), claim(1)).await.unwrap() else {
        panic!()
    };
    assert_eq!(who.id, a.holder());
    assert_eq!(
        b.read(Query::Names).await.unwrap(),
        Answer::Names(vec![("release".into(), a.holder())])
    );
    assert!(matches!(
        a.lease(name(), claim(1)).await.unwrap(),
        Leased::Busy(_)
    ));
    let under = |fence| Unit {
        guards: vec![Guard::Named("release".into(), Fence(fence))],
        ops: vec![],
    };
    apply(&a, under(1)).await;
    assert!(matches!(one(&b, under(1)).await, UnitResult::Refused(_)));
    let give = |fence| {
        unit(
            vec![],
            vec![Op::ReleaseName("release".into(), Fence(fence))],
        )
    };
    apply(&b, give(1)).await;
    apply(&a, give(7)).await;
    let who = b.read(Query::NameHolder("release".into())).await.unwrap();
    assert!(
        matches!(who, Answer::NameHolder(Some(_))),
        "only its holder gives it back"
    );
    apply(&a, give(1)).await;
    assert_eq!(b.read(Query::Names).await.unwrap(), Answer::Names(vec![]));
    assert_eq!(
        b.lease(name(), claim(1)).await.unwrap(),
        Leased::Named(Fence(2))
    );
    assert!(matches!(one(&a, under(1)).await, UnitResult::Refused(_)));
}
