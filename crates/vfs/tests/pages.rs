//! What a flipped bit, a lost page and another program's pen lead to.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_vfs::{Place, Rot, What, is_reserved, open, reserve, rotten};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PAGE: u64 = 4096;

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// A database with a few hundred rows, some of them longer than a page.
fn made() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.db");
    let conn = open(&path, flags()).unwrap();
    reserve(&conn).unwrap();
    fill(&conn);
    (folder, path)
}

fn fill(conn: &Connection) {
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    conn.execute_batch(
        "create table t (a integer primary key, b text, c blob);
         create index t_b on t (b);
         with recursive n (x) as (select 1 union all select x + 1 from n where x < 300)
         insert into t select x, 'text ' || x, zeroblob(iif(x % 50 = 0, 9000, 40)) from n;",
    )
    .unwrap();
}

fn sum(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("select sum(a + length(b) + length(c)) from t", [], |row| {
        row.get(0)
    })
}

fn asked(path: &Path) -> Result<i64, Option<Rot>> {
    let read = open(path, flags()).and_then(|conn| sum(&conn));
    read.map_err(|error| rotten(error.sqlite_error().unwrap().extended_code))
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

fn wal(path: &Path) -> PathBuf {
    path.with_file_name("some.db-wal")
}

#[test]
fn a_new_database_is_read_back_and_by_a_plain_sqlite_too() {
    let (_folder, path) = made();
    assert!(is_reserved(&open(&path, flags()).unwrap()).unwrap());
    assert_eq!(asked(&path), Ok(113_202));
    let plain = Connection::open(&path).unwrap();
    assert_eq!(sum(&plain).unwrap(), 113_202);
    let said: String = plain
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(said, "ok");
}

#[test]
fn a_flipped_bit_in_any_page_is_named_and_never_an_answer() {
    let (_folder, path) = made();
    let pages = std::fs::metadata(&path).unwrap().len() / PAGE;
    assert!(pages > 20, "{pages}");
    let conn = open(&path, flags()).unwrap();
    for page in 0..pages {
        for at in [0, 20, 30, 1000, 4087, 4088, 4095] {
            flip(&path, page * PAGE + at);
            let said = asked_for_every_page(&path);
            let number = u32::try_from(page + 1).unwrap();
            let rot = Rot {
                file: std::fs::canonicalize(&path).unwrap(),
                place: Place::Page(number),
                what: What::Changed,
            };
            let without_mark = page == 0 && at == 0;
            assert!(
                said == Err(Some(rot)) || without_mark && said.is_err(),
                "{page} {at}: {said:?}"
            );
            flip(&path, page * PAGE + at);
        }
    }
    drop(conn);
    assert_eq!(asked(&path), Ok(113_202));
}

/// Reads each page: a backup does.
fn asked_for_every_page(path: &Path) -> Result<(), Option<Rot>> {
    let copy = || {
        let conn = open(path, flags())?;
        let mut into = Connection::open_in_memory()?;
        let backup = rusqlite::backup::Backup::new(&conn, &mut into)?;
        backup.step(-1).map(drop)
    };
    copy().map_err(|error| rotten(error.sqlite_error().unwrap().extended_code))
}

#[test]
fn a_page_in_the_place_of_another_is_noticed() {
    let (_folder, path) = made();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut page = vec![0; 4096];
    file.read_exact_at(&mut page, 4 * PAGE).unwrap();
    file.write_all_at(&page, 5 * PAGE).unwrap();
    let rot = asked_for_every_page(&path).unwrap_err().unwrap();
    assert_eq!((rot.place, rot.what), (Place::Page(6), What::Changed));
}

#[test]
fn a_file_that_lost_its_end_is_noticed() {
    let (_folder, path) = made();
    let long = std::fs::metadata(&path).unwrap().len();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(long - PAGE).unwrap();
    assert!(asked_for_every_page(&path).is_err());
    file.set_len(long).unwrap();
    let rot = asked_for_every_page(&path).unwrap_err().unwrap();
    assert_eq!(rot.what, What::Foreign, "a page of zeros is no page");
}

#[test]
fn a_flipped_bit_in_the_log_is_named_and_never_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.db");
    let conn = open(&path, flags()).unwrap();
    reserve(&conn).unwrap();
    conn.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    fill(&conn);
    let long = std::fs::metadata(wal(&path)).unwrap().len();
    let frames = (long - 32) / (24 + PAGE);
    let mut named = 0;
    for frame in 0..frames {
        for at in [0, 5, 17, 24, 2000, 4119] {
            let at = 32 + frame * (24 + PAGE) + at;
            flip(&wal(&path), at);
            match asked(&path) {
                Ok(answer) => assert_eq!(answer, 113_202, "{at}"),
                Err(rot) => {
                    let rot = rot.unwrap();
                    assert_eq!(rot.what, What::Changed);
                    assert!(matches!(rot.place, Place::Frame(_)), "{rot}");
                    named += 1;
                }
            }
            flip(&wal(&path), at);
        }
    }
    println!("{named} of {} flips were met and named", frames * 6);
    assert!(named > 40, "{named}");
    assert_eq!(sum(&conn).unwrap(), 113_202);
}

