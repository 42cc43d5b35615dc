//! Commands of the real binary, with an aim or without: how they ended, within a bound.

use crate::crash::{Oncely, Trouble};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How often others are looked at.
pub(super) const LOOK: Duration = Duration::from_millis(3);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// At its point.
    Killed,
}

/// The variable that aims.
pub(super) const KILL: &str = "ONCELY_KILL_AT";

/// Runs a command to its end, aimed at a point or not.
pub(super) fn run(oncely: &Oncely, args: &[&str], aim: Option<&str>) -> Result<Ended, Trouble> {
    let mut command = oncely.command()?;
    if let Some(aim) = aim {
        command.env(KILL, aim);
    }
    let mut child = command.args(args).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.signal() {
                Some(9) => Ended::Killed,
                _ => Ended::Code(status.code().unwrap_or(-1)),
            });
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            let words = args.join(" ");
            return Err(Trouble(format!("`oncely {words}` did not end in time")));
        }
        std::thread::sleep(LOOK);
    }
}

/// Waits until something holds.
pub(super) fn until(
    what: &str,
    mut holds: impl FnMut() -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(Trouble(format!("{what}: it did not come to that in time")));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether a program still works in a folder: what a killed process has left behind ends by itself.
pub(super) fn works_in(folder: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok())
        .any(|cwd| cwd == folder)
}
