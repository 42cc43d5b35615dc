//! Promises about items, files and lists of runs.

use super::stage::*;
use oncely_core::fact::Outcome;
use oncely_core::ids::{ContentHash, Fence, RunId, StepId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{
    Answer, FileMark, Filter, Guard, ItemEvent, ItemFact, Ledger, Op, Query,
};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;

pub fn aside(item: u64, reason: &str) -> SetAside {
    SetAside {
        item,
        line: (item.is_multiple_of(2)).then_some(item + 1),
        input: format!("input {item}"),
        reason: reason.into(),
    }
}

pub fn items(run: RunId, step: &str, next: u64, set_aside: Vec<SetAside>) -> Op {
    let progress = Progress {
        next,
        offset: next * 10,
        line: next + 1,
        done: next,
        set_aside: set_aside.len() as u64,
        unseen: 0,
    };
    let step = StepId::from(step);
    Op::Items {
        run,
        step,
        progress,
        set_aside,
    }
}

pub fn item_outcome(item: u64) -> ItemFact {
    ItemFact {
        item,
        sub: "mail".into(),
        attempt: 1,
        at: Timestamp(4),
        what: ItemEvent::Outcome {
            outcome: Outcome::Unknown {
                error: format!("e{item}"),
            },
        },
    }
}

pub fn item_intent(item: u64, fence: Fence) -> ItemFact {
    ItemFact {
        what: ItemEvent::Intent {
            fence,
            call: serde_json::json!({"to": item}),
            repeat: oncely_core::fact::Repeat::AskFirst,
            key: oncely_core::effect::EffectKey(format!("k{item}")),
        },
        ..item_outcome(item)
    }
}

pub async fn progress_of_items_is_kept(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let ask = || a.read(Query::Progress(run, "each".into()));
    assert_eq!(ask().await.unwrap(), Answer::Progress(None));
    let fence = lease_one(&a, 5).await.fence;
    for next in [1000, 2000] {
        apply(
            &a,
            unit(
                vec![Guard::Fence(run, fence)],
                vec![items(run, "each", next, vec![])],
            ),
        )
        .await;
        let Answer::Progress(Some(found)) = ask().await.unwrap() else {
            panic!()
        };
        assert_eq!((found.next, found.offset), (next, next * 10));
    }
    assert_eq!(row(&a, run).await.claims, 0, "moving on is progress");
}

pub async fn an_item_is_set_aside_once(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let first = items(run, "each", 10, vec![aside(3, "first"), aside(2, "first")]);
    let again = items(run, "each", 20, vec![aside(3, "again"), aside(12, "again")]);
    apply(
        &a,
        unit(
            vec![],
            vec![first, again, items(run, "aside", 1, vec![aside(0, "x")])],
        ),
    )
    .await;
    let ask = |from, limit| a.read(Query::SetAside(run, from, limit));
    let Answer::SetAside(found) = ask(0, 100).await.unwrap() else {
        panic!()
    };
    let short: Vec<_> = found
        .iter()
        .map(|(s, i)| (s.as_str(), i.item, i.reason.as_str()))
        .collect();
    assert_eq!(
        short,
        [
            ("aside", 0, "x"),
            ("each", 2, "first"),
            ("each", 3, "first"),
            ("each", 12, "again")
        ]
    );
    assert_eq!(found[2].1, aside(3, "first"));
    let Answer::SetAside(page) = ask(1, 2).await.unwrap() else {
        panic!()
    };
    assert_eq!(page, found[1..3]);
}

pub async fn facts_of_items_are_found_by_range(stores: &impl Stores) {
    let a = stores.open();
    let run = admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 5).await.fence;
    let add = |new| {
        unit(
            vec![Guard::Fence(run, fence)],
            vec![Op::ItemFacts {
                run,
                step: "each".into(),
                facts: new,
            }],
        )
    };
    apply(&a, add((0..5).map(|i| item_intent(i, fence)).collect())).await;
    assert_eq!(row(&a, run).await.claims, 1, "an intent is no progress");
    apply(&a, add(vec![item_outcome(3), item_outcome(1)])).await;
    assert_eq!(row(&a, run).await.claims, 0);
    let Answer::ItemFacts(found) = a
        .read(Query::ItemFacts(run, "each".into(), 1..4))
        .await
        .unwrap()
    else {
        panic!()
    };
    let expected = [
        item_intent(1, fence),
        item_outcome(1),
        item_intent(2, fence),
        item_intent(3, fence),
        item_outcome(3),
    ];
    assert_eq!(found, expected);
}

