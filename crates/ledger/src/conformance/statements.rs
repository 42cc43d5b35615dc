//! Promises about statements of tasks on the ledger's own database.

use super::stage::*;
use oncely_core::Value;
use oncely_core::action::Statement;
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{Filter, Guard, Ledger, Op, Unit, UnitResult};
use oncely_core::run::RunStatus;
use serde_json::json;

async fn failed<L: Ledger>(ledger: &L, op: Op) -> String {
    match one(ledger, unit(vec![], vec![op])).await {
        UnitResult::SqlFailed(words) => words,
        other => panic!("did not fail: {other:?}"),
    }
}

async fn table<L: Ledger>(ledger: &L) {
    apply(
        ledger,
        unit(
            vec![],
            vec![sql("create table if not exists t (a primary key, b)", &[])],
        ),
    )
    .await;
}

fn insert(a: i64) -> Op {
    sql("insert into t (a, b) values (:a, 'x')", &[("a", json!(a))])
}

/// Fails unless the table holds exactly so many rows.
fn rows(n: i64) -> Unit {
    let text = "select case when (select count(*) from t) = :n then 1 else json('no') end";
    unit(vec![], vec![sql(text, &[("n", json!(n))])])
}

pub async fn statements_share_the_commit(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 5).await.fence;
    let run = RunId(1);
    apply(
        &a,
        unit(
            vec![Guard::Fence(run, fence)],
            vec![
                insert(1),
                facts(run, 5, vec![began(), intent(fence), outcome()]),
                stand(run, RunStatus::Done, None, false),
            ],
        ),
    )
    .await;
    apply(&a, rows(1)).await;
    assert_eq!(failed(&a, insert(1)).await, "UNIQUE constraint failed: t.a");
}

pub async fn a_failed_statement_leaves_no_trace(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    let before = stores.export(&a);
    let mut wrong = admit("k");
    wrong.ops.extend([insert(1), insert(2), insert(1)]);
    let results = a.commit(vec![wrong, admit("l")]).await.unwrap();
    assert!(
        matches!(&results[0], UnitResult::SqlFailed(_)),
        "{results:?}"
    );
    assert!(matches!(&results[1], UnitResult::Applied(x) if x.run == Some(RunId(1))));
    apply(&a, rows(0)).await;
    assert_ne!(stores.export(&a), before);
    assert!(
        matches!(one(&a, admit("k")).await, UnitResult::Applied(_)),
        "the key is free"
    );
}

pub async fn a_statement_that_ends_the_transaction_takes_no_other_with_it(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    apply(&a, unit(vec![], vec![insert(1)])).await;
    let rogue = |n| {
        unit(
            vec![],
            vec![
                insert(n),
                sql("insert or rollback into t (a) values (1)", &[]),
            ],
        )
    };
    let units = vec![
        admit("k"),
        rogue(2),
        admit("l"),
        rogue(3),
        unit(vec![], vec![insert(4)]),
    ];
    let results = a.commit(units).await.unwrap();
    let applied: Vec<bool> = results
        .iter()
        .map(|r| matches!(r, UnitResult::Applied(_)))
        .collect();
    assert_eq!(applied, [true, false, true, false, true], "{results:?}");
    assert_eq!(
        results[1],
        UnitResult::SqlFailed("UNIQUE constraint failed: t.a".into())
    );
    assert_eq!(all(&a, Filter::default()).await.len(), 2);
    apply(&a, rows(2)).await;
}

pub async fn statements_cannot_touch_the_ledger(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    admitted(&a, admit("k")).await;
    let before = stores.export(&a);
    for text in [
        "select * from oncely_runs",
        // Word for word what the store itself asks in each transaction.
        "select coalesce(max(id), 0) + 1 from oncely_runs",
        "select count(*) from ONCELY_FACTS",
        "update oncely_runs set status = 4",
        "delete from \"oncely_keys\"",
        "insert into oncely_cursors values ('a', 'b')",
        "drop table oncely_facts",
        "drop trigger oncely_facts_stay",
        "drop index oncely_runs_due",
        "alter table oncely_runs add column x",
        "create table oncely_mine (a)",
        "create index mine on oncely_runs (status)",
        "create trigger mine after insert on oncely_runs begin select 1; end",
        "insert into t (a) select id from oncely_runs",
        "with x as (select id from oncely_runs) select * from x",
        "reindex oncely_runs_due",
        "create temp table oncely_runs (id)",
    ] {
        let words = failed(&a, sql(text, &[])).await;
        let refused = words.contains("prohibited") || words.contains("not authorized");
        assert!(refused, "{text}: {words}");
    }
    apply(
        &a,
        unit(
            vec![],
            vec![
                sql("create view v as select id from oncely_runs", &[]),
                sql(
                    "create trigger g after insert on t begin delete from oncely_facts; end",
                    &[],
                ),
            ],
        ),
    )
    .await;
    failed(&a, sql("select * from v", &[])).await;
    failed(&a, insert(1)).await;
    assert_eq!(stores.export(&a), before);
}

