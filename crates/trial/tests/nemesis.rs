//! A small nemesis on the real binary, as it is and with each of its promises switched off, and the
//! seeds that have shown something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_trial::nemesis::{Nemesis, Report, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Faults of each.
const FAULTS: u32 = 15;
/// The lease of the workers; stops last longer than it.
const LEASE: Duration = Duration::from_secs(4);
/// What hangs is found however slow the machine is: two leases are asked for where nothing else runs.
const WITHIN: Duration = Duration::from_secs(60);

/// The binary of this workspace, as it is now: `ONCELY_BINARY`, or one that is built here.
fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("ONCELY_BINARY") {
        return given.into();
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "-p", "oncely", "-p", "oncely-trial", "--bins"])
        .status()
        .unwrap();
    assert!(built.success());
    Path::new(env!("CARGO_BIN_EXE_oncely-trial")).with_file_name("oncely")
}

fn struck(seed: u64, faults: u32, sabotage: Option<&str>) -> Report {
    run(&Nemesis {
        faults,
        runs: 500,
        seed,
        binary: binary(),
        sabotage: sabotage.map(str::to_owned),
        lease: LEASE,
        within: WITHIN,
        folder: None,
        talk: false,
    })
    .unwrap()
}

#[test]
fn fifteen_faults_break_no_promise() {
    let report = struck(20_261_127, FAULTS, None);
    println!("{report}");
    assert!(report.broken.is_empty(), "{report}");
    assert!(report.struck() >= FAULTS && report.runs >= 500, "{report}");
}

#[test]
fn seeds_that_have_shown_something_show_nothing_any_more() {
    let seeds = include_str!("nemesis.seeds");
    let seeds = seeds.lines().filter(|line| !line.starts_with('#'));
    for line in seeds {
        let mut words = line.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap();
        let (seed, faults) = (number(), u32::try_from(number()).unwrap());
        let report = struck(seed, faults, None);
        println!("{report}");
        assert!(report.broken.is_empty(), "{report}");
    }
}

/// A debug build has the switches; a release has none. Chance may miss at one seed what it meets at
/// the next: it is looked for at a few.
fn finds(switch: &str, promise: &str) {
    let found = (1..=4).any(|seed| {
        let report = struck(seed, FAULTS, Some(switch));
        println!("{report}");
        report.broken.iter().any(|(name, ..)| name == promise)
    });
    assert!(found, "without {switch} nothing was found");
}

#[test]
fn without_the_unique_key_the_broken_promise_is_named() {
    finds("unique", "admitted once");
}

#[test]
fn without_the_fence_the_broken_promise_is_named() {
    finds("fence", "only the latest claim records");
}
