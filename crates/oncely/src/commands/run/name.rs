//! What is released, as far as the surroundings say.

use crate::config::Config;
use std::path::Path;

/// What a release is called that nobody named.
pub(super) const UNKNOWN: &str = "unknown";

/// What was released, as far as the surroundings say.
pub(crate) fn release_id(flag: Option<&str>, config: &Config) -> String {
    let variables = ["HEROKU_RELEASE_VERSION", "KAMAL_VERSION", "GITHUB_SHA"];
    let from_environment = variables.iter().find_map(|name| std::env::var(name).ok());
    flag.map(str::to_owned)
        .or(from_environment)
        .or_else(|| git_head(config))
        .unwrap_or_else(|| UNKNOWN.into())
}

/// The commit that is checked out, read from git's own files.
fn git_head(config: &Config) -> Option<String> {
    let git = config
        .root
        .ancestors()
        .map(|f| f.join(".git"))
        .find(|f| f.is_dir())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let hash = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(reference) => match std::fs::read_to_string(git.join(reference)) {
            Ok(hash) => hash.trim().to_owned(),
            Err(_) => packed(&git, reference)?,
        },
    };
    Some(hash.chars().take(12).collect())
}

/// Where git has packed its references, they are lines of one file.
fn packed(git: &Path, reference: &str) -> Option<String> {
    let all = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    let mut pairs = all.lines().filter_map(|line| line.split_once(' '));
    let found = pairs.find(|(_, name)| *name == reference)?;
    Some(found.0.to_owned())
}
