//! A kill at every named point, as the program is and with its promises switched off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::points::Point;
use oncely_trial::points::{Points, Report, run, say};
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

fn all() -> Points {
    Points {
        binary: binary(),
        seed: 1,
        point: None,
        kind: None,
        phase: None,
        part: true,
        sabotage: None,
        talk: false,
    }
}

#[test]
fn a_kill_at_every_point_breaks_no_promise() {
    let report = run(&all()).unwrap();
    assert!(report.holds(), "{}", say(&report));
    assert_eq!(report.points, Point::ALL.len(), "{report:#?}");
    assert!(report.settled > 0 && report.stops > 0, "{report:#?}");
}

/// A few points of one kind, with a promise switched off.
fn broken(switch: &str, kind: &str, phase: &str, point: Point) -> Report {
    run(&Points {
        part: false,
        point: Some(point),
        kind: Some(kind.into()),
        phase: Some(phase.into()),
        sabotage: Some(switch.into()),
        ..all()
    })
    .unwrap()
}

fn names(report: &Report, promise: &str) {
    assert!(
        report.broken.iter().any(|(name, _)| name == promise),
        "{}",
        say(report)
    );
}

#[test]
fn without_the_intent_a_kill_after_the_effect_is_named() {
    let report = broken("intent", "http", "first", Point::EffectAfter);
    names(&report, "no effect without its committed intent");
}

#[test]
fn without_the_unique_key_a_kill_after_the_admission_is_named() {
    let report = broken("unique", "http", "first", Point::AdmitAfter);
    names(&report, "admitted once");
}

#[test]
fn without_the_fence_a_stop_before_an_intent_is_named() {
    let report = broken("fence", "items", "stopped", Point::ItemIntentBefore);
    names(&report, "only the latest claim records");
}

#[test]
fn without_the_guard_of_the_mark_a_stop_before_a_range_is_named() {
    let report = broken("mark", "rows", "stopped", Point::RowsBefore);
    names(&report, "no row twice");
}
