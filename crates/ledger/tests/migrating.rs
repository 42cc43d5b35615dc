//! A ledger that an earlier version wrote goes on after it was migrated. `trial/tests/upgrade.rs` kills
//! the migration.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ids::RunId;
use oncely_core::ledger::{Answer, Filter, Ledger, Query};
use oncely_core::run::RunStatus;
use oncely_ledger::conformance::stage::{all, run};
use oncely_ledger::{Options, SqliteLedger, migrate};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What version 1.0 wrote: runs that are done, failed, pending, and wait for an answer.
const OLD: &str = include_str!("fixtures/ledger-1.0.sql");

fn old() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.query_row("pragma journal_mode = wal", [], |_| Ok(()))
        .unwrap();
    conn.execute_batch(OLD).unwrap();
    conn.pragma_update(None, "application_id", 0x6f6e_6365)
        .unwrap();
    conn.pragma_update(None, "user_version", 1000).unwrap();
    (folder, path)
}

fn open(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path, Options::new("test")).unwrap()
}

fn version(path: &Path) -> i32 {
    rusqlite::Connection::open(path)
        .unwrap()
        .query_row("pragma user_version", [], |row| row.get(0))
        .unwrap()
}

/// How many runs there are, and which of them are broken.
fn looked_over(path: &Path) -> (usize, Vec<RunId>) {
    let ledger = open(path);
    let mut found = (0, vec![]);
    run(async {
        let rows = all(&ledger, Filter::default()).await;
        let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
        let Answer::Broken(broken) = ledger.read(Query::Broken(ids)).await.unwrap() else {
            panic!("another answer");
        };
        found = (rows.len(), broken);
    });
    found
}

#[test]
fn an_old_ledger_says_what_to_do_and_goes_on_after_it() {
    let (folder, path) = old();
    let Err(refused) = SqliteLedger::open(&path, Options::new("test")) else {
        panic!("an old ledger was opened");
    };
    let said = refused.to_string();
    let said = said.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(said, @"the ledger FOLDER/ledger.db has schema 1.0; this program works on 2.0. Nothing was changed. Run `oncely ledger migrate`, which makes a backup first.");
    let done = migrate(&path).unwrap();
    assert_eq!((done.from, done.to), (1000, 2000));
    assert_eq!(version(&done.copy.unwrap()), 1000);
    assert_eq!(looked_over(&path), (5, vec![]));
    let ledger = open(&path);
    run(async {
        let rows = all(&ledger, Filter::default()).await;
        let states: Vec<RunStatus> = rows.iter().rev().map(|row| row.status).collect();
        use RunStatus::{Done, Failed, Pending, Waiting};
        assert_eq!(states, [Failed, Done, Pending, Done, Waiting]);
    });
}

#[test]
fn a_record_that_was_damaged_before_is_set_aside_and_the_others_go_on() {
    let (_folder, path) = old();
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("drop trigger oncely_facts_stay; delete from oncely_facts where run = 3")
        .unwrap();
    migrate(&path).unwrap();
    assert_eq!(looked_over(&path), (5, vec![RunId(3)]));
}

/// Makes the same ledger anew as a version made it that knew of no checksums.
fn without_checksums(path: &Path) {
    let plain = path.with_extension("plain");
    let conn = rusqlite::Connection::open(&plain).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.execute("attach ?1 as old", [path.to_str().unwrap()])
        .unwrap();
    let listed = |kinds: &str| -> Vec<(String, String)> {
        let text = format!(
            "select name, sql from old.sqlite_schema where type in ({kinds}) and sql is not null
             and name not like 'sqlite_%'"
        );
        let mut entries = conn.prepare(&text).unwrap();
        let read = entries.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        read.unwrap().map(Result::unwrap).collect()
    };
    for (name, sql) in listed("'table'") {
        conn.execute_batch(&sql).unwrap();
        conn.execute_batch(&format!("insert into main.{name} select * from old.{name}"))
            .unwrap();
    }
    for (_, sql) in listed("'index', 'trigger'") {
        conn.execute_batch(&sql).unwrap();
    }
    conn.execute_batch("detach old").unwrap();
    conn.pragma_update(None, "application_id", 0x6f6e_6365)
        .unwrap();
    conn.pragma_update(None, "user_version", 2000).unwrap();
    conn.query_row("pragma journal_mode = wal", [], |_| Ok(()))
        .unwrap();
    conn.close().unwrap();
    std::fs::rename(plain, path).unwrap();
}

fn has_checksums(path: &Path) -> bool {
    open(path).verify().unwrap().checksums.unwrap()
}

/// Flips a bit in each page but the first, one after the other: how often that was noticed.
fn noticed(path: &Path) -> (usize, usize) {
    let whole = std::fs::read(path).unwrap();
    let pages = whole.len() / 4096;
    let mut noticed = 0;
    for page in 1..pages {
        let mut changed = whole.clone();
        changed[page * 4096 + 2000] ^= 4;
        std::fs::write(path, &changed).unwrap();
        let looked = SqliteLedger::open(path, Options::new("test")).and_then(|it| it.verify());
        noticed += usize::from(!looked.is_ok_and(|found| found.wrong == 0));
    }
    std::fs::write(path, whole).unwrap();
    (noticed, pages - 1)
}

#[test]
fn a_ledger_without_checksums_gets_them_with_a_migration_and_says_whether_it_has_them() {
    let (_folder, path) = old();
    let first = migrate(&path).unwrap();
    assert!(first.sealed && has_checksums(&path));
    without_checksums(&path);
    assert_eq!(looked_over(&path), (5, vec![]));
    assert!(!has_checksums(&path));
    let (seen, pages) = noticed(&path);
    assert!(seen < pages, "{seen} of {pages}");
    let done = migrate(&path).unwrap();
    assert_eq!((done.sealed, done.from, done.to), (true, 2000, 2000));
    assert!(
        !has_checksums(&done.copy.unwrap()),
        "the copy is what it was"
    );
    assert!(has_checksums(&path));
    assert_eq!(looked_over(&path), (5, vec![]));
    let (seen, pages) = noticed(&path);
    assert_eq!(seen, pages);
    // There is nothing more to be done.
    assert_eq!(migrate(&path).unwrap().copy, None);
}
