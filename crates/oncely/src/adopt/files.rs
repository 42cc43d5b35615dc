//! The files of after_party, as the file system shows them.

use super::settings::Rake;
use crate::config::Config;
use crate::failure::Failure;
use crate::project::{TaskFile, task_file};
use oncely_core::limits;
use oncely_core::task::rake_name;
use std::fs;

/// The files that after_party takes for tasks, without reading them; none where nothing is adopted.
pub(crate) fn files(config: &Config) -> Result<Vec<TaskFile>, Failure> {
    let Some(rake) = &config.rake else {
        return Ok(Vec::new());
    };
    let folder = config.root.join(&rake.dir);
    let entries = fs::read_dir(&folder).map_err(|error| {
        Failure::usage(format!(
            "the folder {} cannot be read: {error}. `dir` of [adopt.rake] in oncely.toml names it.",
            folder.display()
        ))
    })?;
    let mut files = Vec::new();
    for entry in entries.take(limits::TASK_FILES + 1) {
        let entry = entry.map_err(crate::failure::io(&folder))?;
        let path = format!("{}/{}", rake.dir, entry.file_name().to_string_lossy());
        if is_rake_file(rake, &path) {
            let metadata = fs::metadata(entry.path()).map_err(crate::failure::io(&entry.path()))?;
            files.push(task_file(path, &metadata));
        }
    }
    Ok(files)
}

/// Whether a path, from the project's root, is one of them. As the gem does, it passes over hidden
/// files and names without a version.
pub(crate) fn is_rake_file(rake: &Rake, path: &str) -> bool {
    let name = path.strip_prefix(&rake.dir);
    let name = name.and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| !name.contains('/') && !name.starts_with('.'))
        && rake_name(path).is_some()
}
