//! `for_each`: rows in ranges with a mark, effects with an intent and an outcome for each item.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::actions::argument;
use common::*;
use oncely_actions::{Database, Sql, SqlConfig};
use oncely_core::fact::Request;
use oncely_core::ledger::{Op, Unit};
use oncely_core::limits::RANGE_ITEMS;
use oncely_core::task::ActionKind;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

promises! {
    rows_are_written_once_each_in_ranges,
    rows_that_are_refused_are_set_aside_with_input_and_reason,
    a_crash_at_each_boundary_loses_no_row_and_no_set_aside_item,
    what_a_claim_finds_done_is_not_its_progress,
    a_cancelled_stream_stops_at_a_range_and_a_paused_one_goes_on_there,
    a_second_claim_takes_the_mark_and_the_first_is_told,
    a_stopped_stream_is_given_back_at_a_range_without_counting,
    a_range_with_more_refused_rows_than_good_ones_keeps_both,
    what_cannot_be_read_is_said,
    lists_lines_and_jsonl_are_items_too,
    an_empty_list_is_done_at_once,
    ten_items_have_ten_keys_with_an_intent_and_an_outcome_each,
    a_crash_in_the_middle_leaves_unkeyed_items_unknown_and_does_the_rest,
    a_crash_in_the_middle_repeats_keyed_items_with_their_keys,
    settled_as_not_done_repeats_exactly_the_items_in_doubt,
    a_crash_while_items_are_done_again_forgets_none_and_repeats_none,
    a_failed_repeat_leaves_an_item_in_doubt,
    items_wait_for_the_last_attempt_before_they_believe_that_nothing_happened,
    a_paused_list_goes_on_where_it_was,
}

const ROWS: &str = "[[step]]\nid='s'\nfor_each={read='in.csv',as='csv'}\n[[step.do]]\nid='w'\n\
    sql={db='results',text='insert into t values (:a, :n)',bind={a='{{ item.a }}',n='{{ loop.index }}'}}";

fn csv(rows: usize) -> String {
    let mut text = "a\n".to_owned();
    for row in 0..rows {
        writeln!(text, "v{row}").unwrap();
    }
    text
}

struct Results {
    path: std::path::PathBuf,
    kit: Kit,
}

impl Results {
    fn new(stage: &Stage, table: &str) -> Self {
        let path = stage.root().join("results.db");
        let mut kit = Kit::default();
        let databases = [("results".to_owned(), Database::Sqlite(path.clone()))].into();
        let config = SqlConfig {
            databases,
            sabotage_mark: false,
        };
        kit.others
            .insert(ActionKind::Sql, Arc::new(Sql::new(config)));
        let results = Self { path, kit };
        results
            .open()
            .execute_batch(&format!("pragma journal_mode=wal; {table}"))
            .unwrap();
        results
    }
    fn open(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }
    fn numbers(&self) -> Vec<i64> {
        let db = self.open();
        let mut statement = db.prepare("select n from t order by n").unwrap();
        let numbers = statement.query_map([], |row| row.get(0)).unwrap();
        numbers.map(Result::unwrap).collect()
    }
}

const PLAIN: &str = "create table t (a text, n integer)";
const PICKY: &str = "create table t (a text check (a not like '%7'), n integer)";

