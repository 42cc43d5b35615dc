//! Random sequences of commands: the SQLite store answers as the memory model does.
//!
//! `ONCELY_SEEDS=FROM..TO` plays other seeds; a failure prints its seed and the commands needed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_ledger::conformance::random::sequences;
use oncely_ledger::conformance::stage::run;
use std::ops::Range;
use stores::{Memory, Sqlite};

fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("ONCELY_SEEDS") else {
        return usual;
    };
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

fn unsynced(seeds: Range<u64>) {
    run(sequences(Memory::new, || Sqlite::new(false), seeds, 50));
}

#[test]
fn five_thousand_sequences_agree_with_the_model() {
    unsynced(seeds(0..5_000));
}

#[test]
fn five_thousand_others_agree_too() {
    if std::env::var_os("ONCELY_SEEDS").is_none() {
        unsynced(5_000..10_000);
    }
}

/// Seeds that have shown a difference between the store and the model.
const SHOWN: &[u64] = &[128_093];

#[test]
fn seeds_that_have_shown_a_difference_show_none_any_more() {
    for seed in SHOWN {
        unsynced(*seed..*seed + 1);
    }
}

#[test]
fn a_hundred_sequences_agree_with_full_sync() {
    run(sequences(
        Memory::new,
        || Sqlite::new(true),
        20_000..20_100,
        50,
    ));
}
