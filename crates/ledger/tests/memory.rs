//! The memory model keeps the promises that it is the measure of.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

oncely_ledger::conformance!(crate::stores::Memory::new());
