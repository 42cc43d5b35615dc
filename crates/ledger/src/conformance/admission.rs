//! Promises about admission and guards.

use super::stage::*;
use oncely_core::ids::{Fence, Generation};
use oncely_core::ledger::{Answer, Filter, Guard, Ledger, Op, Query, RunRef, UnitResult};
use oncely_core::run::RunStatus;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;

pub async fn a_key_is_admitted_once(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    assert_eq!(one(&a, admit("k")).await, UnitResult::Duplicate(run));
    assert_eq!(one(&b, admit("k")).await, UnitResult::Duplicate(run));
    let twice = a.commit(vec![admit("l"), admit("l")]).await.unwrap();
    assert!(matches!(
        twice.as_slice(),
        [UnitResult::Applied(_), UnitResult::Duplicate(_)]
    ));
    assert_eq!(all(&b, Filter::default()).await.len(), 2);
}

pub async fn generation_environment_and_task_tell_runs_apart(stores: &impl Stores) {
    let a = stores.open();
    let mut others = vec![
        admission("k"),
        admission("k"),
        admission("k"),
        admission("k"),
    ];
    others[1].generation = Generation(2);
    others[2].environment = "other".into();
    others[3].task = "other".into();
    for other in others {
        admitted(&a, unit(vec![], vec![Op::Admit(other)])).await;
    }
    assert_eq!(all(&a, Filter::default()).await.len(), 4);
}

pub async fn a_duplicate_changes_nothing(stores: &impl Stores) {
    let a = stores.open();
    admitted(&a, admit("k")).await;
    let before = stores.export(&a);
    let mut again = admit("k");
    again
        .ops
        .push(Op::Cursor("source".into(), Cursor("9".into())));
    assert!(matches!(one(&a, again).await, UnitResult::Duplicate(_)));
    assert_eq!(stores.export(&a), before);
}

pub async fn a_guard_that_does_not_hold_refuses_the_whole_unit(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let before = stores.export(&a);
    let holds = Guard::RunSeq(run, 0);
    for fails in [
        Guard::Fence(run, Fence(0)),
        Guard::Fence(run, Fence(1)),
        Guard::RunSeq(run, 1),
        Guard::RunSeq(oncely_core::ids::RunId(77), 0),
        Guard::Cursor("source".into(), Some(Cursor("0".into()))),
        Guard::Generation(environment(), TASK.into(), "k".into(), None),
        Guard::Named("name".into(), Fence(1)),
    ] {
        let ops = vec![
            Op::Admit(admission("l")),
            Op::Cursor("c".into(), Cursor("1".into())),
        ];
        let result = one(&a, unit(vec![holds.clone(), fails.clone()], ops)).await;
        assert_eq!(result, UnitResult::Refused(fails));
    }
    assert_eq!(stores.export(&a), before);
}

pub async fn the_generation_is_raised_by_compare_and_set(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let rerun = |from: Option<u32>, to: u32| {
        let from = from.map(Generation);
        let guard = Guard::Generation(environment(), TASK.into(), "k".into(), from);
        let mut next = admission("k");
        next.generation = Generation(to);
        unit(vec![guard], vec![Op::Admit(next)])
    };
    admitted(&a, rerun(None, 1)).await;
    admitted(&a, rerun(Some(1), 2)).await;
    assert!(matches!(
        one(&b, rerun(Some(1), 2)).await,
        UnitResult::Refused(_)
    ));
    admitted(&b, rerun(Some(2), 3)).await;
    let filter = Filter {
        environment: Some(environment()),
        task: Some(TASK.into()),
        key: Some("k".into()),
        ..Filter::default()
    };
    let generations: Vec<u32> = all(&a, filter)
        .await
        .iter()
        .map(|r| r.generation.0)
        .collect();
    assert_eq!(generations, [3, 2, 1]);
}

pub async fn the_cursor_moves_by_compare_and_set(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let step = |from: Option<&str>, to: &str| {
        let from = from.map(|c| Cursor(c.into()));
        unit(
            vec![Guard::Cursor("s".into(), from)],
            vec![Op::Cursor("s".into(), Cursor(to.into()))],
        )
    };
    apply(&a, step(None, "1")).await;
    assert!(matches!(
        one(&b, step(None, "2")).await,
        UnitResult::Refused(_)
    ));
    apply(&b, step(Some("1"), "2")).await;
    let found = a.read(Query::Cursor("s".into())).await.unwrap();
    assert_eq!(found, Answer::Cursor(Some(Cursor("2".into()))));
}

pub async fn an_admitted_run_may_be_held_from_the_start(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let mut held = admission("k");
    held.claimed = true;
    let run = admitted(
        &a,
        unit(
            vec![],
            vec![
                Op::Admit(held),
                Op::Facts {
                    run: RunRef::New,
                    at: Timestamp(5),
                    facts: vec![began(), intent(Fence(1))],
                },
                Op::Run {
                    run: RunRef::New,
                    status: RunStatus::Running,
                    due: Some(Timestamp(0)),
                    keep: true,
                },
            ],
        ),
    )
    .await;
    let found = row(&b, run).await;
    assert_eq!(
        (found.holder, found.fence, found.claims),
        (Some(a.holder()), Fence(1), 1)
    );
    assert_eq!((found.status, found.seq), (RunStatus::Running, 2));
    assert!(lease(&b, claim(100)).await.is_empty());
    let end = unit(
        vec![Guard::Fence(run, Fence(1))],
        vec![
            facts(run, 6, vec![outcome(), ended(oncely_core::fact::End::Done)]),
            stand(run, RunStatus::Done, None, false),
        ],
    );
    assert!(matches!(one(&b, end.clone()).await, UnitResult::Refused(_)));
    assert_eq!(apply(&a, end).await.seq, 4);
    let found = row(&b, run).await;
    assert_eq!(
        (found.holder, found.status, found.claims),
        (None, RunStatus::Done, 0)
    );
}

pub async fn what_was_skipped_is_never_due(stores: &impl Stores) {
    let a = stores.open();
    let mut skipped = admission("k");
    skipped.status = RunStatus::Skipped;
    let run = admitted(&a, unit(vec![], vec![Op::Admit(skipped)])).await;
    assert_eq!(row(&a, run).await.due, None);
    assert!(lease(&a, claim(i64::MAX)).await.is_empty());
    assert!(matches!(
        one(&a, admit("k")).await,
        UnitResult::Duplicate(_)
    ));
}

pub async fn units_answer_in_order(stores: &impl Stores) {
    let a = stores.open();
    let n = oncely_core::limits::GROUP_UNITS + 20;
    let units = (0..n).map(|i| admit(&format!("k{i}"))).collect();
    let results = a.commit(units).await.unwrap();
    assert_eq!(results.len(), n);
    for (i, result) in results.iter().enumerate() {
        let UnitResult::Applied(applied) = result else {
            panic!("{result:?}")
        };
        let run = row(&a, applied.run.unwrap()).await;
        assert_eq!(run.key.as_str(), format!("k{i}"));
    }
}