pub async fn statements_cannot_leave_their_place(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    for text in [
        "commit",
        "rollback",
        "begin",
        "savepoint mine",
        "release unit",
        "rollback to unit",
        "attach ':memory:' as other",
        "detach main",
        "pragma user_version = 7",
        "pragma synchronous = off",
        "vacuum",
        "create temp table mine (a)",
        "select 1; commit",
        "create table mine (a); pragma user_version = 7",
    ] {
        failed(&a, sql(text, &[])).await;
    }
    // Several in one text are fine, and a later one may need what an earlier one makes.
    let several = "create table several (a); insert into several values (:a)";
    apply(&a, unit(vec![], vec![sql(several, &[("a", json!(1))])])).await;
    let mut later = admit("k");
    later.ops.push(insert(1));
    apply(&a, later).await;
}

pub async fn parameters_are_bound_by_name(stores: &impl Stores) {
    let a = stores.open();
    let given: [(&str, Value); 7] = [
        ("nothing", Value::Null),
        ("yes", json!(true)),
        ("int", json!(-5)),
        ("real", json!(1.5)),
        ("text", json!("it's")),
        ("list", json!([1, "a"])),
        ("object", json!({"b": 1, "a": null})),
    ];
    let text = "select case when :nothing is null and :yes = 1 and :int = -5 and :real = 1.5
        and :text = 'it''s' and :list = '[1,\"a\"]' and :object = '{\"b\":1,\"a\":null}'
        and :yes = 1 then 1 else json('no') end";
    apply(&a, unit(vec![], vec![sql(text, &given)])).await;
    let words = failed(&a, sql("select :a, :b", &[("a", json!(1))])).await;
    assert_eq!(words, "parameter :b is not given in bind");
    let words = failed(&a, sql("select :a", &[("a", json!(1)), ("c", json!(1))])).await;
    assert_eq!(words, "bind gives c, which the statement does not use");
    let words = failed(&a, sql("select ?", &[])).await;
    assert_eq!(words, "parameter 1 has no name; write it as :name");
    let words = failed(&a, sql("selec 1", &[])).await;
    assert_eq!(words, "near \"selec\": syntax error");
}

pub async fn a_guard_comes_before_the_statement(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    let run = admitted(&a, admit("k")).await;
    let late = unit(vec![Guard::Fence(run, Fence(0))], vec![insert(1)]);
    assert!(matches!(one(&a, late).await, UnitResult::Refused(_)));
    let mut known = admit("k");
    known.ops.push(insert(1));
    assert!(matches!(one(&a, known).await, UnitResult::Duplicate(_)));
    apply(&a, rows(0)).await;
}

pub async fn a_constraint_that_speaks_up_at_the_end_fails_its_unit_alone(stores: &impl Stores) {
    let a = stores.open();
    table(&a).await;
    let text = "create table child (a references t (a) deferrable initially deferred)";
    apply(&a, unit(vec![], vec![sql(text, &[])])).await;
    let orphan = unit(vec![], vec![sql("insert into child values (9)", &[])]);
    let statements = vec![Statement {
        text: "insert into child values (5)".into(),
        bind: vec![],
    }];
    let child = unit(vec![], vec![Op::Sql(statements), insert(5)]);
    let results = a.commit(vec![admit("k"), orphan, child]).await.unwrap();
    assert!(matches!(results[0], UnitResult::Applied(_)));
    assert_eq!(
        results[1],
        UnitResult::SqlFailed("FOREIGN KEY constraint failed".into())
    );
    assert!(matches!(results[2], UnitResult::Applied(_)), "{results:?}");
    apply(&a, rows(1)).await;
}
