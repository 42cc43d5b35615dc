//! `rate`, `batch` and `while` beside a `for_each`: how fast a stream goes, and that nobody else waits
//! for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_actions::{Database, Sql, SqlConfig};
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Request;
use oncely_core::ledger::{ItemEvent, Op, Unit};
use oncely_core::pause::{self, Pause};
use oncely_core::source::Cursor;
use oncely_core::task::ActionKind;
use oncely_core::time::{Clock, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

promises! {
    items_come_no_faster_than_their_rate,
    ranges_of_rows_come_no_faster_than_their_rate,
    a_batch_is_what_is_committed_together,
    a_run_that_waits_for_its_rate_holds_up_no_other,
    a_run_that_waits_for_its_rate_is_left_at_once_and_goes_on,
    a_run_that_waits_for_its_rate_is_paused_and_goes_on_at_the_next_item,
    a_stream_that_waits_for_its_rate_is_paused_and_goes_on_at_the_next_row,
    a_step_waits_while_its_look_fails_and_goes_on_when_it_holds,
    a_look_is_made_as_often_as_it_says,
    that_a_step_waits_for_its_look_is_kept_once_and_until_it_holds,
    a_pause_goes_on_in_the_next_process_from_when_it_began,
}

fn list(items: usize) -> String {
    let items: Vec<String> = (0..items).map(|n| n.to_string()).collect();
    format!("'[{}]'", items.join(","))
}

fn effects(items: usize, pace: &str) -> oncely_engine::Known {
    task(&format!(
        "[[step]]\nid='s'\n{pace}\nfor_each={}\n[[step.do]]\nid='c'\ncommand=['x','{{{{ item }}}}']",
        list(items)
    ))
}

/// Work beside a clock that runs ten times as fast as ours, and whose leases are renewed.
async fn in_time<T>(process: &Process, work: impl Future<Output = T>) -> T {
    use oncely_core::ledger::Ledger as _;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => {
                process.clock.advance(50);
                process.tap.renew().await.unwrap();
            }
        }
    }
}

/// How long after a moment the intent of each item was committed. The moment is one before the first
/// range was let go: when an intent is committed says only that it was let go before.
async fn begun(process: &Process, run: RunId, since: Timestamp) -> Vec<i64> {
    let ask = process.ask();
    let facts = ask.item_facts(run, "s".into(), 0..1000).await.unwrap();
    let intents = facts
        .iter()
        .filter(|fact| matches!(fact.what, ItemEvent::Intent { .. }));
    intents.map(|fact| fact.at.millis_since(since)).collect()
}

async fn items_come_no_faster_than_their_rate(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[effects(50, "rate='10/s'")], &kit);
    let run = process.admit("k").await;
    let since = process.clock.now();
    let rest = in_time(&process, process.drive(run)).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let begun = begun(&process, run, since).await;
    assert_eq!(begun.len(), 50);
    for (item, at) in begun.iter().enumerate() {
        let second = item as i64 / 10;
        assert!(*at >= second * 1000, "item {item} after {at} ms: {begun:?}");
    }
    assert_eq!(kit.command.args().len(), 50);
}

struct Results {
    path: std::path::PathBuf,
    kit: Kit,
}

const ROWS: &str = "for_each={read='in.csv',as='csv'}\n[[step.do]]\nid='w'\n\
    sql={db='results',text='insert into t values (:a, :n)',bind={a='{{ item.a }}',n='{{ loop.index }}'}}";

