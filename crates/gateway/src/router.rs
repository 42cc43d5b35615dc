//! Puts the parts together: what is no part's is 404 or 405, and every request is read whole, within
//! its bounds, before a part sees it.

use crate::answer::Answer;
use crate::listen::Bounds;
use crate::whole::read_whole;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use std::sync::Arc;

/// Where the gateway says that it is up.
pub const HEALTH: &str = "/healthz";

/// Whether the ledger's disk is full.
pub type IsFull = Arc<dyn Fn() -> bool + Send + Sync>;

/// The router of these parts, each with addresses of its own.
pub fn router(parts: impl IntoIterator<Item = Router>, bounds: Bounds) -> Router {
    router_with(parts, bounds, Arc::new(|| false))
}

/// The router of these parts, for a ledger whose disk may be full.
pub fn router_with(
    parts: impl IntoIterator<Item = Router>,
    bounds: Bounds,
    is_full: IsFull,
) -> Router {
    let health = move || std::future::ready(health(is_full()));
    let own = Router::new().route(HEALTH, get(health));
    let known = parts.into_iter().fold(own, Router::merge);
    known
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(bounds, read_whole))
}

/// Who has no room is up all the same: a restart would bring none.
fn health(is_full: bool) -> Answer {
    let status = if is_full { "disk_full" } else { "ok" };
    Answer::new(StatusCode::OK, serde_json::json!({ "status": status }))
}

async fn nothing_here() -> Answer {
    Answer::error(StatusCode::NOT_FOUND, "there is nothing at this address")
}

async fn not_so() -> Answer {
    Answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address takes other methods",
    )
}
