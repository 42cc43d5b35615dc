//! Fifty kills of the real binary, as it is and with each of its promises switched off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_trial::crash::{Crash, Report, run};
use std::path::{Path, PathBuf};
use std::process::Command;

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

fn killed(binary: PathBuf, seed: u64, sabotage: Option<&str>) -> Report {
    run(&Crash {
        kills: 50,
        events: 0,
        seed,
        binary,
        sabotage: sabotage.map(str::to_owned),
        folder: None,
        talk: false,
    })
    .unwrap()
}

#[test]
fn fifty_kills_break_no_promise() {
    let report = killed(binary(), 20_261_123, None);
    assert!(report.broken.is_empty(), "{report:#?}");
    assert!(
        report.kills >= 50 && report.windows.in_flight >= 10,
        "{report:#?}"
    );
    assert!(report.stopped >= 1, "{report:#?}");
}

/// A debug build has the switches; a release has none.
fn finds(switch: &str, promise: &str) {
    let report = killed(binary(), 1, Some(switch));
    let named = report.broken.iter().any(|(name, ..)| name == promise);
    assert!(named && report.kills <= 50, "{switch}: {report:#?}");
}

#[test]
fn without_the_intent_the_broken_promise_is_named() {
    finds("intent", "no effect without its committed intent");
}

#[test]
fn without_the_unique_key_the_broken_promise_is_named() {
    finds("unique", "admitted once");
}

#[test]
fn without_the_guard_of_the_mark_the_broken_promise_is_named() {
    finds("mark", "no row twice");
}

#[test]
fn without_the_fence_the_broken_promise_is_named() {
    finds("fence", "only the latest claim records");
}
