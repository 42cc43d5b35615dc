//! What a sender of webhooks does, over a connection for each request.

use crate::crash::Trouble;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request, and gives the answer whole.
pub(super) async fn ask(address: &str, what: &str, body: &str) -> Result<String, Trouble> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let text = format!(
            "{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        Ok::<_, std::io::Error>(said)
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(said) => Ok(said?),
        Err(_) => Err(Trouble(format!("{what} was not answered"))),
    }
}

/// The status of an answer.
pub(super) fn status(said: &str) -> u16 {
    let word = said.split(' ').nth(1).and_then(|word| word.parse().ok());
    word.unwrap_or(0)
}
