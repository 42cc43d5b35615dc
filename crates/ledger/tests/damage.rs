//! What a page that is not what was written leads to: words, and nothing that is done twice.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use insta::assert_snapshot;
use oncely_core::ledger::{Filter, Ledger, LedgerError};
use oncely_ledger::conformance::stage::{admit, admitted, all, run};
use oncely_ledger::{Options, SqliteLedger};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn open(path: &Path) -> Result<SqliteLedger, LedgerError> {
    let options = Options {
        create: true,
        ..Options::new("test")
    };
    SqliteLedger::open(path, options)
}

/// A ledger with some runs, closed.
async fn made() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path).unwrap();
    for number in 0..20 {
        admitted(&ledger, admit(&format!("k{number}"))).await;
    }
    (folder, path)
}

/// A page of a table, as a plain SQLite finds it.
fn page_of(path: &Path, table: &str) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let text = "select pageno from dbstat where name = ?1 and pagetype = 'leaf'";
    conn.query_row(text, [table], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

fn flip(path: &Path, page: u64, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let at = (page - 1) * 4096 + at;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn shown(folder: &TempDir, page: u64, error: &impl ToString) -> String {
    error
        .to_string()
        .replace(&folder.path().display().to_string(), "FOLDER")
        .replace(&format!("page {page} "), "page N ")
}

#[test]
fn a_flipped_bit_in_the_keys_admits_nothing_twice() {
    run(async {
        let (folder, path) = made().await;
        let page = page_of(&path, "oncely_keys");
        // Inside the hash of a key: SQLite itself would take it for another one.
        flip(&path, page, 4060);
        let ledger = open(&path).unwrap();
        let mut said = Vec::new();
        for number in 0..20 {
            let error = ledger.commit(vec![admit(&format!("k{number}"))]).await;
            said.push(shown(&folder, page, &error.unwrap_err()));
        }
        said.dedup();
        assert_snapshot!(said.join("\n"), @"the ledger FOLDER/ledger.db is damaged: page N of FOLDER/ledger.db is not what was written there: its checksum does not fit. Nothing was run on what it says, and nothing was changed. Stop oncely, keep a copy of the file and of what lies beside it, and go on with the last backup.");
        assert_eq!(all(&ledger, Filter::default()).await.len(), 20);
    });
}

#[test]
fn a_flipped_bit_in_an_event_is_an_error_of_the_export() {
    run(async {
        let (folder, path) = made().await;
        let page = page_of(&path, "oncely_admissions");
        flip(&path, page, 4070);
        let error = open(&path).unwrap().export(&mut Vec::new()).unwrap_err();
        assert_snapshot!(shown(&folder, page, &error), @"the ledger FOLDER/ledger.db is damaged: page N of FOLDER/ledger.db is not what was written there: its checksum does not fit. Nothing was run on what it says, and nothing was changed. Stop oncely, keep a copy of the file and of what lies beside it, and go on with the last backup.");
    });
}

#[test]
fn a_first_page_that_lost_its_marks_is_no_ledger_to_write_to() {
    run(async {
        let (folder, path) = made().await;
        let mut said = Vec::new();
        // The word SQLite, the number of reserved bytes, and the number of pages.
        for at in [3, 20, 31] {
            flip(&path, 1, at);
            let before = std::fs::read(&path).unwrap();
            let error = open(&path).err().expect("it was opened");
            said.push(shown(&folder, 1, &error));
            assert_eq!(std::fs::read(&path).unwrap(), before);
            flip(&path, 1, at);
        }
        said.dedup();
        assert_snapshot!(said.join("\n"), @"the ledger FOLDER/ledger.db is damaged: page N of FOLDER/ledger.db is not what was written there: its checksum does not fit. Nothing was run on what it says, and nothing was changed. Stop oncely, keep a copy of the file and of what lies beside it, and go on with the last backup.");
        open(&path).unwrap();
    });
}
