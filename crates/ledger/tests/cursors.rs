//! Several processes that move one cursor at once: each step is taken by one of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ledger::{Answer, Guard, Ledger, Op, Query, UnitResult};
use oncely_core::source::Cursor;
use oncely_ledger::conformance::stage::{one, run, unit};
use oncely_ledger::conformance::{Server, Stores};
use stores::{Memory, Postgres, Sqlite};

/// So many processes.
const PROCESSES: usize = 4;
/// So many steps of each.
const STEPS: usize = 25;

fn number(found: Option<&Cursor>) -> usize {
    found.map_or(0, |cursor| cursor.0.parse().unwrap())
}

/// Moves the cursor on by one so many times, from wherever it stands.
async fn move_on(ledger: &impl Ledger) {
    let mut moved = 0;
    while moved < STEPS {
        let Answer::Cursor(found) = ledger.read(Query::Cursor("feed".into())).await.unwrap() else {
            panic!("no cursor");
        };
        let next = Cursor((number(found.as_ref()) + 1).to_string());
        let step = unit(
            vec![Guard::Cursor("feed".into(), found)],
            vec![Op::Cursor("feed".into(), next)],
        );
        match one(ledger, step).await {
            UnitResult::Applied(_) => moved += 1,
            UnitResult::Refused(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn together(stores: &(impl Stores<Handle: Send + Sync> + Sync)) {
    std::thread::scope(|scope| {
        for _ in 0..PROCESSES {
            let ledger = stores.open();
            scope.spawn(move || run(move_on(&ledger)));
        }
    });
    run(async {
        let found = stores.open().read(Query::Cursor("feed".into())).await;
        let Ok(Answer::Cursor(found)) = found else {
            panic!("{found:?}");
        };
        assert_eq!(number(found.as_ref()), PROCESSES * STEPS);
    });
}

#[test]
fn in_memory_each_step_is_taken_once() {
    together(&Memory::new());
}

#[test]
fn in_a_file_each_step_is_taken_once() {
    together(&Sqlite::new(false));
}

#[test]
fn in_postgresql_each_step_is_taken_once() {
    let server = Server::start(&[]);
    together(&Postgres::new(server.database()));
}
