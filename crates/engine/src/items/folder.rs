//! The files of a folder as items, in the order of their names: behind the last one, like rows.

use globset::{GlobBuilder, GlobMatcher};
use oncely_core::action::Failure;
use oncely_core::items::OwnedCell;
use oncely_core::limits;
use oncely_core::rows::{RowKey, RowSource, TableRow};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The columns of a file.
const COLUMNS: [&str; 4] = ["name", "path", "size", "modified"];

/// Which files.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// The project's root, without symbolic links.
    pub(crate) root: PathBuf,
    /// The folder, below it.
    pub(crate) path: PathBuf,
    pub(crate) pattern: String,
}

impl Folder {
    /// Looks what is there now.
    ///
    /// # Errors
    /// When it cannot be read, or holds more than is allowed.
    pub(crate) fn open(&self) -> Result<Files, Failure> {
        let glob = GlobBuilder::new(&self.pattern)
            .literal_separator(true)
            .build();
        let glob = glob.map_err(|error| Failure::permanent(format!("`match`: {error}")))?;
        let mut names = self.names(&glob.compile_matcher())?;
        names.sort_unstable();
        Ok(Files {
            folder: self.clone(),
            names,
            columns: COLUMNS.map(str::to_owned).to_vec(),
        })
    }

    fn names(&self, matcher: &GlobMatcher) -> Result<Vec<String>, Failure> {
        let unread = |error: &std::io::Error| {
            Failure::retry(format!("{} cannot be read: {error}", self.path.display()))
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|e| unread(&e))? {
            let name = entry.map_err(|e| unread(&e))?.file_name();
            // A name that is not UTF-8 matches no glob and can stand in no text.
            let Some(name) = name.to_str().filter(|name| self.takes(matcher, name)) else {
                continue;
            };
            if names.len() == limits::FOLDER_FILES {
                return Err(Failure::permanent(format!(
                    "{} holds more than {} files that match {:?}. Nothing more was done; divide them \
                     into folders",
                    self.path.display(),
                    limits::FOLDER_FILES,
                    self.pattern
                )));
            }
            names.push(name.to_owned());
        }
        Ok(names)
    }

    /// Hidden files are taken only by a pattern that says so; folders are none.
    fn takes(&self, matcher: &GlobMatcher, name: &str) -> bool {
        let hidden = name.starts_with('.') && !self.pattern.starts_with('.');
        !hidden && matcher.is_match(name) && !self.path.join(name).is_dir()
    }
}

/// The files that were there when somebody looked.
pub(crate) struct Files {
    folder: Folder,
    names: Vec<String>,
    columns: Vec<String>,
}

impl Files {
    /// A file as it is now, or why it cannot be an item.
    fn cells(&self, name: &str) -> Result<Vec<OwnedCell>, String> {
        let path = self.folder.path.join(name);
        let real = path
            .canonicalize()
            .map_err(|error| format!("{name}: {error}"))?;
        if !real.starts_with(&self.folder.root) {
            return Err(format!(
                "{name} leads to {}, out of the project: it is not followed",
                real.display()
            ));
        }
        let meta = real
            .metadata()
            .map_err(|error| format!("{name}: {error}"))?;
        if !meta.is_file() {
            return Err(format!("{name} is no file"));
        }
        let shown = path.strip_prefix(&self.folder.root).unwrap_or(&path);
        Ok(vec![
            OwnedCell::Text(name.into()),
            OwnedCell::Text(shown.to_string_lossy().as_ref().into()),
            OwnedCell::Int(i64::try_from(meta.len()).unwrap_or(i64::MAX)),
            OwnedCell::Int(modified(&meta)),
        ])
    }
}

/// In milliseconds since 1970; 0 where the file system does not say.
fn modified(meta: &Metadata) -> i64 {
    let since = meta
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

impl RowSource for Files {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn page(&mut self, after: Option<&RowKey>, most: usize) -> Result<Vec<TableRow>, Failure> {
        let from = match after {
            Some(RowKey::Text(last)) => self.names.partition_point(|name| name <= last),
            _ => 0,
        };
        let names = self.names.iter().skip(from).take(most);
        let row = |name: &String| TableRow {
            key: RowKey::Text(name.clone()),
            cells: self.cells(name),
        };
        Ok(names.map(row).collect())
    }

    fn count(&mut self) -> Option<u64> {
        Some(self.names.len() as u64)
    }
}

/// A folder below the project's root.
///
/// # Errors
/// When it lies elsewhere, or is not there.
pub(crate) fn below(root: &Path, read: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let path = real.join(read);
    let folder = path
        .canonicalize()
        .map_err(|error| Failure::retry(format!("the folder {read} cannot be read: {error}")))?;
    if !folder.starts_with(&real) {
        return Err(Failure::permanent(format!(
            "{read} does not lie below the project's root, so it is not read."
        )));
    }
    if !folder.is_dir() {
        return Err(Failure::permanent(format!(
            "{read} is no folder: `as = \"files\"` goes through the files of one"
        )));
    }
    Ok((real, path))
}
