//! The listener: takes connections as far as there is room, and ends with the process.

use crate::turn_away::turn_away;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use oncely_core::limits;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much of others' requests is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at the same time.
    pub connections: usize,
    /// How long a head may take to arrive, from the connection or the answer before it on.
    pub head_time: Duration,
    /// How long a body may take to arrive.
    pub body_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let time = Duration::from_millis(limits::GATEWAY_READ_MS);
        Self {
            connections: limits::GATEWAY_CONNECTIONS,
            head_time: time,
            body_time: time,
        }
    }
}

/// A listener that is bound and not yet serving.
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

impl Gateway {
    /// Binds an address; port 0 is any that is free.
    ///
    /// # Errors
    /// When the system does not give it.
    pub async fn bind(address: SocketAddr, bounds: Bounds) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            bounds,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends; then takes nothing new, and lets what was begun be answered.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let connections = Connections::new(router, self.bounds);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => connections.take(accepted).await,
            }
        }
        drop(self.listener);
        connections.farewell().await;
    }
}

/// The connections of a listener.
struct Connections {
    router: Router,
    http: http1::Builder,
    room: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    ends: GracefulShutdown,
}

impl Connections {
    fn new(router: Router, bounds: Bounds) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(bounds.head_time)
            .max_headers(limits::GATEWAY_HEADERS)
            .max_header_size(limits::GATEWAY_HEAD_BYTES)
            // More than a head, so that what is read at once may hold its end and a body's beginning.
            .max_buf_size(2 * limits::GATEWAY_HEAD_BYTES);
        Self {
            router,
            http,
            room: Arc::new(Semaphore::new(bounds.connections)),
            turned_away: Arc::new(Semaphore::new(limits::GATEWAY_TURNED_AWAY)),
            ends: GracefulShutdown::new(),
        }
    }

    async fn take(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Mostly too many open files, which passes as others close theirs.
                tracing::warn!("a connection cannot be taken: {error}");
                return tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
            self.serve(stream, place);
        } else if let Ok(place) = Arc::clone(&self.turned_away).try_acquire_owned() {
            tokio::spawn(turn_away(stream, place));
        }
    }

    fn serve(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let connection = self.ends.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(place);
        });
    }

    /// Waits until everybody has their answer, for as long as that is reasonable.
    async fn farewell(self) {
        let time = Duration::from_millis(limits::GATEWAY_FAREWELL_MS);
        let _ = tokio::time::timeout(time, self.ends.shutdown()).await;
    }
}
