//! Processes come and go for years: nothing is left of one beside the ledger when it is gone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ledger::{Ledger, LedgerError};
use oncely_ledger::conformance::Stores;
use oncely_ledger::conformance::stage::{admit, admitted, apply, claim, lease, run, sql, unit};
use std::path::Path;
use stores::Sqlite;

/// The files that say which processes live.
fn living(ledger: &Path) -> usize {
    let folder = ledger.with_file_name("ledger.db-holders");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn the_file_of_a_process_goes_when_it_ends_or_when_others_see_that_it_has_died() {
    let stores = Sqlite::new(false);
    run(async {
        let (a, b, c) = (stores.open(), stores.open(), stores.open());
        for key in ["k", "l", "m"] {
            admitted(&a, admit(key)).await;
        }
        let one = || {
            let mut one = claim(9);
            one.limit = 1;
            one
        };
        assert_eq!(living(&stores.path()), 0, "nobody holds anything");
        for ledger in [&a, &b, &c] {
            assert_eq!(lease(ledger, one()).await.len(), 1);
        }
        assert_eq!(living(&stores.path()), 3);
        drop(c);
        assert_eq!(living(&stores.path()), 2, "a clean end");
        stores.kill(b);
        assert_eq!(living(&stores.path()), 2, "nobody has looked yet");
        assert_eq!(a.renew().await, Ok(1));
        assert_eq!(living(&stores.path()), 1);
        // It was stopped for too long, and begins anew.
        let d = stores.open();
        stores.clock().advance(60_000);
        assert_eq!(d.renew().await, Ok(1));
        assert_eq!(a.renew().await, Err(LedgerError::LeaseLost));
        assert_eq!(living(&stores.path()), 0);
    });
}

#[test]
fn what_was_overwritten_is_taken_out_of_the_files_when_that_is_asked_for() {
    let stores = Sqlite::new(false);
    let file = |ending: &str| {
        let path = stores.path().with_file_name(format!("ledger.db{ending}"));
        std::fs::read(path).unwrap_or_default()
    };
    let has = |bytes: &[u8]| bytes.windows(6).any(|found| found == b"secret");
    run(async {
        let a = stores.open();
        let table = "create table t (a text); insert into t values (:a)";
        let long = "secret ".repeat(2_000);
        let given = [("a", serde_json::json!(long))];
        apply(&a, unit(vec![], vec![sql(table, &given)])).await;
        assert!(has(&file("-wal")));
        assert_eq!(a.wipe(false), Ok(true), "nobody was in the way");
        assert_eq!(file("-wal").len(), 0);
        assert!(has(&file("")));
        let gone = unit(vec![], vec![sql("delete from t", &[])]);
        apply(&a, gone).await;
        assert_eq!(a.wipe(true), Ok(true));
        assert!(!has(&file("")) && !has(&file("-wal")));
        // The ledger goes on as it was.
        admitted(&a, admit("k")).await;
    });
}
