//! What the gateway says: a status and a few words as JSON.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use oncely_core::Value;

/// An answer: a status, JSON, and when to come again.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// What it says.
    pub body: Value,
    /// In how many seconds to come again.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// This status, with this JSON.
    #[must_use]
    pub fn new(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    /// Something is wrong with the request, or with this side.
    #[must_use]
    pub fn error(status: StatusCode, words: &str) -> Self {
        Self::new(status, serde_json::json!({ "error": words }))
    }

    /// Not now: nothing was taken, and the same request may come again.
    #[must_use]
    pub fn later(words: &str) -> Self {
        Self {
            retry_after: Some(5),
            ..Self::error(StatusCode::SERVICE_UNAVAILABLE, words)
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
