//! Things that take too long: a task's statement, and another program in the database.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Filter, Ledger, LedgerError, UnitResult};
use oncely_ledger::conformance::stage::{admit, all, apply, run, sql, unit};
use oncely_ledger::{Options, SqliteLedger};
use std::time::Duration;

const ENDLESS: &str = "insert into t with recursive n (i) as
    (select 1 union all select i + 1 from n where i < 1e12) select i from n";

#[test]
fn a_statement_that_takes_too_long_fails_alone() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            create: true,
            sql_budget: Duration::from_millis(100),
            ..Options::new("test")
        };
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db"), options).unwrap();
        apply(&ledger, unit(vec![], vec![sql("create table t (a)", &[])])).await;
        let endless = unit(vec![], vec![sql(ENDLESS, &[])]);
        let reads = ENDLESS.replace("insert into t with", "with");
        let reads = unit(vec![], vec![sql(&reads, &[])]);
        let units = vec![admit("k"), endless, admit("l"), reads, admit("m")];
        let results = ledger.commit(units).await.unwrap();
        let words = "the statements took longer than 0.1 s. Nothing was changed.";
        assert_eq!(results[1], UnitResult::SqlFailed(words.into()));
        assert_eq!(results[3], UnitResult::SqlFailed(words.into()));
        assert_eq!(all(&ledger, Filter::default()).await.len(), 3);
        let none = "select case when (select count(*) from t) = 0 then 1 else json('no') end";
        apply(&ledger, unit(vec![], vec![sql(none, &[])])).await;
    });
}

#[test]
fn another_program_in_the_database_is_waited_for_and_then_named_as_busy() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            wait: Duration::from_millis(300),
            ..Options::new("test")
        };
        let ledger = SqliteLedger::open(&path, options).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("begin immediate").unwrap();
        let busy = ledger.commit(vec![admit("k")]).await;
        assert!(
            matches!(busy, Err(LedgerError::Busy { pid: None, .. })),
            "{busy:?}"
        );
        other.execute_batch("rollback").unwrap();
        apply(&ledger, admit("k")).await;
        assert_eq!(all(&ledger, Filter::default()).await.len(), 1);
    });
}
