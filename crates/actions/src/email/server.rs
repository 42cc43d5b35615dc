//! The mail server, as the operator configures it.

use crate::secret::{SecretText, Secrets, Veil};
use oncely_core::action::Failure;
use std::net::IpAddr;
use std::path::PathBuf;
use url::{Host, Url};

/// The secret that holds the password.
const PASSWORD: &str = "EMAIL_PASSWORD";

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It begins in the clear and is protected before anything is said: the usual way on port 587.
    StartTls,
    /// It is protected from its first byte on: the usual way on port 465.
    Tls,
    /// Not at all; only to this machine.
    None,
}

impl Tls {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("starttls", Self::StartTls),
        ("tls", Self::Tls),
        ("none", Self::None),
    ];

    fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

impl std::fmt::Display for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = Self::WORDS.iter().find(|(_, tls)| tls == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who we are to it; then the secret `EMAIL_PASSWORD` is wanted.
    pub user: Option<String>,
    /// A file of root certificates in PEM besides those of the system.
    pub ca: Option<PathBuf>,
}

impl MailServer {
    /// Reads `smtp://host:587`, `smtps://host`, `host:587` or `host`. `tls` stands over the scheme.
    ///
    /// # Errors
    /// In words, when it is none of these, or would send mails over a network unprotected.
    pub fn parse(text: &str, tls: Option<&str>) -> Result<Self, String> {
        if text.contains('@') {
            // The text itself may hold a password, and is not repeated.
            return Err(
                "a server is named without user and password: give `user`, and the \
                        password as the secret EMAIL_PASSWORD"
                    .into(),
            );
        }
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("smtp://{text}"),
        };
        let url = Url::parse(&whole).ok().filter(is_bare);
        let host = url.as_ref().and_then(|url| host(url.host()?));
        let (Some(url), Some(host)) = (url, host) else {
            return Err(format!(
                "{text:?} is no mail server: write it like \"smtp://mail.example.com:587\""
            ));
        };
        let tls = match tls {
            Some(word) => tls_of(word)?,
            None if url.scheme() == "smtps" => Tls::Tls,
            None => Tls::StartTls,
        };
        if tls == Tls::None && !is_here(&host) {
            return Err(format!(
                "tls = \"none\" is for a mail server on this machine, and {host} is another: use \
                 \"starttls\" or \"tls\""
            ));
        }
        Ok(Self {
            port: url.port().unwrap_or(tls.port()),
            host,
            tls,
            user: None,
            ca: None,
        })
    }

    /// User and password, where the server wants them.
    pub(crate) fn password(
        &self,
        secrets: &dyn Secrets,
        veil: &mut Veil,
    ) -> Result<Option<(String, String)>, Failure> {
        let Some(user) = &self.user else {
            return Ok(None);
        };
        let password = SecretText::named(PASSWORD).reveal(secrets, veil)?;
        Ok(Some((user.clone(), password)))
    }
}

/// Nothing but a host and a port.
fn is_bare(url: &Url) -> bool {
    matches!(url.scheme(), "smtp" | "smtps")
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
}

fn host(host: Host<&str>) -> Option<String> {
    match host {
        // A scheme that is not of the web leaves names and numbers as they are.
        Host::Domain(name) => Host::parse(name).ok().map(|host| host.to_string()),
        Host::Ipv4(ip) => Some(ip.to_string()),
        Host::Ipv6(ip) => Some(ip.to_string()),
    }
}

fn tls_of(word: &str) -> Result<Tls, String> {
    let known = Tls::WORDS.iter().find(|(name, _)| *name == word);
    known.map(|(_, tls)| *tls).ok_or_else(|| {
        format!("tls = {word:?} is not known: write \"starttls\", \"tls\" or \"none\"")
    })
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, tls: Option<&str>) -> String {
        let server = MailServer::parse(text, tls);
        server.map_or_else(|e| e, |s| format!("{} {} {}", s.host, s.port, s.tls))
    }

    #[test]
    fn a_server_is_read_in_each_form() {
        for (text, tls, expected) in [
            (
                "smtp://mail.example.com:587",
                None,
                "mail.example.com 587 starttls",
            ),
            ("mail.example.com", None, "mail.example.com 587 starttls"),
            (
                "mail.example.com:2525",
                None,
                "mail.example.com 2525 starttls",
            ),
            ("smtps://mail.example.com", None, "mail.example.com 465 tls"),
            ("mail.example.com", Some("tls"), "mail.example.com 465 tls"),
            ("localhost", Some("none"), "localhost 25 none"),
            ("smtp://127.0.0.1:1025", Some("none"), "127.0.0.1 1025 none"),
            ("smtp://[::1]:1025", Some("none"), "::1 1025 none"),
        ] {
            assert_eq!(read(text, tls), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_said() {
        insta::assert_snapshot!(read("http://mail.example.com", None), @r#""http://mail.example.com" is no mail server: write it like "smtp://mail.example.com:587""#);
        insta::assert_snapshot!(read("smtp://mail.example.com", Some("ssl")), @r#"tls = "ssl" is not known: write "starttls", "tls" or "none""#);
        insta::assert_snapshot!(read("mail.example.com", Some("none")), @r#"tls = "none" is for a mail server on this machine, and mail.example.com is another: use "starttls" or "tls""#);
        insta::assert_snapshot!(read("smtp://shop:hush@host", None), @"a server is named without user and password: give `user`, and the password as the secret EMAIL_PASSWORD");
        for text in ["", "smtp://", "smtp://host/x", "a b", "host:port"] {
            assert!(read(text, None).contains("is no mail server"), "{text:?}");
        }
        for host in ["10.0.0.1", "127.0.0.1.example.com", "localhost.example.com"] {
            assert!(MailServer::parse(host, Some("none")).is_err(), "{host}");
        }
    }
}
