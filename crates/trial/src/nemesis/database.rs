//! The harness's own look at a database, straight, past every proxy.

use crate::crash::Trouble;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_postgres::{Client, NoTls, Row};

/// Longest wait for a server that is being restarted.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// A database, asked from threads that are none of the runtime's.
pub(super) struct Database {
    url: String,
    handle: Handle,
    client: Option<Client>,
}

impl Database {
    /// A database of the server.
    pub(super) fn new(url: &str, handle: &Handle) -> Self {
        Self {
            url: url.to_owned(),
            handle: handle.clone(),
            client: None,
        }
    }

    /// Executes statements.
    pub(super) fn make(&mut self, text: &str) -> Result<(), Trouble> {
        let handle = self.handle.clone();
        handle.block_on(async {
            let client = self.client().await?;
            Ok(client.batch_execute(text).await?)
        })
    }

    /// The rows of a query, as soon as the server answers.
    pub(super) fn rows(&mut self, text: &str) -> Result<Vec<Row>, Trouble> {
        let since = Instant::now();
        let handle = self.handle.clone();
        loop {
            let rows = handle.block_on(async { self.client().await?.query(text, &[]).await });
            match rows {
                Ok(rows) => return Ok(rows),
                Err(error) if since.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => {
                    self.client = None;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    async fn client(&mut self) -> Result<&Client, tokio_postgres::Error> {
        let open = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let (client, carrier) = tokio_postgres::connect(&self.url, NoTls).await?;
                tokio::spawn(carrier);
                client
            }
        };
        Ok(self.client.insert(open))
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(format!("PostgreSQL: {error}"))
    }
}
