//! Who was late to renew its lease gives up what it held before others take it, and nothing else.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Guard, Ledger, LedgerError, UnitResult, What};
use oncely_ledger::conformance::Server;
use oncely_ledger::conformance::stage::{
    admit, admitted, apply, claim, lease_one, one, row, run, sql, unit,
};
use oncely_ledger::{PostgresLedger, PostgresOptions};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn what_is_done_in_no_holders_name_goes_on_when_a_lease_ran_out() {
    let server = Server::start(&[]);
    let options = PostgresOptions {
        create: true,
        // Long enough for a claim on a machine that is very busy.
        lease: Duration::from_secs(3),
        ..PostgresOptions::new("test")
    };
    let a = PostgresLedger::open(&server.database(), options).unwrap();
    run(async {
        let table = sql("create table t (a bigint primary key)", &[]);
        apply(&a, unit(vec![], vec![table])).await;
        let id = admitted(&a, admit("k")).await;
        let held = lease_one(&a, 9).await;
        let who = a.holder();
        let insert = |n: i64| sql("insert into t values (:a)", &[("a", json!(n))]);
        // Nobody renews: sooner or later it is too late to speak for what is held.
        let (mut n, since) = (0, Instant::now());
        loop {
            n += 1;
            let guard = Guard::Fence(id, held.fence);
            match a.commit(vec![unit(vec![guard], vec![insert(n)])]).await {
                Ok(done) => assert!(matches!(done[..], [UnitResult::Applied(_)]), "{done:?}"),
                Err(error) => break assert_eq!(error, LedgerError::LeaseLost),
            }
            assert!(since.elapsed() < Duration::from_secs(60), "never late");
        }
        // Its row is there still, and it is not due to anybody.
        assert_eq!(row(&a, id).await.holder, Some(who));
        // What speaks for nobody needs no lease.
        apply(&a, unit(vec![], vec![insert(n + 1)])).await;
        let seen = unit(vec![Guard::RunSeq(id, 0)], vec![insert(n + 2)]);
        apply(&a, seen).await;
        let claims = a.lease(What::Runs, claim(9)).await;
        assert_eq!(claims, Err(LedgerError::LeaseLost));
        // The next renewal gives everything back, and it begins anew.
        assert_eq!(a.renew().await, Err(LedgerError::LeaseLost));
        assert_ne!(a.holder(), who);
        assert_eq!(row(&a, id).await.holder, None);
        let late = unit(vec![Guard::Fence(id, held.fence)], vec![insert(n + 3)]);
        assert!(matches!(one(&a, late).await, UnitResult::Refused(_)));
        let again = lease_one(&a, 9).await;
        assert_eq!(again.row.holder, Some(a.holder()));
    });
    let text = "do $$ begin assert (select max(a) - count(*) from t) = 1; end $$";
    server.query("t0", text).unwrap();
}
