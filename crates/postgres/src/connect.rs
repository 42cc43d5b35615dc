//! Connections: TLS by rustls with the system's certificates, or none where the URL says so.

use crate::Address;
use crate::anybody::Anybody;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// TLS cannot be used on this machine.
    Tls(String),
    /// The server, or the way to it.
    Server(Error),
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tls(words) => write!(f, "TLS cannot be used: {words}"),
            Self::Server(error) => f.write_str(&crate::words(error)),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// Makes a connection, whose messages are carried by a task of the runtime at hand.
///
/// # Errors
/// When the server cannot be reached, is not trusted, or does not let us in.
pub async fn connect(address: &Address) -> Result<Client, ConnectError> {
    let config = &address.config;
    let place = address.place();
    if config.get_ssl_mode() == SslMode::Disable {
        let (client, carrier) = config.connect(NoTls).await?;
        tokio::spawn(async move { carried(&place, carrier.await) });
        return Ok(client);
    }
    let (client, carrier) = config.connect(tls(address.verified)?).await?;
    tokio::spawn(async move { carried(&place, carrier.await) });
    Ok(client)
}

fn carried(place: &str, end: Result<(), Error>) {
    if let Err(error) = end {
        tracing::warn!(place, %error, "a connection was lost");
    }
}

fn tls(verified: bool) -> Result<MakeRustlsConnect, ConnectError> {
    if !verified {
        return Ok(MakeRustlsConnect::new(unverified()?));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// TLS with whoever is at the other end, where the operator wrote `sslmode=no-verify`.
///
/// # Errors
/// When TLS cannot be used on this machine.
pub fn unverified() -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let anybody = Arc::new(Anybody::new(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(anybody);
    Ok(config.with_no_client_auth())
}

fn unusable(error: rustls::Error) -> ConnectError {
    ConnectError::Tls(error.to_string())
}
