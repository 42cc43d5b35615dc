//! Clients: they connect only to addresses that were judged, and to nothing that the environment
//! of the process says.

use super::address::{self, Allowed};
use oncely_core::action::Failure;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::{Host, Url};

/// Clients that are kept; beyond that all are made anew.
const CLIENTS: usize = 64;
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);

/// Finds the addresses of a name.
pub(crate) trait Lookup: Send + Sync {
    /// All addresses of `host`.
    fn lookup(&self, host: String) -> oncely_core::Fut<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The system's own resolver.
pub(crate) struct System;

impl Lookup for System {
    fn lookup(&self, host: String) -> oncely_core::Fut<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    }
}

/// What sets one client apart from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    tls: bool,
    /// Addresses may be allowed for one port, which a resolver is not told.
    port: u16,
    /// The host is allowed by its name.
    trusted: bool,
    /// A request of which a repeat must be asked for gets a connection of its own: a kept one may
    /// have ended on the other side, and whether the request still arrived is then unknown.
    fresh: bool,
    connect: Duration,
}

/// The clients made so far.
pub(crate) struct Clients {
    allowed: Arc<[Allowed]>,
    lookup: Arc<dyn Lookup>,
    made: Mutex<HashMap<Kind, reqwest::Client>>,
}

impl Clients {
    pub(crate) fn new(allowed: Vec<Allowed>, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            allowed: allowed.into(),
            lookup,
            made: Mutex::default(),
        }
    }

    /// A client that may connect to where `url` leads, if that may be reached at all.
    pub(crate) fn client(
        &self,
        url: &Url,
        connect: Duration,
        fresh: bool,
    ) -> Result<reqwest::Client, Failure> {
        let port = url.port_or_known_default().unwrap_or_default();
        let trusted = self.judge(url, port)?;
        let kind = Kind {
            tls: url.scheme() == "https",
            port,
            trusted,
            fresh,
            connect,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&kind) {
            return Ok(client.clone());
        }
        if made.len() >= CLIENTS {
            made.clear();
        }
        let client = self.make(&kind)?;
        made.insert(kind, client.clone());
        Ok(client)
    }

    /// Judges what can be judged before a name is looked up. Gives whether the name is trusted.
    fn judge(&self, url: &Url, port: u16) -> Result<bool, Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::permanent(format!(
                "{}: addresses are not requested; use http or https",
                url.scheme()
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::permanent(
                "a user or a password in the URL would be kept in records: use `auth`",
            ));
        }
        let ip: IpAddr = match url.host() {
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            Some(Host::Domain(name)) => return Ok(address::trusted(&self.allowed, name, port)),
            None => return Err(Failure::permanent("the URL names no host")),
        };
        match address::refused(&self.allowed, ip, port) {
            Some(what) => Err(Failure::permanent(Refused { ip, port, what }.to_string())),
            None => Ok(false),
        }
    }

    fn make(&self, kind: &Kind) -> Result<reqwest::Client, Failure> {
        // Another part of the process may have chosen a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(kind.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(if kind.fresh { 0 } else { 8 })
            .user_agent(concat!("oncely/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Judging {
                allowed: Arc::clone(&self.allowed),
                lookup: Arc::clone(&self.lookup),
                port: kind.port,
                trusted: kind.trusted,
            });
        if !kind.tls {
            // Certificates are not needed, and a small container may have none.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|error| {
            Failure::permanent(format!(
                "no client for https can be made: {}; install the system's root certificates \
                 (ca-certificates), or set SSL_CERT_FILE to a file that holds them",
                super::outcome::words(&error)
            ))
        })
    }
}

/// A resolver that gives only addresses that may be reached.
struct Judging {
    allowed: Arc<[Allowed]>,
    lookup: Arc<dyn Lookup>,
    port: u16,
    trusted: bool,
}

