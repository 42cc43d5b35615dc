//! A statement that PostgreSQL does not support is refused in its words and at once, whatever was prepared before.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Ledger, UnitResult};
use oncely_ledger::conformance::Server;
use oncely_ledger::conformance::stage::{apply, one, run, sql, unit};
use oncely_ledger::{PostgresLedger, PostgresOptions};

async fn refused(ledger: &impl Ledger) {
    let never = sql("select count(*) from t for update", &[]);
    match one(ledger, unit(vec![], vec![never])).await {
        UnitResult::SqlFailed(words) => {
            assert_eq!(words, "FOR UPDATE is not allowed with aggregate functions");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_server_does_not_support_is_said_and_nothing_is_waited_for() {
    let server = Server::start(&[]);
    let url = server.database();
    run(async {
        let options = PostgresOptions {
            create: true,
            ..PostgresOptions::new("test")
        };
        let ledger = PostgresLedger::open(&url, options).unwrap();
        let table = sql("create table t (a bigint)", &[]);
        apply(&ledger, unit(vec![], vec![table])).await;
        let again = PostgresLedger::open(&url, PostgresOptions::new("test")).unwrap();
        refused(&again).await;
        let insert = || unit(vec![], vec![sql("insert into t values (1)", &[])]);
        apply(&again, insert()).await;
        refused(&again).await;
        apply(&again, insert()).await;
    });
}