fn moves(units: &[Unit]) -> bool {
    units
        .iter()
        .flat_map(|u| &u.ops)
        .any(|op| matches!(op, Op::Items { .. }))
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

async fn aside(process: &Process, run: RunId) -> Vec<(u64, String, String)> {
    let items = process.ask().set_aside(run, 0, 10_000).await.unwrap();
    items
        .into_iter()
        .map(|(_, item)| (item.item, item.input, item.reason))
        .collect()
}

async fn rows_are_written_once_each_in_ranges(stage: Stage) {
    let results = Results::new(&stage, PLAIN);
    stage.file("in.csv", &csv(2 * RANGE_ITEMS + 10));
    let process = stage.process(&[task(ROWS)], &results.kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let wanted: Vec<i64> = (1..=2 * RANGE_ITEMS as i64 + 10).collect();
    assert_eq!(results.numbers(), wanted);
    let output = output(&process, run).await;
    assert_eq!(
        (&output["done"], &output["total"]),
        (&json!(2010), &json!(2010))
    );
}

async fn rows_that_are_refused_are_set_aside_with_input_and_reason(stage: Stage) {
    let results = Results::new(&stage, PICKY);
    stage.file("in.csv", &csv(40));
    let process = stage.process(&[task(ROWS)], &results.kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let aside = aside(&process, run).await;
    let items: Vec<_> = aside
        .iter()
        .map(|(item, input, _)| (*item, input.as_str()))
        .collect();
    assert_eq!(items, [(7, "v7"), (17, "v17"), (27, "v27"), (37, "v37")]);
    assert!(
        aside.iter().all(|(.., why)| why.contains("CHECK")),
        "{aside:?}"
    );
    assert_eq!(results.numbers().len(), 36);
    let output = output(&process, run).await;
    assert_eq!(
        (&output["done"], &output["set_aside"]),
        (&json!(36), &json!(4))
    );
}

/// Drives a run until its process is cut off. What the writing thread can still do by itself, it does:
/// a runtime ends only after its threads.
fn dies_after_its_threads(process: Process, run: RunId) -> Process {
    std::thread::spawn(move || {
        common::stage::run(process.drive_to_death(run));
        process
    })
    .join()
    .unwrap()
}

async fn a_crash_at_each_boundary_loses_no_row_and_no_set_aside_item(stage: Stage) {
    let rows = 3 * RANGE_ITEMS + 5;
    for nth in 0..4 {
        for after in [false, true] {
            let other = if stage.is_memory() {
                Stage::memory()
            } else {
                Stage::sqlite()
            };
            let results = Results::new(&other, PICKY);
            other.file("in.csv", &csv(rows));
            let first = other.process(&[task(ROWS)], &results.kit);
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
            let heir = other.process(&[task(ROWS)], &results.kit);
            first.dies(&heir).await;
            if heir.status(run).await != RunStatus::Done {
                assert_eq!(
                    heir.drive(run).await,
                    Rest::Ended(RunStatus::Done),
                    "{nth} {after}"
                );
            }
            let picked = |n: &i64| (n - 1) % 10 != 7;
            let wanted: Vec<i64> = (1..=rows as i64).filter(picked).collect();
            assert_eq!(results.numbers(), wanted, "{nth} {after}");
            let aside: Vec<u64> = aside(&heir, run).await.iter().map(|a| a.0).collect();
            let left: Vec<u64> = (0..rows as u64).filter(|n| n % 10 == 7).collect();
            assert_eq!(aside.len(), left.len(), "{nth} {after}");
            assert_eq!(aside, left);
            let output = output(&heir, run).await;
            assert_eq!(output["set_aside"], json!(left.len()));
            assert_eq!(output["done"], json!(wanted.len()));
        }
    }
}

/// How far each told range had come.
fn told(process: &Process) -> Vec<u64> {
    let commits = process.tap.commits();
    let ops = commits.iter().flatten().flat_map(|unit| &unit.ops);
    ops.filter_map(|op| match op {
        Op::Items { progress, .. } => Some(progress.next),
        _ => None,
    })
    .collect()
}

async fn what_a_claim_finds_done_is_not_its_progress(stage: Stage) {
    let results = Results::new(&stage, PICKY);
    stage.file("in.csv", &csv(3 * RANGE_ITEMS));
    let first = stage.process(&[task(ROWS)], &results.kit);
    let run = first.admit("k").await;
    first.tap.fate(|units| match moves(units) {
        true => Fate::CutAfter,
        false => Fate::Pass,
    });
    first.drive_to_death(run).await;
    let before = told(&first);
    let heir = stage.process(&[task(ROWS)], &results.kit);
    first.dies(&heir).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    let after = told(&heir);
    assert_eq!(before, [RANGE_ITEMS as u64]);
    assert!(after.first() > before.last(), "{before:?} {after:?}");
}

async fn a_cancelled_stream_stops_at_a_range_and_a_paused_one_goes_on_there(stage: Stage) {
    for what in [Request::Cancel, Request::Pause] {
        let other = if stage.is_memory() {
            Stage::memory()
        } else {
            Stage::sqlite()
        };
        let results = Results::new(&other, PICKY);
        other.file("in.csv", &csv(6 * RANGE_ITEMS));
        let process = other.process(&[task(ROWS)], &results.kit);
        let run = process.admit("k").await;
        let asking = other.process(&[], &results.kit);
        let (ask, asked) = std::sync::mpsc::channel();
        let mut seen = 0;
        let hold = Arc::new(tokio::sync::Notify::new());
        let told = hold.clone();
        process.tap.fate(move |units| {
            seen += usize::from(moves(units));
            if seen == 2 && moves(units) {
                ask.send(()).unwrap();
                told.notify_one();
            }
            Fate::Pass
        });
        // The request comes while the second range is being told.
        let request = async {
            hold.notified().await;
            asked.recv().unwrap();
            asking
                .people
                .request(run, what, "ann", "wait")
                .await
                .unwrap();
        };
        let (rest, ()) = tokio::join!(process.drive(run), request);
        let written = results.numbers().len();
        assert!(
            written < 6 * RANGE_ITEMS * 9 / 10 && written.is_multiple_of(RANGE_ITEMS * 9 / 10),
            "{written}"
        );
        if what == Request::Cancel {
            assert_eq!(rest, Rest::Ended(RunStatus::Cancelled));
            continue;
        }
        assert!(
            matches!(rest, Rest::Waiting { until: None, .. }),
            "{rest:?}"
        );
        asking
            .people
            .request(run, Request::Resume, "ann", "go")
            .await
            .unwrap();
        assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
        let wanted: Vec<i64> = (1..=6 * RANGE_ITEMS as i64)
            .filter(|n| (n - 1) % 10 != 7)
            .collect();
        assert_eq!(results.numbers(), wanted);
    }
}

async fn a_second_claim_takes_the_mark_and_the_first_is_told(stage: Stage) {
    let results = Results::new(&stage, PICKY);
    stage.file("in.csv", &csv(5 * RANGE_ITEMS));
    let tasks = [task(ROWS)];
    let (first, second) = (
        stage.process(&tasks, &results.kit),
        stage.process(&tasks, &results.kit),
    );
    let run = first.admit("k").await;
    // The first is stopped after a range, for longer than its lease.
    let stopped = Arc::new(tokio::sync::Notify::new());
    let (told, clock) = (stopped.clone(), stage.clock.clone());
    let mut seen = 0;
    first.tap.fate(move |units| {
        seen += usize::from(moves(units));
        if seen >= 2 && moves(units) {
            if seen == 2 {
                clock.advance(60_000);
                told.notify_one();
            }
            return Fate::Fail(oncely_core::ledger::LedgerError::Full("stopped".into()));
        }
        Fate::Pass
    });
    let engine = first.engine.clone();
    let driving = tokio::spawn(async move { engine.drive_one(run).await });
    stopped.notified().await;
    use oncely_core::ledger::Ledger as _;
    assert_eq!(second.tap.renew().await.unwrap(), 1);
    assert_eq!(second.drive(run).await, Rest::Ended(RunStatus::Done));
    first.tap.fate(|_| Fate::Pass);
    assert_eq!(driving.await.unwrap().unwrap(), Some(Rest::Lost));
    let wanted: Vec<i64> = (1..=5 * RANGE_ITEMS as i64)
        .filter(|n| (n - 1) % 10 != 7)
        .collect();
    assert_eq!(results.numbers(), wanted);
}

async fn a_stopped_stream_is_given_back_at_a_range_without_counting(stage: Stage) {
    let results = Results::new(&stage, PICKY);
    stage.file("in.csv", &csv(6 * RANGE_ITEMS));
    let first = stage.process(&[task(ROWS)], &results.kit);
    let run = first.admit("k").await;
    let stop = first.engine.stopper();
    let mut seen = 0;
    first.tap.fate(move |units| {
        seen += usize::from(moves(units));
        if seen == 2 {
            stop.stop();
        }
        Fate::Pass
    });
    assert_eq!(first.drive(run).await, Rest::Released);
    let row = first.row(run).await;
    assert_eq!((row.claims, row.holder), (0, None));
    assert!(results.numbers().len() < 6 * RANGE_ITEMS * 9 / 10);
    let second = stage.process(&[task(ROWS)], &results.kit);
    assert_eq!(second.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(results.numbers().len(), 6 * RANGE_ITEMS * 9 / 10);
}

async fn a_range_with_more_refused_rows_than_good_ones_keeps_both(stage: Stage) {
    let results = Results::new(
        &stage,
        "create table t (a text check (a like '%7'), n integer)",
    );
    stage.file("in.csv", &csv(2 * RANGE_ITEMS));
    let process = stage.process(&[task(ROWS)], &results.kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(results.numbers().len(), RANGE_ITEMS / 5);
    assert_eq!(aside(&process, run).await.len(), RANGE_ITEMS * 9 / 5);
}

async fn what_cannot_be_read_is_said(stage: Stage) {
    let results = Results::new(&stage, PLAIN);
    let once = ROWS.replace("for_each=", "retry={attempts=1}\nfor_each=");
    let process = stage.process(&[task(&once)], &results.kit);
    let (run, rest) = process.play("missing").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    let reason = process.reason(run).await;
    assert!(
        reason.contains("in.csv cannot be read: No such file"),
        "{reason}"
    );
    stage.file("in.csv", "b,c\n1,2\n");
    let (run, rest) = process.play("column").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    let reason = process.reason(run).await;
    assert!(
        reason.contains("the items have no column `a`. They have: b, c."),
        "{reason}"
    );
    stage.file("in.csv", "a,a\n1,2\n");
    let (_, rest) = process.play("twice").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    std::fs::remove_file(stage.root().join("in.csv")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", stage.root().join("in.csv")).unwrap();
    let (run, _) = process.play("outside").await;
    let reason = process.reason(run).await;
    assert!(
        reason.contains("does not lie below the project's root"),
        "{reason}"
    );
    assert_eq!(results.numbers().len(), 0);
}

fn effects(source: &str, more: &str) -> oncely_engine::Known {
    task(&format!(
        "[[step]]\nid='s'\nfor_each={source}\n[[step.do]]\nid='e'\ncommand=['x','{{{{ item }}}}']\n{more}"
    ))
}

async fn lists_lines_and_jsonl_are_items_too(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[effects("'[1,2]'", "")], &kit);
    assert_eq!(process.play("list").await.1, Rest::Ended(RunStatus::Done));
    stage.file("in.txt", "one\ntwo\n");
    process
        .tasks
        .replace([effects("{read='in.txt',as='lines'}", "")]);
    assert_eq!(process.play("lines").await.1, Rest::Ended(RunStatus::Done));
    stage.file("in.jsonl", "\"x\"\nnot json\n\"y\"\n");
    process
        .tasks
        .replace([effects("{read='in.jsonl',as='jsonl'}", "")]);
    let (run, rest) = process.play("jsonl").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let bad = aside(&process, run).await;
    assert_eq!((bad.len(), bad[0].0, bad[0].1.as_str()), (1, 1, "not json"));
    let args: Vec<_> = kit.command.args();
    assert_eq!(args, ["1", "2", "one", "two", "x", "y"]);
    process.tasks.replace([effects("'event.key'", "")]);
    let run = process
        .admit_for("t", "text", json!({ "key": "no list" }))
        .await;
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    assert!(process.reason(run).await.contains("is not a list"));
}

async fn an_empty_list_is_done_at_once(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[effects("'[]'", "")], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(output(&process, run).await["total"], 0);
    let results = Results::new(&stage, PLAIN);
    stage.file("in.csv", "a\n");
    let process = stage.process(&[task(ROWS)], &results.kit);
    assert_eq!(process.play("l").await.1, Rest::Ended(RunStatus::Done));
}

const TEN: &str = "'[0,1,2,3,4,5,6,7,8,9]'";

async fn ten_items_have_ten_keys_with_an_intent_and_an_outcome_each(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[effects(TEN, "")], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let keys: BTreeSet<_> = kit.command.keys().into_iter().collect();
    assert_eq!((kit.command.count(), keys.len()), (10, 10));
    let facts = process
        .ask()
        .item_facts(run, "s".into(), 0..10)
        .await
        .unwrap();
    assert_eq!(facts.len(), 20);
    // Another run of the same task has keys of its own.
    process.play("l").await;
    assert_eq!(
        kit.command
            .keys()
            .into_iter()
            .collect::<BTreeSet<_>>()
            .len(),
        20
    );
}

/// A process dies when items 3 and 5 act, and the others are done.
async fn crashed(stage: &Stage, kit: &Kit, more: &str) -> (RunId, Process) {
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |call| match argument(call).as_str() {
        "3" | "5" => Behaviour::Hang(hang.clone()),
        _ => Behaviour::Output(json!({})),
    });
    let first = stage.process(&[effects(TEN, more)], kit);
    let run = first.admit("k").await;
    let ask = async {
        gate.come(2).await;
        let done = |facts: &[oncely_core::ledger::ItemFact]| facts.len() == 18;
        while !done(
            &first
                .ask()
                .item_facts(run, "s".into(), 0..10)
                .await
                .unwrap(),
        ) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        rest = first.engine.drive_one(run) => panic!("{rest:?}"),
        () = ask => {}
    }
    kit.command.does(|_| Behaviour::Output(json!({})));
    let heir = stage.process(&[effects(TEN, more)], kit);
    first.dies(&heir).await;
    (run, heir)
}

async fn a_crash_in_the_middle_leaves_unkeyed_items_unknown_and_does_the_rest(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, "").await;
    let Rest::Unknown { error, .. } = heir.drive(run).await else {
        panic!("it is not in doubt")
    };
    assert!(
        error.contains("2 of its items happened (items 3, 5)"),
        "{error}"
    );
    assert_eq!(kit.command.count(), 10);
    let aside: Vec<u64> = aside(&heir, run).await.iter().map(|a| a.0).collect();
    assert_eq!(aside, [3, 5]);
}

async fn a_crash_in_the_middle_repeats_keyed_items_with_their_keys(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::WithKey { window_ms: 1000 });
    let (run, heir) = crashed(&stage, &kit, "").await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 12);
    assert_eq!(
        kit.command
            .keys()
            .into_iter()
            .collect::<BTreeSet<_>>()
            .len(),
        10
    );
    assert_eq!(output(&heir, run).await["done"], 10);
}

async fn settled_as_not_done_repeats_exactly_the_items_in_doubt(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, "").await;
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    heir.people
        .settle(run, None, None, "ann", "I looked")
        .await
        .unwrap();
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args()[10..], ["3", "5"]);
    let output = output(&heir, run).await;
    assert_eq!(
        (&output["done"], &output["set_aside"]),
        (&json!(10), &json!(0))
    );
}

