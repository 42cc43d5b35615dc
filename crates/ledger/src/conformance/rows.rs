//! Promises about what is read: it is what was written, column by column, and nothing else's.

use super::items::{item_intent, item_outcome};
use super::stage::*;
use oncely_core::fact::{End, Recorded};
use oncely_core::ids::{ContentHash, Environment, Fence, Generation, HolderId, RunId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{
    Admission, Answer, Claim, Filter, Guard, HolderInfo, Leased, Ledger, Op, Query, RunRow, What,
};
use oncely_core::run::RunStatus;
use oncely_core::time::{Clock, Timestamp};

/// With a value of its own in each field, and numbers as large as they may be.
fn unlike_any_other(parent: RunId) -> Admission {
    Admission {
        environment: "here".into(),
        task: "letters".into(),
        key: "mail:7".into(),
        generation: Generation(u32::MAX),
        trigger: "mail",
        event: r#"{"to":["Zoë",1.5,null]}"#.into(),
        lane: Some("zoë".into()),
        depth: u32::MAX - 1,
        parent: Some(parent),
        at: Timestamp(1_000),
        claimed: false,
        status: RunStatus::Waiting,
    }
}

fn here(now: i64) -> Claim {
    Claim {
        environment: "here".into(),
        ..claim(now)
    }
}

/// The row as each question gives it.
async fn read<L: Ledger>(ledger: &L, id: RunId) -> RunRow {
    let found = row(ledger, id).await;
    let environment = Some(found.environment.clone());
    let listed = all(
        ledger,
        Filter {
            environment: environment.clone(),
            ..Filter::default()
        },
    )
    .await;
    assert_eq!(listed.iter().find(|row| row.id == id), Some(&found));
    let newest = ledger.read(Query::Newest(found.environment.clone())).await;
    let Answer::Runs(newest) = newest.unwrap() else {
        panic!()
    };
    assert_eq!(newest.iter().find(|row| row.id == id), Some(&found));
    found
}

pub async fn a_row_is_what_was_admitted(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let parent = admitted(&a, admit("k")).await;
    let given = unlike_any_other(parent);
    let id = admitted(&a, unit(vec![], vec![Op::Admit(given.clone())])).await;
    let found = read(&b, id).await;
    let expected = RunRow {
        id: RunId(parent.0 + 1),
        environment: given.environment,
        task: given.task,
        key: given.key,
        generation: given.generation,
        trigger: given.trigger.into(),
        event_hash: ContentHash::of(given.event.as_bytes()),
        event: given.event,
        status: RunStatus::Waiting,
        seq: 0,
        admitted: given.at,
        changed: given.at,
        due: Some(given.at),
        holder: None,
        fence: Fence(0),
        claims: 0,
        lane: given.lane,
        depth: given.depth,
        parent: given.parent,
        // What it says is asked for elsewhere.
        chain: found.chain,
    };
    assert_eq!(found, expected);
    let Answer::Runs(children) = b.read(Query::Children(parent)).await.unwrap() else {
        panic!()
    };
    assert_eq!(children, [expected]);
    assert_eq!(b.read(Query::Run(RunId(99))).await, Ok(Answer::Run(None)));
}

/// Each unit changes what it says, and leaves everything else of the row as it was.
pub async fn a_row_keeps_what_a_unit_does_not_change(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let parent = admitted(&a, admit("k")).await;
    let admission = Op::Admit(unlike_any_other(parent));
    let id = admitted(&a, unit(vec![], vec![admission])).await;
    let mut expected = read(&b, id).await;

    apply(&a, unit(vec![], vec![facts(id, 1_010, vec![began()])])).await;
    let found = read(&b, id).await;
    assert_ne!(found.chain, expected.chain);
    (expected.seq, expected.changed, expected.chain) = (1, Timestamp(1_010), found.chain);
    assert_eq!(found, expected);

    apply(&a, unit(vec![], vec![Op::Wake(id, Timestamp(900))])).await;
    expected.due = Some(Timestamp(900));
    assert_eq!(read(&b, id).await, expected);

    let held = lease(&b, here(1_020)).await;
    expected.holder = Some(b.holder());
    (expected.fence, expected.claims) = (Fence(1), 1);
    expected.changed = Timestamp(1_020);
    assert_eq!(held[0].row, expected);
    let recorded = Recorded {
        at: Timestamp(1_010),
        forgotten: None,
        fact: began(),
    };
    assert_eq!(held[0].facts, [recorded]);
    assert_eq!(read(&a, id).await, expected);

    let fenced = |fence, ops| unit(vec![Guard::Fence(id, Fence(fence))], ops);
    let works = vec![
        facts(id, 1_030, vec![intent(Fence(1))]),
        stand(id, RunStatus::Running, Some(1_500), true),
    ];
    apply(&b, fenced(1, works)).await;
    let found = read(&a, id).await;
    expected.status = RunStatus::Running;
    expected.due = Some(Timestamp(1_500));
    (expected.seq, expected.changed, expected.chain) = (2, Timestamp(1_030), found.chain);
    assert_eq!(found, expected);

    // A unit that only looks changes nothing.
    let looks = vec![Guard::Fence(id, Fence(1)), Guard::RunSeq(id, 2)];
    apply(&b, unit(looks, vec![])).await;
    assert_eq!(read(&a, id).await, expected);

    let back = vec![
        facts(id, 1_040, vec![outcome()]),
        Op::Release(id, Timestamp(2_000)),
    ];
    apply(&b, fenced(1, back)).await;
    let found = read(&a, id).await;
    (expected.holder, expected.claims) = (None, 0);
    expected.due = Some(Timestamp(2_000));
    (expected.seq, expected.changed, expected.chain) = (3, Timestamp(1_040), found.chain);
    assert_eq!(found, expected);

    let held = lease(&a, here(2_001)).await;
    expected.holder = Some(a.holder());
    (expected.fence, expected.claims) = (Fence(2), 1);
    expected.changed = Timestamp(2_001);
    assert_eq!(held[0].row, expected);
    let ends = vec![
        facts(id, 2_005, vec![ended(End::Done)]),
        stand(id, RunStatus::Done, Some(9), true),
    ];
    apply(&a, fenced(2, ends)).await;
    let found = read(&b, id).await;
    expected.status = RunStatus::Done;
    (expected.holder, expected.due, expected.claims) = (None, None, 0);
    (expected.seq, expected.changed, expected.chain) = (4, Timestamp(2_005), found.chain);
    assert_eq!(found, expected);
    // Its neighbour was never spoken of.
    let neighbour = row(&b, parent).await;
    let stands = (neighbour.seq, neighbour.changed, neighbour.fence);
    assert_eq!(stands, (0, Timestamp(0), Fence(0)));
}

pub async fn what_a_step_has_come_to_is_its_own(stores: &impl Stores) {
    let a = stores.open();
    let one = admitted(&a, admit("one")).await;
    let other = admitted(&a, admit("other")).await;
    let progress = |from: u64| Progress {
        next: from + 6,
        offset: from + 50_000_000_000,
        line: from + 4,
        done: from + 3,
        set_aside: from + 2,
        unseen: from + 1,
    };
    let aside = |item: u64| SetAside {
        item,
        line: Some(item + 1),
        input: format!("{{\"n\":{item}}}"),
        reason: format!("why {item}"),
    };
    let places = [(one, "each"), (one, "every"), (other, "each")];
    for (n, (run, step)) in (1..).zip(places) {
        let ops = vec![
            Op::Items {
                run,
                step: step.into(),
                progress: progress(n * 100),
                set_aside: vec![aside(n)],
            },
            Op::ItemFacts {
                run,
                step: step.into(),
                facts: vec![item_intent(n, Fence(n.cast_signed())), item_outcome(n)],
            },
        ];
        apply(&a, unit(vec![], ops)).await;
    }
    for (n, (run, step)) in (1..).zip(places) {
        let ask = Query::Progress(run, step.into());
        let kept = Answer::Progress(Some(progress(n * 100)));
        assert_eq!(a.read(ask).await, Ok(kept));
        let ask = Query::ItemFacts(run, step.into(), 0..u64::MAX);
        let kept = vec![item_intent(n, Fence(n.cast_signed())), item_outcome(n)];
        assert_eq!(a.read(ask).await, Ok(Answer::ItemFacts(kept)));
        let ask = Query::ItemFacts(run, step.into(), n + 1..u64::MAX);
        assert_eq!(a.read(ask).await, Ok(Answer::ItemFacts(vec![])));
    }
    let kept = |run, items: &[u64]| {
        let steps = ["each", "every"].into_iter().zip(items);
        let lie: Vec<_> = steps.map(|(step, n)| (step.into(), aside(*n))).collect();
        (Query::SetAside(run, 0, 10), Ok(Answer::SetAside(lie)))
    };
    for (ask, found) in [kept(one, &[1, 2]), kept(other, &[3]), kept(RunId(9), &[])] {
        assert_eq!(a.read(ask).await, found);
    }
    let none = Query::Progress(other, "every".into());
    assert_eq!(a.read(none).await, Ok(Answer::Progress(None)));
}

pub async fn who_holds_is_told_whole(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    stores.clock().advance(70);
    let since = stores.clock().now();
    let info = |id: HolderId| HolderInfo {
        id,
        pid: std::process::id(),
        role: "test".into(),
        since,
    };
    let name = || What::Named("release".into());
    a.lease(name(), claim(1)).await.unwrap();
    stores.clock().advance(30);
    let busy = b.lease(name(), claim(1)).await;
    assert_eq!(busy, Ok(Leased::Busy(info(a.holder()))));
    let told = b.read(Query::Holders).await;
    assert_eq!(told, Ok(Answer::Holders(vec![info(a.holder())])));
    let told = b.read(Query::NameHolder("release".into())).await;
    assert_eq!(told, Ok(Answer::NameHolder(Some(info(a.holder())))));
    let told = b.read(Query::NameHolder("other".into())).await;
    assert_eq!(told, Ok(Answer::NameHolder(None)));
}

pub async fn what_is_asked_of_one_environment_is_of_no_other(stores: &impl Stores) {
    let a = stores.open();
    let places: [(Environment, i64); 3] = [
        (environment(), 20),
        (environment(), 30),
        ("here".into(), 10),
    ];
    for (n, (environment, at)) in (0..).zip(places) {
        let mut given = admission(&format!("k{n}"));
        (given.environment, given.at) = (environment, Timestamp(at));
        admitted(&a, unit(vec![], vec![Op::Admit(given)])).await;
    }
    let ask = |query| async { a.read(query).await.unwrap() };
    let next = |at: Option<i64>| Answer::NextDue(at.map(Timestamp));
    assert_eq!(ask(Query::NextDue(environment())).await, next(Some(20)));
    // What somebody holds is not due again.
    assert_eq!(ids(&lease(&a, claim(25)).await), [1]);
    assert_eq!(ask(Query::NextDue(environment())).await, next(Some(30)));
    assert_eq!(ask(Query::NextDue("here".into())).await, next(Some(10)));
    assert_eq!(ask(Query::NextDue("nowhere".into())).await, next(None));
    let counts = |n| Answer::Counts(vec![(RunStatus::Pending, n)]);
    assert_eq!(ask(Query::Counts(environment())).await, counts(2));
    assert_eq!(ask(Query::Counts("here".into())).await, counts(1));
    let none = Answer::Counts(vec![]);
    assert_eq!(ask(Query::Counts("nowhere".into())).await, none);
    let Answer::Runs(newest) = ask(Query::Newest("here".into())).await else {
        panic!()
    };
    assert_eq!(newest.iter().map(|r| r.id.0).collect::<Vec<_>>(), [3]);
    let listed = |environment: &str| Filter {
        environment: Some(environment.into()),
        ..Filter::default()
    };
    let of = |filter| async { all(&a, filter).await.iter().map(|r| r.id.0).collect() };
    let found: Vec<i64> = of(listed("here")).await;
    assert_eq!(found, [3]);
    let found: Vec<i64> = of(listed(ENVIRONMENT)).await;
    assert_eq!(found, [2, 1]);
}
