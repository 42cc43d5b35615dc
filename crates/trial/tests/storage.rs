//! The ledger on a disk that fails. By hand, more of it: `oncely-trial power`, `anomalies` and `rot`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_trial::storage::{anomalies, power, rot, seeds};

fn none<T: std::fmt::Debug>(broken: &[T]) {
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_power_cut_loses_nothing_that_was_answered_and_leaves_nothing_half() {
    let seen = power::run(1..=200, true).unwrap();
    println!("{}", seen.say());
    none(&seen.broken);
    assert!(seen.lost > 100 && seen.torn > 50, "{seen:?}");
    assert!(seen.absent > 10 && seen.present > 0, "{seen:?}");
}

#[test]
fn seeds_that_broke_something_once_are_played_again() {
    none(
        &power::run(seeds("power.txt").unwrap(), true)
            .unwrap()
            .broken,
    );
    none(&rot::run(1, seeds("rot.txt").unwrap()).unwrap().broken);
}

#[test]
fn without_waiting_for_the_disk_a_power_cut_is_seen_to_lose_what_was_answered() {
    let seen = power::run(1..=60, false).unwrap();
    let lost = |(_, why): &&(u64, String)| why.contains("what was answered is not what is there");
    assert!(seen.broken.iter().filter(lost).count() > 5, "{seen:?}");
}

#[test]
fn whatever_the_disk_refuses_is_said_clearly_and_nothing_is_half_written() {
    let seen = anomalies::run(1, 5).unwrap();
    println!("{}", seen.say());
    none(&seen.broken);
    assert!(seen.runs > 50, "{seen:?}");
}

#[test]
fn what_rots_is_noticed_before_anything_is_done_or_has_no_consequence() {
    let seen = rot::run(1, 1..=500).unwrap();
    println!("{}", seen.say());
    none(&seen.broken);
    assert!(seen.noticed > 100 && seen.cuts > 20, "{seen:?}");
}
