//! Whatever is changed in a run's record outside oncely keeps the run from being worked on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ids::RunId;
use oncely_core::ledger::{Answer, Filter, Ledger, Query};
use oncely_core::run::RunStatus;
use oncely_ledger::conformance::Stores;
use oncely_ledger::conformance::stage::{
    admit, admitted, all, apply, began, claim, facts, ids, lease, run, unit,
};
use stores::Sqlite;

const FREE: &str = "drop trigger oncely_facts_stay; drop trigger oncely_facts_as_they_are;";

/// Three runs, of which the second is tampered with: those that can be claimed afterwards, and those
/// that are said to be broken.
fn after(tampering: &str) -> (Vec<i64>, Vec<RunId>) {
    let stores = Sqlite::new(false);
    let mut found = (vec![], vec![]);
    run(async {
        let a = stores.open();
        for key in ["a", "b", "c"] {
            let id = admitted(&a, admit(key)).await;
            apply(&a, unit(vec![], vec![facts(id, 1, vec![began()])])).await;
        }
        let conn = stores::tampering(&stores.path());
        conn.execute_batch(&format!("{FREE}{tampering}")).unwrap();
        found.0 = ids(&lease(&a, claim(9)).await);
        let asked = Query::Broken(vec![RunId(1), RunId(2), RunId(3)]);
        let Answer::Broken(broken) = a.read(asked).await.unwrap() else {
            panic!("another answer");
        };
        found.1 = broken;
        for row in all(&a, Filter::default()).await {
            let unknown = row.status == RunStatus::Unknown && row.due.is_none();
            assert_eq!(unknown, found.1.contains(&row.id), "{row:?}");
        }
    });
    found
}

#[test]
fn what_was_changed_in_a_record_is_found_before_anything_is_done() {
    for tampering in [
        "update oncely_facts set body = replace(body, '07', '08') where run = 2",
        "update oncely_facts set at = at + 1 where run = 2",
        "update oncely_facts set first = 1 where run = 2",
        "update oncely_facts set count = 2 where run = 2",
        "update oncely_facts set body = 'nonsense' where run = 2",
        "update oncely_facts set body = x'ff' where run = 2",
        "update oncely_facts set body = '[]' where run = 2",
        "delete from oncely_facts where run = 2",
        "insert into oncely_facts select run, first + 1, count, at, body from oncely_facts
         where run = 2",
        "update oncely_admissions set event = '{\"amount\":1000}' where run = 2",
        "update oncely_admissions set event = '' where run = 2",
        "update oncely_admissions set event_hash = zeroblob(32) where run = 2",
        "update oncely_admissions set key = 'bb' where run = 2",
        "update oncely_admissions set generation = 2 where run = 2",
        "update oncely_runs set chain = zeroblob(16) where id = 2",
        "update oncely_runs set chain = 'short' where id = 2",
        "update oncely_admissions set event_hash = 'short' where run = 2",
        "update oncely_runs set seq = 2 where id = 2",
    ] {
        assert_eq!(
            after(tampering),
            (vec![1, 3], vec![RunId(2)]),
            "{tampering}"
        );
    }
    assert_eq!(after(""), (vec![1, 2, 3], vec![]));
}

#[test]
fn facts_that_changed_places_are_found() {
    let swapped = "update oncely_facts set run = 9 where run = 2;
                   update oncely_facts set run = 2 where run = 1;
                   update oncely_facts set run = 1 where run = 9;
                   update oncely_facts set body = replace(body, '07', '08') where run = 1";
    let (claimed, broken) = after(swapped);
    assert_eq!((claimed, broken), (vec![2, 3], vec![RunId(1)]));
}

#[test]
fn a_look_at_the_whole_ledger_finds_what_no_claim_would() {
    let stores = Sqlite::new(false);
    run(async {
        let a = stores.open();
        for key in ["a", "b"] {
            let id = admitted(&a, admit(key)).await;
            apply(&a, unit(vec![], vec![facts(id, 1, vec![began()])])).await;
        }
        let whole = a.verify().unwrap();
        assert_eq!((whole.runs, whole.facts, whole.keys), (2, 2, 2));
        assert_eq!(whole.findings, Vec::<String>::new());
        let conn = stores::tampering(&stores.path());
        conn.execute_batch(
            "drop trigger oncely_keys_stay; drop trigger oncely_keys_as_they_are;
             update oncely_keys set run = 1 where run = 2;
             insert into oncely_keys values (x'00', 7);
             delete from oncely_admissions where run = 1;
             insert into oncely_progress values (2, 'score', 3, 0, 0, 3, 1, 0);
             insert into oncely_progress values (9, 'score', 3, 0, 0, 3, 0, 0);",
        )
        .unwrap();
        insta::assert_snapshot!(a.verify().unwrap().findings.join("\n"), @"
        run 1: what was admitted is lost
        run 2 of task: its key b leads to run 1
        run 7: its key is known, and the run is lost
        run 2: step score has come to item 3, and says that it did 3 and set 1 aside
        run 2: step score says that it set aside 1, and 0 are there
        run 9: step score has come to item 3, and the run is lost
        ");
    });
}

#[test]
fn how_a_run_began_is_not_guessed_where_its_record_cannot_be_read() {
    let stores = Sqlite::new(false);
    run(async {
        let a = stores.open();
        let id = admitted(&a, admit("a")).await;
        apply(&a, unit(vec![], vec![facts(id, 1, vec![began()])])).await;
        let conn = stores::tampering(&stores.path());
        let half = "update oncely_facts set body = '[{\"fact\":\"began\",'";
        conn.execute_batch(&format!("{FREE}{half}")).unwrap();
        let said = a.read(Query::Began(vec![id])).await.unwrap_err();
        let said = said.to_string();
        let place = stores.path().display().to_string();
        insta::assert_snapshot!(said.replace(&place, "LEDGER"), @"the ledger LEDGER cannot be used: Conversion error from type Text at index: 1, EOF while parsing a value at line 1 column 17. What was recorded before is kept.");
    });
}