impl Results {
    /// Each tenth row is refused, so that the ledger hears of each range.
    fn new(stage: &Stage, rows: usize) -> Self {
        let path = stage.root().join("results.db");
        let mut kit = Kit::default();
        let config = SqlConfig {
            databases: [("results".to_owned(), Database::Sqlite(path.clone()))].into(),
            sabotage_mark: false,
        };
        kit.others
            .insert(ActionKind::Sql, Arc::new(Sql::new(config)));
        let lines: Vec<String> = (0..rows).map(|n| format!("v{n}")).collect();
        stage.file("in.csv", &format!("a\n{}\n", lines.join("\n")));
        let results = Self { path, kit };
        results
            .open()
            .execute_batch(
                "pragma journal_mode=wal;
                 create table t (a text check (a not like '%7'), n integer)",
            )
            .unwrap();
        results
    }
    fn open(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }
    fn count(&self) -> (i64, i64) {
        let text = "select count(*), count(distinct n) from t";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.open().query_row(text, [], read).unwrap()
    }
}

fn reached(units: &[Unit]) -> Option<u64> {
    let mut ops = units.iter().flat_map(|unit| &unit.ops);
    ops.find_map(|op| match op {
        Op::Items { progress, .. } => Some(progress.next),
        _ => None,
    })
}

/// Writes down how far the stream had come, and when.
fn listened(process: &Process) -> Arc<Mutex<Vec<(u64, Timestamp)>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (heard, clock) = (told.clone(), process.clock.clone());
    process.tap.fate(move |units| {
        let at = reached(units).map(|next| (next, clock.now()));
        heard.lock().unwrap().extend(at);
        Fate::Pass
    });
    told
}

async fn ranges_of_rows_come_no_faster_than_their_rate(stage: Stage) {
    let results = Results::new(&stage, 1000);
    let text = format!("[[step]]\nid='s'\nrate='12000/m'\n{ROWS}");
    let process = stage.process(&[task(&text)], &results.kit);
    let told = listened(&process);
    let run = process.admit("k").await;
    let since = process.clock.now();
    let rest = in_time(&process, process.drive(run)).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(results.count(), (900, 900));
    let told = told.lock().unwrap().clone();
    assert_eq!(told[0].0, 200);
    for (next, at) in told {
        let least = (next as i64 / 200 - 1) * 1000;
        let after = at.millis_since(since);
        assert!(after >= least, "{next} after {after} ms");
    }
}

async fn a_batch_is_what_is_committed_together(stage: Stage) {
    let results = Results::new(&stage, 100);
    let text = format!("[[step]]\nid='s'\nbatch=30\n{ROWS}");
    let process = stage.process(&[task(&text)], &results.kit);
    let told = listened(&process);
    let (_, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let mut ranges: Vec<u64> = told.lock().unwrap().iter().map(|(next, _)| *next).collect();
    ranges.dedup();
    assert_eq!(ranges, [30, 60, 90, 100]);
    let kit = Kit::default();
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |_| Behaviour::Wait(wait.clone()));
    let process = stage.process(&[effects(12, "batch=4")], &kit);
    let run = process.admit("e").await;
    let opened = async {
        gate.come(4).await;
        gate.open();
    };
    let (rest, ()) = tokio::join!(process.drive(run), opened);
    assert_eq!((rest, gate.most()), (Rest::Ended(RunStatus::Done), 4));
}

