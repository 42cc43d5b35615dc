//! Reads a request whole, in time and within its bounds, before a part sees it.

use crate::answer::Answer;
use crate::listen::Bounds;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use oncely_core::limits;
use std::time::Duration;

/// Hands a request on when it is whole, and waits for its answer.
pub(crate) async fn read_whole(
    State(bounds): State<Bounds>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(&parts, body, bounds).await {
        Ok(body) => body,
        Err(answer) => return refused(answer),
    };
    let request = Request::from_parts(parts, Body::from(body));
    let time = Duration::from_millis(limits::GATEWAY_ANSWER_MS);
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Answer::later("it took too long to answer").into_response(),
    }
}

async fn read(parts: &Parts, body: Body, bounds: Bounds) -> Result<Vec<u8>, Answer> {
    let reading = collect(body, announced(parts));
    let body = tokio::time::timeout(bounds.body_time, reading).await;
    body.unwrap_or_else(|_| Err(too_slow()))
}

/// How long the body is, as far as the head says.
fn announced(parts: &Parts) -> u64 {
    let said = parts.headers.get(CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()?.parse().ok());
    said.unwrap_or(0)
}

/// The body, when it is within its bound. One that is somewhat larger is read to its end, since an
/// answer that comes while the sender is still sending may be lost to it.
async fn collect(mut body: Body, announced: u64) -> Result<Vec<u8>, Answer> {
    let most = limits::GATEWAY_PASSED_OVER_BYTES;
    if announced > most as u64 {
        return Err(body_too_large());
    }
    let (mut whole, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| cut_off())?.into_data() else {
            continue;
        };
        read += data.len();
        if read > most {
            break;
        }
        if read <= limits::GATEWAY_BODY_BYTES {
            whole.extend_from_slice(&data);
        }
    }
    if read > limits::GATEWAY_BODY_BYTES {
        return Err(body_too_large());
    }
    Ok(whole)
}

/// What is not read to its end is not read further: the connection ends with the answer.
fn refused(answer: Answer) -> Response {
    let mut response = answer.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

fn body_too_large() -> Answer {
    let words = format!(
        "the body has more than {} bytes; nothing was taken",
        limits::GATEWAY_BODY_BYTES
    );
    Answer::error(StatusCode::PAYLOAD_TOO_LARGE, &words)
}

fn too_slow() -> Answer {
    Answer::error(
        StatusCode::REQUEST_TIMEOUT,
        "the body did not arrive in time; nothing was taken",
    )
}

fn cut_off() -> Answer {
    Answer::error(
        StatusCode::BAD_REQUEST,
        "the body was cut off; nothing was taken",
    )
}
