//! Connections to a ledger in PostgreSQL are encrypted, and its server is the one that is meant.

use crate::project::Project;
use oncely_ledger::conformance::Server;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A server with a certificate of its own making, for 127.0.0.1.
fn with_certificate(folder: &Path) -> Server {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&key, Some(65534), Some(65534)).unwrap();
    }
    let setting = |name: &str, path: &Path| format!("{name}={}", path.display());
    let certificate = setting("ssl_cert_file", &certificate);
    Server::start(&["ssl=on", &certificate, &setting("ssl_key_file", &key)])
}

/// The URL as a platform writes it, without a word about TLS.
fn url(server: &Server) -> String {
    let url = server.database();
    url.split('?').next().unwrap().to_owned()
}

fn project(url: &str, ledger: &str) -> Project {
    let project = Project::empty().variable("DATABASE_URL", url);
    project.write("oncely.toml", format!("ledger = \"{ledger}\"\n"));
    project.release_task(1, "write", "echo done >> out");
    project
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_unless_the_operator_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_certificate(folder.path());
    let refused = project(&url(&server), "env:DATABASE_URL");
    let words = refused.run(&["run"]).all();
    let port = url(&server)
        .rsplit(':')
        .next()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    insta::assert_snapshot!(words.replace(&port, "[port]"), @r#"
    oncely: the certificate of PostgreSQL 127.0.0.1:[port]/t0 is not one that this machine trusts: error performing TLS handshake: invalid peer certificate: UnknownIssuer. Nothing was sent. Name the file of its authority with SSL_CERT_FILE. Where the platform's network is trusted and nobody vouches for its servers, as with Heroku's: `sslmode=no-verify` in the URL, or ledger = "env:DATABASE_URL?sslmode=no-verify" in oncely.toml.
    [exit 2]
    "#);
    assert_eq!(refused.text("out"), "");
    let said = project(&url(&server), "env:DATABASE_URL?sslmode=no-verify");
    said.run(&["run"]).says(0, &["done 1_write"]);
    // The other way: the certificate is named.
    let file = folder.path().join("server.crt");
    let trusted = project(&url(&server), "env:DATABASE_URL?sslmode=verify-full")
        .variable("SSL_CERT_FILE", file.to_str().unwrap());
    trusted.run(&["run"]).says(0, &["done 1_write"]);
}

#[test]
fn an_application_s_database_is_read_as_the_ledger_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_certificate(folder.path());
    let application = url(&server);
    let name = application.rsplit('/').next().unwrap();
    let table = "create table task_records (version varchar(255) not null);
        insert into task_records values ('20200101000000')";
    server.query(name, table).unwrap();
    let project = Project::new().variable("DATABASE_URL", &application);
    // The usual way is to encrypt where the server can, and then its certificate is looked at.
    let refused = project.run(&["import", "after_party"]);
    refused.says(2, &["sslmode=no-verify", "Nothing was imported."]);
    let url = "env:DATABASE_URL?sslmode=no-verify";
    let import = ["import", "after_party", "--database", url];
    let said = project.run(&import);
    said.says(0, &["1 version imported into development."]);
}

#[test]
fn without_a_verified_certificate_it_is_encrypted_all_the_same() {
    let plain = Server::start(&[]);
    let project = project(&url(&plain), "env:DATABASE_URL?sslmode=no-verify");
    let refused = project.run(&["run"]);
    assert_eq!(refused.code, 2, "{}", refused.all());
    assert!(
        refused.all().contains("does not support TLS"),
        "{}",
        refused.all()
    );
    assert_eq!(project.text("out"), "");
}