/// Waits until the run has come so far.
async fn comes_to(process: &Process, run: RunId, items: u64) {
    loop {
        let progress = process.ask().progress(run, "s".into()).await.unwrap();
        if progress.is_some_and(|progress| progress.next >= items) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn a_run_that_waits_for_its_rate_holds_up_no_other(stage: Stage) {
    let kit = Kit::default();
    let other = known(
        "other",
        "on.call={}\n[[step]]\nid='s'\ncommand=['x','other']\n",
    );
    let config = EngineConfig {
        acting: 1,
        ..stage.config()
    };
    let tasks = [effects(4, "rate='1/h'"), other];
    let process = stage.process_with(&tasks, &kit, config);
    let slow = process.admit("slow").await;
    let quick = process.admit_for("other", "quick", json!({})).await;
    let engine = process.engine.clone();
    let slowly = tokio::spawn(async move { engine.drive_one(slow).await });
    comes_to(&process, slow, 1).await;
    assert_eq!(process.drive(quick).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["0", "other"]);
    process.engine.stopper().stop();
    assert_eq!(slowly.await.unwrap().unwrap(), Some(Rest::Released));
}

async fn a_run_that_waits_for_its_rate_is_left_at_once_and_goes_on(stage: Stage) {
    let kit = Kit::default();
    let tasks = [effects(3, "rate='1/h'")];
    let process = stage.process(&tasks, &kit);
    let run = process.admit("k").await;
    let stopped = async {
        comes_to(&process, run, 1).await;
        process.engine.stopper().stop();
    };
    let (rest, ()) = tokio::join!(process.drive(run), stopped);
    assert_eq!(rest, Rest::Released);
    let heir = stage.process(&[effects(3, "rate='1000/s'")], &kit);
    // The run is pinned to what it began with: the next item comes at once, and one more in an hour.
    let stopped = async {
        comes_to(&heir, run, 2).await;
        heir.engine.stopper().stop();
    };
    let (rest, ()) = tokio::join!(heir.drive(run), stopped);
    assert_eq!(rest, Rest::Released);
    assert_eq!(kit.command.args(), ["0", "1"]);
}

async fn a_run_that_waits_for_its_rate_is_paused_and_goes_on_at_the_next_item(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[effects(3, "rate='1/h'")], &kit);
    let run = process.admit("k").await;
    let people = &process.people;
    let paused = async {
        comes_to(&process, run, 1).await;
        people
            .request(run, Request::Pause, "ann", "wait")
            .await
            .unwrap();
    };
    let (rest, ()) = tokio::join!(process.drive(run), paused);
    assert!(
        matches!(rest, Rest::Waiting { until: None, .. }),
        "{rest:?}"
    );
    people
        .request(run, Request::Resume, "ann", "go")
        .await
        .unwrap();
    let paused = async {
        comes_to(&process, run, 2).await;
        people
            .request(run, Request::Cancel, "ann", "enough")
            .await
            .unwrap();
    };
    let (rest, ()) = tokio::join!(process.drive(run), paused);
    assert_eq!(rest, Rest::Ended(RunStatus::Cancelled));
    assert_eq!(kit.command.args(), ["0", "1"]);
}

async fn a_stream_that_waits_for_its_rate_is_paused_and_goes_on_at_the_next_row(stage: Stage) {
    let results = Results::new(&stage, 40);
    let text = format!("[[step]]\nid='s'\nrate='1/h'\nbatch=20\n{ROWS}");
    let process = stage.process(&[task(&text)], &results.kit);
    let run = process.admit("k").await;
    let people = &process.people;
    let paused = async {
        comes_to(&process, run, 20).await;
        people
            .request(run, Request::Pause, "ann", "wait")
            .await
            .unwrap();
    };
    let (rest, ()) = tokio::join!(process.drive(run), paused);
    assert!(
        matches!(rest, Rest::Waiting { until: None, .. }),
        "{rest:?}"
    );
    assert_eq!(results.count(), (18, 18));
    people
        .request(run, Request::Resume, "ann", "go")
        .await
        .unwrap();
    let stopped = async {
        comes_to(&process, run, 40).await;
        process.engine.stopper().stop();
    };
    let (rest, ()) = tokio::join!(process.drive(run), stopped);
    assert_eq!(rest, Rest::Released);
    assert_eq!(results.count(), (36, 36));
}

/// Answers looks: no so many times, then yes.
struct Looks {
    noes: usize,
    made: AtomicUsize,
}

impl Action for Looks {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::Safe
    }
    fn run<'a>(&'a self, _call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        panic!("a look is no attempt")
    }
    fn look<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<(), Failure>> {
        assert_eq!(call.options["url"], "http://db.test/lag?run=k");
        let made = self.made.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match made < self.noes {
                true => Err(Failure::retry("it lags")),
                false => Ok(()),
            }
        })
    }
}

const WHILE: &str = "while={http={url='http://db.test/lag?run={{ run.key }}'},every='2s'}";

