//! A ledger has a name of its own, which every process sees and which goes where the ledger goes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::Ledger;
use oncely_ledger::conformance::stage::run;
use oncely_ledger::conformance::{Server, fast_folder};
use oncely_ledger::{Options, PostgresLedger, PostgresOptions, SqliteLedger, move_to_postgres};
use std::path::Path;

fn sqlite(path: &Path) -> SqliteLedger {
    let options = Options {
        create: true,
        ..Options::new("test")
    };
    SqliteLedger::open(path, options).unwrap()
}

fn postgres(url: &str) -> PostgresLedger {
    let options = PostgresOptions {
        create: true,
        ..PostgresOptions::new("test")
    };
    PostgresLedger::open(url, options).unwrap()
}

/// The name in the first line of an export.
fn exported(out: &[u8]) -> String {
    let line = out.split(|byte| *byte == b'\n').next().unwrap();
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    assert_eq!(line["kind"], "ledger");
    line["name"].as_str().unwrap().to_owned()
}

#[test]
fn a_ledger_in_a_file_has_a_name_that_no_other_has() {
    let folder = fast_folder();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let (one, again, other) = (sqlite(&a), sqlite(&a), sqlite(&b));
    assert!(one.name().len() >= 8, "{}", one.name());
    assert_eq!(one.name(), again.name());
    assert_ne!(one.name(), other.name());
    let mut out = Vec::new();
    one.export(&mut out).unwrap();
    assert_eq!(exported(&out), one.name());
}

#[test]
fn a_ledger_in_postgresql_has_a_name_that_no_other_has() {
    let server = Server::start(&[]);
    let (a, b) = (server.database(), server.database());
    run(async {
        let (one, again, other) = (postgres(&a), postgres(&a), postgres(&b));
        assert!(one.name().len() >= 8, "{}", one.name());
        assert_eq!(one.name(), again.name());
        assert_ne!(one.name(), other.name());
        let mut out = Vec::new();
        one.export(&mut out).unwrap();
        assert_eq!(exported(&out), one.name());
    });
}

#[test]
fn the_name_moves_with_the_ledger() {
    let server = Server::start(&[]);
    let url = server.database();
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    run(async {
        let name = sqlite(&path).name();
        let moved = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        assert_eq!(moved.unwrap().runs, 0);
        assert_eq!(postgres(&url).name(), name);
    });
}

#[test]
fn no_two_processes_have_the_same_number() {
    let folder = fast_folder();
    let path = folder.path().join("a.db");
    let mut numbers = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let number = sqlite(&path).holder().0;
        // Where a number stands together with that of a lane it has to leave room for it.
        assert!((1..1 << 48).contains(&number), "{number}");
        assert!(numbers.insert(number), "{number} was given twice");
    }
}
