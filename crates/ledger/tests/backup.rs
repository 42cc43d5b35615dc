//! A ledger is copied while others write, and a copy takes its place only where that is safe.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use insta::assert_snapshot;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Answer, Ledger, LedgerError, Query};
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::stage::{admit, admitted, claim, lease, run};
use oncely_ledger::{Options, SqliteLedger, back_up, restore};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_764_000_000_000);

fn open(path: &Path) -> SqliteLedger {
    let options = Options {
        create: true,
        synced: false,
        ..Options::new("test")
    };
    SqliteLedger::open(path, options).unwrap()
}

/// A ledger with these runs, and nobody at work on it.
fn made(keys: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    add(&path, keys);
    (folder, path)
}

fn add(path: &Path, keys: &[&str]) {
    let ledger = open(path);
    run(async {
        for key in keys {
            admitted(&ledger, admit(key)).await;
        }
    });
}

fn keys(path: &Path) -> Vec<String> {
    let ledger = open(path);
    let mut found = Vec::new();
    run(async {
        for id in 1.. {
            let Answer::Run(Some(row)) = ledger.read(Query::Run(RunId(id))).await.unwrap() else {
                break;
            };
            found.push(row.key.to_string());
        }
    });
    found
}

/// Somebody goes on with what was restored.
fn take_as_it_is(path: &Path) {
    let looks = Options {
        may_be_behind: true,
        ..Options::new("test")
    };
    let ledger = SqliteLedger::open(path, looks).unwrap();
    ledger.take_as_it_is().unwrap();
}

fn said(folder: &TempDir, error: &LedgerError) -> String {
    let text = error.to_string();
    let text = text.replace(&folder.path().display().to_string(), "FOLDER");
    text.replace(&std::process::id().to_string(), "PID")
}

#[test]
fn a_backup_is_taken_while_others_write() {
    let (folder, path) = made(&[]);
    let (stop, done) = (AtomicBool::new(false), AtomicI64::new(0));
    let copy = folder.path().join("copy.db");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ledger = open(&path);
            run(async {
                for n in 1.. {
                    ledger.commit(vec![admit(&format!("k{n}"))]).await.unwrap();
                    done.store(n, Ordering::SeqCst);
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        });
        while done.load(Ordering::SeqCst) < 300 {
            std::thread::yield_now();
        }
        let before = done.load(Ordering::SeqCst);
        let copied = back_up(&path, &copy, false);
        stop.store(true, Ordering::SeqCst);
        assert!(copied.unwrap().runs >= before.cast_unsigned());
    });
    let found = keys(&copy);
    let wanted: Vec<String> = (1..=found.len()).map(|n| format!("k{n}")).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_backup_is_private_and_one_file_and_takes_no_name_that_is_taken() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    let copied = back_up(&path, &copy, false).unwrap();
    assert_eq!((copied.file.as_path(), copied.runs), (copy.as_path(), 1));
    assert_eq!(copied.bytes, copy.metadata().unwrap().len());
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    add(&path, &["b"]);
    let refused = back_up(&path, &copy, false).unwrap_err();
    assert_snapshot!(said(&folder, &refused), @"FOLDER/copy.db is there already. Nothing was written. Choose another name, or say --replace.");
    assert_eq!(back_up(&path, &copy, true).unwrap().runs, 2);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("copy"))
        .collect();
    names.sort();
    assert_eq!(names, ["copy.db"]);
}

#[test]
fn what_a_killed_backup_left_is_written_over_and_what_is_being_written_is_not() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    let writing = folder.path().join("copy.db-writing");
    std::fs::write(&writing, "half of something").unwrap();
    let held = std::fs::File::open(&writing).unwrap();
    held.lock().unwrap();
    let refused = back_up(&path, &copy, false).unwrap_err();
    assert_snapshot!(said(&folder, &refused), @"another process is writing FOLDER/copy.db-writing. Nothing was written. Wait until it has ended.");
    drop(held);
    assert_eq!(back_up(&path, &copy, false).unwrap().runs, 1);
    assert_eq!(keys(&copy), ["a"]);
}

