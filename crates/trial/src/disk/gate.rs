//! An endpoint that does what it is asked at once, and answers only while its gate is open: so that an
//! effect is there whose outcome is not recorded.

use crate::crash::Trouble;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The endpoint.
#[derive(Clone)]
pub(super) struct Gate {
    /// How often each event was heard of.
    heard: Arc<Mutex<BTreeMap<String, u64>>>,
    open: watch::Sender<bool>,
    /// Where it listens.
    pub(super) port: u16,
}

impl Gate {
    pub(super) async fn start() -> Result<Self, Trouble> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let gate = Self {
            heard: Arc::default(),
            open: watch::channel(true).0,
            port: listener.local_addr()?.port(),
        };
        let app = axum::Router::new()
            .fallback(axum::routing::any(hear))
            .with_state(gate.clone());
        // It ends with the trial.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(gate)
    }

    pub(super) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// What was heard of so far, and how often.
    pub(super) fn heard(&self) -> BTreeMap<String, u64> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }
}

async fn hear(State(gate): State<Gate>, body: Bytes) -> &'static str {
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
    {
        let mut heard = gate.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard.entry(id.to_owned()).or_default() += 1;
    }
    // It is open, or the trial has ended.
    let _ = gate.open.subscribe().wait_for(|open| *open).await;
    "{\"done\":true}"
}
