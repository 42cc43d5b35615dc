//! Calls that `oncely call --dev` hands to a developer's server, whose ledger no other process reaches:
//! a file each, in a folder of the server's own, which goes with it.

use super::folder;
use crate::config::Config;
use crate::failure::{Failure, io};
use oncely_core::Value;
use oncely_core::ids::{EventKey, TaskId};
use oncely_core::limits;
use oncely_core::time::{Clock, Timestamp};
use oncely_ledger::SystemClock;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder below that of the server.
const FOLDER: &str = "calls";
/// What the name of a call that is whole ends with.
const WHOLE: &str = "json";
/// Largest call: an event, and a little beside it.
const BYTES: u64 = 2 * limits::EVENT_BYTES as u64;

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handed {
    pub(crate) task: TaskId,
    pub(crate) key: EventKey,
    pub(crate) event: Value,
    pub(crate) by: String,
}

/// Hands a call to the server that was started last in this project; its process.
pub(crate) fn hand_over(config: &Config, handed: &Handed) -> Result<u32, Failure> {
    let (pid, folder) = newest(&config.data()).ok_or_else(|| {
        Failure::usage(
            "no `oncely dev` is at work in this project. Nothing was started. Start one in another \
             terminal: oncely dev",
        )
    })?;
    let Timestamp(now) = SystemClock.now();
    let name = format!("{now}-{}", std::process::id());
    let writing = folder.join(format!(".{name}"));
    let text = serde_json::to_vec(handed).map_err(|e| Failure::failed(e.to_string()))?;
    fs::write(&writing, text).map_err(io(&writing))?;
    let whole = folder.join(format!("{name}.{WHOLE}"));
    fs::rename(&writing, &whole).map_err(io(&whole))?;
    Ok(pid)
}

/// The calls of the server that was started last.
fn newest(data: &Path) -> Option<(u32, PathBuf)> {
    let servers = folder::at_work(data).into_iter();
    let open = servers.filter_map(|(pid, path)| {
        let calls = path.join(FOLDER);
        let since = fs::metadata(&path).ok()?.modified().ok()?;
        Some((since, pid, calls))
    });
    open.max().map(|(_, pid, calls)| (pid, calls))
}

/// Where calls to this server come in.
pub(super) struct Calls(PathBuf);

impl Calls {
    /// Opens the door.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let folder = config.data().join(FOLDER);
        fs::create_dir(&folder).map_err(io(&folder))?;
        Ok(Self(folder))
    }

    /// What came since, in order. Each is taken once.
    pub(super) fn take(&self) -> Vec<Handed> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let whole = |path: &PathBuf| path.extension().is_some_and(|end| end == WHOLE);
        let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).filter(whole).collect();
        paths.sort();
        paths.iter().filter_map(|path| one(path)).collect()
    }
}

fn one(path: &Path) -> Option<Handed> {
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(BYTES).read_to_end(&mut text));
    // What cannot be removed would come again and again.
    fs::remove_file(path).ok()?;
    read.ok()?;
    match serde_json::from_slice(&text) {
        Ok(handed) => Some(handed),
        Err(error) => {
            tracing::warn!("{} is no call: {error}", path.display());
            None
        }
    }
}
