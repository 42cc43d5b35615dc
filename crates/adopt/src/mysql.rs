//! An application's database in MySQL or MariaDB.

use crate::session::{Texts, with_times};
use crate::url::{Server, Tls};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, Opts, OptsBuilder, SslOpts};

/// A connection.
pub(crate) struct MySql(Conn);

impl MySql {
    /// A connection that may only read, unless it is to write.
    pub(crate) async fn open(server: &Server, writes: bool) -> Result<Self, String> {
        let mut connection = Conn::new(opts(server)?).await.map_err(words)?;
        if !writes {
            let text = "set session transaction read only";
            connection.query_drop(text).await.map_err(words)?;
        }
        Ok(Self(connection))
    }

    pub(crate) async fn columns(&mut self, table: &str) -> Result<Vec<String>, String> {
        let text = "select cast(column_name as char) from information_schema.columns \
                    where table_schema = database() and table_name = ? order by ordinal_position";
        self.0.exec(text, (table,)).await.map_err(words)
    }

    pub(crate) async fn rows(
        &mut self,
        table: &str,
        time: &str,
        most: usize,
    ) -> Result<Vec<Texts>, String> {
        let text = format!(
            "select cast(version as char), cast({time} as char) from `{table}` limit {most}"
        );
        self.0.query(text).await.map_err(words)
    }

    /// Adds a row of this version where there is none; whether it did.
    pub(crate) async fn add(
        &mut self,
        table: &str,
        times: &[&str],
        version: &str,
    ) -> Result<bool, String> {
        let (columns, values) = with_times(times, "utc_timestamp()");
        let text = format!(
            "insert into `{table}` (version{columns}) select ?{values} from dual \
             where not exists (select 1 from `{table}` as known where known.version = ?)"
        );
        let added = self.0.exec_drop(text, (version, version)).await;
        added.map_err(words)?;
        Ok(self.0.affected_rows() > 0)
    }

    pub(crate) async fn end(self) -> Result<(), String> {
        self.0.disconnect().await.map_err(words)
    }
}

fn opts(server: &Server) -> Result<Opts, String> {
    let usual = |value: &Option<String>, name: &str| {
        let given = std::env::var(name).ok();
        value.clone().or(given.filter(|value| !value.is_empty()))
    };
    let is_protected = match server.tls {
        Tls::Off => false,
        Tls::On | Tls::Unverified => true,
        // A password does not cross a network unprotected unless the URL says so.
        Tls::Usual => !server.is_near(),
    };
    let ssl = is_protected.then(|| protected(server)).transpose()?;
    let opts = OptsBuilder::default()
        .ip_or_hostname(server.host.trim_matches(['[', ']']))
        .tcp_port(server.port.unwrap_or(3306))
        .user(server.user.clone())
        .pass(usual(&server.password, "MYSQL_PWD"))
        .db_name(Some(server.database.clone()))
        .socket(server.socket.clone())
        .prefer_socket(server.socket.is_some())
        .ssl_opts(ssl);
    Ok(opts.into())
}

/// The same certificates as for every other connection, and none that are built in.
fn protected(server: &Server) -> Result<SslOpts, String> {
    if server.tls == Tls::Unverified {
        let anybody = SslOpts::default().with_danger_accept_invalid_certs(true);
        return Ok(anybody.with_danger_skip_domain_validation(true));
    }
    let mut roots = rustls::RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        if roots.add(certificate.clone()).is_ok() {
            certificates.push(certificate.to_vec().into());
        }
    }
    if let Some(path) = &server.ca {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("the certificates {}: {error}", path.display()))?;
        certificates.push(bytes.into());
    }
    Ok(SslOpts::default()
        .with_root_certs(certificates)
        .with_disable_built_in_roots(true))
}

/// What the server or the way to it says.
fn words(error: Error) -> String {
    match error {
        Error::Server(said) => said.message,
        Error::Driver(said) => said.to_string(),
        Error::Io(IoError::Io(said)) => said.to_string(),
        other => other.to_string(),
    }
}
