//! Where a developer's server keeps what it must keep while it runs: a folder that goes with it.

use std::path::{Path, PathBuf};

/// What the names of these folders begin with.
const PREFIX: &str = "dev-";

/// The folder of this process, below that of the project.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The name of the folder of this process.
    pub(super) fn name() -> String {
        format!("{PREFIX}{}", std::process::id())
    }

    /// Takes over this folder, and removes those of processes that were killed.
    pub(super) fn at(path: PathBuf) -> Self {
        if let Some(beside) = path.parent() {
            sweep(beside);
        }
        Self { path }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = std::fs::remove_dir_all(&self.path);
        if let Some(beside) = self.path.parent() {
            // Only where nothing else is in it.
            let _ = std::fs::remove_dir(beside);
        }
    }
}

fn sweep(beside: &Path) {
    for (_, path) in all(beside).into_iter().filter(|(pid, _)| !lives(*pid)) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// The servers at work, and their folders.
pub(super) fn at_work(beside: &Path) -> Vec<(u32, PathBuf)> {
    let all = all(beside).into_iter();
    all.filter(|(pid, _)| lives(*pid)).collect()
}

/// Folders of servers, whether they live or not, with their processes.
fn all(beside: &Path) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(beside).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name();
        let pid = name.to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
        Some((pid, entry.path()))
    });
    named.collect()
}

fn lives(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