#[test]
fn a_transaction_larger_than_memory_reads_its_own_pages_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.db");
    let conn = open(&path, flags()).unwrap();
    reserve(&conn).unwrap();
    conn.pragma_update(None, "cache_size", 10).unwrap();
    fill(&conn);
    conn.execute_batch("begin").unwrap();
    for round in 0..4 {
        conn.execute_batch("savepoint s; update t set b = b || 'x', c = zeroblob(length(c) + 300)")
            .unwrap();
        let end = if round % 2 == 0 {
            "release s"
        } else {
            "rollback to s; release s"
        };
        conn.execute_batch(end).unwrap();
    }
    let expected = 113_202 + 2 * 301 * 300;
    assert_eq!(sum(&conn).unwrap(), expected);
    conn.execute_batch("commit").unwrap();
    assert_eq!(asked(&path), Ok(expected));
    drop(conn);
    assert_eq!(asked_for_every_page(&path), Ok(()));
    assert_eq!(asked(&path), Ok(expected));
}

#[test]
fn a_copy_has_checksums_of_its_own_however_large_it_is() {
    let (folder, path) = made();
    let conn = open(&path, flags()).unwrap();
    conn.pragma_update(None, "cache_size", 5).unwrap();
    let copy = folder.path().join("copy.db");
    conn.execute("vacuum into ?1", [copy.to_str().unwrap()])
        .unwrap();
    assert_eq!(asked_for_every_page(&copy), Ok(()));
    assert_eq!(asked(&copy), Ok(113_202));
    flip(&copy, 7 * PAGE + 9);
    assert!(asked_for_every_page(&copy).unwrap_err().is_some());
}

#[test]
fn a_database_without_room_is_worked_on_and_gets_room_with_a_vacuum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.db");
    fill(&Connection::open(&path).unwrap());
    let conn = open(&path, flags()).unwrap();
    assert!(!is_reserved(&conn).unwrap());
    conn.execute_batch("update t set b = b || 'x'").unwrap();
    assert_eq!(sum(&conn).unwrap(), 113_502);
    reserve(&conn).unwrap();
    conn.execute_batch("vacuum").unwrap();
    conn.execute_batch("pragma wal_checkpoint(truncate)")
        .unwrap();
    drop(conn);
    assert_eq!(asked_for_every_page(&path), Ok(()));
    assert!(is_reserved(&open(&path, flags()).unwrap()).unwrap());
    flip(&path, 7 * PAGE + 9);
    assert!(asked_for_every_page(&path).unwrap_err().is_some());
}

#[test]
fn what_another_program_has_written_is_refused() {
    let (_folder, path) = made();
    let plain = Connection::open(&path).unwrap();
    plain.execute_batch("update t set b = b || 'x'").unwrap();
    drop(plain);
    assert!(asked(&path).unwrap_err().is_some());
}

#[test]
fn what_was_found_is_said_in_words() {
    let said = |place, what| {
        let file = "/srv/ledger.db".into();
        Rot { file, place, what }.to_string()
    };
    assert_eq!(
        said(Place::Page(17), What::Changed),
        "page 17 of /srv/ledger.db is not what was written there: its checksum does not fit"
    );
    assert_eq!(
        said(Place::Page(17), What::Foreign),
        "page 17 of /srv/ledger.db has no checksum: another program has written it"
    );
    assert_eq!(
        said(Place::Frame(3), What::CutOff),
        "frame 3 of /srv/ledger.db is missing: the file ends before it"
    );
}

#[test]
fn a_first_page_that_no_longer_says_that_it_has_a_checksum_is_refused() {
    let (_folder, path) = made();
    let file = File::options().write(true).open(&path).unwrap();
    for (at, lost) in [(20, 0), (0, b's')] {
        let mut whole = [0];
        file_at(&path, &mut whole, at);
        file.write_all_at(&[lost], at).unwrap();
        let rot = asked(&path).unwrap_err().unwrap();
        assert_eq!((rot.place, rot.what), (Place::Page(1), What::Changed));
        file.write_all_at(&whole, at).unwrap();
    }
    assert_eq!(asked(&path), Ok(113_202));
}

fn file_at(path: &Path, into: &mut [u8], at: u64) {
    File::open(path).unwrap().read_exact_at(into, at).unwrap();
}

#[test]
fn a_page_that_the_file_lost_is_noticed_while_the_log_says_how_long_it_was() {
    let (_folder, path) = made();
    let conn = open(&path, flags()).unwrap();
    conn.execute_batch("update t set a = a where a = 1")
        .unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let long = file.metadata().unwrap().len();
    file.set_len(long - 3 * PAGE).unwrap();
    let rot = asked_for_every_page(&path).unwrap_err().unwrap();
    assert_eq!(rot.what, What::CutOff);
}
