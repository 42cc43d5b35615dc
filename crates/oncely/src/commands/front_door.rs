//! The listener of `oncely serve`: bound before anything is begun, and where another server of this
//! machine has the address, as soon as that one is gone.

use crate::failure::Failure;
use crate::gateway::GatewaySettings;
use crate::house::House;
use crate::output::Voice;
use axum::Router;
use oncely_engine::Stop;
use oncely_gateway::Gateway;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Where the address is written that was really bound.
const ADDRESS_FILE: &str = "gateway.address";

/// How often an address that another server has is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The door of a server, not yet open.
pub(super) struct FrontDoor {
    voice: Voice,
    settings: GatewaySettings,
    listen: SocketAddr,
    written: PathBuf,
    /// None while somebody else has the address.
    bound: Option<Gateway>,
}

impl FrontDoor {
    /// Takes the address that the configuration names, if it names one.
    pub(super) async fn bind(voice: Voice, house: &House) -> Result<Option<Self>, Failure> {
        let settings = house.config.gateway.value.clone();
        let Some(listen) = settings.listen else {
            return Ok(None);
        };
        let bound = match Gateway::bind(listen, settings.bounds).await {
            Ok(gateway) => Some(gateway),
            Err(error) if error.kind() == ErrorKind::AddrInUse => None,
            Err(error) => return Err(refused(listen, &error)),
        };
        Ok(Some(Self {
            voice,
            settings,
            listen,
            written: house.config.data().join(ADDRESS_FILE),
            bound,
        }))
    }

    /// Where it really listens, as far as it does.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.bound.as_ref().map(Gateway::address)
    }

    /// Serves until the server stops; what is returned ends when everybody has their answer.
    pub(super) fn open(mut self, router: Router, stop: Stop) -> JoinHandle<()> {
        match self.bound.take() {
            Some(gateway) => {
                self.opened(&gateway);
                tokio::spawn(async move { gateway.serve(router, stop.stopped()).await })
            }
            None => {
                self.taken();
                tokio::spawn(self.later(router, stop))
            }
        }
    }

    /// Tries again until the address is free.
    async fn later(self, router: Router, stop: Stop) {
        while !stop.is_stopping() {
            if let Ok(gateway) = Gateway::bind(self.listen, self.settings.bounds).await {
                self.opened(&gateway);
                return gateway.serve(router, stop.stopped()).await;
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.stopped() => {}
            }
        }
    }

    fn opened(&self, gateway: &Gateway) {
        let (voice, address) = (self.voice, gateway.address());
        let url = self.settings.url.as_ref();
        voice.record(&serde_json::json!({ "listening": address.to_string(), "url": url }));
        let reached = url.map(|url| format!(", reached by {url}"));
        let reached = reached.unwrap_or_default();
        voice.say(format!("Listening on http://{address}{reached}."));
        if !address.ip().is_loopback() {
            voice.say("  Other machines can reach it, and it speaks no TLS: expose = true.");
        }
        if let Err(error) = std::fs::write(&self.written, format!("{address}\n")) {
            tracing::warn!("{} cannot be written: {error}", self.written.display());
        }
    }

    fn taken(&self) {
        let words = format!(
            "{} is taken, by another server perhaps. This one does everything else, and listens as \
             soon as the address is free.",
            self.listen
        );
        let about = self.listen.to_string();
        let record = serde_json::json!({ "problem": words, "about": about });
        self.voice.record(&record);
        self.voice.say(words);
    }
}

fn refused(listen: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::usage(format!(
        "oncely cannot listen on {listen}, as gateway.listen in {} says: {error}. Nothing was run.",
        crate::config::FILE
    ))
}
