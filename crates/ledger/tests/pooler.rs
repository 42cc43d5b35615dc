//! A ledger behind PgBouncer: in session mode it works, in transaction mode it is refused before anything
//! is changed. The tests fail where PostgreSQL or PgBouncer is not installed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ids::RunId;
use oncely_core::ledger::UnitResult;
use oncely_ledger::conformance::stage::{self, run};
use oncely_ledger::conformance::{Pooler, Server};
use oncely_ledger::{PostgresLedger, PostgresOptions};

fn options() -> PostgresOptions {
    PostgresOptions {
        create: true,
        ..PostgresOptions::new("test")
    }
}

#[test]
fn a_pooler_in_transaction_mode_is_refused_before_anything_is_changed() {
    let server = Server::start(&[]);
    let direct = server.database();
    let pooler = Pooler::start(&server, "transaction");
    let refused = PostgresLedger::open(&pooler.url(&direct), options());
    let words = refused.err().unwrap().to_string();
    let place = words.split(" is behind").next().unwrap();
    insta::assert_snapshot!(words.replace(place, "PostgreSQL [place]"));
    let none = "do $$ begin assert to_regclass('oncely_meta') is null; end $$";
    server.query("t0", none).unwrap();
}

#[test]
fn a_pooler_in_session_mode_serves() {
    let server = Server::start(&[]);
    let direct = server.database();
    let pooler = Pooler::start(&server, "session");
    let a = PostgresLedger::open(&pooler.url(&direct), options()).unwrap();
    let b = PostgresLedger::open(&direct, options()).unwrap();
    run(async {
        let table = stage::sql("create table t (a bigint)", &[]);
        stage::apply(&a, stage::unit(vec![], vec![table])).await;
        for key in 0..20 {
            let mut unit = stage::admit(&key.to_string());
            unit.ops.push(stage::sql("insert into t values (1)", &[]));
            stage::admitted(&a, unit).await;
        }
        assert_eq!(stage::lease(&a, stage::claim(9)).await.len(), 20);
        let again = stage::one(&b, stage::admit("0")).await;
        assert_eq!(again, UnitResult::Duplicate(RunId(1)));
    });
    drop((a, b));
    let once = "do $$ begin assert (select count(*) from t) = 20; end $$";
    server.query("t0", once).unwrap();
}