async fn a_crash_while_items_are_done_again_forgets_none_and_repeats_none(stage: Stage) {
    let kit = Kit::default();
    let (run, second) = crashed(&stage, &kit, "").await;
    assert!(matches!(second.drive(run).await, Rest::Unknown { .. }));
    second
        .people
        .settle(run, None, None, "ann", "I looked")
        .await
        .unwrap();
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |call| match argument(call).as_str() {
        "5" => Behaviour::Hang(hang.clone()),
        _ => Behaviour::Output(json!({})),
    });
    let three_is_done = async {
        gate.come(1).await;
        let facts = || async {
            second
                .ask()
                .item_facts(run, "s".into(), 3..4)
                .await
                .unwrap()
                .len()
        };
        while facts().await < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        rest = second.engine.drive_one(run) => panic!("{rest:?}"),
        () = three_is_done => {}
    }
    kit.command.does(|_| Behaviour::Output(json!({})));
    let third = stage.process(&[effects(TEN, "")], &kit);
    second.dies(&third).await;
    assert_eq!(kit.command.count(), 12);
    for _ in 0..2 {
        let Rest::Unknown { error, .. } = third.drive(run).await else {
            panic!("item 5 is forgotten")
        };
        assert!(
            error.contains("1 of its items happened (items 5)"),
            "{error}"
        );
        assert_eq!(kit.command.count(), 12);
    }
    third
        .people
        .settle(run, None, None, "ann", "I looked again")
        .await
        .unwrap();
    assert_eq!(third.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args()[10..], ["3", "5", "5"]);
}

