//! An application's database in PostgreSQL.

use crate::session::{Texts, with_times};
use crate::url::{Server, Tls};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connection.
pub(crate) struct Postgres(Client);

impl Postgres {
    /// A connection that may only read, unless it is to write.
    pub(crate) async fn open(server: &Server, writes: bool) -> Result<Self, String> {
        let config = config(server);
        let client = if server.tls == Tls::Off {
            let (client, carrier) = config.connect(NoTls).await.map_err(words)?;
            tokio::spawn(carrier);
            client
        } else {
            let connector = MakeRustlsConnect::new(protected(server)?);
            let (client, carrier) = config.connect(connector).await.map_err(words)?;
            tokio::spawn(carrier);
            client
        };
        if !writes {
            let text = "set default_transaction_read_only = on";
            client.batch_execute(text).await.map_err(words)?;
        }
        Ok(Self(client))
    }

    pub(crate) async fn columns(&mut self, table: &str) -> Result<Vec<String>, String> {
        let text = "select attname::text from pg_attribute \
                    where attrelid = to_regclass(quote_ident($1::text)) \
                    and attnum > 0 and not attisdropped order by attnum";
        let rows = self.0.query(text, &[&table]).await.map_err(words)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub(crate) async fn rows(
        &mut self,
        table: &str,
        time: &str,
        most: usize,
    ) -> Result<Vec<Texts>, String> {
        let text = format!("select version::text, {time}::text from \"{table}\" limit {most}");
        let rows = self.0.query(&text, &[]).await.map_err(words)?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

impl Postgres {
    /// Adds a row of this version where there is none; whether it did.
    pub(crate) async fn add(
        &mut self,
        table: &str,
        times: &[&str],
        version: &str,
    ) -> Result<bool, String> {
        let (columns, values) = with_times(times, "timezone('utc', now())");
        let text = format!(
            "insert into \"{table}\" (version{columns}) select $1::text{values} \
             where not exists (select 1 from \"{table}\" where version::text = $1::text)"
        );
        let added = self.0.execute(&text, &[&version]).await.map_err(words)?;
        Ok(added > 0)
    }
}

fn config(server: &Server) -> Config {
    let mut config = Config::new();
    match &server.socket {
        Some(folder) => config.host_path(folder),
        None => config.host(server.host.trim_matches(['[', ']'])),
    };
    let given = |value: &Option<String>, name: &str| {
        let usual = std::env::var(name).ok();
        value.clone().or(usual.filter(|value| !value.is_empty()))
    };
    if let Some(user) = given(&server.user, "PGUSER") {
        config.user(user);
    }
    if let Some(password) = given(&server.password, "PGPASSWORD") {
        config.password(password);
    }
    config
        .port(server.port.unwrap_or(5432))
        .dbname(&server.database)
        .application_name("oncely")
        .ssl_mode(match server.tls {
            Tls::Off => SslMode::Disable,
            Tls::Usual => SslMode::Prefer,
            Tls::On | Tls::Unverified => SslMode::Require,
        });
    config
}

/// The certificates of the system and those of the URL.
pub(crate) fn roots(server: &Server) -> Result<RootCertStore, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &server.ca {
        let unread = |error: String| format!("the certificates {}: {error}", path.display());
        let bytes = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|error| unread(error.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|error| unread(error.to_string()))?;
        }
    }
    Ok(roots)
}

fn protected(server: &Server) -> Result<ClientConfig, String> {
    if server.tls == Tls::Unverified {
        return oncely_postgres::unverified().map_err(|error| error.to_string());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = builder.with_root_certificates(roots(server)?);
    Ok(builder.with_no_client_auth())
}

/// An error with what is behind it: the first alone often says nothing.
fn words(error: Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => said.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}")
            .replace(&format!(": {source}: {source}"), &format!(": {source}")),
        (None, None) => error.to_string(),
    }
}
