//! What a ledger tells of itself: runs that are looked for, and how much there is. Every store tells the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ids::{Generation, RunId};
use oncely_core::ledger::{Filter, Guard, Ledger, Op, Unit};
use oncely_core::run::RunStatus;
use oncely_ledger::conformance::stage::{
    TASK, admission, admit, admitted, all, apply, began, environment, facts, run, stand, unit,
};
use oncely_ledger::conformance::{Server, Stores, fast_folder};
use oncely_ledger::{Options, PostgresLedger, PostgresOptions, SqliteLedger, Stats};
use stores::{Memory, Postgres, Sqlite};

/// A key that was done three times, and another one beside it.
async fn three_times(stores: &impl Stores) {
    let a = stores.open();
    let first = admitted(&a, admit("a")).await;
    admitted(&a, admit("b")).await;
    let mut runs = vec![first];
    for generation in 2..4 {
        runs.push(admitted(&a, again("a", generation)).await);
    }
    let done = stand(runs[1], RunStatus::Done, None, false);
    apply(&a, unit(vec![], vec![done])).await;
    let found = |filter: Filter| async {
        let found = all(&a, filter).await;
        found.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let of_key = |filter: Filter| {
        found(Filter {
            key: Some("a".into()),
            environment: Some(environment()),
            task: Some(TASK.into()),
            ..filter
        })
    };
    let newest_first: Vec<_> = runs.iter().rev().copied().collect();
    let any = Filter::default;
    assert_eq!(
        found(Filter {
            key: Some("a".into()),
            ..any()
        })
        .await,
        newest_first
    );
    assert_eq!(of_key(any()).await, newest_first);
    assert_eq!(
        of_key(Filter { limit: 2, ..any() }).await,
        newest_first[..2]
    );
    let before = |id| {
        of_key(Filter {
            before: Some(id),
            ..any()
        })
    };
    assert_eq!(before(runs[2]).await, newest_first[1..]);
    assert_eq!(before(runs[1]).await, newest_first[2..]);
    assert_eq!(before(runs[0]).await, []);
    let status = |status| {
        of_key(Filter {
            status: vec![status],
            ..any()
        })
    };
    assert_eq!(status(RunStatus::Done).await, [runs[1]]);
    assert_eq!(status(RunStatus::Pending).await, [runs[2], runs[0]]);
    let holder = Some(a.holder());
    assert_eq!(
        of_key(Filter { holder, ..any() }).await,
        [],
        "nobody holds one"
    );
}

/// Does a key once more.
fn again(key: &str, generation: u32) -> Unit {
    let mut next = admission(key);
    next.generation = Generation(generation);
    let last = Some(Generation(generation - 1));
    let guard = Guard::Generation(environment(), TASK.into(), key.into(), last);
    unit(vec![guard], vec![Op::Admit(next)])
}

#[test]
fn the_runs_of_a_key_are_found_the_newest_first_in_every_store() {
    run(three_times(&Memory::new()));
    run(three_times(&Sqlite::new(false)));
    let server = Server::start(&[]);
    run(three_times(&Postgres::new(server.database())));
}

/// Two runs, one of which has begun.
async fn filled(ledger: &impl Ledger) {
    for key in ["a", "b"] {
        admitted(ledger, admit(key)).await;
    }
    apply(
        ledger,
        unit(vec![], vec![facts(RunId(1), 1, vec![began()])]),
    )
    .await;
}

/// What does not depend on the store, nor on the time.
fn told(stats: &Stats) -> impl PartialEq + std::fmt::Debug + use<> {
    let Stats {
        facts,
        item_facts,
        set_aside,
        keys,
        ..
    } = *stats;
    (stats.runs.clone(), [facts, item_facts, set_aside, keys])
}

#[test]
fn what_a_ledger_holds_is_counted_in_every_store() {
    let folder = fast_folder();
    let server = Server::start(&[]);
    run(async {
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        let file = SqliteLedger::open(&folder.path().join("ledger.db"), options).unwrap();
        let options = PostgresOptions {
            create: true,
            ..PostgresOptions::new("test")
        };
        let database = PostgresLedger::open(&server.database(), options).unwrap();
        filled(&file).await;
        filled(&database).await;
        let (sqlite, postgres) = (file.stats().unwrap(), database.stats().unwrap());
        assert_eq!(
            (&sqlite.name, &postgres.name),
            (&file.name(), &database.name())
        );
        let counted = Stats {
            runs: vec![(RunStatus::Pending, 2)],
            facts: 1,
            keys: 2,
            ..Stats::default()
        };
        for stats in [sqlite, postgres] {
            assert_eq!(told(&stats), told(&counted));
            assert!(stats.oldest.is_some() && stats.oldest <= stats.newest);
            let tables: u64 = stats.tables.iter().map(|table| table.bytes).sum();
            assert!(stats.bytes > 0 && tables <= stats.bytes, "{stats:?}");
            assert!(stats.tables.iter().any(|table| table.name == "oncely_runs"));
            let sizes = stats.tables.iter().map(|table| table.bytes);
            assert!(sizes.rev().is_sorted(), "the largest first");
        }
    });
}
