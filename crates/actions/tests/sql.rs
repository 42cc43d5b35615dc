//! What the `sql` action promises, on real SQLite files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, kind};
use common::{call, failure, output};
use oncely_actions::{Database, Sql, SqlConfig};
use oncely_core::action::{Action as _, Call, Done, Failure, Statement};
use oncely_core::fact::Repeat;
use oncely_core::ids::Fence;
use oncely_core::items::{Cell, Marked, Progress, Range, RowError, RowSink, Rows, SetAside};
use oncely_core::limits::OUTPUT_BYTES;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Room {
    folder: TempDir,
    sql: Sql,
}

impl Room {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(sabotage_mark: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let file = Database::Sqlite(folder.path().join("results.db"));
        let databases = [
            ("results".to_owned(), file),
            ("ledger".to_owned(), Database::Ledger),
        ];
        let sql = Sql::new(SqlConfig {
            databases: databases.into(),
            sabotage_mark,
        });
        let room = Self { folder, sql };
        room.look(|db| {
            db.execute_batch("create table t (a integer unique, b)")
                .unwrap()
        });
        room
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("results.db")
    }

    fn look<T>(&self, look: impl FnOnce(&rusqlite::Connection) -> T) -> T {
        look(&rusqlite::Connection::open(self.path()).unwrap())
    }

    fn count(&self) -> i64 {
        self.look(|db| {
            db.query_row("select count(*) from t", [], |row| row.get(0))
                .unwrap()
        })
    }

    async fn done(&self, text: &str, bind: Value) -> Value {
        output(&self.sql, &step(text, bind)).await
    }

    async fn fails(&self, text: &str, bind: Value) -> Failure {
        failure(&self.sql, &step(text, bind)).await
    }

    fn sink(&self) -> Box<dyn RowSink> {
        let insert = step(
            "insert into t (a, b) values (:a, :b)",
            json!({"a": "", "b": ""}),
        );
        self.sql.rows(&insert).unwrap().unwrap()
    }
}

/// A step whose key differs from that of every other text.
fn step(text: &str, bind: Value) -> Call {
    let mut call = call(json!({"db": "results", "text": text, "bind": bind}));
    let hash = oncely_core::ids::ContentHash::of(format!("{text}{bind}").as_bytes());
    call.key.0 = hash.to_string().chars().take(32).collect();
    call
}

#[tokio::test]
async fn a_select_gives_rows_and_others_give_what_they_changed() {
    let room = Room::new();
    let insert = "insert into t (a, b) values (1, :b), (2, null)";
    assert_eq!(
        room.done(insert, json!({"b": "x"})).await,
        json!({"changed": 2})
    );
    assert_eq!(
        room.done("select a, b from t order by a", json!({})).await,
        json!({"rows": [{"a": 1, "b": "x"}, {"a": 2, "b": null}], "truncated": false})
    );
    let returning = "insert into t (a) values (3) returning a";
    assert_eq!(
        room.done(returning, json!({})).await,
        json!({"rows": [{"a": 3}], "truncated": false, "changed": 1})
    );
    assert_eq!(
        room.done("create table u (a)", json!({})).await,
        json!({"changed": 0})
    );
    let several = "insert into u values (1); update t set b = 'y'; create index i on t (b)";
    assert_eq!(room.done(several, json!({})).await, json!({"changed": 4}));
}

#[tokio::test]
async fn values_keep_their_type() {
    let room = Room::new();
    let bind = json!({"i": 7, "r": 1.5, "t": "x", "n": null, "y": true, "l": [1, {"a": 2}]});
    let select = "select :i i, :r r, :t t, :n n, :y y, :l l, x'01ff' blob";
    assert_eq!(
        room.done(select, bind).await["rows"][0],
        json!({"i": 7, "r": 1.5, "t": "x", "n": null, "y": 1, "l": "[1,{\"a\":2}]", "blob": "Af8="})
    );
}

