//! The task files of another branch, as git has them: what only they and these together get wrong is
//! found before a merge.

use crate::adopt::is_rake_file;
use crate::config::Config;
use crate::failure::Failure;
use crate::project::version_of;
use oncely_core::limits;
use oncely_core::task::{Bundle, files_of, is_task_file, read_text};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The task files of a commit.
pub(super) struct Branch {
    /// How people name it.
    pub(super) name: String,
    /// Those that are neither here nor were taken away here.
    pub(super) others: Vec<Bundle>,
    /// All of them.
    pub(super) paths: BTreeSet<String>,
    /// The newest version of a release task.
    newest: Option<String>,
}

impl Branch {
    /// Reads the task files of a commit that are not here.
    pub(super) fn read(
        config: &Config,
        name: &str,
        here: &BTreeSet<String>,
    ) -> Result<Self, Failure> {
        let git = Git { config };
        let commit = git.commit(name)?;
        let there = git.task_files(&commit)?;
        let before = match git.text(&["merge-base", &commit, "HEAD"]) {
            Ok(base) => git.task_files(base.trim())?,
            // Branches without a common beginning.
            Err(_) => BTreeMap::new(),
        };
        let mut others = Vec::new();
        for (path, executable) in &there {
            if !here.contains(path) && !before.contains_key(path) {
                others.push(git.bundle(&commit, path, *executable)?);
            }
        }
        let versions = there.keys().filter_map(|path| version_of(path));
        Ok(Self {
            name: name.to_owned(),
            others,
            newest: versions.max().map(|id| id.to_string()),
            paths: there.into_keys().collect(),
        })
    }

    /// Whether a release task of this version and path comes after newer ones that are there.
    pub(super) fn is_late(&self, path: &str, version: &str) -> bool {
        let newest = self.newest.as_deref();
        !self.paths.contains(path) && newest.is_some_and(|newest| version < newest)
    }
}

struct Git<'c> {
    config: &'c Config,
}

impl Git<'_> {
    fn run(&self, args: &[&str]) -> Result<Vec<u8>, Failure> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.config.root)
            .args(args)
            .output()
            .map_err(|error| Failure::usage(format!("git cannot be started: {error}.")))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::usage(format!("git says: {}", said.trim())))
    }

    fn text(&self, args: &[&str]) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&self.run(args)?).into_owned())
    }

    /// The commit that a name stands for: from here on only its number is handed to git.
    fn commit(&self, name: &str) -> Result<String, Failure> {
        let wanted = format!("{name}^{{commit}}");
        let args = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ];
        let found = self.text(&args).map_err(|failure| match failure.message.as_str() {
            "git says: " => Failure::usage(format!(
                "git knows no commit {name:?} here. Where a checkout is shallow, as in CI, fetch it \
                 first: git fetch origin BRANCH."
            )),
            _ => failure,
        })?;
        Ok(found.trim().to_owned())
    }

    /// Task files of a commit, and whether each is executable.
    fn task_files(&self, commit: &str) -> Result<BTreeMap<String, bool>, Failure> {
        let tasks = self.config.tasks.value.to_string_lossy();
        let tasks = format!("{}/", tasks.trim_end_matches('/'));
        let mut args = vec!["ls-tree", "-z", commit, "--", &tasks];
        let rake = self.config.rake.as_ref();
        let rakes = rake.map(|rake| format!("{}/", rake.dir));
        args.extend(rakes.as_deref());
        let is_task = |path: &str, executable| match rake {
            Some(rake) if !path.starts_with(&tasks) => is_rake_file(rake, path),
            _ => is_task_file(path, executable),
        };
        let listed = self.text(&args)?;
        let entries = listed.split('\0').filter_map(|entry| {
            let (about, path) = entry.split_once('\t')?;
            let executable = about.starts_with("100755");
            let is_file = about.starts_with("100");
            let hidden = path.rsplit('/').next()?.starts_with('.');
            (is_file && !hidden && is_task(path, executable)).then(|| (path.to_owned(), executable))
        });
        Ok(entries.take(limits::TASK_FILES).collect())
    }

    fn bundle(&self, commit: &str, path: &str, executable: bool) -> Result<Bundle, Failure> {
        let text = self.read(commit, path)?;
        let mut files = BTreeMap::new();
        for name in files_of(path, &text) {
            // One that is missing there is found when the task is read.
            if let Ok(content) = self.read(commit, &name) {
                files.insert(name, content);
            }
        }
        Ok(Bundle {
            path: path.to_owned(),
            executable: executable && !path.ends_with(".toml"),
            text,
            files,
        })
    }

    fn read(&self, commit: &str, path: &str) -> Result<String, Failure> {
        let bytes = self.run(&["show", &format!("{commit}:./{path}")])?;
        read_text(path, &bytes).map_err(|problem| Failure::usage(problem.message))
    }
}
