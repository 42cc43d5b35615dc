//! The SQLite store keeps every promise.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

oncely_ledger::conformance!(crate::stores::Sqlite::new(false));
