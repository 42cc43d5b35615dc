//! A connection to the mail server: protected as the operator says, or none at all.

use super::guard::Guard;
use super::outcome::{Stage, failed, nobody, silent};
use super::server::{MailServer, Tls};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use oncely_core::action::Failure;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest time until the server answered at all.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects, protects the connection, and says who we are.
pub(crate) async fn connect(
    server: &MailServer,
    password: Option<(String, String)>,
) -> Result<AsyncSmtpConnection, Failure> {
    let name = name();
    let parameters = parameters(server)?;
    let connected = match server.tls {
        Tls::Tls => {
            let place = (server.host.as_str(), server.port);
            let parameters = parameters.clone();
            AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT), &name, parameters, None).await
        }
        Tls::StartTls | Tls::None => {
            let stream = Box::new(Guard::new(stream(server).await?));
            AsyncSmtpConnection::connect_with_transport(stream, &name).await
        }
    };
    let mut connection = connected.map_err(|error| failed(Stage::Connect, server, &error))?;
    if let (Tls::StartTls, Some(parameters)) = (server.tls, parameters) {
        if !connection.can_starttls() {
            connection.abort().await;
            return Err(unprotected(server));
        }
        let upgraded = connection.starttls(parameters, &name).await;
        upgraded.map_err(|error| failed(Stage::Connect, server, &error))?;
    }
    if let Some((user, password)) = password {
        let credentials = Credentials::new(user, password);
        let ways = [Mechanism::Plain, Mechanism::Login];
        let known = connection.auth(&ways, &credentials).await;
        known.map_err(|error| failed(Stage::Login, server, &error))?;
    }
    Ok(connection)
}

async fn stream(server: &MailServer) -> Result<TcpStream, Failure> {
    let place = (server.host.as_str(), server.port);
    match timeout(CONNECT, TcpStream::connect(place)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(nobody(server, &error.to_string())),
        Err(_) => Err(silent(Stage::Connect, server, CONNECT)),
    }
}

/// Somebody between us and the server may have taken its offer away.
fn unprotected(server: &MailServer) -> Failure {
    Failure::permanent(format!(
        "the mail server {}:{} does not offer STARTTLS, and nothing is sent unprotected: use \
         tls = \"tls\" with its port for that (often 465), or look at who answers there",
        server.host, server.port
    ))
}

fn parameters(server: &MailServer) -> Result<Option<TlsParameters>, Failure> {
    if server.tls == Tls::None {
        return Ok(None);
    }
    let mut builder = TlsParametersBuilder::new(server.host.clone());
    if let Some(path) = &server.ca {
        let wrong = |what: &str| {
            Failure::permanent(format!(
                "the root certificates of [email] in oncely.toml, {}, cannot be read: {what}",
                path.display()
            ))
        };
        let pem = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(&error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map(Some).map_err(|error| {
        Failure::permanent(format!(
            "no protected connection can be made: {error}; install the system's root certificates \
             (ca-certificates), or set SSL_CERT_FILE to a file that holds them"
        ))
    })
}

/// What we say who we are: this machine's full name, or that it has none.
fn name() -> ClientId {
    let uname = rustix::system::uname();
    let node = uname.nodename().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    match node.contains('.') && node.chars().all(plain) {
        true => ClientId::Domain(node.into_owned()),
        false => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}
