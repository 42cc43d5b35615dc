//! Where an application keeps its data: a URL as Rails and platforms write it.

use crate::AdoptError;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::{Path, PathBuf};

/// An application's database.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(Server),
    /// A MySQL or MariaDB server.
    MySql(Server),
}

/// How a server is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    /// A socket, or for PostgreSQL the folder of one.
    pub(crate) socket: Option<String>,
    pub(crate) tls: Tls,
    /// A file of root certificates besides those of the system.
    pub(crate) ca: Option<PathBuf>,
}

/// Whether a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Never.
    Off,
    /// As is usual for the place.
    Usual,
    /// Always.
    On,
    /// Always, whoever is at the other end: the URL says that nobody vouches for its certificate.
    Unverified,
}

impl Server {
    /// Whether the server is on this machine.
    pub(crate) fn is_near(&self) -> bool {
        let name = self.host.trim_matches(['[', ']']);
        let address = name.parse::<std::net::IpAddr>();
        self.socket.is_some() || name == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, server) = match self {
            Self::Sqlite(path) => return write!(f, "{}", path.display()),
            Self::Postgres(server) => ("PostgreSQL", server),
            Self::MySql(server) => ("MySQL", server),
        };
        let host = server.socket.as_deref().unwrap_or(&server.host);
        let port = server.port.filter(|_| server.socket.is_none());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{kind} {host}{port}/{}", server.database)
    }
}

// A password never shows, not even where an error prints a whole configuration.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

const EXAMPLES: &str = "Write postgres://user@host:5432/database, mysql2://user@host:3306/database or \
                        sqlite3:db/production.sqlite3";

impl Database {
    /// Understands a URL, or the path of an SQLite file. Paths stand from `root`. A text that others
    /// can read, such as a command line, may hold no password.
    ///
    /// # Errors
    /// When it is no URL of a database; the words hold nothing of it that may be a secret.
    pub fn parse(text: &str, root: &Path, may_hold_password: bool) -> Result<Self, AdoptError> {
        let scheme = text.split(':').next().unwrap_or_default();
        let server = || server(text, may_hold_password);
        match scheme {
            "sqlite" | "sqlite3" => Ok(Self::Sqlite(root.join(file(text)))),
            "postgres" | "postgresql" | "postgis" => server().map(Self::Postgres),
            "mysql" | "mysql2" | "trilogy" | "mariadb" => server().map(Self::MySql),
            _ if !text.contains("://") && !text.is_empty() => Ok(Self::Sqlite(root.join(text))),
            _ => {
                let plain = scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'+');
                let scheme = if plain { scheme } else { "this" };
                Err(AdoptError::Url(format!(
                    "{scheme}:// is no database that can be read. {EXAMPLES}."
                )))
            }
        }
    }
}

