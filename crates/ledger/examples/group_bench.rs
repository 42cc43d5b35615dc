//! How many one-step events a second the SQLite store takes from acceptance to done.
//!
//! An event is two units: admission, intent and status; then fence, one row of the task's own,
//! outcome and status. `cargo run --release -p oncely-ledger --example group_bench [FOLDER [GROUP]]`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic)]

use oncely_core::action::Statement;
use oncely_core::effect::EffectKey;
use oncely_core::fact::{End, Fact, Outcome, Repeat};
use oncely_core::ids::{ContentHash, Environment, Fence, Generation, RunId, TaskId};
use oncely_core::ledger::{Admission, Applied, Guard, Ledger, Op, RunRef, Unit, UnitResult};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use oncely_ledger::{Options, SqliteLedger};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECONDS: Duration = Duration::from_secs(4);

fn main() {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/group_bench".into());
    std::fs::create_dir_all(&folder).unwrap();
    let folder = Path::new(&folder);
    print_machine(folder);
    println!(
        "single rows    {:>9.0} commits/s  (one insert, one commit, nothing else)",
        single_rows(folder)
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let only: Option<usize> = std::env::args().nth(2).and_then(|n| n.parse().ok());
    for group in [1, 64, 1000]
        .into_iter()
        .filter(|n| only.is_none_or(|only| only == *n))
    {
        runtime.block_on(measure(folder, group));
    }
}

fn print_machine(folder: &Path) {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find(|l| l.starts_with("model name"))
        .unwrap_or("model name : unknown");
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    println!(
        "machine        {} x{cores}",
        model.split(": ").nth(1).unwrap_or("unknown")
    );
    println!("folder         {}", folder.display());
    println!(
        "SQLite         {}, WAL, synchronous=FULL, a checkpoint every 4000 pages",
        rusqlite::version()
    );
    println!(
        "event          2 units, 4 facts, 1 row of the task's own; {} s for each line",
        SECONDS.as_secs()
    );
}

fn single_rows(folder: &Path) -> f64 {
    let path = fresh(folder, "single.db");
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    conn.pragma_update(None, "synchronous", "full").unwrap();
    conn.execute_batch("create table t (a integer primary key, b text)")
        .unwrap();
    let since = Instant::now();
    let mut commits = 0;
    while since.elapsed() < SECONDS / 2 {
        conn.prepare_cached("insert into t (b) values ('a row of some bytes')")
            .unwrap()
            .execute([])
            .unwrap();
        commits += 1;
    }
    f64::from(commits) / since.elapsed().as_secs_f64()
}

fn fresh(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    for ending in ["", "-wal", "-shm", "-turn"] {
        std::fs::remove_file(format!("{}{ending}", path.display())).ok();
    }
    path
}

/// Commits units in groups: of `group` units each, the first half admitting and the second ending.
async fn measure(folder: &Path, group: usize) {
    let path = fresh(folder, &format!("group-{group}.db"));
    let options = Options {
        create: true,
        check_facts: false,
        ..Options::new("bench")
    };
    let ledger = SqliteLedger::open(&path, options).unwrap();
    let table = statement(
        "create table prediction (event text primary key, label text, score real)",
        vec![],
    );
    ledger
        .commit(vec![Unit {
            guards: vec![],
            ops: vec![Op::Sql(vec![table])],
        }])
        .await
        .unwrap();
    let (mut events, mut commits, mut waits) = (0_usize, 0_usize, Vec::new());
    let since = Instant::now();
    let mut units: Vec<Unit> = Vec::new();
    let mut ready: Vec<(RunId, usize)> = Vec::new();
    let mut next = 0;
    let ledger = Arc::new(ledger);
    let mut working = None;
    while since.elapsed() < SECONDS {
        // The next group is made while the last one is being committed.
        while units.len() < group {
            match ready.pop() {
                Some((run, event)) => units.push(end(run, event)),
                None => {
                    units.push(begin(next));
                    next += 1;
                }
            }
        }
        let last_begun = next;
        let (ledger, group) = (ledger.clone(), std::mem::take(&mut units));
        let sent = Instant::now();
        let task =
            tokio::spawn(async move { (ledger.commit(group).await, sent.elapsed(), last_begun) });
        let Some(task) = working.replace(task) else {
            continue;
        };
        let (results, wait, last_begun) = task.await.unwrap();
        let results = results.unwrap();
        waits.push(wait);
        commits += 1;
        let is_begun = |r: &UnitResult| matches!(r, UnitResult::Applied(Applied { seq: 2, .. }));
        let mut begun = last_begun - results.iter().filter(|r| is_begun(r)).count();
        for result in results {
            match result {
                UnitResult::Applied(Applied {
                    run: Some(run),
                    seq: 2,
                }) => {
                    ready.push((run, begun));
                    begun += 1;
                }
                UnitResult::Applied(Applied { seq: 4, .. }) => events += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    report(group, events, commits, since.elapsed(), waits, &path);
}

fn report(
    group: usize,
    events: usize,
    commits: usize,
    took: Duration,
    mut waits: Vec<Duration>,
    path: &Path,
) {
    #[allow(clippy::cast_precision_loss)]
    let rate = events as f64 / took.as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let each = commits as f64 / events.max(1) as f64;
    waits.sort_unstable();
    let p99 = waits
        .get(waits.len() * 99 / 100)
        .copied()
        .unwrap_or_default();
    let worst = waits.last().copied().unwrap_or_default();
    let size = |ending: &str| {
        std::fs::metadata(format!("{}{ending}", path.display())).map_or(0, |m| m.len() / 1_000_000)
    };
    println!(
        "groups of {group:<4} {rate:>9.0} events/s  {each:.4} commits/event  p99 {p99:.1?}  worst {worst:.1?}  db {} MB  wal {} MB",
        size(""),
        size("-wal"),
    );
}

fn statement(text: &str, bind: Vec<(Arc<str>, serde_json::Value)>) -> Statement {
    Statement {
        text: text.into(),
        bind,
    }
}

fn begin(event: usize) -> Unit {
    let admission = Admission {
        environment: Environment::from("production"),
        task: TaskId::from("score"),
        key: format!("event-{event}").into(),
        generation: Generation::FIRST,
        trigger: "message",
        event: format!(
            r#"{{"id":{event},"age":39,"workclass":"State-gov","education":"Bachelors"}}"#
        )
        .into(),
        lane: None,
        depth: 0,
        parent: None,
        at: Timestamp(1_700_000_000_000),
        claimed: true,
        status: RunStatus::Pending,
    };
    let facts = vec![
        Fact::Began {
            text: ContentHash([3; 32]),
            models: BTreeMap::new(),
        },
        Fact::Intent {
            step: "store".into(),
            attempt: 1,
            fence: Fence(1),
            call: Some(
                json!({"text": "insert into prediction values (:event, :label, :score)", "bind": {"event": event, "label": "<=50K", "score": 0.12}}),
            ),
            repeat: Repeat::Safe,
            key: EffectKey("0123456789abcdef0123456789abcdef".into()),
        },
    ];
    let at = Timestamp(1_700_000_000_001);
    Unit {
        guards: vec![],
        ops: vec![
            Op::Admit(admission),
            Op::Facts {
                run: RunRef::New,
                at,
                facts,
            },
            Op::Run {
                run: RunRef::New,
                status: RunStatus::Running,
                due: Some(at),
                keep: true,
            },
        ],
    }
}

fn end(run: RunId, event: usize) -> Unit {
    let at = Timestamp(1_700_000_000_002);
    let insert = statement(
        "insert into prediction (event, label, score) values (:event, :label, :score)",
        vec![
            ("event".into(), json!(format!("event-{event}"))),
            ("label".into(), json!("<=50K")),
            ("score".into(), json!(0.12)),
        ],
    );
    let facts = vec![
        Fact::Outcome {
            step: "store".into(),
            attempt: 1,
            outcome: Outcome::Done {
                output: json!({"rows": 1}),
            },
        },
        Fact::Ended {
            end: End::Done,
            reason: String::new(),
        },
    ];
    let id = RunRef::Id(run);
    Unit {
        guards: vec![Guard::Fence(run, Fence(1))],
        ops: vec![
            Op::Sql(vec![insert]),
            Op::Facts { run: id, at, facts },
            Op::Run {
                run: id,
                status: RunStatus::Done,
                due: None,
                keep: false,
            },
        ],
    }
}
