//! What a sender of webhooks hears, over a real connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::limits;
use oncely_core::source::{Room, Source, Verdict};
use oncely_core::task::{Bundle, Trigger, load};
use oncely_core::time::{Clock, Timestamp};
use oncely_gateway::{Bounds, Gateway, hooks, router, router_with};
use oncely_sources::webhook::{Doors, Hook, HookConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }
    fn boot_millis(&self) -> i64 {
        0
    }
}

fn config() -> HookConfig {
    let text = "on.webhook = { path = \"/hooks/a\", key = \"event.body.id\", verify = { style = \"token\", secret = \"{{ secret.HUSH }}\" } }\n[[step]]\ncommand = \"x\"\n";
    let bundle = Bundle {
        path: "tasks/t.toml".into(),
        text: text.into(),
        executable: false,
        files: Default::default(),
    };
    let Trigger::Webhook(trigger) = load(&bundle).unwrap().on else {
        panic!("no webhook");
    };
    HookConfig {
        trigger,
        secret: Arc::new(|_| Some("hush".into())),
        clock: Arc::new(Still),
    }
}

async fn listening(doors: &Arc<Doors>) -> SocketAddr {
    let bounds = Bounds::default();
    let address = "127.0.0.1:0".parse().unwrap();
    let gateway = Gateway::bind(address, bounds).await.unwrap();
    let address = gateway.address();
    let router = router([hooks(Arc::clone(doors))], bounds);
    tokio::spawn(gateway.serve(router, std::future::pending()));
    address
}

/// Answers whatever arrives.
async fn answering(mut hook: Hook, verdict: Verdict) {
    loop {
        hook.changed().await;
        let batch = hook.poll(None, Room { events: 8 }).await.unwrap();
        let verdicts = batch.events.into_iter().map(|e| (e.receipt, verdict));
        hook.acknowledge(verdicts.collect()).await.unwrap();
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, token: &str, body: &str) -> String {
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-token: {token}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut said = String::new();
    let reading = stream.read_to_string(&mut said);
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .expect("no answer came")
        .unwrap();
    said
}

#[tokio::test]
async fn every_request_has_its_status() {
    let doors = Arc::new(Doors::default());
    let address = listening(&doors).await;
    let good = "{\"id\": 1}";
    let large = "x".repeat(limits::GATEWAY_BODY_BYTES + 1);
    // A body that fits, and is too much together with the headers that are kept.
    let most = limits::GATEWAY_BODY_BYTES - "{\"id\":\"\"}".len();
    let full = format!("{{\"id\":1,\"a\":\"{}\"}}", "x".repeat(most - 9));
    for (verdict, status) in [
        (Verdict::Admitted, 202),
        (Verdict::Duplicate, 200),
        (Verdict::Refused, 422),
    ] {
        let answers = tokio::spawn(answering(doors.open(config()), verdict));
        let cases = [
            ("POST", "/hooks/a", "hush", good, status),
            ("POST", "/hooks/a?x=1", "hush", good, status),
            ("POST", "/hooks/a", "other", good, 401),
            ("POST", "/hooks/a", "hush", "{\"id\": ", 400),
            ("POST", "/hooks/a", "hush", "{}", 422),
            ("POST", "/hooks/a", "hush", &large, 413),
            ("POST", "/hooks/a", "hush", &full, 413),
            ("POST", "/hooks/b", "hush", good, 404),
            ("GET", "/hooks/a", "hush", "", 405),
            ("PUT", "/hooks/a", "hush", good, 405),
        ];
        for (method, path, token, body, status) in cases {
            let said = ask(address, method, path, token, body).await;
            assert!(
                said.starts_with(&format!("HTTP/1.1 {status} ")),
                "{method} {path}: {said}"
            );
            assert_eq!(said.contains("allow: POST"), status == 405, "{said}");
        }
        answers.abort();
        let _ = answers.await;
    }
}

#[tokio::test]
async fn who_comes_when_too_much_waits_is_to_come_again() {
    let doors = Arc::new(Doors::default());
    let address = listening(&doors).await;
    let hook = doors.open(config());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..limits::HOOK_WAITING {
        let doors = Arc::clone(&doors);
        asking.spawn(async move {
            let headers = [("x-token", "hush")];
            let request = oncely_sources::webhook::Request {
                path: "/hooks/a",
                query: None,
                headers: &headers,
                body: b"{\"id\": 1}",
            };
            doors.take(request).await
        });
    }
    for _ in 0..2 * limits::HOOK_WAITING {
        tokio::task::yield_now().await;
    }
    let said = ask(address, "POST", "/hooks/a", "hush", "{\"id\": 2}").await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains("retry-after: 5"), "{said}");
    // A task that goes away gives everybody up.
    drop(hook);
    let replies = asking.join_all().await;
    let later = |reply: &oncely_sources::webhook::Reply| {
        matches!(reply, oncely_sources::webhook::Reply::Later(_))
    };
    assert!(replies.iter().all(later));
}

#[tokio::test]
async fn who_comes_while_the_disk_is_full_is_told_at_once_to_come_again() {
    let doors = Arc::new(Doors::default());
    let address = listening(&doors).await;
    let mut hook = doors.open(config());
    tokio::spawn(async move {
        loop {
            hook.changed().await;
            let batch = hook.poll(None, Room { events: 8 }).await.unwrap();
            assert_eq!(batch.events.len(), 1, "nobody is kept");
            hook.no_room();
        }
    });
    for _ in 0..3 {
        let said = ask(address, "POST", "/hooks/a", "hush", "{\"id\": 1}").await;
        assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
        assert!(said.contains("retry-after: 5"), "{said}");
        let words = "the disk is full here; nothing was taken, send it again";
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn who_has_no_room_is_up_and_says_so() {
    let bounds = Bounds::default();
    for (is_full, status) in [(false, "ok"), (true, "disk_full")] {
        let gateway = Gateway::bind("127.0.0.1:0".parse().unwrap(), bounds)
            .await
            .unwrap();
        let address = gateway.address();
        let router = router_with([], bounds, Arc::new(move || is_full));
        tokio::spawn(gateway.serve(router, std::future::pending()));
        let said = ask(address, "GET", "/healthz", "", "").await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        assert!(
            said.contains(&format!("{{\"status\":\"{status}\"}}")),
            "{said}"
        );
    }
}
