//! A ledger is moved to where there is none in use: anything recorded there is in the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ledger::{Ledger, Op, Query, Unit};
use oncely_core::source::Cursor;
use oncely_ledger::conformance::stage::{admit, apply, run, unit};
use oncely_ledger::conformance::{Server, fast_folder};
use oncely_ledger::{Options, PostgresLedger, PostgresOptions, SqliteLedger, move_to_postgres};

fn cursor() -> Unit {
    unit(
        vec![],
        vec![Op::Cursor("source".into(), Cursor("7".into()))],
    )
}

#[test]
fn one_run_or_one_cursor_is_enough_to_be_in_use() {
    let server = Server::start(&[]);
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    run(async {
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        let old = SqliteLedger::open(&path, options).unwrap();
        apply(&old, admit("a")).await;
        drop(old);
        for there in [admit("b"), cursor()] {
            let url = server.database();
            let options = || PostgresOptions {
                create: true,
                ..PostgresOptions::new("test")
            };
            let new = PostgresLedger::open(&url, options()).unwrap();
            apply(&new, there).await;
            let name = new.name();
            drop(new);
            let refused = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
            let words = refused.unwrap_err().to_string();
            assert!(
                words.contains("and it is in use. Nothing was moved."),
                "{words}"
            );
            let new = PostgresLedger::open(&url, options()).unwrap();
            assert_eq!(new.name(), name);
            new.read(Query::Cursor("source".into())).await.unwrap();
        }
    });
}

#[test]
fn a_move_that_fails_on_its_way_leaves_the_database_as_it_was() {
    let server = Server::start(&[]);
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    let url = server.database();
    run(async {
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        let old = SqliteLedger::open(&path, options).unwrap();
        apply(&old, admit("a")).await;
        apply(&old, cursor()).await;
        drop(old);
        let options = PostgresOptions {
            create: true,
            ..PostgresOptions::new("test")
        };
        let empty = PostgresLedger::open(&url, options).unwrap();
        let name = empty.name();
        drop(empty);
        let (client, carrier) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(carrier);
        // Cursors are written after the runs.
        let refuses = "alter table oncely_cursors add constraint none check (cursor = '')";
        client.batch_execute(refuses).await.unwrap();
        let failed = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        let words = failed.unwrap_err().to_string();
        assert!(words.contains("\"none\""), "{words}");
        let left = PostgresLedger::open(&url, PostgresOptions::new("test")).unwrap();
        assert_eq!(left.name(), name);
        let mut whole = Vec::new();
        left.export(&mut whole).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        assert_eq!(whole.lines().count(), 1, "nothing but its name: {whole}");
        drop(left);
        let free = "alter table oncely_cursors drop constraint none";
        client.batch_execute(free).await.unwrap();
        // The file is what it was, and is moved now.
        let moved = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        assert_eq!(moved.unwrap().runs, 1);
    });
}
