//! A migration that is killed: at each write, sync, cut and deletion of a file, one after the other.
//!
//! The test program starts itself again as the one that migrates. It is of this version, or is told to
//! be the next minor one (`ledger/src/sqlite/rehearsal.rs`).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Answer, Filter, Ledger, Query, UnitResult};
use oncely_ledger::conformance::stage::{admit, admitted, all, run};
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

/// What version 1.0 wrote: five runs.
const OLD: &str = include_str!("../../ledger/tests/fixtures/ledger-1.0.sql");
const OLD_RUNS: usize = 5;
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
    migrate(&ledger).unwrap();
}

/// Migrates in another process, by the program of this version or by the next one.
fn migrated(ledger: &Path, program: &str, dies_at: u64) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "duty", "--quiet"])
        .env("ONCELY_SABOTAGE_SCHEMA", program)
        .env(LEDGER, ledger)
        .env(DIES_AT, dies_at.to_string())
        .output()
        .unwrap()
        .status
}

/// This program is of the version before.
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
        name.rsplit_once("-before-2000-")
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
        let ended = migrated(&ledger, "next", killed + 1);
        if ended.success() {
            break;
        }
        assert_eq!(ended.signal(), Some(9), "change {}: {ended}", killed + 1);
        killed += 1;
        // The program of before works on what is there, whichever version that is.
        run(works(&ledger, "more"));
        before += u64::from(number(&ledger, "pragma user_version") == 2000);
        for copy in copies(&ledger) {
            assert_eq!(
                number(&copy, "select count(*) from oncely_runs"),
                KEYS.cast_signed()
            );
            copied += 1;
        }
        assert!(
            migrated(&ledger, "next", u64::MAX).success(),
            "change {killed}"
        );
        assert_eq!(number(&ledger, "pragma user_version"), 2001);
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

fn has_checksums(ledger: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    oncely_vfs::is_reserved(&oncely_vfs::open(ledger, flags).unwrap()).unwrap()
}

fn old(ledger: &Path) {
    let conn = Connection::open(ledger).unwrap();
    conn.query_row("pragma journal_mode = wal", [], |_| Ok(()))
        .unwrap();
    conn.execute_batch(OLD).unwrap();
    conn.pragma_update(None, "application_id", 0x6f6e_6365)
        .unwrap();
    conn.pragma_update(None, "user_version", 1000).unwrap();
}

/// Every run is there, with the facts of its chain.
async fn is_whole(ledger: &Path) {
    let ledger = open(ledger);
    let rows = all(&ledger, Filter::default()).await;
    assert_eq!(rows.len(), OLD_RUNS);
    let asked = Query::Broken(rows.iter().map(|row| row.id).collect());
    let broken = ledger.read(asked).await.unwrap();
    assert_eq!(broken, Answer::Broken(vec![]));
}

#[test]
fn a_migration_from_the_first_schema_that_is_killed_leaves_the_old_ledger_or_the_new_one() {
    let (mut killed, mut before, mut bare) = (0_u64, 0, 0);
    loop {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().canonicalize().unwrap().join("ledger.db");
        old(&ledger);
        let ended = migrated(&ledger, "this", killed + 1);
        if ended.success() {
            break;
        }
        assert_eq!(ended.signal(), Some(9), "change {}: {ended}", killed + 1);
        killed += 1;
        if number(&ledger, "pragma user_version") == 1000 {
            before += 1;
            let refused = SqliteLedger::open(&ledger, Options::new("test"));
            assert!(refused.is_err(), "an old ledger was opened");
            assert!(migrated(&ledger, "this", u64::MAX).success());
        }
        assert_eq!(number(&ledger, "pragma user_version"), 2000);
        run(is_whole(&ledger));
        // Its pages have checksums, or get them now.
        bare += u64::from(!has_checksums(&ledger));
        assert!(migrated(&ledger, "this", u64::MAX).success());
        assert!(has_checksums(&ledger), "change {killed}");
        run(is_whole(&ledger));
    }
    println!(
        "killed at each of {killed} changes of a file: {before} had not migrated, {bare} had no checksums yet"
    );
    assert!(bare > 0);
    assert!(killed > 20 && before > 10 && before < killed);
}