pub async fn files_are_remembered(stores: &impl Stores) {
    let a = stores.open();
    let mark = |path: &str, size| FileMark {
        path: path.into(),
        stat: (size, -7, u64::MAX),
        task: TASK.into(),
        text: ContentHash::of(path.as_bytes()),
    };
    apply(
        &a,
        unit(
            vec![],
            vec![Op::Files(vec![mark("tasks/b", 1), mark("tasks/a", 1)])],
        ),
    )
    .await;
    apply(&a, unit(vec![], vec![Op::Files(vec![mark("tasks/b", 2)])])).await;
    let found = a.read(Query::Files).await.unwrap();
    assert_eq!(
        found,
        Answer::Files(vec![mark("tasks/a", 1), mark("tasks/b", 2)])
    );
}

pub async fn the_newest_run_of_each_task_is_known(stores: &impl Stores) {
    let a = stores.open();
    for (task, key) in [("b", "1"), ("a", "1"), ("b", "2"), ("a", "2"), ("b", "3")] {
        let mut admission = admission(key);
        admission.task = task.into();
        admitted(&a, unit(vec![], vec![Op::Admit(admission)])).await;
    }
    let Answer::Runs(found) = a.read(Query::Newest(environment())).await.unwrap() else {
        panic!()
    };
    let short: Vec<_> = found
        .iter()
        .map(|r| (r.task.as_str(), r.key.as_str()))
        .collect();
    assert_eq!(short, [("a", "2"), ("b", "3")]);
}

pub async fn runs_are_filtered(stores: &impl Stores) {
    let a = stores.open();
    for key in ["a", "b", "c", "d"] {
        admitted(&a, admit(key)).await;
    }
    apply(
        &a,
        unit(vec![], vec![stand(RunId(2), RunStatus::Done, None, false)]),
    )
    .await;
    let found = |filter| async {
        all(&a, filter)
            .await
            .iter()
            .map(|r| r.id.0)
            .collect::<Vec<_>>()
    };
    let any = Filter::default;
    assert_eq!(found(any()).await, [4, 3, 2, 1]);
    assert_eq!(found(Filter { limit: 2, ..any() }).await, [4, 3]);
    assert_eq!(
        found(Filter {
            before: Some(RunId(3)),
            ..any()
        })
        .await,
        [2, 1]
    );
    assert_eq!(
        found(Filter {
            key: Some("c".into()),
            ..any()
        })
        .await,
        [3]
    );
    assert_eq!(
        found(Filter {
            task: Some("x".into()),
            ..any()
        })
        .await,
        [0; 0]
    );
    let states = vec![RunStatus::Done, RunStatus::Failed];
    assert_eq!(
        found(Filter {
            status: states,
            ..any()
        })
        .await,
        [2]
    );
    let Answer::Counts(counts) = a.read(Query::Counts(environment())).await.unwrap() else {
        panic!()
    };
    assert_eq!(counts, [(RunStatus::Pending, 3), (RunStatus::Done, 1)]);
    let mut one = claim(9);
    one.limit = 1;
    let held = lease(&a, one).await;
    let holder = Some(a.holder());
    assert_eq!(found(Filter { holder, ..any() }).await, ids(&held));
}
