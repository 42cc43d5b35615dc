//! Two servers: one that records what it is sent and answers as it is told, and one that cuts the
//! connection at a chosen point.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a request brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is answered, and what was asked.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) received: Vec<Received>,
    /// What a PUT left here.
    pub(crate) stored: BTreeMap<String, String>,
    /// Answers by path, `/status/N` and `/echo` besides.
    pub(crate) answers: BTreeMap<String, Answer>,
}

#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// A server that records.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let router = Router::new()
            .route("/status/{status}", any(status))
            .fallback(any(answer))
            .with_state(Arc::clone(&told));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { told, port }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What will be answered at this path.
    pub(crate) fn answers(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.answers_with(path, status, &[], body);
    }

    pub(crate) fn answers_with(
        &self,
        path: &str,
        status: u16,
        headers: &[(&'static str, &str)],
        body: impl Into<Vec<u8>>,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let answer = Answer {
            status,
            headers: headers.collect(),
            body: body.into(),
        };
        let mut told = self.told.lock().unwrap();
        told.answers.insert(path.to_owned(), answer);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.told.lock().unwrap().received.clone()
    }

    /// What came in that may have changed something: key and bytes.
    pub(crate) fn effects(&self) -> Vec<String> {
        let changing = |one: &&Received| one.method != "GET";
        let effect = |one: &Received| {
            let key = one.header("idempotency-key").unwrap_or("no key");
            format!("{} {} {key} {}", one.method, one.path, one.body)
        };
        self.received()
            .iter()
            .filter(changing)
            .map(effect)
            .collect()
    }

    /// What PUT left here.
    pub(crate) fn stored(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.stored
            .iter()
            .map(|(path, body)| format!("{path} {body}"))
            .collect()
    }
}

async fn record(told: &Mutex<Told>, request: Request) -> Received {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let received = Received {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut told = told.lock().unwrap();
    if received.method == "PUT" {
        told.stored
            .insert(received.path.clone(), received.body.clone());
    }
    told.received.push(received.clone());
    received
}

async fn status(
    State(told): State<Arc<Mutex<Told>>>,
    Path(status): Path<u16>,
    request: Request,
) -> Response {
    record(&told, request).await;
    (StatusCode::from_u16(status).unwrap(), "told so").into_response()
}

async fn answer(State(told): State<Arc<Mutex<Told>>>, request: Request) -> Response {
    let received = record(&told, request).await;
    let told = told.lock().unwrap();
    let Some(answer) = told.answers.get(&received.path) else {
        return (StatusCode::OK, received.body).into_response();
    };
    let mut response = answer.body.clone().into_response();
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    for (name, value) in &answer.headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        response.headers_mut().append(name, value);
    }
    response
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before anything of the request was read.
    Accepted,
    /// When the request has been read.
    Asked,
    /// In the middle of the answer's head.
    Head,
    /// In the middle of the answer's body.
    Body,
}

impl Cut {
    pub(crate) const ALL: [Self; 4] = [Self::Accepted, Self::Asked, Self::Head, Self::Body];
}

/// A server that cuts each connection at this point. Gives its port.
pub(crate) async fn cutting(cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(cut_off(stream, cut));
        }
    });
    port
}

async fn cut_off(mut stream: TcpStream, cut: Cut) {
    if cut == Cut::Accepted {
        return;
    }
    let mut asked = Vec::new();
    let mut chunk = [0; 4096];
    while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(bytes @ 1..) => asked.extend_from_slice(&chunk[..bytes]),
            _ => return,
        }
    }
    let answer: &[u8] = match cut {
        Cut::Head => b"HTTP/1.1 200 OK\r\ncontent-le",
        Cut::Body => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        Cut::Accepted | Cut::Asked => b"",
    };
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

/// A server that takes a connection and never says a word. Gives its port.
pub(crate) async fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    port
}
