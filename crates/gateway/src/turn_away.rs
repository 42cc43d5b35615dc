//! Tells a connection that there is no room for it.

use oncely_core::limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

const BODY: &str = "{\"error\":\"too many connections; nothing was taken\"}\n";

/// How long is spent on somebody who is turned away.
const TIME: Duration = Duration::from_secs(1);

/// Answers 503 and closes. What was sent meanwhile is read and let go of, since closing before that
/// would take the answer back.
pub(crate) async fn turn_away(mut stream: TcpStream, place: OwnedSemaphorePermit) {
    let telling = async {
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{BODY}",
            BODY.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.shutdown().await?;
        let most = limits::GATEWAY_HEAD_BYTES as u64 + limits::GATEWAY_BODY_BYTES as u64;
        tokio::io::copy(&mut stream.take(most), &mut tokio::io::sink()).await
    };
    // One that does not listen is closed as it is.
    let _ = tokio::time::timeout(TIME, telling).await;
    drop(place);
}
