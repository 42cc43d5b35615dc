//! A ledger that had no run yet is nothing that could be missed: another one is made in its place, and goes on.
//! What the head beside it says is of the one ledger alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use insta::assert_snapshot;
use oncely_core::ledger::{Ledger, UnitResult};
use oncely_ledger::conformance::fast_folder;
use oncely_ledger::conformance::stage::{admit, admitted, one, run};
use oncely_ledger::{Options, SqliteLedger};
use std::path::Path;
use std::time::{Duration, Instant};

fn open(path: &Path) -> SqliteLedger {
    let options = Options {
        create: true,
        ..Options::new("test")
    };
    SqliteLedger::open(path, options).unwrap()
}

#[test]
fn in_the_place_of_a_ledger_without_runs_another_is_made_with_a_head_of_its_own() {
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    let first = open(&path).name();
    assert!(folder.path().join("ledger.db-head").is_file());
    std::fs::remove_file(&path).unwrap();
    run(async {
        let second = open(&path);
        admitted(&second, admit("a")).await;
        let name = second.name();
        assert_ne!(name, first);
        drop(second);
        // It is not taken for one that lost what the first had.
        let again = open(&path);
        assert_eq!(again.name(), name);
        let known = one(&again, admit("a")).await;
        assert!(matches!(known, UnitResult::Duplicate(_)), "{known:?}");
    });
}

#[test]
fn a_head_that_cannot_be_read_is_not_taken_for_none() {
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    run(async {
        admitted(&open(&path), admit("a")).await;
    });
    let head = folder.path().join("ledger.db-head");
    std::fs::remove_file(&head).unwrap();
    std::fs::create_dir(&head).unwrap();
    let said = SqliteLedger::open(&path, Options::new("test")).err();
    let said = said.expect("it was opened").to_string();
    let shown = said.replace(&folder.path().display().to_string(), "FOLDER");
    assert_snapshot!(shown, @"FOLDER/ledger.db-head cannot be used: Is a directory (os error 21). Nothing was changed.");
    std::fs::remove_dir(&head).unwrap();
    drop(open(&path));
    assert!(head.is_file(), "one that is missing is made anew");
}

/// Waits until the head beside the ledger says this.
fn says(ledger: &Path, words: &str) {
    let head = ledger.with_file_name("ledger.db-head");
    let since = Instant::now();
    loop {
        let found = std::fs::read_to_string(&head).unwrap_or_default();
        if found.contains(words) {
            return;
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{words}: {found}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn who_works_on_a_ledger_that_was_moved_away_says_nothing_of_the_one_in_its_place() {
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    let moved = open(&path);
    run(async {
        for key in ["a", "b", "c"] {
            admitted(&moved, admit(key)).await;
        }
    });
    says(&path, "\nmoved 3 1\n");
    for ending in ["", "-wal", "-shm", "-head"] {
        let of = |name: &str| folder.path().join(format!("{name}.db{ending}"));
        std::fs::rename(of("ledger"), of("moved")).unwrap();
    }
    let other = open(&path);
    run(async {
        admitted(&other, admit("x")).await;
    });
    says(&path, "\nmoved 1 1\n");
    run(async {
        admitted(&moved, admit("d")).await;
    });
    drop((moved, other));
    let head = std::fs::read_to_string(folder.path().join("ledger.db-head")).unwrap();
    assert!(head.contains("\nruns 1\n"), "{head}");
    let known = SqliteLedger::open(&path, Options::new("test")).unwrap();
    run(async {
        let again = one(&known, admit("x")).await;
        assert!(matches!(again, UnitResult::Duplicate(_)), "{again:?}");
    });
}
