//! `for_each` over the rows of a table: paged by a key, gone on with behind the last row.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::actions::argument;
use common::*;
use oncely_actions::{Database, Sql, SqlConfig};
use oncely_core::fact::Request;
use oncely_core::ledger::{Op, Unit};
use oncely_core::limits::RANGE_ITEMS;
use oncely_core::rows::{RowKey, RowsAt, cursor_name};
use oncely_core::task::ActionKind;
use std::sync::Arc;

promises! {
    rows_of_a_table_become_rows_of_another_each_once_and_keep_their_types,
    a_crash_at_each_boundary_loses_no_row_and_doubles_none,
    rows_that_come_and_go_shift_nothing,
    each_row_has_its_own_effect_and_a_crash_leaves_none_out,
    rows_that_were_being_worked_are_gone_on_with_as_they_were,
    settled_as_not_done_repeats_the_rows_as_they_were,
    a_paused_table_goes_on_behind_the_last_row,
    keys_that_are_no_keys_are_refused_by_name,
    a_select_that_cannot_be_paged_is_refused,
    texts_are_keys_by_their_bytes,
}

const MOVE: &str = "[[step]]\nid='s'\nfor_each={rows='select id, name, size from src where \
    size is not 13',key='id',db='shop'}\n[[step.do]]\nid='w'\nsql={db='shop',text='insert into t \
    values (:id, :name, :size, :n)',bind={id='{{ item.id }}',name='{{ item.name }}',\
    size='{{ item.size }}',n='{{ loop.index }}'}}";

const TELL: &str = "[[step]]\nid='s'\nfor_each={rows='select id, name from src',key='id',db='shop'}\n\
    [[step.do]]\nid='c'\ncommand=['x','{{ item.name }}']";

struct Shop {
    path: std::path::PathBuf,
    kit: Kit,
}

