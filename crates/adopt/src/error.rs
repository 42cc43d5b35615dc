//! What can be wrong with another tool's database, in words for people. None of them holds a password.

use std::fmt;

/// Why a table of another tool cannot be used. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptError {
    /// The text is no URL of a database that can be read.
    Url(String),
    /// The database does not answer, or not to this user.
    Unreachable {
        /// The database, without its password.
        place: String,
        /// What it, or the way to it, says.
        error: String,
    },
    /// The file of the database is not there, or is none.
    NoFile {
        /// The file.
        place: String,
        /// What is wrong with it.
        error: String,
    },
    /// The database has no such table.
    NoTable {
        /// The database.
        place: String,
        /// The names that were looked for.
        names: Vec<String>,
    },
    /// The table has no column `version`.
    Shape {
        /// The database.
        place: String,
        /// The table.
        table: String,
        /// The columns that it has.
        columns: Vec<String>,
    },
    /// The table has more rows than are read.
    TooMany {
        /// The table.
        table: String,
        /// The most that are read.
        most: usize,
    },
    /// The database does not take a row.
    NotAdded {
        /// The database.
        place: String,
        /// The table.
        table: String,
        /// What it says.
        error: String,
    },
    /// The database refuses a statement.
    Refused {
        /// The database.
        place: String,
        /// The table.
        table: String,
        /// What it says.
        error: String,
    },
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => f.write_str(why),
            Self::Unreachable { place, error } if error.contains("certificate") => write!(
                f,
                "the database {place} cannot be reached: {error}. Name the file of the certificate's \
                 authority in the URL with sslrootcert (PostgreSQL) or sslca (MySQL). Where the network \
                 is trusted and nobody vouches for the server: `sslmode=no-verify` in the URL, or behind \
                 the variable, as in env:DATABASE_URL?sslmode=no-verify."
            ),
            Self::Unreachable { place, error } => write!(
                f,
                "the database {place} cannot be reached: {error}. Look at address, user and password \
                 of the URL."
            ),
            Self::NoFile { place, error } => write!(
                f,
                "the database {place} cannot be read: {error}. A path without a scheme is an SQLite file; \
                 for a server write postgres://user@host:5432/database or \
                 mysql2://user@host:3306/database."
            ),
            Self::NoTable { place, names } => write!(
                f,
                "the database {place} has no table {}. Is it the application's database, of this \
                 environment? A table of another name: --table NAME, or `table` of [adopt.rake].",
                names.join(" or ")
            ),
            Self::Shape {
                place,
                table,
                columns,
            } => write!(
                f,
                "the table {table} of {place} has no column `version`; it has {}. It is the table of \
                 another program.",
                columns.join(", ")
            ),
            Self::TooMany { table, most } => {
                write!(f, "the table {table} has more than {most} rows.")
            }
            Self::NotAdded {
                place,
                table,
                error,
            } => write!(
                f,
                "the database {place} takes no row into the table {table}: {error}. The user of the \
                 URL needs the right to insert into it and to select from it."
            ),
            Self::Refused {
                place,
                table,
                error,
            } => write!(
                f,
                "the database {place} refuses to read the table {table}: {error}. The user of the URL \
                 needs the right to select from it."
            ),
        }
    }
}

impl std::error::Error for AdoptError {}
