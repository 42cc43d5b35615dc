//! Seeds at which something was broken once: they are played again by every check.

use crate::crash::Trouble;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

fn file(what: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(what)
}

/// The seeds that are kept for a trial.
///
/// # Errors
/// When the file cannot be read, or has a line that is no number.
pub fn seeds(what: &str) -> Result<Vec<u64>, Trouble> {
    let text = std::fs::read_to_string(file(what))?;
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let seed = line.split_whitespace().next().unwrap_or_default();
            let read = seed.parse();
            read.map_err(|_| Trouble(format!("{what}: no seed: {line}")))
        })
        .collect()
}

/// Keeps a seed.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(what: &str, seed: u64, why: &str) -> Result<(), Trouble> {
    let mut file = OpenOptions::new().append(true).open(file(what))?;
    let why: String = why.chars().take(200).collect();
    writeln!(file, "{seed} {}", why.replace('\n', " "))?;
    Ok(())
}
