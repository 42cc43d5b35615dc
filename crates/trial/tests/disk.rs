//! A small disk that is filled, held and freed. It is mounted in a namespace of its own, which takes
//! root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::Command;

/// The binary of this workspace, as it is now: `ONCELY_BINARY`, or one that is built here.
fn binary() -> std::path::PathBuf {
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

#[test]
fn on_a_full_disk_outcomes_are_recorded_nothing_is_begun_and_it_recovers_by_itself() {
    let ended = Command::new(env!("CARGO_BIN_EXE_oncely-trial"))
        .args(["disk", "--times", "3", "--json", "--binary"])
        .arg(binary())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}{complained}");
    assert!(said.contains("\"times\":3"), "{said}{complained}");
}