/// The path of `sqlite3:db/x`, `sqlite3:/x`, `sqlite3:///x` and `sqlite3://localhost/x`.
fn file(text: &str) -> String {
    let rest = text.split_once(':').map_or("", |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = match path.strip_prefix("localhost") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    decoded(path)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn server(text: &str, may_hold_password: bool) -> Result<Server, AdoptError> {
    // What the parser says may quote a password.
    let url = url::Url::parse(text).map_err(|error| {
        AdoptError::Url(format!(
            "the database URL cannot be read ({error}). In user and password every sign but letters \
             and digits is written as % and its number. {EXAMPLES}."
        ))
    })?;
    let mut server = Server {
        host: url
            .host_str()
            .map(decoded)
            .unwrap_or_else(|| "localhost".into()),
        port: url.port(),
        user: Some(decoded(url.username())).filter(|user| !user.is_empty()),
        password: url.password().map(decoded),
        database: decoded(url.path().trim_start_matches('/')),
        socket: None,
        tls: Tls::Usual,
        ca: None,
    };
    for (name, value) in url.query_pairs() {
        server.option(&name, value.into_owned());
    }
    if server.password.is_some() && !may_hold_password {
        return Err(AdoptError::Url(
            "the database URL holds a password, which others can read here. Put the URL into an \
             environment variable and write env:NAME, such as env:DATABASE_URL."
                .into(),
        ));
    }
    if server.database.is_empty() {
        return Err(AdoptError::Url(format!(
            "the database URL names no database. {EXAMPLES}."
        )));
    }
    Ok(server)
}

impl Server {
    /// What stands after `?` in a URL. The pool size, the encoding and the like are for Rails alone.
    fn option(&mut self, name: &str, value: String) {
        match name {
            "sslmode" | "ssl_mode" | "ssl-mode" => self.tls = tls(&value),
            "sslrootcert" | "sslca" | "ssl_ca" | "ssl-ca" if value != "system" => {
                self.ca = Some(value.into());
            }
            "socket" => self.socket = Some(value),
            "host" if value.starts_with('/') => self.socket = Some(value),
            "host" => self.host = value,
            "port" => self.port = value.parse().ok().or(self.port),
            "user" | "username" => self.user = Some(value),
            "password" => self.password = Some(value),
            "dbname" | "database" => self.database = value,
            _ => {}
        }
    }
}

fn tls(mode: &str) -> Tls {
    match mode.to_ascii_lowercase().as_str() {
        "disable" | "disabled" => Tls::Off,
        "require" | "required" | "verify-ca" | "verify_ca" | "verify-full" | "verify_identity" => {
            Tls::On
        }
        "no-verify" => Tls::Unverified,
        _ => Tls::Usual,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Database, AdoptError> {
        Database::parse(text, Path::new("/app"), true)
    }

    fn shown(text: &str) -> String {
        parse(text).map_or_else(|error| error.to_string(), |database| database.to_string())
    }

    #[test]
    fn urls_are_read_as_rails_writes_them() {
        for (text, wanted) in [
            (
                "sqlite3:db/production.sqlite3",
                "/app/db/production.sqlite3",
            ),
            ("sqlite3:/data/x.db?pool=5", "/data/x.db"),
            ("sqlite3:///data/x.db", "/data/x.db"),
            ("sqlite://localhost/data/x%20y.db", "/data/x y.db"),
            ("db/x.sqlite3", "/app/db/x.sqlite3"),
            (
                "postgres://u:p@db.example.com/shop?pool=5",
                "PostgreSQL db.example.com/shop",
            ),
            ("postgis://u@[::1]:5433/shop", "PostgreSQL [::1]:5433/shop"),
            (
                "postgresql:///shop?host=/run/postgresql",
                "PostgreSQL /run/postgresql/shop",
            ),
            (
                "mysql2://u:p@127.0.0.1:3307/shop?encoding=utf8mb4",
                "MySQL 127.0.0.1:3307/shop",
            ),
            (
                "trilogy://u@localhost/shop?socket=/run/mysqld.sock",
                "MySQL /run/mysqld.sock/shop",
            ),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn parts_are_decoded_and_protected_connections_asked_for() {
        let parsed = parse("mysql2://a%40b:p%2Fw@h/shop?ssl_mode=VERIFY_CA&sslca=/ca.pem");
        let Ok(Database::MySql(server)) = parsed else {
            unreachable!("{parsed:?}")
        };
        assert_eq!(server.user.as_deref(), Some("a@b"));
        assert_eq!(server.password.as_deref(), Some("p/w"));
        assert_eq!((server.tls, server.ca), (Tls::On, Some("/ca.pem".into())));
        let parsed = parse("postgres://u@h/shop?sslmode=no-verify");
        let Ok(Database::Postgres(server)) = parsed else {
            unreachable!("{parsed:?}")
        };
        assert_eq!(server.tls, Tls::Unverified);
    }

    #[test]
    fn what_is_no_database_is_named_without_its_secrets() {
        insta::assert_snapshot!(shown("mongodb://u:s3cret@h/shop"), @"mongodb:// is no database that can be read. Write postgres://user@host:5432/database, mysql2://user@host:3306/database or sqlite3:db/production.sqlite3.");
        insta::assert_snapshot!(shown("postgres://u:s3cret@h"), @"the database URL names no database. Write postgres://user@host:5432/database, mysql2://user@host:3306/database or sqlite3:db/production.sqlite3.");
        insta::assert_snapshot!(shown("postgres://u:s3/cret@h:x/shop"), @"the database URL cannot be read (invalid port number). In user and password every sign but letters and digits is written as % and its number. Write postgres://user@host:5432/database, mysql2://user@host:3306/database or sqlite3:db/production.sqlite3.");
        for text in [
            "postgres://u:s3cret@h/shop",
            "mysql2://u@h/shop?password=s3cret",
            "mysql2://u:s3cret@h:99999/shop",
            "s3cret@h://x",
        ] {
            let refused = Database::parse(text, Path::new("/"), false);
            let words = refused.unwrap_err().to_string();
            assert!(!words.contains("s3cret"), "{words}");
        }
        assert!(!format!("{:?}", parse("postgres://u:s3cret@h/shop")).contains("s3cret"));
    }
}
