//! Tables of other tools are read as they stand in each kind of database, and never written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::MariaDb;
use oncely_adopt::{Database, Found, Tables, read};
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::Server;
use std::path::Path;

/// The table as the gem's migration makes it, with a version that stands twice.
const GEM: &str = "create table task_records (version varchar(255) not null);
    insert into task_records (version) values
    ('20200102000000'), ('20200101000000'), ('20200102000000');";

/// A table with times, as a team may have made it.
const TIMES: &str = "create table task_record (version varchar(255), created_at TIME);
    insert into task_record values ('20200101000000', '2020-01-01 12:00:00'), (null, null);";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn found(url: &str, tables: &Tables) -> Result<Found, String> {
    let place = Database::parse(url, Path::new("/"), true).map_err(|e| e.to_string())?;
    block_on(read(&place, tables)).map_err(|e| e.to_string())
}

fn versions(url: &str) -> Vec<String> {
    let found = found(url, &Tables::after_party()).unwrap();
    assert_eq!(found.table, "task_records");
    found.rows.into_iter().flat_map(|row| row.version).collect()
}

const WANTED: [&str; 3] = ["20200101000000", "20200102000000", "20200102000000"];

/// What holds of every kind of database: `place` makes a new one with these statements.
fn keeps_its_word(place: &dyn Fn(&str) -> String) {
    assert_eq!(versions(&place(GEM)), WANTED);
    let times = found(&place(TIMES), &Tables::after_party()).unwrap();
    assert_eq!(times.table, "task_record");
    let rows: Vec<_> = times.rows.into_iter().map(|r| (r.version, r.at)).collect();
    let noon = Some(Timestamp(1_577_880_000_000));
    assert_eq!(
        rows,
        [(None, None), (Some("20200101000000".to_owned()), noon)]
    );
    let other = "create table task_records (id integer, name varchar(20))";
    let words = found(&place(other), &Tables::after_party()).unwrap_err();
    assert!(
        words.contains("has no column `version`; it has id, name"),
        "{words}"
    );
    let none = found(
        &place("create table shops (a integer)"),
        &Tables::data_migrate(),
    );
    let words = none.unwrap_err();
    assert!(words.contains("has no table data_migrations"), "{words}");
    let named = Tables::named("moved_tasks").unwrap();
    let made = place(
        "create table moved_tasks (version varchar(9)); insert into moved_tasks values ('7')",
    );
    assert_eq!(found(&made, &named).unwrap().rows.len(), 1);
}

#[test]
fn sqlite_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    keeps_its_word(&|text| {
        made.set(made.get() + 1);
        let path = folder.path().join(format!("{}.sqlite3", made.get()));
        let text = text.replace("TIME", "datetime(6)");
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute_batch(&text).unwrap();
        format!("sqlite3://{}", path.display())
    });
    let empty = folder.path().join("text.sqlite3");
    std::fs::write(&empty, "this is a text and no database, of some length").unwrap();
    let words = found(&empty.display().to_string(), &Tables::after_party()).unwrap_err();
    assert!(words.contains("file is not a database"), "{words}");
    let missing = folder.path().join("missing.sqlite3");
    let words = found(&missing.display().to_string(), &Tables::after_party()).unwrap_err();
    assert!(words.contains("No such file"), "{words}");
    assert!(!missing.exists());
}

#[test]
fn postgresql_is_read() {
    let server = Server::start(&[]);
    keeps_its_word(&|text| {
        let url = server.database();
        let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
        server
            .query(name, &text.replace("TIME", "timestamp(6)"))
            .unwrap();
        url
    });
    let url = server.url("nothing_of_this_name");
    let words = found(&url, &Tables::after_party()).unwrap_err();
    assert!(words.contains("does not exist"), "{words}");
    server.query("postgres", "create role guest login").unwrap();
    server.query("postgres", GEM).unwrap();
    let guest = server.url("postgres").replace("oncely@", "guest@");
    let words = found(&guest, &Tables::after_party()).unwrap_err();
    assert!(
        words.contains(
            "refuses to read the table task_records: permission denied for table task_records. The \
             user of the URL needs the right to select from it."
        ),
        "{words}"
    );
}