impl Resolve for Judging {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, port, trusted) = (Arc::clone(&self.allowed), self.port, self.trusted);
        let found = self.lookup.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await?;
            if trusted {
                return Ok(addrs(found));
            }
            let refused = |ip: &IpAddr| {
                let what = address::refused(&allowed, *ip, port)?;
                Some(Refused {
                    ip: *ip,
                    port,
                    what,
                })
            };
            match found.iter().find_map(refused) {
                Some(why) if found.iter().all(|ip| refused(ip).is_some()) => Err(why.into()),
                _ => Ok(addrs(
                    found
                        .into_iter()
                        .filter(|ip| refused(ip).is_none())
                        .collect(),
                )),
            }
        })
    }
}

fn addrs(ips: Vec<IpAddr>) -> Addrs {
    Box::new(ips.into_iter().map(|ip| SocketAddr::new(ip, 0)))
}

/// An address that may not be reached.
#[derive(Debug)]
pub(crate) struct Refused {
    ip: IpAddr,
    port: u16,
    what: &'static str,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let socket = SocketAddr::new(self.ip, self.port);
        write!(
            f,
            "{} is {}, which tasks may not reach: if it is meant, add {socket} to the allowed \
             addresses in oncely.toml",
            self.ip, self.what
        )
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::super::{Caller, HttpConfig, outcome};
    use super::*;

    /// A name server that says what it is told to.
    struct Says(&'static [&'static str]);

    impl Lookup for Says {
        fn lookup(&self, _: String) -> oncely_core::Fut<'static, std::io::Result<Vec<IpAddr>>> {
            let ips = self.0.iter().map(|ip| ip.parse().unwrap()).collect();
            Box::pin(std::future::ready(Ok(ips)))
        }
    }

    async fn resolve(says: &'static [&'static str], trusted: bool) -> Result<Vec<String>, String> {
        let judging = Judging {
            allowed: [Allowed::parse("10.0.0.0/8").unwrap()].into(),
            lookup: Arc::new(Says(says)),
            port: 80,
            trusted,
        };
        let found = judging.resolve("example.com".parse().unwrap()).await;
        let text = |socket: SocketAddr| socket.ip().to_string();
        found
            .map(|found| found.map(text).collect())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_judged_by_where_it_leads() {
        let inside = resolve(&["192.168.0.1", "::1"], false).await.unwrap_err();
        assert!(inside.starts_with("192.168.0.1 is a private address"));
        let mixed = resolve(&["192.168.0.1", "1.1.1.1", "10.0.0.1"], false).await;
        assert_eq!(mixed.unwrap(), ["1.1.1.1", "10.0.0.1"]);
        let trusted = resolve(&["192.168.0.1"], true).await;
        assert_eq!(trusted.unwrap(), ["192.168.0.1"]);
    }

    #[tokio::test]
    async fn a_refused_name_is_no_failure_that_may_pass() {
        let clients = Clients::new(vec![], Arc::new(Says(&["127.0.0.1"])));
        let url = Url::parse("http://rebound.example.com/").unwrap();
        let client = clients.client(&url, Duration::from_secs(1), true).unwrap();
        let error = client.get(url).send().await.unwrap_err();
        let failure = outcome::Trouble::sending(&error).failure(oncely_core::fact::Repeat::Safe);
        assert!(matches!(failure, Failure::Permanent { .. }), "{failure:?}");
    }

    #[tokio::test]
    async fn clients_are_kept_and_bounded() {
        let http = Caller::new(HttpConfig {
            allowed: vec![],
            secrets: Arc::new(crate::NoSecrets),
        });
        for port in 1..200 {
            let url = Url::parse(&format!("http://example.com:{port}/")).unwrap();
            http.clients
                .client(&url, Duration::from_secs(1), true)
                .unwrap();
            http.clients
                .client(&url, Duration::from_secs(1), true)
                .unwrap();
        }
        assert!(http.clients.made.lock().unwrap().len() <= CLIENTS);
    }
}