#[test]
fn a_restore_takes_the_place_and_keeps_what_was_there() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    back_up(&path, &copy, false).unwrap();
    add(&path, &["b"]);
    let restored = restore(&path, &copy, NOW).unwrap();
    let kept = folder.path().join("ledger.db-replaced-1");
    assert_eq!((restored.runs, restored.kept.as_ref()), (1, Some(&kept)));
    take_as_it_is(&path);
    assert_eq!(keys(&path), ["a"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let stats = open(&path).stats().unwrap();
    let note = stats.restored.unwrap();
    assert_eq!((note.at, note.from.as_str()), (NOW, copy.to_str().unwrap()));
    let mode: String = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("pragma journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    // The old one is not worked on by mistake, and can be put back.
    let Err(refused) = SqliteLedger::open(&kept, Options::new("test")) else {
        panic!("a replaced ledger was opened");
    };
    assert_snapshot!(said(&folder, &refused), @"the ledger FOLDER/ledger.db-replaced-1 was replaced by a restored one, and nothing more is recorded here. Nothing was run. `oncely ledger restore FOLDER/ledger.db-replaced-1` puts it back into its place.");
    restore(&path, &kept, NOW).unwrap();
    take_as_it_is(&path);
    assert_eq!(keys(&path), ["a", "b"]);
}

#[test]
fn a_ledger_is_restored_where_there_is_none() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    back_up(&path, &copy, false).unwrap();
    let other = folder.path().join("other.db");
    assert_eq!(restore(&other, &copy, NOW).unwrap().kept, None);
    take_as_it_is(&other);
    assert_eq!(keys(&other), ["a"]);
}

#[test]
fn nothing_is_restored_while_a_process_is_at_work_or_has_the_ledger_open() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    back_up(&path, &copy, false).unwrap();
    add(&path, &["b"]);
    let ledger = open(&path);
    let refused = restore(&path, &copy, NOW).unwrap_err();
    assert_snapshot!(said(&folder, &refused), @"another process has the ledger FOLDER/ledger.db open. Nothing was restored. Try again when it has ended.");
    run(async {
        assert!(!lease(&ledger, claim(1)).await.is_empty());
    });
    let refused = restore(&path, &copy, NOW).unwrap_err();
    assert_snapshot!(said(&folder, &refused), @"process PID (test) is at work on the ledger. Nothing was restored. Stop it, then restore again.");
    // It works on, on the ledger as it was.
    run(async {
        admitted(&ledger, admit("c")).await;
    });
    drop(ledger);
    assert_eq!(keys(&path), ["a", "b", "c"]);
}

#[test]
fn a_damaged_backup_is_refused_and_a_damaged_ledger_is_replaced() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    let broken = folder.path().join("broken.db");
    back_up(&path, &copy, false).unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    std::fs::write(&broken, &bytes).unwrap();
    restore(&path, &broken, NOW).unwrap_err();
    assert_eq!(keys(&path), ["a"]);
    std::fs::write(
        &path,
        "this was a ledger once, before the disk had its way with it",
    )
    .unwrap();
    let restored = restore(&path, &copy, NOW).unwrap();
    assert_eq!(keys(&path), ["a"]);
    let kept = std::fs::read_to_string(restored.kept.unwrap()).unwrap();
    assert!(kept.starts_with("this was a ledger once"));
}

#[test]
fn who_is_about_to_close_the_ledger_is_waited_for_by_a_restore() {
    let (folder, path) = made(&["a"]);
    let copy = folder.path().join("copy.db");
    back_up(&path, &copy, false).unwrap();
    let restored = || {
        let ledger = open(&path);
        std::thread::scope(|scope| {
            let restoring = scope.spawn(|| restore(&path, &copy, NOW));
            // It has said that it is about to replace the ledger, and waits for those who have it open.
            let marked = || {
                let conn = rusqlite::Connection::open(&path).unwrap();
                let version = conn.pragma_query_value(None, "user_version", |row| row.get(0));
                version.is_ok_and(|version: i32| version > 1_000_000)
            };
            while !restoring.is_finished() && !marked() {
                std::thread::yield_now();
            }
            drop(ledger);
            restoring.join().unwrap()
        })
    };
    // On a machine that is very busy it may have given up before this one closed.
    let mut tries = std::iter::repeat_with(restored).take(20);
    assert!(tries.any(|done| done.is_ok()));
}
