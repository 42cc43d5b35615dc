//! What the listener promises, over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use axum::Router;
use axum::routing::post;
use oncely_core::limits;
use oncely_gateway::{Bounds, Gateway, router};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(200);

/// A listener on a free port, with one part that gives back what it is sent.
struct Stage {
    address: SocketAddr,
    stop: Arc<Notify>,
    serving: tokio::task::JoinHandle<()>,
}

impl Stage {
    async fn new(bounds: Bounds) -> Self {
        Self::with(
            bounds,
            Router::new().route("/echo", post(|body: String| async { body })),
        )
        .await
    }

    async fn with(bounds: Bounds, part: Router) -> Self {
        let gateway = Gateway::bind("127.0.0.1:0".parse().unwrap(), bounds)
            .await
            .unwrap();
        let address = gateway.address();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let router = router([part], bounds);
        let serving = tokio::spawn(async move { gateway.serve(router, stopped.notified()).await });
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a text as it is, and reads until the other side closes.
    async fn ask(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let reading = stream.read_to_end(&mut said);
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .expect("the connection was never closed")
        .unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// The status of the answer that comes next.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut first = [0; 12];
    let reading = stream.read_exact(&mut first);
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .expect("no answer came")
        .unwrap();
    let first = std::str::from_utf8(&first).unwrap();
    first.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

fn sent(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_no_part_has_is_404_and_another_method_405() {
    let stage = Stage::new(Bounds::default()).await;
    let health = stage.ask(&sent("GET", "/healthz", "")).await;
    assert!(
        health.starts_with("HTTP/1.1 200") && health.contains("{\"status\":\"ok\"}"),
        "{health}"
    );
    let echo = stage.ask(&sent("POST", "/echo", "hello")).await;
    assert!(echo.ends_with("\r\n\r\nhello"), "{echo}");
    let nothing = stage.ask(&sent("POST", "/other", "hello")).await;
    assert!(nothing.starts_with("HTTP/1.1 404"), "{nothing}");
    let not_so = stage.ask(&sent("GET", "/echo", "")).await;
    assert!(not_so.starts_with("HTTP/1.1 405"), "{not_so}");
    let nonsense = stage.ask("what is this\r\n\r\n").await;
    assert!(nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let stage = Stage::new(Bounds {
        head_time: SHORT,
        ..Bounds::default()
    })
    .await;
    for beginning in ["", "POST /ec", "POST /echo HTTP/1.1\r\nhost: a\r\n"] {
        let from = Instant::now();
        let said = stage.ask(beginning).await;
        assert!(!said.starts_with("HTTP/1.1 2"), "{said}");
        assert!(from.elapsed() < Duration::from_secs(10), "{beginning:?}");
    }
    // Nor is the next request of a connection that is kept open.
    let mut stream = stage.connect().await;
    let kept = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    stream.write_all(kept.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.ends_with("hi"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let stage = Stage::new(Bounds {
        body_time: SHORT,
        ..Bounds::default()
    })
    .await;
    let said = stage
        .ask("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe")
        .await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    // One that trickles in is not waited for longer.
    let mut stream = stage.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let from = Instant::now();
    while from.elapsed() < Duration::from_secs(30) {
        if stream.write_all(b"1\r\nx\r\n").await.is_err() {
            break;
        }
        let mut first = [0; 12];
        let said = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut first)).await;
        if said.is_ok() {
            assert_eq!(&first, b"HTTP/1.1 408");
            return;
        }
    }
    panic!("it was let go on");
}

#[tokio::test]
async fn a_head_of_the_longest_length_is_taken_and_one_byte_more_is_431() {
    let stage = Stage::new(Bounds::default()).await;
    let of = |bytes: usize| {
        let bare = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\nlong: \r\n\r\n";
        let long = format!("long: {}", "x".repeat(bytes - bare.len()));
        bare.replace("long: ", &long)
    };
    let most = limits::GATEWAY_HEAD_BYTES;
    assert_eq!(of(most).len(), most);
    let fits = stage.ask(&of(most)).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    for more in [most + 1, 4 * most] {
        let mut stream = stage.connect().await;
        stream.write_all(of(more).as_bytes()).await.unwrap();
        assert_eq!(status(&mut stream).await, 431, "{more}");
    }
    // One that comes in pieces is not waited for when it is already too long.
    let mut stream = stage.connect().await;
    let endless = of(most + 1000);
    stream.write_all(&endless.as_bytes()[..most]).await.unwrap();
    assert_eq!(status(&mut stream).await, 431);
    let many = |count: usize| {
        let headers = "a: b\r\n".repeat(count - 2);
        format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n")
    };
    let fits = stage.ask(&many(limits::GATEWAY_HEADERS)).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
    let said = stage.ask(&many(limits::GATEWAY_HEADERS + 1)).await;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
}

#[tokio::test]
async fn a_body_of_the_longest_length_is_taken_and_one_byte_more_is_413() {
    let stage = Stage::new(Bounds::default()).await;
    let most = limits::GATEWAY_BODY_BYTES;
    let fits = stage.ask(&sent("POST", "/echo", &"x".repeat(most))).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{}", &fits[..100]);
    assert!(fits.ends_with(&"x".repeat(most)), "it is not whole");
    // Its sender hears so even when it sends everything before it listens.
    let more = "x".repeat(most + 1);
    let said = stage.ask(&sent("POST", "/echo", &more)).await;
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    assert!(said.contains("nothing was taken"), "{said}");
    // So does one that does not say beforehand how long it is.
    let chunked = |bytes: usize| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\
             \r\n\r\n{bytes:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    let fits = stage.ask(&chunked(most)).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "{}", &fits[..100]);
    let said = stage.ask(&chunked(most + 1)).await;
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
}

#[tokio::test]
async fn a_body_that_is_far_too_large_is_not_read() {
    let stage = Stage::new(Bounds::default()).await;
    let most = limits::GATEWAY_PASSED_OVER_BYTES;
    let declared = format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        most + 1
    );
    let said = stage.ask(&declared).await;
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    let mut stream = stage.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{most:x}\r\n{}\r\n1\r\nx\r\n", "x".repeat(most));
    stream.write_all(chunk.as_bytes()).await.unwrap();
    assert_eq!(status(&mut stream).await, 413);
}

#[tokio::test]
async fn who_comes_when_there_is_no_room_is_told_so() {
    let stage = Stage::new(Bounds {
        connections: 2,
        ..Bounds::default()
    })
    .await;
    let (mut one, mut two) = (stage.connect().await, stage.connect().await);
    let kept = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    for stream in [&mut one, &mut two] {
        stream.write_all(kept.as_bytes()).await.unwrap();
        assert_eq!(status(stream).await, 200);
    }
    let third = stage.ask(&sent("POST", "/echo", "hi")).await;
    assert!(third.starts_with("HTTP/1.1 503"), "{third}");
    assert!(third.contains("retry-after: 1"), "{third}");
    drop((one, two));
    let from = Instant::now();
    while !stage
        .ask(&sent("POST", "/echo", "hi"))
        .await
        .starts_with("HTTP/1.1 200")
    {
        assert!(
            from.elapsed() < Duration::from_secs(30),
            "the room was never free"
        );
    }
}

#[tokio::test]
async fn what_was_begun_is_answered_when_the_process_stops() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (said, waits) = (Arc::clone(&begun), Arc::clone(&go));
    let slow = Router::new().route(
        "/slow",
        post(move || async move {
            said.notify_one();
            waits.notified().await;
            "done"
        }),
    );
    let stage = Stage::with(Bounds::default(), slow).await;
    let mut stream = stage.connect().await;
    let asked = "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    begun.notified().await;
    stage.stop.notify_one();
    // Nobody else is let in.
    let from = Instant::now();
    while TcpStream::connect(stage.address).await.is_ok() {
        assert!(
            from.elapsed() < Duration::from_secs(30),
            "it goes on listening"
        );
    }
    go.notify_one();
    let said = rest(&mut stream).await;
    assert!(
        said.starts_with("HTTP/1.1 200") && said.ends_with("done"),
        "{said}"
    );
    stage.serving.await.unwrap();
}
