//! Several processes on one ledger: stopped, killed, and twenty at once.
//!
//! The test program starts itself again as the other process; they talk over pipes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::action::Statement;
use oncely_core::fact::{End, Fact};
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{Guard, Leased, Ledger, LedgerError, Op, Unit, UnitResult, What};
use oncely_ledger::conformance::stage::{admit, admitted, claim, facts, lease, row, run, unit};
use oncely_ledger::{Options, SqliteLedger};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const DUTY: &str = "ONCELY_TEST_DUTY";
const LEDGER: &str = "ONCELY_TEST_LEDGER";
const LEASE_MS: &str = "ONCELY_TEST_LEASE_MS";
/// How long a test waits for a process before it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const UNITS_EACH: usize = 50;

/// Another process on the ledger.
struct Other {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(duty: &str, ledger: &Path, lease_ms: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "duty", "--nocapture"])
            .env(DUTY, duty)
            .env(LEDGER, ledger)
            .env(LEASE_MS, lease_ms.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next thing it says to us.
    fn hear(&mut self) -> String {
        loop {
            let line = self.said.next().expect("the process said nothing").unwrap();
            if let Some((_, words)) = line.split_once('@') {
                return words.to_owned();
            }
        }
    }

    fn tell(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"go\n").unwrap();
        stdin.flush().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{words}").unwrap();
    out.flush().unwrap();
}

fn wait_for_go() {
    std::io::stdin()
        .lock()
        .read_line(&mut String::new())
        .unwrap();
}

fn open(path: &Path, lease: Duration) -> SqliteLedger {
    let options = Options {
        create: true,
        lease,
        ..Options::new("test")
    };
    SqliteLedger::open(path, options).unwrap()
}

fn begin_again(fence: Fence) -> Unit {
    let end = Fact::Ended {
        end: End::Cancelled,
        reason: String::new(),
    };
    unit(
        vec![Guard::Fence(RunId(1), fence)],
        vec![facts(RunId(1), 1, vec![end])],
    )
}

/// What this program does when it is the other process; else nothing.
#[test]
fn duty() {
    let Ok(duty) = std::env::var(DUTY) else {
        return;
    };
    let path = std::env::var(LEDGER).unwrap();
    let lease_ms = std::env::var(LEASE_MS).unwrap().parse().unwrap();
    let ledger = open(Path::new(&path), Duration::from_millis(lease_ms));
    match duty.as_str() {
        "hold" => run(hold(ledger)),
        "stay inside" => run(stay_inside(ledger)),
        "commit many" => run(commit_many(ledger)),
        other => panic!("unknown duty {other}"),
    }
}

/// Claims what is due, and commits when it is told to go on.
async fn hold(ledger: SqliteLedger) {
    let held = lease(&ledger, claim(i64::MAX)).await;
    let Leased::Named(_) = ledger
        .lease(What::Named("name".into()), claim(0))
        .await
        .unwrap()
    else {
        panic!("the name is taken");
    };
    say(&held.len().to_string());
    wait_for_go();
    let result = ledger
        .commit(vec![begin_again(held[0].fence)])
        .await
        .unwrap();
    let refused = matches!(result[0], UnitResult::Refused(Guard::Fence(..)));
    let lost = ledger.renew().await == Err(LedgerError::LeaseLost);
    say(&format!("refused {refused} lost {lost}"));
}

/// Is inside a transaction for a long time.
async fn stay_inside(ledger: SqliteLedger) {
    let text = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1e12)
                select max(i) from n";
    say("ready");
    let statement = Statement {
        text: text.into(),
        bind: vec![],
    };
    ledger
        .commit(vec![unit(vec![], vec![Op::Sql(vec![statement])])])
        .await
        .unwrap();
}

async fn commit_many(ledger: SqliteLedger) {
    say("ready");
    wait_for_go();
    let mut worst = Duration::ZERO;
    for n in 0..UNITS_EACH {
        let since = Instant::now();
        admitted(&ledger, admit(&format!("{}-{n}", std::process::id()))).await;
        worst = worst.max(since.elapsed());
    }
    say(&worst.as_micros().to_string());
}

/// Renews until somebody's runs were freed; says after how long.
async fn renew_until_freed(ledger: &SqliteLedger) -> (u64, Duration) {
    let since = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    loop {
        let freed = ledger.renew().await.unwrap();
        if freed > 0 {
            return (freed, since.elapsed());
        }
        assert!(since.elapsed() < PATIENCE, "nothing was freed");
        beat.tick().await;
    }
}

