//! `oncely run` with nothing to do, at few and at many recorded tasks: the whole process.

use super::measure::{Bound, Measured};
use super::rig::{folder, median};
use crate::crash::Trouble;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Recorded tasks.
const FEW: usize = 10;
const MANY: usize = 1000;
/// Times that each is measured, in turn.
const TURNS: usize = 31;

pub(crate) fn run(binary: &Path) -> Result<Measured, Trouble> {
    let (few, many) = (folder()?, folder()?);
    prepare(binary, few.path(), FEW)?;
    prepare(binary, many.path(), MANY)?;
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        short.push(once(binary, few.path())?);
        long.push(once(binary, many.path())?);
    }
    let (short, long) = (median(short), median(long));
    Ok(Measured::new(
        "run",
        format!("nothing pending, medians of {TURNS} turns"),
        vec![
            Bound::plain("10 recorded tasks", short, "ms").at_most(20.0),
            Bound::plain("1,000 recorded tasks", long, "ms").at_most(20.0),
            Bound::plain("grows by", 100.0 * (long / short - 1.0), "%").at_most(50.0),
        ],
    ))
}

fn prepare(binary: &Path, root: &Path, tasks: usize) -> Result<(), Trouble> {
    std::fs::create_dir(root.join("tasks"))?;
    std::fs::write(root.join("oncely.toml"), "environment = \"bench\"\n")?;
    for n in 0..tasks {
        let text = "title = \"One of many\"\n[on.release]\n[[step]]\nid = \"look\"\nsql = { db = \"ledger\", text = \"select 1\" }\n";
        let (minute, second) = (n / 60, n % 60);
        let name = format!("tasks/202611230{}{minute:02}{second:02}_task.toml", 1);
        std::fs::write(root.join(name), text)?;
    }
    once(binary, root).map(drop)
}

/// Milliseconds of one `oncely run`.
fn once(binary: &Path, root: &Path) -> Result<f64, Trouble> {
    let begun = Instant::now();
    let status = Command::new(binary)
        .arg("--project")
        .arg(root)
        .args(["run", "--release", "r1", "--first-run", "all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(begun.elapsed().as_secs_f64() * 1000.0),
        false => Err(Trouble(format!("`oncely run` ended with {status}"))),
    }
}
