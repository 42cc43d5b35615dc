//! Opening what is there, what is not, and what is something else; and the files that are left.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use insta::assert_snapshot;
use oncely_core::ledger::{Ledger, LedgerError, Query};
use oncely_ledger::conformance::stage::{admit, admitted, claim, lease, run};
use oncely_ledger::{Options, SqliteLedger, migrate};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn options(create: bool) -> Options {
    Options {
        create,
        ..Options::new("test")
    }
}

/// What is said, with the folder's name left out.
fn refused(folder: &TempDir, name: &str, create: bool) -> String {
    match SqliteLedger::open(&folder.path().join(name), options(create)) {
        Ok(_) => panic!("{name} was opened"),
        Err(error) => shown(folder, &error),
    }
}

fn shown(folder: &TempDir, error: &LedgerError) -> String {
    error
        .to_string()
        .replace(&folder.path().display().to_string(), "FOLDER")
}

fn made() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&path, options(true)).unwrap());
    (folder, path)
}

fn set_version(path: &Path, version: i32) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn = oncely_vfs::open(path, flags).unwrap();
    conn.pragma_update(None, "user_version", version).unwrap();
}

#[test]
fn what_is_no_ledger_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("text"),
        "not a database at all, but long enough to look at",
    )
    .unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::create_dir(at("directory")).unwrap();
    let other = rusqlite::Connection::open(at("other")).unwrap();
    other.execute_batch("create table t (a)").unwrap();
    assert_snapshot!(refused(&folder, "missing", false), @"there is no ledger at FOLDER/missing. Nothing was changed. `oncely init` makes one; or choose another place with `ledger` in oncely.toml.");
    assert_snapshot!(refused(&folder, "no/such", true), @"the ledger's folder FOLDER/no does not exist. Nothing was changed. Make it, or choose another place with `ledger` in oncely.toml.");
    assert_snapshot!(refused(&folder, "directory", true), @"FOLDER/directory is not a ledger: it is not a file. Nothing was changed. Choose another file with `ledger` in oncely.toml.");
    assert_snapshot!(refused(&folder, "text", true), @"FOLDER/text is not a ledger: it is not a SQLite database. Nothing was changed. Choose another file with `ledger` in oncely.toml.");
    assert_snapshot!(refused(&folder, "empty", false), @"there is no ledger at FOLDER/empty. Nothing was changed. `oncely init` makes one; or choose another place with `ledger` in oncely.toml.");
    assert_snapshot!(refused(&folder, "other", true), @"FOLDER/other is not a ledger: it is a database of something else. Nothing was changed. Choose another file with `ledger` in oncely.toml.");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(folder.path().join("probe"), "").is_ok() {
        return; // The superuser writes everywhere.
    }
    assert_snapshot!(refused(&folder, "ledger.db", true), @"FOLDER/ledger.db cannot be written to: Permission denied (os error 13). Nothing was changed. Make the ledger's folder writable for this user, or choose another place with `ledger` in oncely.toml.");
}

#[test]
fn another_schema_is_refused_or_taken_by_its_version() {
    let (folder, path) = made();
    set_version(&path, 999);
    assert_snapshot!(refused(&folder, "ledger.db", false), @"the ledger FOLDER/ledger.db has schema 0.999; this program works on 2.0. Nothing was changed. Run `oncely ledger migrate`, which makes a backup first.");
    set_version(&path, 2002);
    assert_snapshot!(refused(&folder, "ledger.db", false), @"the ledger FOLDER/ledger.db has schema 2.2; this program works on 2.0 and the next minor version. Nothing was changed. Use the newer program that wrote it.");
    set_version(&path, 3000);
    refused(&folder, "ledger.db", false);
    set_version(&path, 2001);
    drop(SqliteLedger::open(&path, options(false)).unwrap());
}

#[test]
fn a_ledger_that_is_migrated_under_a_running_program_is_left_alone() {
    run(async {
        let (folder, path) = made();
        let ledger = SqliteLedger::open(&path, options(false)).unwrap();
        admitted(&ledger, admit("k")).await;
        set_version(&path, 2001);
        admitted(&ledger, admit("l")).await;
        set_version(&path, 3000);
        let error = ledger.commit(vec![admit("m")]).await.unwrap_err();
        assert!(shown(&folder, &error).contains("schema 3.0"), "{error}");
    });
}

#[test]
fn a_current_ledger_needs_no_migration() {
    let (folder, path) = made();
    let backup = migrate(&path).unwrap();
    assert_eq!((backup.copy, backup.from), (None, 2000));
    set_version(&path, 3000);
    let error = migrate(&path).unwrap_err();
    assert!(shown(&folder, &error).contains("newer program"), "{error}");
}

