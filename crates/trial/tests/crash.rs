//! Fifty kills of the real binary, and, where one is given, of a sabotaged one.
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

/// Needs a binary with the feature `sabotage`: `cargo build -p oncely --features sabotage`, copied
/// elsewhere, and its path in `ONCELY_SABOTAGED`.
#[test]
#[ignore = "needs a binary that breaks promises, named in ONCELY_SABOTAGED"]
fn each_sabotage_is_found_by_the_name_of_its_promise() {
    let sabotaged = std::env::var_os("ONCELY_SABOTAGED").map(PathBuf::from);
    let sabotaged = sabotaged.expect("ONCELY_SABOTAGED names no binary");
    let names = [
        ("intent", "no effect without its committed intent"),
        ("unique", "admitted once"),
        ("mark", "no row twice"),
        ("fence", "only the latest claim records"),
    ];
    for (switch, promise) in names {
        let report = killed(sabotaged.clone(), 1, Some(switch));
        let named = report.broken.iter().any(|(name, ..)| name == promise);
        assert!(named, "{switch}: {report:#?}");
    }
}