#[tokio::test]
async fn the_same_parameter_may_stand_in_several_statements() {
    let room = Room::new();
    let text = "insert into t values (:a, :b); insert into t values (:a + 1, :b || :a)";
    room.done(text, json!({"a": 1, "b": "x"})).await;
    assert_eq!(
        room.done("select b from t where a = 2", json!({})).await["rows"][0]["b"],
        "x1"
    );
}

#[tokio::test]
async fn a_step_that_was_done_gives_its_output_again_and_executes_nothing() {
    let room = Room::new();
    let call = step(
        "insert into t (a) values (1) returning a, random() r",
        json!({}),
    );
    assert_eq!(room.sql.repeat(&call), Repeat::Safe);
    let first = output(&room.sql, &call).await;
    // Another process, another ledger, a later claim: the mark is the same.
    let mut later = call.clone();
    let mut site = (*later.site).clone();
    site.fence = Fence(9);
    site.ledger = "restored".into();
    later.site = Arc::new(site);
    assert_eq!(output(&room.sql, &later).await, first);
    assert_eq!(room.count(), 1);
}

#[tokio::test]
async fn a_key_of_another_effect_is_another_effect() {
    let room = Room::new();
    let mut call = step("insert into t (b) values ('x')", json!({}));
    output(&room.sql, &call).await;
    call.key.0 = "f".repeat(32);
    output(&room.sql, &call).await;
    assert_eq!(room.count(), 2);
}

#[tokio::test]
async fn many_rows_are_bounded_and_say_so() {
    let room = Room::new();
    let series = "with recursive s(n) as (select 1 union all select n + 1 from s where n < :n) ";
    let many = room
        .done(&format!("{series} select n from s"), json!({"n": 5000}))
        .await;
    assert_eq!(
        (many["rows"].as_array().unwrap().len(), &many["truncated"]),
        (1000, &json!(true))
    );
    let wide = format!("{series} select n, hex(zeroblob(500)) h from s");
    let wide = room.done(&wide, json!({"n": 500})).await;
    assert_eq!(wide["truncated"], true);
    assert!(wide.to_string().len() <= OUTPUT_BYTES);
    let all = format!("{series} insert into t (a) select n from s returning a");
    assert_eq!(room.done(&all, json!({"n": 3000})).await["changed"], 3000);
    assert_eq!(room.count(), 3000);
}

