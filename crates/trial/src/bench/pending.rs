//! `oncely run` with nothing to do, and `oncely status`: the whole process, at few, many and very many
//! recorded tasks.

use super::measure::{Bound, Measured};
use super::rig::{folder, median};
use crate::crash::Trouble;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// Recorded tasks. The last is as many as a folder may have.
const SIZES: [usize; 3] = [10, 1_000, 10_000];
/// Times that each is measured, in turn.
const TURNS: usize = 31;
/// Longest time of either at 1,000 recorded tasks.
const MOST_MS: f64 = 20.0;
/// So many times as long it may take at ten times as many.
const MOST_GROWTH: f64 = 5.0;

/// What is measured, with the arguments.
const COMMANDS: [(&str, &[&str]); 2] = [
    ("run", &["run", "--release", "r1"]),
    ("status", &["status"]),
];

pub(crate) fn run(binary: &Path) -> Result<Vec<Measured>, Trouble> {
    let places = SIZES
        .iter()
        .map(|tasks| prepare(binary, *tasks))
        .collect::<Result<Vec<_>, _>>()?;
    COMMANDS
        .iter()
        .map(|(name, args)| {
            // The first of each finds what the next ones know at a glance.
            for place in &places {
                once(binary, place.path(), args)?;
            }
            let [few, many, most] = turns(binary, &places, args)?.map(median);
            let settings = format!("nothing pending, whole process, medians of {TURNS} turns");
            let numbers = vec![
                Bound::plain("10 recorded tasks", few, "ms").at_most(MOST_MS),
                Bound::plain("1,000 recorded tasks", many, "ms").at_most(MOST_MS),
                Bound::plain("10,000 recorded tasks", most, "ms").at_most(MOST_GROWTH * MOST_MS),
                Bound::plain("1,000 to 10", many / few, "times"),
                Bound::plain("10,000 to 1,000", most / many, "times").at_most(MOST_GROWTH),
            ];
            Ok(Measured::new(name, settings, numbers))
        })
        .collect()
}

/// Each size in turn, so that a slow moment of the machine is everybody's.
fn turns(
    binary: &Path,
    places: &[TempDir],
    args: &[&str],
) -> Result<[Vec<f64>; SIZES.len()], Trouble> {
    let mut took: [Vec<f64>; SIZES.len()] = Default::default();
    for _ in 0..TURNS {
        for (place, took) in places.iter().zip(&mut took) {
            took.push(once(binary, place.path(), args)?);
        }
    }
    Ok(took)
}

/// A project whose tasks are all done.
fn prepare(binary: &Path, tasks: usize) -> Result<TempDir, Trouble> {
    let place = folder()?;
    let root = place.path();
    std::fs::create_dir(root.join("tasks"))?;
    std::fs::write(root.join("oncely.toml"), "environment = \"bench\"\n")?;
    for n in 0..tasks {
        let text = "title = \"One of many\"\n[on.release]\n[[step]]\nid = \"look\"\nsql = { db = \"ledger\", text = \"select 1\" }\n";
        let name = format!("tasks/{}_task.toml", 20_261_123_000_000_u64 + n as u64);
        std::fs::write(root.join(name), text)?;
    }
    let first = ["run", "--release", "r1", "--first-run", "all"];
    once(binary, root, &first)?;
    Ok(place)
}

/// Milliseconds of one command.
fn once(binary: &Path, root: &Path, args: &[&str]) -> Result<f64, Trouble> {
    let begun = Instant::now();
    let status = Command::new(binary)
        .arg("--project")
        .arg(root)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(begun.elapsed().as_secs_f64() * 1000.0),
        false => Err(Trouble(format!(
            "`oncely {}` ended with {status}",
            args.join(" ")
        ))),
    }
}
