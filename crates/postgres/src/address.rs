//! Where a server is: a URL, and who may write a password into it.

use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// What people write for a server whose certificate nobody vouches for.
const UNVERIFIED: &str = "sslmode=no-verify";

/// Who connects, besides what the URL says.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// What this process is, for those who look at the server.
    pub role: &'a str,
    /// The password of the user in the URL.
    pub password: Option<&'a str>,
    /// The URL comes from where secrets come from, and may hold the password.
    pub secret_url: bool,
}

/// Why a URL is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// It cannot be read. What the parser says may repeat parts of it, and is not kept.
    Unreadable,
    /// It holds a password where others can read it.
    Password,
}

/// Where a server is, and whether its certificate must be one that this machine trusts.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) config: Config,
    pub(crate) verified: bool,
}

impl Address {
    /// Reads a URL. A server's certificate is verified where TLS is used, so that `verify-ca` and
    /// `verify-full` mean the same as `require`, unless the URL says `no-verify`.
    ///
    /// # Errors
    /// When it is no URL of PostgreSQL, or holds a password and may not.
    pub fn parse(url: &str, login: Login<'_>) -> Result<Self, AddressError> {
        let plain = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require")
            .replace(UNVERIFIED, "sslmode=require");
        let mut config: Config = plain.parse().map_err(|_| AddressError::Unreadable)?;
        if config.get_password().is_some() && !login.secret_url {
            return Err(AddressError::Password);
        }
        if let Some(password) = login.password {
            config.password(password);
        }
        config.application_name(login.role);
        config.connect_timeout(CONNECT);
        let verified = !url.contains(UNVERIFIED);
        Ok(Self { config, verified })
    }

    /// Where it is, for people: no user and no password.
    #[must_use]
    pub fn place(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".into(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let name = self.config.get_dbname().unwrap_or("?");
        format!("PostgreSQL {host}:{port}/{name}")
    }
}

// A password never shows, not even where an error prints a whole configuration.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.place())
    }
}
