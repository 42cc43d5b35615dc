//! The other side of the demo: a small HTTP server that writes down what it is sent.

use crate::failure::Failure;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use oncely_core::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// A request that came in.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) key: String,
    pub(super) body: Value,
}

/// Everything that came in.
#[derive(Clone, Default)]
pub(super) struct Receiver {
    requests: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Starts it on a free port of the loopback address.
    pub(super) async fn start() -> Result<(Self, u16), Failure> {
        let failed = |e: std::io::Error| Failure::failed(format!("the receiver cannot start: {e}"));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let receiver = Self::default();
        let app = axum::Router::new()
            .route("/summaries", post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move {
            // It ends with the demo.
            let _ = axum::serve(listener, app).await;
        });
        Ok((receiver, port))
    }

    /// What came in so far.
    pub(super) fn requests(&self) -> Vec<Received> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> &'static str {
    let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok());
    let received = Received {
        key: key.unwrap_or_default().to_owned(),
        body: serde_json::from_str(&body).unwrap_or_default(),
    };
    let mut requests = receiver
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    requests.push(received);
    "{\"received\":true}"
}
