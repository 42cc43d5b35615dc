//! Development only: the crash test, named points, the nemesis, their checker, disks that are full or fail,
//! and the benchmarks.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

pub mod bench;
pub mod check;
pub mod crash;
pub mod dice;
pub mod disk;
pub mod nemesis;
pub mod points;
pub mod sabotage;
pub mod storage;
