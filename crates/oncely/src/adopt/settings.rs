//! What the operator says of after_party: where its files are, and where its table is.

use crate::config::FILE;
use crate::failure::Failure;
use crate::place::with_options;
use oncely_adopt::{AdoptError, Database, Tables};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};

/// What platforms call the URL of the application's database.
pub(crate) const USUAL: &str = "env:DATABASE_URL";

/// `[adopt]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdoptSection {
    rake: Option<RakeSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RakeSection {
    dir: PathBuf,
    database: Option<String>,
    table: Option<String>,
    #[serde(default)]
    mirror: bool,
}

/// What it means.
#[derive(Debug, Clone)]
pub(crate) struct Rake {
    /// The folder of the files, from the project's root, with forward slashes and none at its end.
    pub(crate) dir: String,
    /// The application's database, as it is written.
    pub(crate) database: String,
    /// The table.
    pub(crate) tables: Tables,
    /// Whether new tasks are recorded in it too.
    pub(crate) mirror: bool,
}

impl AdoptSection {
    /// What it means; none where nothing is adopted.
    pub(crate) fn rake(self) -> Result<Option<Rake>, Failure> {
        let Some(section) = self.rake else {
            return Ok(None);
        };
        let wrong = |key: &str, why: String| {
            Failure::usage(format!("{FILE}: adopt.rake.{key}: {why} Nothing was run."))
        };
        let dir = folder(&section.dir).ok_or_else(|| {
            let shown = section.dir.display().to_string();
            wrong(
                "dir",
                format!(
                    "{shown:?} is no folder below the project's root. Write it like \
                     \"lib/tasks/deployment\"."
                ),
            )
        })?;
        let tables = match &section.table {
            Some(name) => Tables::named(name).map_err(|error| wrong("table", error.to_string()))?,
            None => Tables::after_party(),
        };
        Ok(Some(Rake {
            dir,
            database: section.database.unwrap_or_else(|| USUAL.into()),
            tables,
            mirror: section.mirror,
        }))
    }
}

/// The parts of the path, if none of them leads out of the project.
fn folder(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

impl Rake {
    /// The application's database.
    pub(crate) fn place(&self, root: &Path) -> Result<Database, AdoptError> {
        place(&self.database, root)
    }
}

/// The database of a URL, of a path, or of the variable that `env:NAME` names. Only a variable may
/// hold a password: the others stand where people read them.
pub(crate) fn place(text: &str, root: &Path) -> Result<Database, AdoptError> {
    let Some(name) = text.strip_prefix("env:") else {
        return Database::parse(text, root, false);
    };
    // What follows a question mark is added to the URL, which the platform itself may write.
    let (name, options) = name.split_once('?').unwrap_or((name, ""));
    let said = std::env::var(name).ok().filter(|text| !text.is_empty());
    let said = said.ok_or_else(|| {
        AdoptError::Url(format!(
            "the environment variable {name} is to say where the application's database is, and it \
             is not set. Set it, or name the database: --database URL, or `database` of [adopt.rake] \
             in {FILE}."
        ))
    })?;
    Database::parse(&with_options(&said, options), root, true)
}