#[test]
fn mysql_is_read_by_each_way_to_log_in() {
    let server = MariaDb::start(&["--plugin-load-add=auth_ed25519"]);
    for text in [
        "create user plain@'%' identified via mysql_native_password using password('s3cret')",
        "create user curve@'%' identified via ed25519 using password('s3cret')",
        "grant all on *.* to plain@'%'",
        "grant select on *.* to curve@'%'",
        "create user guest@'%' identified by 's3cret'",
        "create user clerk@'%' identified by 's3cret'",
        "create table shop.task_records (version varchar(255))",
        "grant insert on shop.task_records to clerk@'%'",
    ] {
        assert!(server.sql(text), "{text}");
    }
    for (login, words) in [
        ("guest:s3cret", "Access denied for user 'guest'"),
        ("clerk:s3cret", "SELECT command denied to user 'clerk'"),
    ] {
        let said = found(&server.url(login, ""), &Tables::after_party()).unwrap_err();
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    for login in ["plain:s3cret", "curve:s3cret"] {
        keeps_its_word(&|text| {
            let text = text.replace("TIME", "datetime(6)");
            let made = format!("drop database shop; create database shop; use shop; {text}");
            assert!(server.sql(&made), "{made}");
            server.url(login, "?encoding=utf8mb4&pool=5")
        });
    }
    let words = found(&server.url("plain:wr0ng", ""), &Tables::after_party()).unwrap_err();
    assert!(words.contains("Access denied"), "{words}");
    assert!(!words.contains("wr0ng"), "{words}");
    let protected = server.url("plain:s3cret", "?ssl_mode=required");
    let words = found(&protected, &Tables::after_party()).unwrap_err();
    assert!(!words.contains("s3cret"), "{words}");
}

/// A table that writes when it is read: the database itself must refuse that.
const TRAP: &str = "create table trapped (a integer);
    create function trap() returns varchar(20) language plpgsql as
    $$ begin insert into trapped values (1); return '7'; end $$;
    create view task_records as select trap() as version;";

#[test]
fn postgresql_itself_refuses_whatever_would_write() {
    let server = Server::start(&[]);
    server.query("postgres", TRAP).unwrap();
    let words = found(&server.url("postgres"), &Tables::after_party()).unwrap_err();
    assert!(words.contains("in a read-only transaction"), "{words}");
    let look = "do $$ begin if exists (select from trapped) then raise 'written'; end if; end $$";
    server.query("postgres", look).unwrap();
}

#[test]
fn mysql_itself_refuses_whatever_would_write() {
    let server = MariaDb::start(&[]);
    for text in [
        "create user plain@'%' identified by 's3cret'",
        "grant all on *.* to plain@'%'",
        "create table shop.trapped (a integer)",
        "delimiter //\ncreate function shop.trap() returns varchar(20) modifies sql data \
         begin insert into shop.trapped values (1); return '7'; end//\n",
        "create view shop.task_records as select shop.trap() as version",
    ] {
        assert!(server.sql(text), "{text}");
    }
    // Where nothing may be written, MariaDB does not even list the columns of such a view.
    let read = found(&server.url("plain:s3cret", ""), &Tables::after_party());
    assert!(read.is_err(), "{read:?}");
    let look = "delimiter //\nbegin not atomic if exists (select 1 from shop.trapped) then \
                signal sqlstate '45000'; end if; end//\n";
    assert!(server.sql(look), "it was written");
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    for url in [
        "postgres://u:s3cret@127.0.0.1:1/shop",
        "mysql2://u:s3cret@127.0.0.1:1/shop",
    ] {
        let words = found(url, &Tables::after_party()).unwrap_err();
        assert!(
            words.contains("127.0.0.1:1/shop cannot be reached"),
            "{words}"
        );
        assert!(!words.contains("s3cret"), "{words}");
    }
}
