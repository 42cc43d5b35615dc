//! The task files of a project.

use crate::adopt;
use crate::config::Config;
use crate::failure::Failure;
use oncely_core::ids::TaskId;
use oncely_core::ledger::FileMark;
use oncely_core::limits;
use oncely_core::task::{
    Answerer, Bundle, Diagnostic, Problem, Task, files_of, is_task_file, load_all, read_text,
};
use oncely_engine::Known;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

/// A task file as the file system shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskFile {
    /// Relative to the project's root, with forward slashes.
    pub(crate) path: String,
    pub(crate) stat: (u64, i64, u64),
    pub(crate) executable: bool,
    /// Files beside a script that say how it is taken back: `NAME.undo.EXT`.
    pub(crate) undo: Vec<String>,
}

/// Every task that could be read, and everything that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) tasks: Vec<Known>,
    pub(crate) marks: Vec<FileMark>,
    pub(crate) problems: Vec<(Diagnostic, String)>,
    pub(crate) files: usize,
    /// Whom the tasks name to answer their questions.
    pub(crate) answerers: Vec<Answerer>,
    /// Files that task files name and that their text includes, also those that are missing.
    pub(crate) named: BTreeSet<String>,
}

/// The task files of the project, by name, without reading them.
pub(crate) fn files(config: &Config) -> Result<Vec<TaskFile>, Failure> {
    let folder = config.tasks_folder();
    let entries = fs::read_dir(&folder).map_err(|error| {
        Failure::usage(format!(
            "the task folder {} cannot be read: {error}. `oncely init` makes one; `tasks` in \
             oncely.toml names another.",
            folder.display()
        ))
    })?;
    let mut files = Vec::new();
    let mut undos: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(crate::failure::io(&folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((stem, _)) = name.split_once(UNDO) {
            let paths = undos.entry(stem.to_owned()).or_default();
            paths.push(path(config, &name));
        } else if !name.starts_with('.') {
            files.extend(listed(config, &name, metadata(&entry)));
        }
        if files.len() > limits::TASK_FILES {
            let most = limits::TASK_FILES;
            return Err(Failure::usage(format!(
                "more than {most} task files in {}",
                folder.display()
            )));
        }
    }
    for file in files
        .iter_mut()
        .filter(|file| !file.path.ends_with(".toml"))
    {
        file.undo = undos.remove(stem(&file.path)).unwrap_or_default();
    }
    files.extend(adopt::files(config)?);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What stands in the name of a file that says how the script beside it is taken back.
const UNDO: &str = ".undo.";

/// Links are followed; most entries are none, and need no path to be looked up.
fn metadata(entry: &fs::DirEntry) -> std::io::Result<fs::Metadata> {
    let metadata = entry.metadata()?;
    if metadata.is_symlink() {
        return fs::metadata(entry.path());
    }
    Ok(metadata)
}

/// An entry of the task folder, if it is a task file. One that cannot be looked at, such as a link
/// to nowhere, is listed by its name, so that it is not passed over in silence.
fn listed(
    config: &Config,
    name: &str,
    metadata: std::io::Result<fs::Metadata>,
) -> Option<TaskFile> {
    let file = match metadata {
        Ok(metadata) if !metadata.is_file() => return None,
        Ok(metadata) => task_file(path(config, name), &metadata),
        Err(_) => TaskFile {
            path: path(config, name),
            stat: (0, 0, 0),
            executable: false,
            undo: Vec::new(),
        },
    };
    is_task_file(&file.path, file.executable).then_some(file)
}

/// Relative to the project's root.
fn path(config: &Config, name: &str) -> String {
    let folder = config.tasks.value.to_string_lossy();
    format!("{}/{name}", folder.trim_end_matches('/'))
}

fn stat(metadata: &fs::Metadata) -> (u64, i64, u64) {
    let nanos = metadata
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(metadata.mtime_nsec());
    (metadata.len(), nanos, metadata.ino())
}

/// A file of this path, relative to the project's root.
pub(crate) fn task_file(path: String, metadata: &fs::Metadata) -> TaskFile {
    TaskFile {
        path,
        stat: stat(metadata),
        executable: metadata.permissions().mode() & 0o111 != 0,
        undo: Vec::new(),
    }
}

/// The texts of these task files, by path; one that cannot be read is left out.
pub(crate) fn bundles(
    config: &Config,
    paths: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Bundle>, Failure> {
    if paths.is_empty() {
        return Ok(BTreeMap::new());
    }
    let files = files(config)?.into_iter();
    let files = files.filter(|file| paths.contains(file.path.as_str()));
    let read = |file: TaskFile| {
        let bundle = bundle(config, &file, &mut BTreeSet::new()).ok()?;
        Some((file.path, bundle))
    };
    Ok(files.filter_map(read).collect())
}

/// The tasks of these files alone; what is wrong with them is left out.
pub(crate) fn tasks_of(config: &Config, files: &[TaskFile]) -> Vec<Task> {
    let bundles: Vec<Bundle> = files
        .iter()
        .filter_map(|file| bundle(config, file, &mut BTreeSet::new()).ok())
        .collect();
    load_all(&bundles).tasks
}

/// Reads every task file; a bad one never takes the others with it.
pub(crate) fn load(config: &Config) -> Result<Loaded, Failure> {
    load_beside(config, Vec::new())
}

/// The same beside files from elsewhere, which are only compared.
pub(crate) fn load_beside(config: &Config, others: Vec<Bundle>) -> Result<Loaded, Failure> {
    let files = files(config)?;
    let mut loaded = Loaded {
        files: files.len(),
        ..Loaded::default()
    };
    let mut bundles = Vec::with_capacity(files.len());
    for file in &files {
        match bundle(config, file, &mut loaded.named) {
            Ok(bundle) => bundles.push(bundle),
            Err(problem) => loaded.problems.push((problem, String::new())),
        }
    }
    bundles.extend(others);
    let read = load_all(&bundles);
    let texts: BTreeMap<&str, &Bundle> = bundles.iter().map(|b| (b.path.as_str(), b)).collect();
    for problem in read.diagnostics {
        let source = source_of(&bundles, &problem.path);
        loaded.problems.push((problem, source));
    }
    let stats: BTreeMap<&str, _> = files.iter().map(|f| (f.path.as_str(), f.stat)).collect();
    loaded.answerers = read.answerers;
    for task in read.tasks {
        let bundle = texts.get(task.path.as_str()).map(|b| (*b).clone());
        let (Some(bundle), Some(stat)) = (bundle, stats.get(task.path.as_str())) else {
            continue;
        };
        loaded.marks.push(mark(&task, *stat));
        loaded
            .tasks
            .push(Known::new(Arc::new(task), Arc::new(bundle)));
    }
    Ok(loaded)
}

/// The text of a task file, or of a file that one names.
fn source_of(bundles: &[Bundle], path: &str) -> String {
    let text = |bundle: &Bundle| match bundle.path == path {
        true => Some(bundle.text.clone()),
        false => bundle.files.get(path).cloned(),
    };
    bundles.iter().find_map(text).unwrap_or_default()
}

fn mark(task: &Task, stat: (u64, i64, u64)) -> FileMark {
    FileMark {
        path: task.path.clone(),
        stat,
        task: task.id.clone(),
        text: task.text,
    }
}

fn bundle(
    config: &Config,
    file: &TaskFile,
    named: &mut BTreeSet<String>,
) -> Result<Bundle, Diagnostic> {
    let unreadable = |error: std::io::Error| {
        let problem = Problem::new(format!("this file cannot be read: {error}"));
        Diagnostic::new(&file.path, "", 0..0, problem)
    };
    let bytes = fs::read(config.root.join(&file.path)).map_err(unreadable)?;
    let text = read_text(&file.path, &bytes)?;
    let is_script = !file.path.ends_with(".toml");
    let mut names = files_of(&file.path, &text);
    names.extend(file.undo.iter().cloned());
    named.extend(names.iter().cloned());
    let files = named_files(config, &file.path, names)?;
    Ok(Bundle {
        path: file.path.clone(),
        text,
        executable: is_script && file.executable,
        files,
    })
}

/// The files that a task file names and that its text includes. One that is not there is left out:
/// reading the task says where it is named.
fn named_files(
    config: &Config,
    path: &str,
    names: BTreeSet<String>,
) -> Result<BTreeMap<String, String>, Diagnostic> {
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    for name in names {
        let problem = |what: String| Diagnostic::new(&name, "", 0..0, Problem::new(what));
        let content = match read_below(&config.root, &name) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(problem(format!("this file cannot be read: {error}"))),
        };
        bytes += content.len();
        if bytes > limits::TASK_FILES_BYTES {
            let most = limits::TASK_FILES_BYTES;
            return Err(problem(format!(
                "the files that {path} names are larger than {most} bytes together"
            )));
        }
        files.insert(name.clone(), read_text(&name, &content)?);
    }
    Ok(files)
}

/// Reads a file below the root, by whatever links, as long as they stay below it.
fn read_below(root: &Path, name: &str) -> std::io::Result<Vec<u8>> {
    let path = root.join(name).canonicalize()?;
    if !path.starts_with(root) {
        return Err(std::io::Error::other("a link leads out of the project"));
    }
    fs::read(path)
}

/// How a file that is named by a task looks now; nothing where it is not there.
pub(crate) fn look(config: &Config, path: &str) -> Option<(u64, i64, u64)> {
    let metadata = fs::metadata(config.root.join(path)).ok()?;
    Some(stat(&metadata))
}

/// The problems as text for a terminal.
pub(crate) fn render(problems: &[(Diagnostic, String)], colour: bool) -> String {
    let texts: Vec<String> = problems
        .iter()
        .map(|(p, source)| p.render(source, colour))
        .collect();
    texts.join("\n\n")
}

/// Reads all tasks and refuses to go on when any file is wrong.
pub(crate) fn load_clean(config: &Config, colour: bool) -> Result<Loaded, Failure> {
    clean(load(config)?, colour)
}

/// What was read, if nothing is wrong.
pub(crate) fn clean(loaded: Loaded, colour: bool) -> Result<Loaded, Failure> {
    none_wrong(&loaded.problems, colour)?;
    Ok(loaded)
}

/// Refuses to go on when anything is wrong with task files.
pub(crate) fn none_wrong(problems: &[(Diagnostic, String)], colour: bool) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    let errors = crate::output::count(problems.len(), "error");
    Err(Failure::usage(format!(
        "{}\n\n{errors} in task files. Nothing was run.",
        render(problems, colour)
    )))
}

/// The task of this name; else a suggestion.
pub(crate) fn named<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l Known, Failure> {
    let fits = |known: &&Known| {
        known.task.id.as_str() == name || known.task.path == name || stem(&known.task.path) == name
    };
    loaded.tasks.iter().find(fits).ok_or_else(|| {
        let names = loaded.tasks.iter().map(|known| known.task.id.as_str());
        Failure::usage(format!(
            "there is no task `{name}`.{} Nothing was started.",
            crate::output::suggestion(name, names)
        ))
    })
}

/// A file's name without folder and ending.
pub(crate) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// How people know a task: its file's name.
pub(crate) fn label(task: &Task) -> String {
    stem(&task.path).to_owned()
}

/// What people know tasks by, from the names of their files.
pub(crate) fn labels(config: &Config) -> BTreeMap<TaskId, String> {
    let files = files(config).unwrap_or_default();
    let named = files.iter().map(|file| {
        let id = version_of(&file.path).unwrap_or_else(|| TaskId::from(stem(&file.path)));
        (id, stem(&file.path).to_owned())
    });
    named.collect()
}

/// The id of a task from the digits that a release task's file begins with.
pub(crate) fn version_of(path: &str) -> Option<TaskId> {
    let digits: String = stem(path)
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    (!digits.is_empty()).then(|| TaskId::from(digits))
}
