//! Connections: TLS by rustls with the system's certificates, or none where the URL says so.

use super::anybody::Anybody;
use super::db::{Db, Stop};
use super::options::Address;
use oncely_core::ledger::LedgerError;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes a connection, whose messages are carried by a task of the runtime at hand.
pub(crate) async fn connect(address: &Address) -> Result<Db, Stop> {
    let config = &address.config;
    let client = if config.get_ssl_mode() == SslMode::Disable {
        let (client, carrier) = config.connect(NoTls).await?;
        tokio::spawn(async move { carried(carrier.await) });
        client
    } else {
        let (client, carrier) = config.connect(tls(address.verified)?).await?;
        tokio::spawn(async move { carried(carrier.await) });
        client
    };
    client
        .batch_execute("set default_transaction_isolation = 'read committed'")
        .await?;
    Ok(Db::new(client))
}

fn carried(end: Result<(), tokio_postgres::Error>) {
    if let Err(error) = end {
        tracing::warn!(%error, "a connection to the ledger was lost");
    }
}

fn tls(verified: bool) -> Result<MakeRustlsConnect, LedgerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| LedgerError::Unusable(format!("TLS cannot be used: {error}.")))?;
    if !verified {
        let anybody = Arc::new(Anybody::new(&provider));
        let config = config.dangerous().with_custom_certificate_verifier(anybody);
        return Ok(MakeRustlsConnect::new(config.with_no_client_auth()));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
