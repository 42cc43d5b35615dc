//! Promises about who speaks for whom: only a unit that shows the fence of a run speaks for its holder,
//! and a unit admits before it speaks of what it admits.

use super::facts::requested;
use super::items::{item_outcome, items};
use super::stage::*;
use oncely_core::fact::{Fact, Request};
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{Guard, Op, RunRef, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;

pub async fn who_does_not_show_the_fence_speaks_for_nobody(stores: &impl Stores) {
    let a = stores.open();
    for key in ["k", "l"] {
        admitted(&a, admit(key)).await;
    }
    let held = lease(&a, claim(5)).await;
    let (run, other) = (held[0].row.id, held[1].row.id);
    let says = || {
        let item = Op::ItemFacts {
            run,
            step: "each".into(),
            facts: vec![item_outcome(1)],
        };
        vec![
            facts(run, 5, vec![requested(Request::Pause)]),
            items(run, "each", 1, vec![]),
            item,
            stand(run, RunStatus::Waiting, Some(99), false),
        ]
    };
    // The same process says so, and not as the holder: with no fence, or with that of another run.
    let unlike = vec![
        vec![],
        vec![Guard::RunSeq(run, 1)],
        vec![Guard::Fence(other, held[1].fence)],
    ];
    for (seq, guards) in (1..).zip(unlike) {
        apply(&a, unit(guards, says())).await;
        let found = row(&a, run).await;
        let expected = RunRow {
            seq,
            chain: found.chain,
            ..held[0].row.clone()
        };
        assert_eq!(found, expected);
    }
    let shows = vec![Guard::Fence(run, held[0].fence)];
    apply(&a, unit(shows, says())).await;
    let found = row(&a, run).await;
    let stands = (found.status, found.holder, found.claims, found.due);
    let waits = (RunStatus::Waiting, None, 0, Some(Timestamp(99)));
    assert_eq!(stands, waits);
}

/// That it began, that it is about to act, or that it did not come back is no way forward.
pub async fn what_leads_nowhere_is_no_progress(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 5).await.fence;
    let commit = |more| unit(vec![Guard::Fence(run, fence)], vec![facts(run, 9, more)]);
    let interrupted = Fact::Interrupted {
        step: "s".into(),
        attempt: 1,
    };
    for fact in [began(), intent(fence), interrupted] {
        apply(&a, commit(vec![fact])).await;
        assert_eq!(row(&a, run).await.claims, 1);
    }
    apply(&a, commit(vec![requested(Request::Pause)])).await;
    assert_eq!(row(&a, run).await.claims, 0);
}

pub async fn a_unit_admits_before_it_speaks_of_what_it_admits(stores: &impl Stores) {
    let a = stores.open();
    let before = stores.export(&a);
    let new = RunRef::New;
    let speaks = Op::Facts {
        run: new,
        at: Timestamp(1),
        facts: vec![began()],
    };
    let stands = Op::Run {
        run: new,
        status: RunStatus::Running,
        due: None,
        keep: false,
    };
    let admits = || Op::Admit(admission("k"));
    let cursor = Op::Cursor("source".into(), Cursor("1".into()));
    for wrong in [
        vec![speaks.clone()],
        vec![stands.clone()],
        vec![cursor.clone(), stands.clone()],
        vec![cursor, admits()],
        vec![admits(), Op::Admit(admission("l"))],
    ] {
        assert_eq!(
            invalid(&a, unit(vec![], wrong)).await,
            "a unit admits at most one run, as its first operation, before it speaks of it. \
             Nothing was changed."
        );
    }
    assert_eq!(stores.export(&a), before);
    let id = admitted(&a, unit(vec![], vec![admits(), speaks, stands])).await;
    let found = row(&a, id).await;
    assert_eq!(
        (found.status, found.seq, found.due),
        (RunStatus::Running, 1, None)
    );
    for nobodys in [
        unit(vec![], vec![facts(RunId(99), 1, vec![began()])]),
        unit(vec![], vec![Op::Release(RunId(99), Timestamp(1))]),
        unit(vec![], vec![items(RunId(99), "each", 1, vec![])]),
    ] {
        assert_eq!(
            invalid(&a, nobodys).await,
            "there is no run 99 in this ledger. Nothing was changed."
        );
    }
    assert_eq!(row(&a, id).await.fence, Fence(0));
}
