//! Who watches a ledger is told of whatever others change in it, not only of units.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::forget::Forget;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Change, Filter, Ledger};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::stage::{
    admit, admitted, all, apply, began, ended, facts, lease_one, run, stand, unit,
};
use oncely_ledger::conformance::{Server, Stores, pruning};
use std::time::{Duration, Instant};
use stores::{Memory, Postgres, Sqlite};

/// The number of changes, once it has come to rest.
async fn settled<L: Ledger>(ledger: &L) -> Change {
    let mut seen = Change(0);
    loop {
        match ledger.watch(seen).await {
            next if next == seen => return seen,
            next => seen = next,
        }
    }
}

/// Waits until the watch ends because something has changed.
async fn told<L: Ledger>(ledger: &L, seen: Change, what: &str) {
    let since = Instant::now();
    while ledger.watch(seen).await == seen {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
    }
}

/// Ends a run at once.
async fn over<L: Ledger>(ledger: &L, key: &str) -> RunId {
    let id = admitted(ledger, admit(key)).await;
    let ops = vec![
        facts(id, 1, vec![began(), ended(oncely_core::fact::End::Done)]),
        stand(id, RunStatus::Done, None, false),
    ];
    apply(ledger, unit(vec![], ops)).await;
    id
}

async fn whatever_others_do(stores: &impl Stores) {
    let (a, b, dead) = (stores.open(), stores.open(), stores.open());
    let first = over(&b, "a").await;
    over(&b, "b").await;
    admitted(&b, admit("c")).await;
    lease_one(&dead, 9).await;
    stores.kill(dead);

    let seen = settled(&a).await;
    let forgotten = Forget {
        runs: vec![first],
        by: "bo".into(),
        reason: "asked".into(),
        at: Timestamp(9),
    };
    b.forget(forgotten).await.unwrap();
    told(&a, seen, "a run was forgotten").await;

    let seen = settled(&a).await;
    assert_eq!(pruning::whole(&b, pruning::part()).await.runs, 2);
    told(&a, seen, "runs were pruned").await;

    let (seen, own) = tokio::join!(settled(&a), settled(&b));
    assert_eq!(b.renew().await, Ok(1));
    told(&a, seen, "what the dead held is free").await;
    told(&b, own, "it is free by what this one did").await;
}

/// So many answers come after a watch has begun, before something changes.
const ANSWERS: usize = 50;

/// A watch ends while it lasts, not only when the next one looks: a change comes when it has begun long
/// ago, and the store has answered others since. On a machine that is very busy the watch may be over by then.
async fn while_it_lasts(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for n in 0..10 {
        let seen = settled(&a).await;
        let later = async {
            for _ in 0..ANSWERS {
                all(&b, Filter::default()).await;
            }
            admitted(&b, admit(&format!("k{n}"))).await;
        };
        if tokio::join!(a.watch(seen), later).0 != seen {
            return;
        }
    }
    panic!("nothing was told while it was watched");
}

#[test]
fn of_a_ledger_in_memory() {
    run(whatever_others_do(&Memory::new()));
    run(while_it_lasts(&Memory::new()));
}

#[test]
fn of_a_ledger_in_a_file() {
    run(whatever_others_do(&Sqlite::new(false)));
    run(while_it_lasts(&Sqlite::new(false)));
}

#[test]
fn of_a_ledger_in_postgresql() {
    let server = Server::start(&[]);
    run(whatever_others_do(&Postgres::new(server.database())));
    run(while_it_lasts(&Postgres::new(server.database())));
}
