//! The other side of every `http` step: it keeps each request at once, and answers only while its gate is
//! open, so that effects are there whose outcome is not recorded.

use crate::check::Request;
use crate::crash::{Trouble, now_ms};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The endpoint.
#[derive(Clone)]
pub(super) struct Gate {
    kept: Arc<Mutex<Vec<Request>>>,
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    /// Where it listens.
    pub(super) port: u16,
}

impl Gate {
    pub(super) async fn start() -> Result<Self, Trouble> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let gate = Self {
            kept: Arc::default(),
            open: watch::Sender::new(true),
            waiting: watch::Sender::new(0),
            port: listener.local_addr()?.port(),
        };
        let app = axum::Router::new()
            .fallback(axum::routing::any(keep))
            .with_state(gate.clone());
        // It ends with the trial.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(gate)
    }

    pub(super) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// How many wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Everything that came in, in order.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this was heard of.
    pub(super) fn heard(&self, path: &str, id: &str) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest = kept.iter().rev();
        newest.any(|r| r.path == path && r.field("id").as_deref() == Some(id))
    }

    /// Those of these ids that were heard of there.
    pub(super) fn all_heard(&self, path: &str) -> HashSet<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let there = kept.iter().filter(|r| r.path == path);
        there.filter_map(|r| r.field("id")).collect()
    }
}

/// Counted for as long as it waits, however that ends.
struct Waiting<'g>(&'g Gate);

impl<'g> Waiting<'g> {
    fn at(gate: &'g Gate) -> Self {
        gate.waiting.send_modify(|n| *n += 1);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|n| *n -= 1);
    }
}

async fn keep(
    State(gate): State<Gate>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> &'static str {
    let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok());
    let request = Request {
        path: uri.path().to_owned(),
        key: key.unwrap_or_default().to_owned(),
        body,
        at_ms: now_ms(),
    };
    gate.kept
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    let waiting = Waiting::at(&gate);
    // It is open, or the trial has ended.
    let _ = gate.open.subscribe().wait_for(|open| *open).await;
    drop(waiting);
    "{\"kept\":true}"
}
