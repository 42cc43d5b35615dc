//! What the ledger asks of PostgreSQL: every statement that it sends, read from the server's own log.
//! Nothing is among it that CockroachDB or YugabyteDB are documented to lack, and docs/scale.md names
//! what there is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_ledger::conformance::random::sequences;
use oncely_ledger::conformance::stage::{self, run};
use oncely_ledger::conformance::{Server, Stores, fast_folder};
use oncely_ledger::{Options, PostgresOptions, SqliteLedger, move_to_postgres};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What CockroachDB or YugabyteDB are documented to lack or to do in part (advisory locks, LISTEN, LOCK
/// TABLE, triggers, XA, deferrable and exclusion constraints, inheritance, XML), what needs more rights than a
/// ledger has, and what came after PostgreSQL 14 (MERGE).
const LACKING: &[&str] = &[
    "advisory",
    "copy ",
    "deferrable",
    "exclude using",
    "create extension",
    "create function",
    "generated",
    "inherits",
    "listen",
    "lock table",
    "merge ",
    "notify",
    "prepare transaction",
    "savepoint",
    "create temp",
    "trigger ",
    "xml",
];

/// Clauses that are younger than PostgreSQL 9, as docs/scale.md names them.
const CLAUSES: &[&str] = &[
    "on conflict",
    "skip locked",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "with gone as (delete",
];

struct Logged {
    server: Server,
    folder: tempfile::TempDir,
}

impl Logged {
    /// A server that writes down every statement.
    fn start() -> Self {
        let folder = fast_folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let place = format!("log_directory={}", folder.path().display());
        let server = Server::start(&[
            "logging_collector=on",
            &place,
            "log_filename=statements",
            "log_file_mode=0644",
            "log_line_prefix=",
            "log_statement=all",
        ]);
        Self { server, folder }
    }

    /// Everything that was asked, in small letters, once the server has written down the last of it.
    fn text(&self) -> String {
        self.server.query("postgres", "select 'the end'").unwrap();
        let since = Instant::now();
        loop {
            let text = fs::read(self.folder.path().join("statements")).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).to_lowercase();
            if text.contains("select 'the end'") {
                return text;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "nothing was logged"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn a_file(folder: &Path) -> PathBuf {
    let path = folder.join("ledger.db");
    let options = Options {
        create: true,
        ..Options::new("test")
    };
    let ledger = SqliteLedger::open(&path, options).unwrap();
    run(async {
        stage::admitted(&ledger, stage::admit("k")).await;
    });
    path
}

/// The statements of a log, without their values and without what else the server says.
fn statements(log: &str) -> String {
    let entries = log
        .split("log:  ")
        .filter(|entry| entry.starts_with("statement: ") || entry.starts_with("execute "));
    let without_values = entries.filter_map(|entry| entry.split("\ndetail:  ").next());
    without_values.collect()
}

/// Names that a bracket follows at once.
fn functions(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = text.match_indices('(').map(|(at, _)| &text[..at]);
    let name = |before: &str| -> String {
        let rest = before.trim_end_matches(is_part);
        before[rest.len()..].to_owned()
    };
    before.map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn nothing_is_asked_that_compatible_databases_lack_and_the_documentation_names_it() {
    let logged = Logged::start();
    let ledgers = || stores::Postgres::new(logged.server.database());
    // Everything that a ledger does, and a ledger that moves in.
    run(sequences(stores::Memory::new, ledgers, 0..40, 10));
    let places = ledgers();
    let ledger = places.open();
    run(async {
        stage::apply(
            &ledger,
            stage::unit(vec![], vec![stage::sql("select 1", &[])]),
        )
        .await;
    });
    ledger.stats().unwrap();
    drop(ledger);
    let folder = fast_folder();
    let (path, url) = (a_file(folder.path()), logged.server.database());
    run(async {
        let moved = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        moved.unwrap();
    });
    let asked = statements(&logged.text());
    for word in LACKING {
        assert!(!asked.contains(word), "{word} is asked for");
    }
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scale.md");
    let docs = fs::read_to_string(docs).unwrap();
    for clause in CLAUSES {
        assert!(asked.contains(clause), "{clause} is not asked for any more");
    }
    let found = functions(&asked);
    let named = |name: &&String| !docs.contains(&format!("`{name}`"));
    let unnamed: Vec<&String> = found.iter().filter(named).collect();
    assert!(
        unnamed.is_empty(),
        "docs/scale.md does not name {unnamed:?}"
    );
    assert!(found.contains("unnest"), "{found:?}");
}
