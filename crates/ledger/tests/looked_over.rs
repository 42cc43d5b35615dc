//! A look at the whole ledger goes through all of it, however much there is, and says what is wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use insta::assert_snapshot;
use oncely_core::fact::End;
use oncely_core::ids::RunId;
use oncely_core::items::Progress;
use oncely_core::ledger::{Ledger, Op, Unit, UnitResult};
use oncely_core::run::RunStatus;
use oncely_ledger::Verified;
use oncely_ledger::conformance::items::aside;
use oncely_ledger::conformance::stage::{admit, apply, began, ended, facts, run, stand, unit};
use oncely_ledger::conformance::{Server, Stores};
use stores::{Postgres, Sqlite, client, tampering};

/// More than are looked over together, twice.
const RUNS: i64 = 1_003;

/// So many runs, of which the last three have begun, and one of these has ended.
async fn many(ledger: &impl Ledger) {
    let admitted = (0..RUNS).map(|n| admit(&format!("k{n}"))).collect();
    let applied = ledger.commit(admitted).await.unwrap();
    let is_applied = |result: &UnitResult| matches!(result, UnitResult::Applied(_));
    assert!(applied.iter().all(is_applied));
    let begun = |id| unit(vec![], vec![facts(RunId(id), 1, vec![began()])]);
    let done: Vec<Unit> = vec![
        begun(RUNS - 2),
        begun(RUNS - 1),
        unit(
            vec![],
            vec![
                facts(RunId(RUNS), 2, vec![began(), ended(End::Done)]),
                stand(RunId(RUNS), RunStatus::Done, None, false),
            ],
        ),
        // All that was set aside is there, and nothing is left of the items.
        unit(
            vec![],
            vec![Op::Items {
                run: RunId(1),
                step: "score".into(),
                progress: Progress {
                    next: 5,
                    done: 3,
                    set_aside: 2,
                    ..Progress::default()
                },
                set_aside: vec![aside(1, "torn"), aside(4, "torn")],
            }],
        ),
    ];
    for unit in done {
        apply(ledger, unit).await;
    }
}

/// What is found where nothing is wrong.
fn whole() -> Verified {
    Verified {
        runs: RUNS.unsigned_abs(),
        facts: 4,
        keys: RUNS.unsigned_abs(),
        steps: 1,
        ..Verified::default()
    }
}

/// What both stores are made to lose or to say, one thing each.
fn wrong() -> String {
    let (last, before, third) = (RUNS, RUNS - 1, RUNS - 2);
    format!(
        "update oncely_runs set status = 1 where id = {last};
         update oncely_facts set at = at + 1 where run = {before};
         update oncely_keys set run = 2 where run = {third};
         delete from oncely_admissions where run = 3;
         delete from oncely_keys where run = 4;
         update oncely_keys set run = 2000 where run = 5;
         update oncely_progress set next = 4 where run = 1;
         delete from oncely_set_aside where run = 1 and item = 4;
         update oncely_progress set run = 2001 where run = 1;"
    )
}

/// Both stores say the same, though each in the order in which it looks.
fn told(found: &Verified, facts: u64) {
    let counted = (found.runs, found.facts, found.keys, found.steps);
    assert_eq!(counted, (1_002, facts, 1_001, 1));
    assert_eq!(found.wrong, found.findings.len() as u64);
    let mut findings = found.findings.clone();
    findings.sort();
    insta::allow_duplicates! {
        assert_snapshot!(findings.join("\n"), @"
        run 1001 of task: its key k1000 leads to run 2
        run 1002 of task: its facts or its event are not those that were recorded: some were changed or lost
        run 1003 of task: its facts say that it has ended (Done), and its row that it is running
        run 2000: its key is known, and the run is lost
        run 2001: step score has come to item 4, and says that it did 3 and set 2 aside
        run 2001: step score has come to item 4, and the run is lost
        run 2001: step score says that it set aside 2, and 0 are there
        run 3: what was admitted is lost
        run 4 of task: its key k3 is not known any more: should the event arrive again, it would be done again
        run 5 of task: its key k4 leads to run 2000
        ");
    }
}

#[test]
fn a_ledger_in_postgresql_is_looked_through_to_its_last_run() {
    let server = Server::start(&[]);
    let stores = Postgres::new(server.database());
    let a = stores.open();
    run(async {
        many(&a).await;
        assert_eq!(a.verify(), Ok(whole()));
        let db = client(stores.url()).await;
        db.batch_execute(&wrong()).await.unwrap();
        told(&a.verify().unwrap(), 4);
    });
}

#[test]
fn a_ledger_in_a_file_is_looked_through_to_its_last_run() {
    let stores = Sqlite::new(false);
    let a = stores.open();
    run(async {
        many(&a).await;
        let sound = Verified {
            database: true,
            checksums: Some(true),
            ..whole()
        };
        assert_eq!(a.verify(), Ok(sound));
        let db = tampering(&stores.path());
        let free = "drop trigger oncely_facts_as_they_are; drop trigger oncely_keys_stay;
                    drop trigger oncely_keys_as_they_are;";
        db.execute_batch(free).unwrap();
        db.execute_batch(&wrong()).unwrap();
        // Of a record that does not fit nothing is taken for a fact.
        told(&a.verify().unwrap(), 3);
    });
}

#[test]
fn of_many_things_that_are_wrong_the_first_thousand_are_told_and_all_are_counted() {
    let server = Server::start(&[]);
    let stores = Postgres::new(server.database());
    let a = stores.open();
    run(async {
        many(&a).await;
        let db = client(stores.url()).await;
        db.batch_execute("delete from oncely_keys").await.unwrap();
        let found = a.verify().unwrap();
        assert_eq!((found.wrong, found.findings.len()), (1_003, 1_000));
        assert_eq!((found.runs, found.keys), (1_003, 0));
        assert_snapshot!(found.findings.join("\n").lines().next_back().unwrap(), @"run 1000 of task: its key k999 is not known any more: should the event arrive again, it would be done again");
    });
}
