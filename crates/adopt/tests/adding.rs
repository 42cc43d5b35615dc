//! A row is added to another tool's table once, and no other row is touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::MariaDb;
use oncely_adopt::{Database, Tables, add, read};
use oncely_ledger::conformance::Server;
use std::path::Path;

const TABLE: &str = "create table task_records (version varchar(255) not null);
    insert into task_records values ('20200102000000'), ('20200102000000'), ('later');";

/// With the times of Rails, which may not be empty.
const TIMES: &str =
    "create table task_records (version varchar(255) not null, created_at TIME not null,
    updated_at TIME not null);";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn added(url: &str, version: &str) -> Result<bool, String> {
    let place = Database::parse(url, Path::new("/"), true).map_err(|e| e.to_string())?;
    let added = block_on(add(&place, &Tables::after_party(), version));
    added.map(|(_, added)| added).map_err(|e| e.to_string())
}

fn versions(url: &str) -> Vec<String> {
    let place = Database::parse(url, Path::new("/"), true).unwrap();
    let found = block_on(read(&place, &Tables::after_party())).unwrap();
    found.rows.into_iter().flat_map(|row| row.version).collect()
}

/// What holds of every kind of database: `place` makes a new one with these statements.
fn adds_once(place: &dyn Fn(&str) -> String) {
    let url = place(TABLE);
    let before = ["20200102000000", "20200102000000", "later"];
    assert_eq!(added(&url, "20200102000000"), Ok(false), "it is there");
    assert_eq!(versions(&url), before);
    let quoted = "2020'; drop table task_records; --";
    for version in ["20200101000000", quoted] {
        assert_eq!(added(&url, version), Ok(true));
        assert_eq!(
            added(&url, version),
            Ok(false),
            "to add twice is to add once"
        );
    }
    let wanted = [quoted, "20200101000000", before[0], before[1], before[2]];
    let mut wanted = wanted.map(str::to_owned);
    wanted.sort();
    assert_eq!(versions(&url), wanted);
    let url = place(TIMES);
    assert_eq!(added(&url, "20200101000000"), Ok(true));
    let place_of = Database::parse(&url, Path::new("/"), true).unwrap();
    let found = block_on(read(&place_of, &Tables::after_party())).unwrap();
    assert!(found.rows[0].at.is_some(), "{found:?}");
    let other = place("create table task_records (version varchar(9), name varchar(9) not null)");
    let words = added(&other, "7").unwrap_err();
    assert!(
        words.contains("takes no row into the table task_records"),
        "{words}"
    );
    let none = place("create table shops (a integer)");
    assert!(
        added(&none, "7")
            .unwrap_err()
            .contains("has no table task_records")
    );
}

#[test]
fn sqlite_gets_its_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    adds_once(&|text| {
        made.set(made.get() + 1);
        let path = folder.path().join(format!("{}.sqlite3", made.get()));
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute_batch(&text.replace("TIME", "datetime(6)"))
            .unwrap();
        format!("sqlite3://{}", path.display())
    });
    let missing = folder.path().join("missing.sqlite3");
    assert!(added(&missing.display().to_string(), "7").is_err());
    assert!(!missing.exists(), "no database is made");
}

#[test]
fn postgresql_gets_its_row_once() {
    let server = Server::start(&[]);
    adds_once(&|text| {
        let url = server.database();
        let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
        let text = text.replace("TIME", "timestamp(6)");
        server.query(name, &text).unwrap();
        url
    });
}

#[test]
fn mysql_gets_its_row_once() {
    let server = MariaDb::start(&[]);
    for text in [
        "create user plain@'%' identified by 's3cret'",
        "grant all on *.* to plain@'%'",
    ] {
        assert!(server.sql(text), "{text}");
    }
    adds_once(&|text| {
        let text = text.replace("TIME", "datetime(6)");
        let made = format!("drop database shop; create database shop; use shop; {text}");
        assert!(server.sql(&made), "{made}");
        server.url("plain:s3cret", "")
    });
}
