//! A worker behind its proxy, with a clock of its own.

use super::place::{Place, through};
use super::proxy::Proxy;
use crate::crash::{Oncely, Server, Trouble};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Longest wait for a worker to start: the database may be away meanwhile.
const START: Duration = Duration::from_secs(120);

/// A worker.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) proxy: Proxy,
    pub(super) oncely: Oncely,
    clock: PathBuf,
    server: Option<Server>,
}

impl Worker {
    /// A worker that serves.
    pub(super) fn start(
        number: usize,
        place: &Place,
        binary: &Path,
        sabotage: Option<&str>,
        handle: &Handle,
    ) -> Result<Self, Trouble> {
        let proxy = handle.block_on(Proxy::start(place.port()?))?;
        let clock = place.root.join(format!("clocks/{number}"));
        let mut oncely = place.oncely(binary, sabotage);
        oncely.variables = vec![
            ("LEDGER_URL".into(), through(&place.urls.0, proxy.port)?),
            ("RESULTS_URL".into(), through(&place.urls.1, proxy.port)?),
            ("ONCELY_SABOTAGE_CLOCK".into(), clock.display().to_string()),
        ];
        let mut worker = Self {
            number,
            proxy,
            oncely,
            clock,
            server: None,
        };
        worker.set_clock(0)?;
        worker.begin()?;
        Ok(worker)
    }

    /// Starts its process, again where it ends at once since the database is away.
    fn begin(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + START;
        loop {
            let mut server = Server::start(&self.oncely)?;
            match server.serving() {
                Ok(()) => {
                    self.server = Some(server);
                    return Ok(());
                }
                Err(trouble) if Instant::now() > deadline => return Err(trouble),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// SIGKILL, and a new one in its place.
    pub(super) fn replace(&mut self) -> Result<(), Trouble> {
        if let Some(server) = self.server.take() {
            server.kill()?;
        }
        self.begin()
    }

    /// SIGSTOP.
    pub(super) fn halt(&self) {
        self.server.iter().for_each(Server::halt);
    }

    /// SIGCONT.
    pub(super) fn wake(&self) {
        self.server.iter().for_each(Server::wake);
    }

    /// Whether its process has ended by itself.
    pub(super) fn is_gone(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| !server.is_alive())
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(&mut self) -> Result<(), Trouble> {
        self.server.take().map_or(Ok(()), Server::end)
    }

    /// Sets its clock wrong by so many milliseconds. The file is whole at every moment.
    pub(super) fn set_clock(&self, wrong_by: i64) -> Result<(), Trouble> {
        let beside = self.clock.with_extension("new");
        fs::write(&beside, wrong_by.to_string())?;
        fs::rename(beside, &self.clock)?;
        Ok(())
    }
}