fn looking(noes: usize) -> (Arc<Looks>, Kit) {
    let made = AtomicUsize::new(0);
    let looks = Arc::new(Looks { noes, made });
    let mut kit = Kit::default();
    kit.others.insert(ActionKind::Http, looks.clone());
    (looks, kit)
}

async fn a_step_waits_while_its_look_fails_and_goes_on_when_it_holds(stage: Stage) {
    let (looks, kit) = looking(3);
    let process = stage.process(&[effects(5, WHILE)], &kit);
    let run = process.admit("k").await;
    let before = process.clock.now();
    let rest = in_time(&process, process.drive(run)).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let facts = process
        .ask()
        .item_facts(run, "s".into(), 0..1)
        .await
        .unwrap();
    let waited = facts[0].at.millis_since(before);
    assert!(waited >= 6000, "{waited}");
    assert_eq!(looks.made.load(Ordering::SeqCst), 4);
    let facts = process.facts(run).await;
    let intents = facts.iter().filter(|f| matches!(f, Fact::Intent { .. }));
    assert_eq!(intents.count(), 1, "waiting uses up no attempt");
}

async fn a_look_is_made_as_often_as_it_says(stage: Stage) {
    let (looks, kit) = looking(0);
    let text = format!("rate='1/s'\n{WHILE}");
    let process = stage.process(&[effects(5, &text)], &kit);
    let run = process.admit("k").await;
    let since = process.clock.now();
    let rest = in_time(&process, process.drive(run)).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let passed = process.clock.now().millis_since(since);
    let made = looks.made.load(Ordering::SeqCst);
    let most = usize::try_from(passed / 2000).unwrap() + 1;
    assert!((2..=most).contains(&made), "{made} looks in {passed} ms");
}

async fn that_a_step_waits_for_its_look_is_kept_once_and_until_it_holds(stage: Stage) {
    let (looks, kit) = looking(3);
    let process = stage.process(&[effects(5, WHILE)], &kit);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let heard = kept.clone();
    process.tap.fate(move |units| {
        for op in units.iter().flat_map(|unit| &unit.ops) {
            if let Op::Cursor(name, Cursor(text)) = op
                && name.starts_with("while/")
            {
                heard.lock().unwrap().push(text.clone());
            }
        }
        Fate::Pass
    });
    let run = process.admit("k").await;
    let since = process.clock.now();
    let rest = in_time(&process, process.drive(run)).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(looks.made.load(Ordering::SeqCst), 4);
    let kept = kept.lock().unwrap().clone();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let pause = Pause::read(&kept[0]).unwrap();
    assert!(pause.since >= since);
    assert_eq!((pause.every_ms, pause.why.as_str()), (2000, "it lags"));
    assert_eq!(Pause::read(&kept[1]), None);
}

async fn paused(process: &Process, run: RunId) -> Option<Pause> {
    let name = pause::name(run, &"s".into());
    let Cursor(text) = process.ask().cursor(name).await.unwrap()?;
    Pause::read(&text)
}

async fn a_pause_goes_on_in_the_next_process_from_when_it_began(stage: Stage) {
    let (looks, kit) = looking(usize::MAX);
    let mut begun = None;
    for _ in 0..2 {
        let process = stage.process(&[effects(5, WHILE)], &kit);
        let run = match begun {
            None => process.admit("k").await,
            Some((run, _)) => run,
        };
        let made = looks.made.load(Ordering::SeqCst);
        let stopped = async {
            while looks.made.load(Ordering::SeqCst) < made + 2
                || paused(&process, run).await.is_none()
            {
                tokio::task::yield_now().await;
            }
            process.engine.stopper().stop();
        };
        let driven = in_time(&process, process.drive(run));
        let (rest, ()) = tokio::join!(driven, stopped);
        assert_eq!(rest, Rest::Released);
        let pause = paused(&process, run).await.unwrap();
        let (_, before) = begun.get_or_insert((run, pause.since));
        assert_eq!(*before, pause.since);
        stage.clock.advance(60_000);
    }
}