impl Shop {
    fn new(stage: &Stage, rows: usize) -> Self {
        let path = stage.root().join("shop.db");
        let mut kit = Kit::default();
        let config = SqlConfig {
            databases: [("shop".to_owned(), Database::Sqlite(path.clone()))].into(),
            sabotage_mark: false,
        };
        kit.others
            .insert(ActionKind::Sql, Arc::new(Sql::new(config)));
        let shop = Self { path, kit };
        shop.execute(&format!(
            "pragma journal_mode=wal; create table src (id integer primary key, name text, size any);
             create table t (id any, name any check (name is null or name not like '%7'), size any,
             n integer) strict;
             insert into src with recursive c (n) as (select 1 union all select n + 1 from c where
             n < {rows}) select n * 10, 'r' || n, n from c"
        ));
        shop
    }
    fn open(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }
    fn execute(&self, text: &str) {
        self.open().execute_batch(text).unwrap();
    }
    fn ids(&self) -> Vec<i64> {
        let db = self.open();
        let mut statement = db.prepare("select id from t order by n").unwrap();
        let ids = statement.query_map([], |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    }
}

/// The ids of the rows that the other table takes: what ends with 7 is set aside, so that the ledger
/// hears of each range.
fn taken(rows: usize) -> Vec<i64> {
    let ids = (1..=rows as i64).filter(|n| *n != 13 && n % 10 != 7);
    ids.map(|n| n * 10).collect()
}

fn fresh(stage: &Stage) -> Stage {
    match stage.is_memory() {
        true => Stage::memory(),
        false => Stage::sqlite(),
    }
}

fn moves(units: &[Unit]) -> bool {
    let mut ops = units.iter().flat_map(|u| &u.ops);
    ops.any(|op| matches!(op, Op::Items { .. }))
}

async fn stands(process: &Process, run: RunId) -> RowsAt {
    let name = cursor_name(run, &"s".into());
    let cursor = process.ask().cursor(name).await.unwrap().unwrap();
    serde_json::from_str(&cursor.0).unwrap()
}

async fn output(process: &Process, run: RunId) -> Value {
    let facts = process.facts(run).await;
    let output = facts.into_iter().rev().find_map(|fact| match fact {
        Fact::Outcome {
            outcome: Outcome::Done { output },
            ..
        } => Some(output),
        _ => None,
    });
    output.expect("no step is done")
}

async fn rows_of_a_table_become_rows_of_another_each_once_and_keep_their_types(stage: Stage) {
    let rows = 2 * RANGE_ITEMS + 10;
    let shop = Shop::new(&stage, rows);
    shop.execute(
        "update src set size = 1.5 where id = 10; update src set name = null where id = 20",
    );
    let process = stage.process(&[task(MOVE)], &shop.kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let wanted: Vec<i64> = taken(rows);
    assert_eq!(shop.ids(), wanted);
    let types: String = shop
        .open()
        .query_row(
            "select group_concat(typeof(id) || typeof(name) || typeof(size), ' ')
             from (select * from t order by n limit 3)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        types,
        "integertextreal integernullinteger integertextinteger"
    );
    let output = output(&process, run).await;
    assert_eq!(output["total"], json!(rows - 1));
    assert_eq!(output["done"], json!(wanted.len()));
    let at = stands(&process, run).await;
    assert_eq!(at.key, Some(RowKey::Int(rows as i64 * 10)));
    assert_eq!(at.total, Some(rows as u64 - 1));
}

fn dies_after_its_threads(process: Process, run: RunId) -> Process {
    std::thread::spawn(move || {
        common::stage::run(process.drive_to_death(run));
        process
    })
    .join()
    .unwrap()
}

async fn a_crash_at_each_boundary_loses_no_row_and_doubles_none(stage: Stage) {
    let rows = 3 * RANGE_ITEMS + 5;
    for nth in 0..4 {
        for after in [false, true] {
            let other = fresh(&stage);
            let shop = Shop::new(&other, rows);
            let first = other.process(&[task(MOVE)], &shop.kit);
            let run = first.admit("k").await;
            let mut seen = 0;
            first.tap.fate(move |units| {
                seen += usize::from(moves(units));
                match (moves(units) && seen == nth + 1, after) {
                    (true, true) => Fate::CutAfter,
                    (true, false) => Fate::CutBefore,
                    _ => Fate::Pass,
                }
            });
            let first = dies_after_its_threads(first, run);
            let heir = other.process(&[task(MOVE)], &shop.kit);
            first.dies(&heir).await;
            if heir.status(run).await != RunStatus::Done {
                assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
            }
            let wanted: Vec<i64> = taken(rows);
            assert_eq!(shop.ids(), wanted, "{nth} {after}");
        }
    }
}

/// What a mark of the rows' own database would shift, a key does not.
async fn rows_that_come_and_go_shift_nothing(stage: Stage) {
    let shop = Shop::new(&stage, 3 * RANGE_ITEMS);
    let first = stage.process(&[task(MOVE)], &shop.kit);
    let run = first.admit("k").await;
    first.tap.fate(|units| match moves(units) {
        true => Fate::CutAfter,
        false => Fate::Pass,
    });
    let first = dies_after_its_threads(first, run);
    let done = shop.ids().len() as i64;
    assert!(done < 3 * RANGE_ITEMS as i64 - 1, "{done}");
    // All that was done goes, some comes before, in between and behind.
    shop.execute(
        "delete from src where id <= 5000; insert into src values (1, 'a', 1), (29995, 'b', 1),
         (40000, 'c', 1)",
    );
    let heir = stage.process(&[task(MOVE)], &shop.kit);
    first.dies(&heir).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    let mut wanted: Vec<i64> = taken(3 * RANGE_ITEMS);
    let last = wanted.pop().unwrap();
    wanted.extend([29_995, last, 40_000]);
    assert_eq!(shop.ids(), wanted);
}

async fn each_row_has_its_own_effect_and_a_crash_leaves_none_out(stage: Stage) {
    let shop = Shop::new(&stage, 70);
    shop.kit.command.is(Repeat::WithKey {
        window_ms: 3_600_000,
    });
    let first = stage.process(&[task(TELL)], &shop.kit);
    let run = first.admit("k").await;
    let mut seen = 0;
    first.tap.fate(move |units| {
        seen += usize::from(moves(units));
        match moves(units) && seen == 2 {
            true => Fate::CutBefore,
            false => Fate::Pass,
        }
    });
    first.drive_to_death(run).await;
    let heir = stage.process(&[task(TELL)], &shop.kit);
    first.dies(&heir).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    let mut names = shop.kit.command.args();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 70);
    assert_eq!(output(&heir, run).await["done"], json!(70));
}

/// A row that comes before those in flight would take the number of one of them.
async fn rows_that_were_being_worked_are_gone_on_with_as_they_were(stage: Stage) {
    let shop = Shop::new(&stage, 40);
    shop.kit.command.is(Repeat::WithKey {
        window_ms: 3_600_000,
    });
    let first = stage.process(&[task(TELL)], &shop.kit);
    let run = first.admit("k").await;
    first.tap.fate(|units| match moves(units) {
        true => Fate::CutBefore,
        false => Fate::Pass,
    });
    first.drive_to_death(run).await;
    let before = shop.kit.command.keys();
    assert_eq!(before.len(), 32);
    shop.execute(
        "delete from src where id in (10, 20, 30); insert into src values (5, 'early', 1), (15,
         'between', 1), (500, 'late', 1); update src set name = 'changed' where id = 40",
    );
    let heir = stage.process(&[task(TELL)], &shop.kit);
    first.dies(&heir).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    let (mut names, mut keys) = (shop.kit.command.args(), shop.kit.command.keys());
    names.sort();
    names.dedup();
    keys.sort();
    keys.dedup();
    assert_eq!((names.len(), keys.len()), (41, 41), "{names:?}");
    assert!(names.contains(&"late".into()) && !names.contains(&"early".into()));
    assert!(!names.contains(&"changed".into()), "{names:?}");
}

