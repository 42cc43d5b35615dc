//! A restore that is killed, and what takes a ledger as it is: at each opening, write, sync, cut, naming and
//! deletion of a file, one after the other.
//!
//! The test program starts itself again as the one that does it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Ledger, LedgerError, UnitResult};
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::stage::{admit, admitted, run};
use oncely_ledger::{Options, SqliteLedger, back_up, restore};
use oncely_vfs::{Disk, Op, install};
use rustix::process::{Signal, getpid, kill_process};
use std::ffi::c_int;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

const LEDGER: &str = "ONCELY_TEST_LEDGER";
const DIES_AT: &str = "ONCELY_TEST_DIES_AT";
const WHAT: &str = "ONCELY_TEST_WHAT";
/// Runs in the ledger, of which the backup knows fewer.
const KEYS: u64 = 12;
const KNOWN: u64 = 5;

/// Ends the process before the n-th thing that is done to a file, but for reading it.
struct Dies(AtomicU64);

impl Disk for Dies {
    fn before(&self, _: &Path, op: &Op<'_>) -> Option<c_int> {
        if !matches!(op, Op::Read) && self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            kill_process(getpid(), Signal::KILL).unwrap();
            std::thread::park();
        }
        None
    }

    fn after(&self, _: &Path, _: &Op<'_>) {}
}

/// What the other process does; nothing where nobody asked.
#[test]
fn duty() {
    let (Some(ledger), Ok(what)) = (std::env::var_os(LEDGER), std::env::var(WHAT)) else {
        return;
    };
    let ledger = PathBuf::from(ledger);
    let dies_at = std::env::var(DIES_AT).unwrap().parse().unwrap();
    let dies = Arc::new(Dies(AtomicU64::new(dies_at)));
    match what.as_str() {
        "restore" => {
            let _disk = install(ledger.parent().unwrap(), dies);
            restored(&ledger).unwrap();
        }
        _ => {
            let behind = look(&ledger);
            // What the ledger had open before is not watched.
            let _disk = install(ledger.parent().unwrap(), dies);
            behind.take_as_it_is().unwrap();
        }
    }
}

fn killed(ledger: &Path, what: &str, dies_at: u64) -> Option<ExitStatus> {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "duty", "--quiet"])
        .env(LEDGER, ledger)
        .env(WHAT, what)
        .env(DIES_AT, dies_at.to_string())
        .output()
        .unwrap();
    if ended.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.signal(), Some(9), "{what} {dies_at}: {said}");
    Some(ended.status)
}

fn backup(ledger: &Path) -> PathBuf {
    ledger.with_file_name("backup.db")
}

fn restored(ledger: &Path) -> Result<(), LedgerError> {
    restore(ledger, &backup(ledger), Timestamp(9)).map(drop)
}

fn try_open(ledger: &Path) -> Result<SqliteLedger, LedgerError> {
    SqliteLedger::open(ledger, Options::new("test"))
}

fn look(ledger: &Path) -> SqliteLedger {
    let options = Options {
        may_be_behind: true,
        ..Options::new("test")
    };
    SqliteLedger::open(ledger, options).unwrap()
}

/// A ledger of many runs, and a backup of when there were fewer.
fn made() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().canonicalize().unwrap().join("ledger.db");
    let add = |keys: std::ops::Range<u64>| {
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        let made = SqliteLedger::open(&ledger, options).unwrap();
        run(async {
            for key in keys {
                admitted(&made, admit(&format!("k{key}"))).await;
            }
        });
    };
    add(0..KNOWN);
    back_up(&ledger, &backup(&ledger), false).unwrap();
    add(KNOWN..KEYS);
    (folder, ledger)
}

/// So many keys are known, the next is not, and the ledger works.
fn knows(ledger: SqliteLedger, keys: u64) {
    run(async {
        for key in 0..keys {
            let answer = ledger.commit(vec![admit(&format!("k{key}"))]).await;
            let answer = answer.unwrap();
            let known = matches!(answer.as_slice(), [UnitResult::Duplicate(_)]);
            assert!(known, "k{key}: {answer:?}");
        }
        admitted(&ledger, admit(&format!("k{keys}"))).await;
    });
}

/// The restored ledger is refused before anything is done, and can be taken as it is.
fn is_the_restored_one(ledger: &Path) {
    let said = try_open(ledger).map(drop).unwrap_err().to_string();
    assert!(said.contains("was restored from"), "{said}");
    look(ledger).take_as_it_is().unwrap();
    knows(try_open(ledger).unwrap(), KNOWN);
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_ledger_or_the_new_one_or_says_what_to_do() {
    let (mut at, mut old, mut new, mut neither) = (0_u64, 0, 0, 0_u64);
    loop {
        let (_folder, ledger) = made();
        at += 1;
        if killed(&ledger, "restore", at).is_none() {
            is_the_restored_one(&ledger);
            break;
        }
        match try_open(&ledger) {
            Ok(opened) => {
                old += 1;
                knows(opened, KEYS);
            }
            Err(error) if error.to_string().contains("was restored from") => {
                new += 1;
                is_the_restored_one(&ledger);
            }
            // It says what to do. Each of both is done, in turn.
            Err(error) => {
                neither += 1;
                let said = error.to_string();
                let back = format!("`oncely ledger restore {}`", ledger.display());
                assert!(said.contains("that was broken off. It is whole."), "{said}");
                assert!(said.contains(&back), "{said}");
                if neither % 2 == 0 {
                    restored(&ledger).unwrap();
                    is_the_restored_one(&ledger);
                } else {
                    restore(&ledger, &ledger, Timestamp(9)).unwrap();
                    knows(try_open(&ledger).unwrap(), KEYS);
                }
            }
        }
    }
    println!(
        "killed at each of {} things done to files: {old} left the old ledger, {new} the restored one, \
         {neither} one that says what to do",
        at - 1
    );
    assert!(old > 20 && new > 0 && neither > 1, "{old} {new} {neither}");
}

#[test]
fn who_takes_a_ledger_as_it_is_and_is_killed_has_done_so_or_is_refused_as_before() {
    let (mut at, mut refused, mut taken) = (0_u64, 0, 0);
    loop {
        let (_folder, ledger) = made();
        restored(&ledger).unwrap();
        at += 1;
        let ended = killed(&ledger, "take", at).is_none();
        match try_open(&ledger) {
            Ok(opened) => {
                taken += 1;
                knows(opened, KNOWN);
            }
            Err(error) => {
                assert!(!ended, "{error}");
                refused += 1;
                let said = error.to_string();
                assert!(said.contains("oncely ledger repair"), "{said}");
                look(&ledger).take_as_it_is().unwrap();
                knows(try_open(&ledger).unwrap(), KNOWN);
            }
        }
        if ended {
            break;
        }
    }
    println!(
        "killed at each of {} things done to files: {refused} were refused as before",
        at - 1
    );
    assert!(refused > 3 && taken > 0, "{refused} {taken}");
}
