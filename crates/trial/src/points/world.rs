//! The other sides: an endpoint, a Slack and a mail server that write down what they hear, and say no
//! once to what is to be tried again.

use crate::crash::Trouble;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What an effect is: `do` or `undo`, of which event, of which item.
pub(super) type Name = (String, String, String);

/// Something that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) name: Name,
    /// The key that came with it, where one can.
    pub(super) key: String,
    pub(super) body: String,
    /// It was done; false: it was said no to.
    pub(super) taken: bool,
}

/// What was heard so far.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    heard: Arc<Mutex<Vec<Heard>>>,
    refused: Arc<Mutex<BTreeSet<Name>>>,
}

/// Where the others listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) http: u16,
    pub(super) mail: u16,
}

impl World {
    /// Starts all of them on free ports of the loopback address.
    pub(super) async fn start() -> Result<(Self, Ports), Trouble> {
        let world = Self::default();
        let http = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mail = TcpListener::bind(("127.0.0.1", 0)).await?;
        let ports = Ports {
            http: http.local_addr()?.port(),
            mail: mail.local_addr()?.port(),
        };
        let router = axum::Router::new()
            .route("/do", post(told))
            .route("/undo", post(told))
            .route("/seen/{id}", get(seen))
            .route("/slack/chat.postMessage", post(said))
            .with_state(world.clone());
        // They end with the trial.
        tokio::spawn(async move { axum::serve(http, router).await });
        let post = world.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = mail.accept().await {
                let post = post.clone();
                tokio::spawn(async move { post.talk(stream).await });
            }
        });
        Ok((world, ports))
    }

    /// Everything, in order.
    pub(super) fn heard(&self) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }

    /// Writes it down; false when it is said no to: the first time of what is to be tried again.
    fn hear(&self, name: Name, key: String, body: String) -> bool {
        let retried = name.1.starts_with("retry");
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = !(retried && refused.insert(name.clone()));
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(Heard {
            name,
            key,
            body,
            taken,
        });
        taken
    }

    /// A conversation with whoever brings mails.
    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 trial\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let answer = match line.split(' ').next().unwrap_or_default() {
                "QUIT" => return write.write_all(b"221 bye\r\n").await,
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await?;
                    let mut subject = String::new();
                    while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                        if let Some(text) = line.strip_prefix("Subject: ") {
                            subject = text.to_owned();
                        }
                    }
                    match self.hear(named(&subject), String::new(), subject) {
                        true => "250 taken\r\n",
                        false => "451 later\r\n",
                    }
                }
                _ => "250 fine\r\n",
            };
            write.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }
}

/// What is called `do ID`.
fn named(text: &str) -> Name {
    let (what, id) = text.trim().split_once(' ').unwrap_or_default();
    (what.to_owned(), id.to_owned(), String::new())
}

/// A value as text, however it is written.
fn field(body: &Value, name: &str) -> String {
    match body.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

async fn told(
    State(world): State<World>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    let what = uri.path().trim_start_matches('/').to_owned();
    // A file's event is called by the file.
    let id = field(&value, "id").trim_end_matches(".txt").to_owned();
    let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok());
    let text = String::from_utf8_lossy(&body).into_owned();
    let name = (what, id, field(&value, "item"));
    match world.hear(name, key.unwrap_or_default().to_owned(), text) {
        true => (StatusCode::OK, "{\"taken\":true}"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "later"),
    }
}

async fn seen(State(world): State<World>, Path(id): Path<String>) -> axum::Json<Value> {
    let heard = world.heard();
    let seen = heard.iter().any(|h| h.taken && h.name.1 == id);
    axum::Json(serde_json::json!({ "seen": seen }))
}

async fn said(State(world): State<World>, body: Bytes) -> (StatusCode, &'static str) {
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = field(&value, "text");
    match world.hear(named(&text), String::new(), text) {
        true => (StatusCode::OK, r#"{"ok":true,"ts":"1.2","channel":"C1"}"#),
        false => (StatusCode::SERVICE_UNAVAILABLE, "later"),
    }
}
