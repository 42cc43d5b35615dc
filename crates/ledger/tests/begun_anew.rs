//! A ledger that had no run yet is nothing that could be missed: another one is made in its place, and goes on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Ledger, UnitResult};
use oncely_ledger::conformance::fast_folder;
use oncely_ledger::conformance::stage::{admit, admitted, one, run};
use oncely_ledger::{Options, SqliteLedger};
use std::path::Path;

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
