//! The server, the project that all workers share, and what the database writes down by itself.

use super::audit;
use super::database::Database;
use crate::crash::{Oncely, Trouble, write_tasks};
use oncely_ledger::conformance::Server;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

/// Settings of the server. What it is told is written is kept by the system, which goes on.
const SETTINGS: [&str; 3] = ["fsync=off", "max_connections=400", "max_wal_size=2GB"];

/// The stage.
pub(super) struct Place {
    pub(super) postgres: Server,
    pub(super) root: PathBuf,
    /// The ledger's database, and that of the results.
    pub(super) urls: (String, String),
}

impl Place {
    /// Starts a server, and makes the project and the tables.
    pub(super) fn make(
        root: &Path,
        endpoint: u16,
        lease: Duration,
        binary: &Path,
        handle: &Handle,
    ) -> Result<Self, Trouble> {
        let root = root.canonicalize()?;
        let data = tempfile::Builder::new()
            .prefix("oncely-nemesis-")
            .tempdir()?;
        let postgres = Server::start_in(data, &SETTINGS);
        let urls = (postgres.database(), postgres.database());
        for folder in ["tasks", "out", "events", "clocks"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let lease = lease.as_secs();
        let config = format!(
            "environment = \"trial\"\nledger = \"env:LEDGER_URL\"\n\
             [db.results]\npostgres = \"env:RESULTS_URL\"\n\
             [http]\nallow = [\"127.0.0.1:{endpoint}\"]\n[limits]\nlease = \"{lease}s\"\n"
        );
        fs::write(root.join("oncely.toml"), config)?;
        write_tasks(&root, endpoint, &["rows", "slow"])?;
        // No unique index: a row that is written twice is there twice, and is counted.
        Database::new(&urls.1, handle).make(
            "create table rows (object text not null, item bigint not null, word text not null)",
        )?;
        let place = Self {
            postgres,
            root,
            urls,
        };
        place.set_up(binary, handle)?;
        Ok(place)
    }

    /// The first run makes the ledger's tables, and a table of tasks beside them.
    fn set_up(&self, binary: &Path, handle: &Handle) -> Result<(), Trouble> {
        fs::write(self.root.join("events/setup"), "{\"id\": \"1\"}")?;
        let event = self.root.join("events/setup");
        self.oncely(binary, None).must(&[
            "call",
            "setup",
            "--event",
            &event.display().to_string(),
        ])?;
        Database::new(&self.urls.0, handle).make(audit::TRIGGERS)
    }

    /// The binary on this project, straight to the server.
    pub(super) fn oncely(&self, binary: &Path, sabotage: Option<&str>) -> Oncely {
        Oncely {
            binary: binary.to_owned(),
            root: self.root.clone(),
            sabotage: sabotage.map(str::to_owned),
            variables: vec![
                ("LEDGER_URL".into(), self.urls.0.clone()),
                ("RESULTS_URL".into(), self.urls.1.clone()),
            ],
        }
    }

    /// The server's port.
    pub(super) fn port(&self) -> Result<u16, Trouble> {
        port(&self.urls.0)
    }
}

/// The same URL with another port: through a proxy.
pub(super) fn through(url: &str, proxy: u16) -> Result<String, Trouble> {
    Ok(url.replacen(&format!(":{}/", port(url)?), &format!(":{proxy}/"), 1))
}

fn port(url: &str) -> Result<u16, Trouble> {
    let after = url.split('@').nth(1).and_then(|at| at.split(':').nth(1));
    let port = after.and_then(|rest| rest.split('/').next());
    port.and_then(|port| port.parse().ok())
        .ok_or_else(|| Trouble(format!("{url} has no port")))
}
