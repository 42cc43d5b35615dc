//! Where the ledger is: a file of this machine, or a PostgreSQL database.

use crate::config::{FILE, Sourced};
use crate::failure::Failure;
use std::fmt;
use std::path::{Path, PathBuf};

/// Says where the ledger is, over the line of the project's file.
const VARIABLE: &str = "ONCELY_LEDGER";
/// Where it is when nothing says so.
const USUAL: &str = ".oncely/ledger.db";

/// Where the ledger is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(Url),
}

/// A URL, and whether it may hold a password: one from the environment may.
#[derive(Clone)]
pub(crate) struct Url {
    pub(crate) text: String,
    pub(crate) secret: bool,
}

// A password never shows, not even where an error prints a whole configuration.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(&self.text))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_secrets(&url.text)),
        }
    }
}

impl Place {
    /// Understands what somebody wrote.
    pub(crate) fn parse(text: &str, secret: bool, root: &Path) -> Self {
        let postgres = ["postgres://", "postgresql://"];
        if postgres.iter().any(|scheme| text.starts_with(scheme)) {
            let text = text.to_owned();
            return Self::Postgres(Url { text, secret });
        }
        Self::File(root.join(text))
    }
}

/// The URL as people may see it: without the password, and without options, of which any may be one.
pub(crate) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((login, rest)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{rest}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

/// Where the ledger is, by the environment, else by the project's file. `env:NAME` there means that
/// the variable NAME says it, as platforms do that hand out databases.
pub(crate) fn read(line: Option<&str>, root: &Path) -> Result<Sourced<Place>, Failure> {
    if let Ok(text) = std::env::var(VARIABLE)
        && !text.is_empty()
    {
        return sourced(&text, true, VARIABLE, root);
    }
    let Some(line) = line else {
        return sourced(USUAL, false, "default", root);
    };
    understand(line, FILE, root)
}

/// Understands what somebody wrote somewhere.
pub(crate) fn understand(line: &str, from: &str, root: &Path) -> Result<Sourced<Place>, Failure> {
    let Some(name) = line.strip_prefix("env:") else {
        return sourced(line, false, from, root);
    };
    // What follows a question mark is added to the URL, which the platform itself may write.
    let (name, options) = name.split_once('?').unwrap_or((name, ""));
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| {
        Failure::usage(format!(
            "{from}: the ledger is where the environment variable {name} says, and it is not set. \
             Nothing was run. Set it, or write the place itself, such as postgres://user@host:5432/database."
        ))
    })?;
    sourced(&with_options(&text, options), true, name, root)
}

/// A URL with further options.
pub(crate) fn with_options(url: &str, options: &str) -> String {
    match (options, url.contains('?')) {
        ("", _) => url.to_owned(),
        (_, false) => format!("{url}?{options}"),
        (_, true) => format!("{url}&{options}"),
    }
}

/// A scheme of another database is a mistake, and not the name of a file.
fn sourced(text: &str, secret: bool, from: &str, root: &Path) -> Result<Sourced<Place>, Failure> {
    let value = Place::parse(text, secret, root);
    match (&value, text.split_once("://")) {
        (Place::File(_), Some((scheme, _))) => Err(Failure::usage(format!(
            "{from}: a ledger cannot be in {scheme}://. Nothing was run. Name a file, such as \
             {USUAL}, or a PostgreSQL database: postgres://user@host:5432/database."
        ))),
        _ => Ok(Sourced {
            value,
            from: from.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_ever_shown() {
        let shown = |text: &str| Place::parse(text, true, Path::new("/p")).to_string();
        assert_eq!(
            shown("postgres://ann:s3@cr@db.example.com:5432/led?password=s3&sslmode=require"),
            "postgres://ann@db.example.com:5432/led"
        );
        assert_eq!(shown("postgresql://db/led"), "postgresql://db/led");
        let place = Place::parse("postgres://ann:s3cret@db/led", true, Path::new("/p"));
        assert!(!format!("{place:?}").contains("s3cret"));
    }

    #[test]
    fn options_are_added_to_a_url_that_the_platform_writes() {
        let option = "sslmode=no-verify";
        assert_eq!(with_options("postgres://db/led", ""), "postgres://db/led");
        let added = with_options("postgres://db/led", option);
        assert_eq!(added, "postgres://db/led?sslmode=no-verify");
        let added = with_options("postgres://db/led?a=b", option);
        assert_eq!(added, "postgres://db/led?a=b&sslmode=no-verify");
    }

    #[test]
    fn a_path_stands_from_the_projects_root() {
        let place = Place::parse("data/ledger.db", false, Path::new("/p"));
        assert_eq!(place.to_string(), "/p/data/ledger.db");
    }

    #[test]
    fn another_database_is_refused() {
        let refused = sourced("mysql://db/led", false, FILE, Path::new("/p"));
        let words = refused.map_err(|failure| failure.message).err();
        insta::assert_snapshot!(words.unwrap_or_default(), @"oncely.toml: a ledger cannot be in mysql://. Nothing was run. Name a file, such as .oncely/ledger.db, or a PostgreSQL database: postgres://user@host:5432/database.");
    }
}
