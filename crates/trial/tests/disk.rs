//! A small disk that is filled, held full and freed while the real binary works on it. It is mounted where
//! nobody else sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

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

/// How soon work goes on is measured by hand, on a machine that does nothing else: no pause in it is longer
/// than two seconds.
#[test]
fn on_a_full_disk_what_happened_is_recorded_nothing_is_begun_and_work_goes_on_by_itself() {
    let ended = Command::new(env!("CARGO_BIN_EXE_oncely-trial"))
        .args([
            "disk", "--fills", "5", "--seed", "20261127", "--within", "60",
        ])
        .args(["--json", "--binary"])
        .arg(binary())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}{complained}");
    println!("{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let number = |name: &str| report[name].as_u64().unwrap();
    assert_eq!((number("fills"), number("killed")), (5, 1), "{said}");
    assert!(number("recorded") >= 16 && number("refused") >= 5, "{said}");
    assert!(number("told_later") >= 5 && number("unknown") > 0, "{said}");
}
