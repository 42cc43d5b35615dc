//! The part for webhooks: requests go to the doors of the tasks that wait for them.

use crate::answer::Answer;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use oncely_sources::webhook::{Doors, Reply, Request};
use std::sync::Arc;

/// The part that takes in the requests to these doors.
pub fn hooks(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/hooks/{*path}", post(take))
        .with_state(doors)
}

async fn take(
    State(doors): State<Arc<Doors>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let request = Request {
        path: uri.path(),
        query: uri.query(),
        headers: &headers,
        body: &body,
    };
    said(doors.take(request).await)
}

/// What a sender hears. One whose request is not proved is not told what is wrong with it.
fn said(reply: Reply) -> Answer {
    match reply {
        Reply::Admitted => done(StatusCode::ACCEPTED, "admitted"),
        Reply::Duplicate => done(StatusCode::OK, "duplicate"),
        Reply::PassedOver => done(StatusCode::OK, "passed_over"),
        Reply::Challenge(text) => {
            Answer::new(StatusCode::OK, serde_json::json!({ "challenge": text }))
        }
        Reply::Nowhere => Answer::error(StatusCode::NOT_FOUND, "no task waits at this address"),
        Reply::Unverified => Answer::error(
            StatusCode::UNAUTHORIZED,
            "it is not proved who sent this; nothing was taken",
        ),
        Reply::NotJson => Answer::error(
            StatusCode::BAD_REQUEST,
            "the body is not JSON; nothing was taken",
        ),
        Reply::NoEvent(why) => Answer::error(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Reply::TooLarge => Answer::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body and headers are too large for an event; nothing was taken",
        ),
        Reply::Later(why) => Answer::later(why),
    }
}

fn done(status: StatusCode, word: &str) -> Answer {
    Answer::new(status, serde_json::json!({ "status": word }))
}