async fn a_failed_repeat_leaves_an_item_in_doubt(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::WithKey { window_ms: 1000 });
    let (run, heir) = crashed(&stage, &kit, "").await;
    kit.command.does(|_| Behaviour::Permanent);
    let Rest::Unknown { error, .. } = heir.drive(run).await else {
        panic!("the doubt is lost")
    };
    assert!(error.contains("items 3, 5"), "{error}");
    assert_eq!(kit.command.count(), 12);
}

async fn items_wait_for_the_last_attempt_before_they_believe_that_nothing_happened(stage: Stage) {
    use oncely_core::action::Probe;
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, "timeout='60s'").await;
    kit.command.says(Probe::DidNotHappen);
    let engine = heir.engine.clone();
    let driving = tokio::spawn(async move { engine.drive_one(run).await });
    let probed = || *kit.command.probed.lock().unwrap();
    while probed() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(kit.command.count(), 10, "they may still be on their way");
    stage.clock.advance(80_000);
    heir.engine.stopper().stop();
    assert_eq!(driving.await.unwrap().unwrap(), Some(Rest::Released));
    let third = stage.process(&[effects(TEN, "timeout='60s'")], &kit);
    assert_eq!(third.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 12);
}

async fn a_paused_list_goes_on_where_it_was(stage: Stage) {
    let kit = Kit::default();
    let list = format!(
        "'[{}]'",
        (0..80).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    );
    let process = stage.process(&[effects(&list, "")], &kit);
    let run = process.admit("k").await;
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |_| Behaviour::Wait(wait.clone()));
    let pause = async {
        gate.come(32).await;
        process
            .people
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
    assert_eq!(kit.command.count(), 32);
    process
        .people
        .request(run, Request::Resume, "ann", "go")
        .await
        .unwrap();
    assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 80);
}
