//! The front door as the operator configures it: `[gateway]`.

use crate::config::{FILE, Sourced};
use crate::failure::Failure;
use oncely_core::limits;
use oncely_core::task::parse_duration;
use oncely_gateway::Bounds;
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Most connections that may be asked for.
const MOST_CONNECTIONS: usize = 100_000;
/// Longest that may be waited for a head or a body.
const LONGEST: Duration = Duration::from_secs(300);
const SHORTEST: Duration = Duration::from_millis(100);

/// `[gateway]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewaySection {
    listen: Option<String>,
    #[serde(default)]
    expose: bool,
    url: Option<String>,
    connections: Option<usize>,
    header_time: Option<String>,
    body_time: Option<String>,
}

/// What it means.
#[derive(Debug, Clone)]
pub(crate) struct GatewaySettings {
    /// Where requests are taken; none means nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// What others reach it by, without a slash at the end.
    pub(crate) url: Option<String>,
    pub(crate) bounds: Bounds,
}

impl GatewaySection {
    /// What it means.
    pub(crate) fn settings(self) -> Result<Sourced<GatewaySettings>, Failure> {
        let from = if self.listen.is_some() {
            FILE
        } else {
            "default"
        };
        let listen = self
            .listen
            .as_deref()
            .map(|text| address(text, self.expose));
        let usual = Bounds::default();
        let connections = self.connections.unwrap_or(limits::GATEWAY_CONNECTIONS);
        let value = GatewaySettings {
            listen: listen.transpose()?,
            url: self.url.as_deref().map(base).transpose()?,
            bounds: Bounds {
                connections: connections.clamp(1, MOST_CONNECTIONS),
                head_time: time("header_time", self.header_time, usual.head_time)?,
                body_time: time("body_time", self.body_time, usual.body_time)?,
            },
        };
        Ok(Sourced {
            value,
            from: from.into(),
        })
    }
}

fn wrong(key: &str, why: &str) -> Failure {
    Failure::usage(format!("{FILE}, gateway.{key}: {why}. Nothing was run."))
}

fn address(text: &str, expose: bool) -> Result<SocketAddr, Failure> {
    let address: SocketAddr = text.parse().map_err(|_| {
        let why = format!("{text:?} is no address. Write it like \"127.0.0.1:8090\"");
        wrong("listen", &why)
    })?;
    if expose || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(wrong(
        "listen",
        &format!(
            "{address} can be reached by other machines, and oncely speaks no TLS. Let it listen on \
             127.0.0.1 behind a proxy that does, or say `expose = true` beside it when the network \
             is yours"
        ),
    ))
}

/// The address that others reach it by.
fn base(text: &str) -> Result<String, Failure> {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '<' | '>');
    match rest {
        Some(rest) if !rest.is_empty() && rest.chars().all(plain) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => {
            let why = format!(
                "{text:?} is no base URL. Write it like \"https://hooks.example.com\", without user, \
                 `?` and `#`"
            );
            Err(wrong("url", &why))
        }
    }
}

fn time(key: &str, text: Option<String>, usual: Duration) -> Result<Duration, Failure> {
    let Some(text) = text else {
        return Ok(usual);
    };
    let millis = parse_duration(&text).ok_or_else(|| {
        let why = format!("{text:?} is not a duration. Write it like \"10s\"");
        wrong(key, &why)
    })?;
    let time = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Ok(time.clamp(SHORTEST, LONGEST))
}

impl GatewaySettings {
    /// The URL of a path here; none where nothing listens.
    pub(crate) fn reached_at(&self, path: &str) -> Option<String> {
        let listen = self.listen?;
        let base = self.url.clone();
        Some(base.unwrap_or_else(|| format!("http://{listen}")) + path)
    }

    /// What `oncely doctor` shows: names and values.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let Some(listen) = self.listen else {
            return vec![("gateway.listen", "none: no request can come in".into())];
        };
        let open = if listen.ip().is_loopback() {
            ""
        } else {
            ", exposed"
        };
        let Bounds {
            connections,
            head_time,
            body_time,
        } = self.bounds;
        let bounds = format!(
            "{connections} connections, {} s for a header, {} s for a body",
            head_time.as_secs_f64(),
            body_time.as_secs_f64()
        );
        vec![
            ("gateway.listen", format!("{listen}{open}")),
            (
                "gateway.url",
                self.url.clone().unwrap_or_else(|| "none".into()),
            ),
            ("gateway", bounds),
        ]
    }
}