#[tokio::test]
async fn failures_say_what_is_wrong() {
    let room = Room::new();
    let said = |failure: Failure| format!("{:?}: {}", kind(&failure), failure.error());
    let insert = "insert into t (a) values (:a)";
    insta::assert_snapshot!(said(room.fails(insert, json!({})).await), @"Permanent: the statement asks for :a, which `bind` does not give; nothing was changed");
    insta::assert_snapshot!(said(room.fails(insert, json!({"a": 1, "c": 2, "d": 3})).await), @"Permanent: `bind` gives :c, :d, which the statement does not ask for; nothing was changed");
    insta::assert_snapshot!(said(room.fails("insert into t (a) values (?)", json!({})).await), @"Permanent: a parameter has no name: write :name instead of ?");
    insta::assert_snapshot!(said(room.fails(insert, json!({"a": u64::MAX})).await), @"Permanent: :a cannot be bound: 18446744073709551615 is larger than a database's integer");
    insta::assert_snapshot!(said(room.fails("select * from none", json!({})).await), @"Permanent: no such table: none");
    insta::assert_snapshot!(said(room.fails("selec 1", json!({})).await), @r#"Permanent: near "selec": syntax error"#);
    insta::assert_snapshot!(said(room.fails(" -- nothing\n", json!({})).await), @"Permanent: the text holds no statement");
    insta::assert_snapshot!(said(room.fails("insert into t (a) values (1), (1)", json!({})).await), @"Permanent: the database refused it: UNIQUE constraint failed: t.a");
    insta::assert_snapshot!(said(room.fails("commit", json!({})).await), @"Permanent: the statement does what a task may not: not authorized; no BEGIN, COMMIT, SAVEPOINT, ATTACH or PRAGMA, and nothing about oncely_marks: the transaction is oncely's");
    let other = call(json!({"db": "other", "text": "select 1"}));
    insta::assert_snapshot!(said(failure(&room.sql, &other).await), @r#"Permanent: there is no database named "other": add [db.other] to oncely.toml; known are ledger, results"#);
}

#[tokio::test]
async fn statements_may_not_leave_the_transaction_or_touch_the_marks() {
    let room = Room::new();
    room.done("insert into t (a) values (1)", json!({})).await;
    for text in [
        "begin",
        "commit",
        "end",
        "rollback",
        "savepoint x",
        "release x",
        "attach 'x.db' as x",
        "attach 'x' || '.db' as x",
        "detach x",
        "pragma synchronous = off",
        "select * from pragma_table_info('t')",
        "vacuum into 'x.db'",
        "select * from oncely_marks",
        "delete from ONCELY_MARKS",
        "drop table oncely_marks",
        "update main.oncely_marks set fence = 0",
        "alter table oncely_marks rename to x",
        "create trigger x after insert on oncely_marks begin select 1; end",
        "create temp table oncely_marks (a)",
        "create index x on oncely_marks (run)",
        "create temp view oncely_marks as select 1",
        "create view v as select * from oncely_marks; select * from v",
        "create trigger x after insert on t begin delete from oncely_marks; end; insert into t (a) values (5)",
        "select load_extension('x')",
    ] {
        let got = room
            .fails(&format!("insert into t (a) values (9); {text}"), json!({}))
            .await;
        assert_eq!(kind(&got), Expected::Permanent, "{text}: {got:?}");
    }
    assert_eq!(room.count(), 1);
    assert!(!room.folder.path().join("x.db").exists());
}

#[tokio::test]
async fn a_statement_that_rolls_back_by_itself_leaves_nothing() {
    let room = Room::new();
    let text = "insert into t (a) values (1); insert or rollback into t (a) values (1)";
    assert_eq!(
        kind(&room.fails(text, json!({})).await),
        Expected::Permanent
    );
    assert_eq!(room.count(), 0);
    assert_eq!(
        room.done("insert into t (a) values (2)", json!({})).await["changed"],
        1
    );
}

#[tokio::test]
async fn a_statement_without_end_is_stopped_with_its_time() {
    let room = Room::new();
    let endless = "with recursive s(n) as (select 1 union all select n + 1 from s) \
                   insert into t (b) select n from s";
    let mut call = step(endless, json!({}));
    call.timeout = Duration::from_millis(100);
    let got = failure(&room.sql, &call).await;
    assert_eq!(kind(&got), Expected::Retry);
    insta::assert_snapshot!(got.error(), @"the statement took longer than the step may take; nothing was changed");
    assert_eq!(room.count(), 0);
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named() {
    let sql = Sql::new(SqlConfig {
        databases: [(
            "results".to_owned(),
            Database::Sqlite("/none/results.db".into()),
        )]
        .into(),
        sabotage_mark: false,
    });
    let got = failure(&sql, &step("select 1", json!({}))).await;
    insta::assert_snapshot!(got.error(), @"the database /none/results.db cannot be opened: unable to open database file: /none/results.db; nothing was changed");
}

#[tokio::test]
async fn the_ledgers_own_database_is_left_to_the_ledger() {
    let room = Room::new();
    let text = "insert into t values (:a)";
    let call = call(json!({"db": "ledger", "text": text, "bind": {"a": 1}}));
    let done = room.sql.run(&call).await.unwrap();
    let statement = Statement {
        text: text.into(),
        bind: vec![("a".into(), json!(1))],
    };
    assert_eq!(
        done,
        Done::InCommit {
            statements: vec![statement],
        }
    );
    assert!(room.sql.rows(&call).is_none());
}

// Rows of a `do` block.

fn rows(range: std::ops::Range<i64>) -> Rows {
    let mut rows = Rows::new(2);
    for n in range {
        rows.push(Cell::Int(n));
        rows.push(Cell::Text("text"));
    }
    rows
}

fn at(next: u64) -> Progress {
    Progress {
        next,
        offset: next * 10,
        line: next + 1,
        done: next,
        set_aside: 0,
        unseen: next * 2,
    }
}

fn commit(sink: &mut dyn RowSink, from: u64, to: u64, fence: i64) -> Result<(), RowError> {
    sink.commit(&Range {
        from: &at(from),
        to: &at(to),
        rows: &rows(from.cast_signed()..to.cast_signed()),
        set_aside: &[],
        fence: Fence(fence),
        key: None,
    })
}

#[test]
fn ranges_are_written_with_their_mark() {
    let room = Room::new();
    let mut sink = room.sink();
    assert_eq!(sink.columns(), ["a", "b"]);
    assert_eq!(sink.open(Fence(3)).unwrap(), Marked::default());
    commit(&mut *sink, 0, 1000, 3).unwrap();
    commit(&mut *sink, 1000, 1500, 3).unwrap();
    assert_eq!((room.count(), sink.commits()), (1500, 3));
    assert_eq!(room.sink().open(Fence(4)).unwrap().progress, at(1500));
}

#[test]
fn a_range_that_was_written_is_not_written_again() {
    let room = Room::new();
    let mut sink = room.sink();
    sink.open(Fence(3)).unwrap();
    commit(&mut *sink, 0, 10, 3).unwrap();
    assert_eq!(commit(&mut *sink, 0, 10, 3), Err(RowError::Lost));
    assert_eq!(commit(&mut *sink, 20, 30, 3), Err(RowError::Lost));
    assert_eq!(room.count(), 10);
}

#[test]
fn who_lost_the_mark_to_a_later_claim_writes_nothing_more() {
    let room = Room::new();
    let (mut old, mut new) = (room.sink(), room.sink());
    old.open(Fence(3)).unwrap();
    commit(&mut *old, 0, 10, 3).unwrap();
    assert_eq!(new.open(Fence(4)).unwrap().progress.next, 10);
    assert_eq!(commit(&mut *old, 10, 20, 3), Err(RowError::Lost));
    let got = old.open(Fence(3)).unwrap_err();
    insta::assert_snapshot!(got.error(), @"a later claim writes these rows: this one has lost the run");
    commit(&mut *new, 10, 20, 4).unwrap();
    assert_eq!(room.count(), 20);
}

#[test]
fn without_the_guard_of_the_mark_rows_are_written_twice() {
    let room = Room::with(true);
    room.look(|db| {
        db.execute_batch("drop table t; create table t (a, b)")
            .unwrap()
    });
    let mut sink = room.sink();
    sink.open(Fence(3)).unwrap();
    commit(&mut *sink, 0, 10, 3).unwrap();
    commit(&mut *sink, 0, 10, 3).unwrap();
    assert_eq!(room.count(), 20);
}

#[test]
fn a_mark_of_another_ledger_is_taken_over_where_it_stands() {
    let room = Room::new();
    let mut sink = room.sink();
    sink.open(Fence(900)).unwrap();
    commit(&mut *sink, 0, 10, 900).unwrap();
    let mut call = step(
        "insert into t (a, b) values (:a, :b)",
        json!({"a": "", "b": ""}),
    );
    let mut site = (*call.site).clone();
    site.ledger = "ledger-b".into();
    call.site = Arc::new(site);
    let mut restored = room.sql.rows(&call).unwrap().unwrap();
    assert_eq!(restored.open(Fence(1)).unwrap().progress.next, 10);
    commit(&mut *restored, 10, 20, 1).unwrap();
    assert_eq!(room.count(), 20);
}

#[test]
fn refused_rows_are_named_all_at_once_and_nothing_is_written() {
    let room = Room::new();
    room.look(|db| {
        db.execute_batch("insert into t (a) values (3), (7)")
            .unwrap()
    });
    let mut sink = room.sink();
    sink.open(Fence(3)).unwrap();
    let refused = commit(&mut *sink, 0, 10, 3).unwrap_err();
    let reason = "UNIQUE constraint failed: t.a".to_owned();
    let both = vec![(3, reason.clone()), (7, reason)];
    assert_eq!(refused, RowError::Rows(both));
    assert_eq!(room.count(), 2);
    room.look(|db| db.execute_batch("delete from t where a = 3").unwrap());
    // The rest without it, and why it is missing, in one commit.
    let set_aside = [SetAside {
        item: 7,
        line: Some(9),
        input: "7,text".into(),
        reason: "UNIQUE".into(),
    }];
    sink.commit(&Range {
        from: &at(0),
        to: &at(10),
        rows: &rows(0..7),
        set_aside: &set_aside,
        fence: Fence(3),
        key: None,
    })
    .unwrap();
    let marked = room.sink().open(Fence(4)).unwrap();
    assert_eq!(
        (marked.progress.next, marked.last_set_aside),
        (10, set_aside.to_vec())
    );
    assert_eq!(room.count(), 8);
}

#[test]
fn a_refused_row_leaves_nothing_that_would_refuse_another() {
    let room = Room::new();
    room.look(|db| {
        db.execute_batch("create table u (a integer check (a <> 3), b text)")
            .unwrap();
    });
    // The first statement takes the row, the second refuses it: the row of the same number that
    // follows must find its place free.
    let text = "insert into t (a, b) values (:a % 4, :b); insert into u (a, b) values (:a, :b)";
    let call = step(text, json!({"a": "", "b": ""}));
    let mut sink = room.sql.rows(&call).unwrap().unwrap();
    sink.open(Fence(3)).unwrap();
    let RowError::Rows(refused) = commit(&mut *sink, 0, 8, 3).unwrap_err() else {
        panic!("rows were refused");
    };
    let places: Vec<usize> = refused.iter().map(|(row, _)| *row).collect();
    assert_eq!(places, [3, 4, 5, 6], "{refused:?}");
    assert_eq!(room.count(), 0);
}

#[test]
fn a_function_that_cannot_digest_a_row_refuses_that_row_only() {
    let room = Room::new();
    let text = "insert into t (a, b) values (:a, json_extract(:b, '$.x'))";
    let call = step(text, json!({"a": "", "b": ""}));
    let mut sink = room.sql.rows(&call).unwrap().unwrap();
    sink.open(Fence(3)).unwrap();
    let got = commit(&mut *sink, 0, 10, 3).unwrap_err();
    assert_eq!(
        got,
        RowError::Rows((0..10).map(|row| (row, "malformed JSON".into())).collect())
    );
    room.look(|db| db.execute_batch("drop table t").unwrap());
    let got = commit(&mut *sink, 0, 10, 3).unwrap_err();
    assert!(
        matches!(got, RowError::Failed(Failure::Permanent { .. })),
        "{got:?}"
    );
}

#[test]
fn statements_for_rows_are_checked_before_the_first_row() {
    let room = Room::new();
    room.sink().open(Fence(1)).unwrap();
    let refused = |text: &str, bind| {
        let got = room.sql.rows(&step(text, bind)).unwrap();
        got.err()
            .map(|failure| failure.error().to_owned())
            .unwrap_or_default()
    };
    insta::assert_snapshot!(refused("insert into t (a) values (:a)", json!({"a": 1, "b": 2})), @"`bind` gives :b, which the statement does not ask for; nothing was changed");
    insta::assert_snapshot!(refused("insert into t (a) values (:a) returning a", json!({"a": 1})), @"a statement for the items of a `for_each` gives rows, which nobody would read: leave out `returning`, or select in a step of its own");
    assert!(refused("delete from oncely_marks", json!({})).contains("may not"));
    assert!(refused("commit", json!({})).contains("may not"));
    assert!(refused("", json!({})).contains("no statement"));
}

#[test]
fn several_statements_take_their_columns_by_name() {
    let room = Room::new();
    let text = "insert into t (a, b) values (:a, :b); update t set b = :b || :b where a = :a";
    let mut sink = room
        .sql
        .rows(&step(text, json!({"b": "", "a": ""})))
        .unwrap()
        .unwrap();
    assert_eq!(sink.columns(), ["b", "a"]);
    sink.open(Fence(1)).unwrap();
    let mut rows = Rows::new(2);
    for n in 0..3 {
        rows.push(Cell::Text("x"));
        rows.push(Cell::Int(n));
    }
    let (from, to) = (at(0), at(3));
    let range = Range {
        from: &from,
        to: &to,
        rows: &rows,
        set_aside: &[],
        fence: Fence(1),
        key: None,
    };
    sink.commit(&range).unwrap();
    let all = "select group_concat(b) from t";
    let all: String = room.look(|db| db.query_row(all, [], |row| row.get(0)).unwrap());
    assert_eq!(all, "xx,xx,xx");
}

/// Run in release: `cargo test --release -p oncely-actions --test sql -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn rows_are_written_nearly_as_fast_as_by_hand() {
    const RANGES: u64 = 200;
    let text = "insert into predictions (object, line, label, score) values (:object, :line, :label, :score)";
    let table = "create table predictions (object text, line integer, label text, score real)";
    let mut batch = Rows::new(4);
    for n in 0..1000 {
        batch.push(Cell::Text("inbox/2026-11-22.csv"));
        batch.push(Cell::Int(n));
        batch.push(Cell::Text(">50K"));
        batch.push(Cell::Real(0.25 + n as f64 / 1e5));
    }
    let bare = || {
        let room = Room::new();
        let db = rusqlite::Connection::open(room.path()).unwrap();
        db.execute_batch("pragma journal_mode = wal; pragma synchronous = full")
            .unwrap();
        db.execute_batch(table).unwrap();
        let begun = Instant::now();
        for _ in 0..RANGES {
            db.execute_batch("begin immediate").unwrap();
            let mut insert = db.prepare_cached(text).unwrap();
            for n in 0..1000_i64 {
                let score = 0.25 + n as f64 / 1e5;
                insert
                    .execute(("inbox/2026-11-22.csv", n, ">50K", score))
                    .unwrap();
            }
            drop(insert);
            db.execute_batch("commit").unwrap();
        }
        begun.elapsed()
    };
    let ours = || {
        let room = Room::new();
        room.look(|db| db.execute_batch(table).unwrap());
        let bind = json!({"object": "", "line": "", "label": "", "score": ""});
        let mut sink = room.sql.rows(&step(text, bind)).unwrap().unwrap();
        sink.open(Fence(1)).unwrap();
        let begun = Instant::now();
        for range in 0..RANGES {
            let (from, to) = (at(range * 1000), at((range + 1) * 1000));
            sink.commit(&Range {
                from: &from,
                to: &to,
                rows: &batch,
                set_aside: &[],
                fence: Fence(1),
                key: None,
            })
            .unwrap();
        }
        begun.elapsed()
    };
    for _ in 0..5 {
        let (bare, ours) = (bare(), ours());
        let rate = |took: Duration| RANGES as f64 * 1000.0 / took.as_secs_f64();
        let part = 100.0 * bare.as_secs_f64() / ours.as_secs_f64();
        println!(
            "by hand {:.0} rows/s, the sink {:.0} rows/s: {part:.0} %",
            rate(bare),
            rate(ours)
        );
    }
}

#[tokio::test]
async fn the_mark_says_whether_it_was_done() {
    use oncely_core::action::Probe;
    let room = Room::new();
    let insert = step("insert into t (a) values (:a) returning a", json!({"a": 1}));
    assert_eq!(room.sql.probe(&insert).await, Probe::DidNotHappen);
    let done = output(&room.sql, &insert).await;
    assert_eq!(room.sql.probe(&insert).await, Probe::Happened(done));
    assert_eq!(room.count(), 1, "it only looks");
    let other = Call {
        key: oncely_core::effect::EffectKey("another".into()),
        ..insert
    };
    assert_eq!(room.sql.probe(&other).await, Probe::DidNotHappen);
}
