//! A migration that is killed: at each write, sync, cut and deletion of a file, one after the other.
//!
//! The test program starts itself again as the one that migrates. It is told to be the next minor
//! version (`ledger/src/sqlite/rehearsal.rs`), since there is no earlier schema than the first.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Ledger, UnitResult};
use oncely_ledger::conformance::stage::{admit, admitted, run};
use oncely_ledger::{Options, SqliteLedger, migrate};
use oncely_vfs::{Disk, Op, install};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Signal, getpid, kill_process};
use std::ffi::c_int;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LEDGER: &str = "ONCELY_TEST_LEDGER";
const DIES_AT: &str = "ONCELY_TEST_DIES_AT";
const KEYS: u64 = 20;

/// Ends the process before the n-th change of a file.
struct Dies(AtomicU64);

impl Disk for Dies {
    fn before(&self, _: &Path, op: &Op<'_>) -> Option<c_int> {
        let changes = !matches!(op, Op::Open | Op::Read);
        if changes && self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
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
    let (Some(ledger), Ok(dies_at)) = (std::env::var_os(LEDGER), std::env::var(DIES_AT)) else {
        return;
    };
    let ledger = PathBuf::from(ledger);
    let dies = Dies(AtomicU64::new(dies_at.parse().unwrap()));
    let _disk = install(ledger.parent().unwrap(), Arc::new(dies));
    assert_eq!(migrate(&ledger).unwrap().to, 1001);
}

fn migrated(ledger: &Path, dies_at: u64) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "duty", "--quiet"])
        .env("ONCELY_SABOTAGE_SCHEMA", "next")
        .env(LEDGER, ledger)
        .env(DIES_AT, dies_at.to_string())
        .output()
        .unwrap()
        .status
}

/// This program is of the first version.
fn open(ledger: &Path) -> SqliteLedger {
    let options = Options {
        create: true,
        ..Options::new("test")
    };
    SqliteLedger::open(ledger, options).unwrap()
}

fn number(file: &Path, text: &str) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn: Connection = oncely_vfs::open(file, flags).unwrap();
    conn.query_row(text, [], |row| row.get(0)).unwrap()
}

/// Everything that was admitted is known, and more can be.
async fn works(ledger: &Path, more: &str) {
    let ledger = open(ledger);
    for key in 0..KEYS {
        let answer = ledger
            .commit(vec![admit(&format!("k{key}"))])
            .await
            .unwrap();
        assert!(
            matches!(answer.as_slice(), [UnitResult::Duplicate(_)]),
            "k{key}: {answer:?}"
        );
    }
    admitted(&ledger, admit(more)).await;
}

/// Files beside the ledger that have the name of a finished copy.
fn copies(ledger: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(ledger.parent().unwrap()).unwrap();
    let path = files.map(|file| file.unwrap().path());
    let is_copy = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.rsplit_once("-before-1000-")
            .is_some_and(|(_, number)| number.parse::<u32>().is_ok())
    };
    path.filter(is_copy).collect()
}

#[test]
fn a_migration_that_is_killed_at_any_change_of_a_file_leaves_a_ledger_that_works_and_migrates() {
    let (mut killed, mut before, mut copied) = (0_u64, 0, 0);
    loop {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().canonicalize().unwrap().join("ledger.db");
        run(async {
            let made = open(&ledger);
            for key in 0..KEYS {
                admitted(&made, admit(&format!("k{key}"))).await;
            }
        });
        let ended = migrated(&ledger, killed + 1);
        if ended.success() {
            break;
        }
        assert_eq!(ended.signal(), Some(9), "change {}: {ended}", killed + 1);
        killed += 1;
        // The program of before works on what is there, whichever version that is.
        run(works(&ledger, "more"));
        before += u64::from(number(&ledger, "pragma user_version") == 1000);
        for copy in copies(&ledger) {
            assert_eq!(
                number(&copy, "select count(*) from oncely_runs"),
                KEYS.cast_signed()
            );
            copied += 1;
        }
        assert!(migrated(&ledger, u64::MAX).success(), "change {killed}");
        assert_eq!(number(&ledger, "pragma user_version"), 1001);
        run(works(&ledger, "once more"));
        for table in ["oncely_runs", "oncely_standing"] {
            let text = format!("select count(*) from {table}");
            assert_eq!(number(&ledger, &text), KEYS.cast_signed() + 2, "{table}");
        }
    }
    println!(
        "killed at each of {killed} changes of a file: {before} had not migrated, {} had; {copied} copies, \
         each whole",
        killed - before
    );
    assert!(killed > 20 && before > 10 && copied > 0 && before < killed);
}
