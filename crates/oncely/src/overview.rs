//! What can be said of every task without reading files that are as they were when they were last
//! read: the system's word for a file (size, time, number) is enough, as for `oncely run`.
//!
//! What was found is kept beside the ledger. It is never more than a short cut: where it is missing,
//! damaged, or older than anything that it was made from, every file is read.

use crate::config::Config;
use crate::failure::Failure;
use crate::project::{self, TaskFile};
use oncely_core::ids::{ContentHash, Environment, TaskId};
use oncely_core::task::{Diagnostic, Task, Trigger};
use oncely_sources::release;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file that it is kept in, beside the ledger.
const FILE: &str = "overview.json";
/// What changed so lately may change once more without looking any different: the clock of a file
/// system ticks coarsely.
const SETTLED: Duration = Duration::from_millis(100);

/// What lists say of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Brief {
    pub(crate) id: TaskId,
    /// Its file, relative to the project's root.
    pub(crate) path: String,
    /// Where it runs; empty means everywhere.
    pub(crate) environments: Vec<Environment>,
    pub(crate) on: Starts,
    /// The mark of its text, where a run that is done stays done whatever becomes of the text.
    pub(crate) mark: Option<u64>,
}

/// What starts a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Starts {
    /// A release, with this version.
    Release(String),
    /// Another trigger, by its name.
    Other(String),
}

/// Every task that could be read, and everything that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    pub(crate) tasks: Vec<Brief>,
    /// Tasks that the clock starts.
    pub(crate) scheduled: BTreeMap<TaskId, Task>,
    pub(crate) problems: Vec<(Diagnostic, String)>,
}

/// How files looked: a path with size, time and number, or nothing where there is no file.
type Looks = BTreeMap<String, Option<(u64, i64, u64)>>;

/// What was found, and what it was found from.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The program and the task files.
    from: ContentHash,
    /// Files that task files name.
    named: Looks,
    tasks: Vec<Brief>,
}

/// The tasks of a project.
pub(crate) fn read(config: &Config) -> Result<Overview, Failure> {
    let files = project::files(config)?;
    let from = appearance(&files);
    if let Some(tasks) = known(config, from) {
        let scheduled = scheduled(config, &files, &tasks);
        return Ok(Overview {
            tasks,
            scheduled,
            problems: Vec::new(),
        });
    }
    let begun = SystemTime::now();
    let loaded = project::load(config)?;
    let tasks: Vec<Brief> = loaded
        .tasks
        .iter()
        .map(|known| brief(&known.task))
        .collect();
    if loaded.problems.is_empty() {
        let named = looks(config, &loaded.named);
        let task_files = files.iter().map(|file| Some(file.stat));
        if is_settled(task_files.chain(named.values().copied()), begun) {
            keep(
                config,
                &Kept {
                    from,
                    named,
                    tasks: tasks.clone(),
                },
            );
        }
    }
    let scheduled = loaded.tasks.iter().map(|known| &known.task);
    let scheduled = scheduled.filter(|task| matches!(task.on, Trigger::Schedule(_)));
    Ok(Overview {
        tasks,
        scheduled: scheduled.map(|t| (t.id.clone(), (**t).clone())).collect(),
        problems: loaded.problems,
    })
}

/// What tells a text from others: the beginning of its hash, which costs little to keep.
pub(crate) fn mark(text: ContentHash) -> u64 {
    let first = text.0.first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_default())
}

/// What lists say of a task that was read.
pub(crate) fn brief(task: &Task) -> Brief {
    let once = matches!(task.on, Trigger::Release(_)) && !release::is_repeated(task);
    Brief {
        id: task.id.clone(),
        path: task.path.clone(),
        environments: task.environments.clone(),
        on: match &task.on {
            Trigger::Release(release) => Starts::Release(release.version.clone()),
            other => Starts::Other(other.name().to_owned()),
        },
        mark: once.then(|| mark(task.text)),
    }
}

/// The tasks, where everything that they were read from looks as it did.
fn known(config: &Config, from: ContentHash) -> Option<Vec<Brief>> {
    let text = fs::read(config.data().join(FILE)).ok()?;
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    let mut named = kept.named.iter();
    let same = kept.from == from && named.all(|(path, look)| project::look(config, path) == *look);
    same.then_some(kept.tasks)
}

/// Tasks that the clock starts are few, and when it does is read from their files.
fn scheduled(config: &Config, files: &[TaskFile], tasks: &[Brief]) -> BTreeMap<TaskId, Task> {
    let paths: BTreeSet<&str> = tasks
        .iter()
        .filter(|brief| matches!(&brief.on, Starts::Other(name) if name == "schedule"))
        .map(|brief| brief.path.as_str())
        .collect();
    let of_clock = |file: &&TaskFile| paths.contains(file.path.as_str());
    let files: Vec<TaskFile> = files.iter().filter(of_clock).cloned().collect();
    let tasks = project::tasks_of(config, &files).into_iter();
    tasks.map(|task| (task.id.clone(), task)).collect()
}

/// The program, which decides what a text means, and the task files as the file system shows them.
fn appearance(files: &[TaskFile]) -> ContentHash {
    let mut looks = Vec::with_capacity(files.len() * 96);
    let mut add = |path: &str, (size, modified, number): (u64, i64, u64), executable: bool| {
        looks.extend_from_slice(path.as_bytes());
        looks.extend_from_slice(&[0, u8::from(executable)]);
        looks.extend_from_slice(&size.to_le_bytes());
        looks.extend_from_slice(&modified.to_le_bytes());
        looks.extend_from_slice(&number.to_le_bytes());
    };
    add(env!("CARGO_PKG_VERSION"), program(), true);
    for file in files {
        add(&file.path, file.stat, file.executable);
        for undo in &file.undo {
            add(undo, (0, 0, 0), false);
        }
    }
    ContentHash::of(&looks)
}

fn program() -> (u64, i64, u64) {
    let found = fs::metadata("/proc/self/exe");
    found.map_or((0, 0, 0), |file| (file.len(), file.mtime(), file.ino()))
}

fn looks(config: &Config, named: &BTreeSet<String>) -> Looks {
    let looks = named.iter();
    looks
        .map(|path| (path.clone(), project::look(config, path)))
        .collect()
}

/// Whether none of these was changed shortly before it was read, or since.
fn is_settled(mut looks: impl Iterator<Item = Option<(u64, i64, u64)>>, begun: SystemTime) -> bool {
    let since = begun.duration_since(UNIX_EPOCH).unwrap_or_default();
    let latest = since.saturating_sub(SETTLED).as_nanos();
    looks.all(|look| {
        look.is_none_or(|(_, modified, _)| u128::try_from(modified).is_ok_and(|at| at < latest))
    })
}

/// Keeps what was found. Where that cannot be done the files are read again the next time.
fn keep(config: &Config, kept: &Kept) {
    let folder = config.data();
    if !folder.is_dir() {
        return;
    }
    if let Err(error) = write(&folder, kept) {
        tracing::debug!("{} cannot be kept: {error}", folder.join(FILE).display());
    }
}

/// Whole or not at all; of several who do so at once each writes a file of its own first.
fn write(folder: &Path, kept: &Kept) -> std::io::Result<()> {
    let text = serde_json::to_vec(kept)?;
    let new = folder.join(format!("{FILE}.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new)?;
    std::io::Write::write_all(&mut file, &text)?;
    fs::rename(&new, folder.join(FILE))
}
