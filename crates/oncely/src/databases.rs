//! The databases that tasks may name: `[db.NAME]` of `oncely.toml`.

use crate::config::FILE;
use crate::failure::Failure;
use crate::place::with_options;
use oncely_actions::{Database, Secrets};
use oncely_postgres::{Address, AddressError, Login};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the server is told of who connects.
const ROLE: &str = "oncely";

/// A database, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSection {
    sqlite: Option<PathBuf>,
    postgres: Option<String>,
}

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A file.
    Sqlite(PathBuf),
    /// A URL, or `env:NAME` for the variable that holds it.
    Postgres(String),
}

/// Databases by the names that tasks use.
pub(crate) fn read(
    sections: BTreeMap<String, DatabaseSection>,
    root: &Path,
) -> Result<BTreeMap<String, Named>, Failure> {
    let named = sections.into_iter().map(|(name, section)| {
        let place = match (section.sqlite, section.postgres) {
            (Some(path), None) => Named::Sqlite(root.join(path)),
            (None, Some(url)) => Named::Postgres(url),
            _ => {
                return Err(Failure::usage(format!(
                    "{FILE}: [db.{name}] names one place. Nothing was run. Write `sqlite = \"FILE\"`, \
                     or `postgres = \"postgres://user@host:5432/database\"`."
                )));
            }
        };
        if let Named::Postgres(url) = &place
            && !url.starts_with("env:")
        {
            let password = Login {
                role: ROLE,
                password: None,
                secret_url: false,
            };
            Address::parse(url, password).map_err(|error| Failure::usage(wrong(&name, error)))?;
        }
        Ok((name, place))
    });
    named.collect()
}

/// The secret that holds the password of a database.
pub(crate) fn secret(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    format!("DB_{name}_PASSWORD")
}

impl Named {
    /// The database of this name, for the action that writes to it.
    pub(crate) fn database(&self, name: &str, secrets: &dyn Secrets) -> Database {
        match self {
            Self::Sqlite(path) => Database::Sqlite(path.clone()),
            Self::Postgres(url) => match address(name, url, secrets) {
                Ok(address) => Database::Postgres(address),
                Err(why) => Database::Unknown(why),
            },
        }
    }
}

/// Where the database is. What is wrong holds nothing of the URL.
fn address(name: &str, url: &str, secrets: &dyn Secrets) -> Result<Address, String> {
    let (url, secret_url) = match url.strip_prefix("env:") {
        None => (url.to_owned(), false),
        Some(variable) => (from_variable(name, variable)?, true),
    };
    let password = secrets.get(&secret(name));
    let login = Login {
        role: ROLE,
        password: password.as_deref(),
        secret_url,
    };
    Address::parse(&url, login).map_err(|error| wrong(name, error))
}

/// What follows a question mark is added to the URL, which the platform itself may write.
fn from_variable(name: &str, variable: &str) -> Result<String, String> {
    let (variable, options) = variable.split_once('?').unwrap_or((variable, ""));
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| {
        format!(
            "the database `{name}` is where the environment variable {variable} says, and it is not \
             set; nothing was changed. Set it where oncely runs"
        )
    })?;
    Ok(with_options(&url, options))
}

fn wrong(name: &str, error: AddressError) -> String {
    match error {
        AddressError::Unreadable => format!(
            "{FILE}: the URL of [db.{name}] cannot be read. Nothing was changed. Write it as \
             postgres://user@host:5432/database?sslmode=require."
        ),
        AddressError::Password => format!(
            "{FILE}: the URL of [db.{name}] holds a password. Nothing was changed. Take it out, and \
             give it as the secret {}, or name a variable that holds the URL: \
             postgres = \"env:DATABASE_URL\".",
            secret(name)
        ),
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => match url.split_once("://") {
                None => write!(f, "{url}"),
                Some(_) => write!(f, "{}", crate::place::without_secrets(url)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use oncely_actions::NoSecrets;

    fn refused(text: &str) -> String {
        let sections = toml::from_str(text).unwrap();
        read(sections, Path::new("/p")).unwrap_err().message
    }

    #[test]
    fn a_database_stands_in_one_place_and_its_password_in_none() {
        insta::assert_snapshot!(refused("[shop]"), @r#"oncely.toml: [db.shop] names one place. Nothing was run. Write `sqlite = "FILE"`, or `postgres = "postgres://user@host:5432/database"`."#);
        insta::assert_snapshot!(refused("[shop]\npostgres = 'postgres://u:s3cret@h/shop'"), @r#"oncely.toml: the URL of [db.shop] holds a password. Nothing was changed. Take it out, and give it as the secret DB_SHOP_PASSWORD, or name a variable that holds the URL: postgres = "env:DATABASE_URL"."#);
        insta::assert_snapshot!(refused("[shop]\npostgres = 'mysql://u@h/shop'"), @"oncely.toml: the URL of [db.shop] cannot be read. Nothing was changed. Write it as postgres://user@host:5432/database?sslmode=require.");
    }

    #[test]
    fn a_variable_that_is_not_set_keeps_only_its_own_steps_from_working() {
        let named = Named::Postgres("env:NOT_SET_ANYWHERE".into());
        let Database::Unknown(why) = named.database("shop", &NoSecrets) else {
            unreachable!()
        };
        insta::assert_snapshot!(why, @"the database `shop` is where the environment variable NOT_SET_ANYWHERE says, and it is not set; nothing was changed. Set it where oncely runs");
    }
}
