//! Development only: the crash test, named points, the nemesis, their checker, disks that fail, and the
//! benchmarks.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

pub mod bench;
pub mod check;
pub mod crash;
pub mod dice;
pub mod nemesis;
pub mod points;
pub mod sabotage;
pub mod storage;