#[test]
fn everything_that_is_made_is_private() {
    run(async {
        let (folder, path) = made();
        let ledger = SqliteLedger::open(&path, options(false)).unwrap();
        admitted(&ledger, admit("k")).await;
        assert_eq!(lease(&ledger, claim(1)).await.len(), 1);
        let head = folder.path().join("ledger.db-head");
        let since = std::time::Instant::now();
        while !std::fs::read_to_string(&head)
            .unwrap()
            .contains("\nruns 1\n")
        {
            assert!(since.elapsed().as_secs() < 60, "the head is not written");
            std::thread::yield_now();
        }
        let mut names = Vec::new();
        for found in std::fs::read_dir(folder.path()).unwrap() {
            let found = found.unwrap();
            let mode = found.metadata().unwrap().permissions().mode() & 0o777;
            let name = found.file_name().into_string().unwrap();
            let expected = if found.path().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{name}");
            names.push(name);
        }
        names.sort();
        assert_eq!(
            names,
            [
                "ledger.db",
                "ledger.db-head",
                "ledger.db-head-lock",
                "ledger.db-holders",
                "ledger.db-reserve",
                "ledger.db-shm",
                "ledger.db-turn",
                "ledger.db-wal"
            ]
        );
        let holders = || {
            std::fs::read_dir(folder.path().join("ledger.db-holders"))
                .unwrap()
                .count()
        };
        assert_eq!(holders(), 1);
        drop(ledger);
        assert_eq!(holders(), 0);
    });
}

#[test]
fn a_command_with_nothing_to_do_writes_nothing() {
    run(async {
        let (_folder, path) = made();
        let before = std::fs::read(&path).unwrap();
        let since = std::time::Instant::now();
        let ledger = SqliteLedger::open(&path, options(false)).unwrap();
        assert!(lease(&ledger, claim(1)).await.is_empty());
        assert_eq!(ledger.renew().await, Ok(0));
        ledger.read(Query::Files).await.unwrap();
        let wal = path.with_file_name("ledger.db-wal");
        assert_eq!(std::fs::metadata(wal).map_or(0, |wal| wal.len()), 0);
        drop(ledger);
        println!("opened, asked and closed in {:?}", since.elapsed());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    });
}

#[test]
fn facts_and_keys_stay_as_they_are() {
    run(async {
        let (_folder, path) = made();
        let ledger = SqliteLedger::open(&path, options(false)).unwrap();
        let id = admitted(&ledger, admit("k")).await;
        let begun = oncely_ledger::conformance::stage::began();
        let add = oncely_ledger::conformance::stage::facts(id, 1, vec![begun]);
        ledger
            .commit(vec![oncely_ledger::conformance::stage::unit(
                vec![],
                vec![add],
            )])
            .await
            .unwrap();
        // What a prune removes of old runs, it alone removes.
        let ended = admitted(&ledger, admit("old")).await;
        let done = oncely_core::run::RunStatus::Done;
        let end = oncely_ledger::conformance::stage::stand(ended, done, None, false);
        let end = oncely_ledger::conformance::stage::unit(vec![], vec![end]);
        ledger.commit(vec![end]).await.unwrap();
        admitted(&ledger, admit("newest")).await;
        let part = oncely_ledger::conformance::pruning::part();
        let pruned = oncely_ledger::conformance::pruning::whole(&ledger, part).await;
        assert_eq!(pruned.runs, 1);
        let conn = rusqlite::Connection::open(&path).unwrap();
        for text in [
            "delete from oncely_facts",
            "delete from oncely_prunes",
            "delete from oncely_pruned",
            "update oncely_facts set at = 0",
            "delete from oncely_keys",
            "update oncely_keys set run = 9",
        ] {
            let error = conn.execute_batch(text).unwrap_err().to_string();
            assert!(
                ["never", "for ever", "is remembered"]
                    .iter()
                    .any(|word| error.contains(word)),
                "{text}: {error}"
            );
        }
    });
}

#[test]
fn a_full_disk_keeps_what_was_recorded() {
    run(async {
        let (folder, path) = made();
        let conn = rusqlite::Connection::open(&path).unwrap();
        let pages: u32 = conn
            .query_row("pragma page_count", [], |row| row.get(0))
            .unwrap();
        let small_disk = Options {
            pages_at_most: Some(pages + 2),
            ..options(false)
        };
        let ledger = SqliteLedger::open(&path, small_disk).unwrap();
        admitted(&ledger, admit("k")).await;
        let big: std::sync::Arc<[u8]> = std::sync::Arc::from(vec![7_u8; 100_000]);
        let hash = oncely_core::ids::ContentHash::of(&big);
        let store = oncely_core::ledger::Op::Store(hash, big);
        let (small, large) = (
            admit("l"),
            oncely_ledger::conformance::stage::unit(vec![], vec![store]),
        );
        let error = ledger.commit(vec![small, large]).await.unwrap_err();
        assert_snapshot!(shown(&folder, &error), @"the ledger's disk is full: FOLDER/ledger.db. What was recorded is kept and nothing was started. Free some space; work goes on by itself.");
        let rows =
            oncely_ledger::conformance::stage::all(&ledger, oncely_core::ledger::Filter::default())
                .await;
        assert_eq!(rows.len(), 1, "the whole group was not applied");
        admitted(&ledger, admit("l")).await;
    });
}