#[test]
fn a_process_that_was_stopped_past_its_lease_comes_too_late() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = open(&path, Duration::from_secs(15));
        let id = admitted(&ledger, admit("k")).await;
        let mut other = Other::start("hold", &path, 300);
        assert_eq!(other.hear(), "1");
        assert_eq!(ledger.renew().await, Ok(0));
        other.signal(Signal::STOP);
        let (freed, after) = renew_until_freed(&ledger).await;
        assert_eq!(freed, 1);
        println!("a stopped process with a lease of 300 ms was given up after {after:?}");
        let held = lease(&ledger, claim(i64::MAX)).await;
        assert_eq!(held[0].fence, Fence(2));
        other.signal(Signal::CONT);
        other.tell();
        assert_eq!(other.hear(), "refused true lost true");
        assert_eq!(row(&ledger, id).await.seq, 0);
        let ours = ledger.commit(vec![begin_again(Fence(2))]).await.unwrap();
        assert!(matches!(ours[0], UnitResult::Applied(_)));
    });
}

#[test]
fn what_a_killed_process_held_is_free_within_a_second() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = open(&path, Duration::from_secs(15));
        for key in ["k", "l", "m"] {
            admitted(&ledger, admit(key)).await;
        }
        let mut other = Other::start("hold", &path, 15_000);
        assert_eq!(other.hear(), "3");
        assert_eq!(ledger.renew().await, Ok(0));
        other.signal(Signal::KILL);
        let (freed, after) = renew_until_freed(&ledger).await;
        println!("what a killed process held was free after {after:?}");
        assert_eq!(freed, 3);
        assert!(after < Duration::from_secs(1), "{after:?}");
        let named = ledger
            .lease(What::Named("name".into()), claim(0))
            .await
            .unwrap();
        assert_eq!(named, Leased::Named(Fence(2)));
    });
}

#[test]
fn a_process_stopped_inside_a_transaction_is_named() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            wait: Duration::from_millis(200),
            ..Options::new("test")
        };
        let ledger = SqliteLedger::open(&path, options).unwrap();
        let mut other = Other::start("stay inside", &path, 15_000);
        assert_eq!(other.hear(), "ready");
        let turn = folder.path().join("ledger.db-turn");
        let since = Instant::now();
        while std::fs::read_to_string(&turn).unwrap().trim().is_empty() {
            assert!(since.elapsed() < PATIENCE, "it never began");
            tokio::task::yield_now().await;
        }
        other.signal(Signal::STOP);
        let busy = ledger.commit(vec![admit("k")]).await;
        let pid = other.child.id();
        assert!(
            matches!(busy, Err(LedgerError::Busy { pid: Some(p), .. }) if p == pid),
            "{busy:?}"
        );
        let words = busy.unwrap_err().to_string();
        assert!(words.contains(&format!("kill -CONT {pid}")), "{words}");
        other.signal(Signal::KILL);
        other.child.wait().unwrap();
        let after = loop {
            match ledger.commit(vec![admit("k")]).await {
                Ok(results) => break results,
                Err(LedgerError::Busy { .. }) => assert!(since.elapsed() < PATIENCE),
                Err(other) => panic!("{other}"),
            }
        };
        assert!(
            matches!(after[0], UnitResult::Applied(_)),
            "what was given up was not done: {after:?}"
        );
    });
}

#[test]
fn twenty_processes_commit_at_once() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = open(&path, Duration::from_secs(15));
        let mut others: Vec<Other> = (0..20)
            .map(|_| Other::start("commit many", &path, 15_000))
            .collect();
        for other in &mut others {
            assert_eq!(other.hear(), "ready");
        }
        let since = Instant::now();
        others.iter_mut().for_each(Other::tell);
        let waits: Vec<u64> = others
            .iter_mut()
            .map(|o| o.hear().parse().unwrap())
            .collect();
        let took = since.elapsed();
        let worst = Duration::from_micros(waits.into_iter().max().unwrap());
        println!(
            "20 processes made {} commits in {took:?}; the worst wait was {worst:?}",
            20 * UNITS_EACH
        );
        let all =
            oncely_ledger::conformance::stage::all(&ledger, oncely_core::ledger::Filter::default())
                .await;
        assert_eq!(all.len(), 20 * UNITS_EACH);
    });
}