async fn settled_as_not_done_repeats_the_rows_as_they_were(stage: Stage) {
    let shop = Shop::new(&stage, 5);
    shop.kit.command.does(|call| match argument(call).as_str() {
        "r3" if call.attempt == 1 => Behaviour::Unknown,
        _ => Behaviour::Output(json!({})),
    });
    let process = stage.process(&[task(TELL)], &shop.kit);
    let (run, rest) = process.play("k").await;
    assert!(matches!(rest, Rest::Unknown { .. }), "{rest:?}");
    shop.execute("delete from src where id <= 20; update src set name = 'changed'");
    process
        .people
        .settle(run, None, None, "ann", "I looked")
        .await
        .unwrap();
    assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(
        shop.kit.command.args(),
        ["r1", "r2", "r3", "r4", "r5", "r3"]
    );
}

async fn a_paused_table_goes_on_behind_the_last_row(stage: Stage) {
    let shop = Shop::new(&stage, 40);
    let process = stage.process(&[task(TELL)], &shop.kit);
    let run = process.admit("k").await;
    let gate = Gate::default();
    let wait = gate.clone();
    shop.kit
        .command
        .does(move |_| Behaviour::Wait(wait.clone()));
    let pause = async {
        gate.come(32).await;
        let people = &process.people;
        people
            .request(run, Request::Pause, "ann", "wait")
            .await
            .unwrap();
        gate.open();
    };
    let (rest, ()) = tokio::join!(process.drive(run), pause);
    assert!(
        matches!(rest, Rest::Waiting { until: None, .. }),
        "{rest:?}"
    );
    assert_eq!(stands(&process, run).await.key, Some(RowKey::Int(320)));
    shop.execute("delete from src where id <= 330");
    let people = &process.people;
    people
        .request(run, Request::Resume, "ann", "go")
        .await
        .unwrap();
    assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    let wanted: Vec<String> = (1..=40)
        .filter(|n| *n != 33)
        .map(|n| format!("r{n}"))
        .collect();
    // Rows that are worked at the same time are in no order.
    let done = shop.kit.command.args();
    let ((before, after), wanted) = (done.split_at(32), wanted.split_at(32));
    assert_eq!(sorted(before), sorted(wanted.0));
    assert_eq!(sorted(after), sorted(wanted.1));
}

fn sorted(texts: &[String]) -> Vec<String> {
    let mut texts = texts.to_vec();
    texts.sort();
    texts
}

/// Drives a task over these rows; what it ended for.
async fn refusal(stage: &Stage, table: &str, each: &str) -> String {
    let other = fresh(stage);
    let shop = Shop::new(&other, 1);
    shop.execute(table);
    let text = format!(
        "[[step]]\nid='s'\nretry={{attempts=1}}\nfor_each={{{each},db='shop'}}\n[[step.do]]\nid='c'\ncommand=['x','{{{{ item.id }}}}']"
    );
    let process = other.process(&[task(&text)], &shop.kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed), "{each}");
    process.reason(run).await
}

async fn keys_that_are_no_keys_are_refused_by_name(stage: Stage) {
    let mut said = Vec::new();
    for table in [
        "create table k (id); insert into k values (1), (2), (2), (3)",
        "create table k (id); insert into k values (null), (1)",
        "create table k (id); insert into k values (1), (1.5)",
        "create table k (id); insert into k values ('a'), (x'00')",
    ] {
        said.push(refusal(&stage, table, "rows='select id from k',key='id'").await);
    }
    // Where a page ends nothing is passed over either: 32 rows are asked for at a time.
    let wide = "create table k (id); insert into k with recursive c (n) as (select 1 union all \
                select n + 1 from c where n < 40) select min(n, 32) + max(0, n - 33) from c";
    said.push(refusal(&stage, wide, "rows='select id from k',key='id'").await);
    insta::assert_snapshot!("rows_keys_refused", said.join("\n"));
}

async fn a_select_that_cannot_be_paged_is_refused(stage: Stage) {
    let mut said = Vec::new();
    for each in [
        "rows='select name from src',key='id'",
        "rows='select id, name as id from src',key='id'",
        "rows='select id from nowhere',key='id'",
        "rows='select id from src where id > :from',key='id'",
        "rows='select id from src',key='id',bind={from=1}",
        "rows='select id from oncely_marks',key='id'",
    ] {
        let table = "create table oncely_marks (id)";
        said.push(refusal(&stage, table, each).await);
    }
    insta::assert_snapshot!("rows_selects_refused", said.join("\n"));
}

async fn texts_are_keys_by_their_bytes(stage: Stage) {
    let shop = Shop::new(&stage, 1);
    // Where the comparison of the column counted, `A` and `a` would be one key.
    shop.execute(
        "create table c (code text collate nocase, n integer); insert into c with recursive c (n) as
         (select 1 union all select n + 1 from c where n < 40) select 'k' || char(64 + n), n from c",
    );
    let text = "[[step]]\nid='s'\nfor_each={rows='select code from c',key='code',db='shop'}\n\
                [[step.do]]\nid='c'\ncommand=['x','{{ item.code }}']";
    let process = stage.process(&[task(text)], &shop.kit);
    let (_, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let names = shop.kit.command.args();
    assert_eq!(names.len(), 40);
    assert!(names.is_sorted(), "{names:?}");
}
