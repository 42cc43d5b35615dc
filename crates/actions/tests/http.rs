//! What the `http` action promises, against a real server on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, kind};
use common::server::{Cut, Server, cutting, silent};
use common::{SECRET, call, failure, http, http_allowing, output};
use oncely_core::action::{Action as _, Failure};
use oncely_core::fact::Repeat;
use oncely_core::limits::OUTPUT_BYTES;
use serde_json::{Value, json};
use std::time::Duration;

async fn get(url: String) -> Value {
    output(&http(), &call(json!({ "url": url }))).await
}

async fn fails(options: Value) -> Failure {
    failure(&http(), &call(options)).await
}

#[tokio::test]
async fn an_answer_is_status_headers_text_and_json() {
    let server = Server::start().await;
    let headers = [("x-one", "1"), ("X-two", "2"), ("set-cookie", "session=1")];
    let headers =
        headers.map(|(name, value)| (if name == "X-two" { "x-two" } else { name }, value));
    server.answers_with("/a", 201, &headers, r#"{"id": 7}"#);
    let mut answer = get(server.url("/a")).await;
    answer["headers"]
        .as_object_mut()
        .unwrap()
        .shift_remove("date");
    insta::assert_snapshot!(answer, @r#"{"status":201,"headers":{"content-type":"application/octet-stream","x-one":"1","x-two":"2","content-length":"9"},"text":"{\"id\": 7}","json":{"id":7},"truncated":false}"#);
}

#[tokio::test]
async fn the_method_follows_from_the_body_unless_it_is_given() {
    let server = Server::start().await;
    for (options, method, body, kind) in [
        (json!({}), "GET", "", None),
        (
            json!({"json": {"b": 1, "a": [2]}}),
            "POST",
            r#"{"b":1,"a":[2]}"#,
            Some("application/json"),
        ),
        (
            json!({"json": null, "method": "delete"}),
            "DELETE",
            "",
            None,
        ),
        (
            json!({"form": {"a": "x y&", "n": 7}}),
            "POST",
            "a=x+y%26&n=7",
            Some("application/x-www-form-urlencoded"),
        ),
        (
            json!({"body": "plain", "method": "PUT"}),
            "PUT",
            "plain",
            Some("text/plain; charset=utf-8"),
        ),
        (
            json!({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}),
            "POST",
            "<a/>",
            Some("text/xml"),
        ),
    ] {
        let mut options = options;
        options["url"] = server.url("/x").into();
        output(&http(), &call(options)).await;
        let received = server.received().pop().unwrap();
        assert_eq!(
            (received.method.as_str(), received.body.as_str()),
            (method, body)
        );
        assert_eq!(received.header("content-type"), kind);
    }
}

#[tokio::test]
async fn the_effect_key_goes_with_everything_but_reading() {
    let server = Server::start().await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let options = json!({"url": server.url("/x"), "method": method});
        output(&http(), &call(options)).await;
        let received = server.received().pop().unwrap();
        let key = received.header("idempotency-key");
        let expected = !matches!(method, "GET" | "HEAD");
        assert_eq!(
            key,
            expected.then_some("0123456789abcdef0123456789abcdef"),
            "{method}"
        );
    }
}

#[test]
fn repeating_is_as_safe_as_the_method_and_the_task_say() {
    let repeat = |options| http().repeat(&call(options));
    for method in ["GET", "head", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(
            repeat(json!({"url": "http://x", "method": method})),
            Repeat::Safe
        );
    }
    for method in ["POST", "PATCH", "LOCK"] {
        assert_eq!(
            repeat(json!({"url": "http://x", "method": method})),
            Repeat::AskFirst
        );
        let keyed = json!({"url": "http://x", "method": method, "key_honoured": 9});
        assert_eq!(repeat(keyed), Repeat::WithKey { window_ms: 9 });
    }
}

#[tokio::test]
async fn what_a_status_means_depends_on_what_may_be_repeated() {
    use Expected::{Permanent, Retry, Unknown};
    let server = Server::start().await;
    for (status, safe, asking) in [
        (400, Permanent, Permanent),
        (401, Permanent, Permanent),
        (404, Permanent, Permanent),
        (409, Permanent, Permanent),
        (302, Permanent, Permanent),
        (304, Permanent, Permanent),
        (408, Retry, Unknown),
        (425, Retry, Retry),
        (429, Retry, Retry),
        (500, Retry, Unknown),
        (502, Retry, Unknown),
        (503, Retry, Retry),
        (504, Retry, Unknown),
    ] {
        let url = server.url(&format!("/status/{status}"));
        let got = fails(json!({"url": url})).await;
        assert_eq!(kind(&got), safe, "GET {status}");
        let got = fails(json!({"url": url, "json": {}})).await;
        assert_eq!(kind(&got), asking, "POST {status}");
        let got = fails(json!({"url": url, "json": {}, "key_honoured": 9})).await;
        assert_eq!(kind(&got), asking, "keyed POST {status}");
    }
}

#[tokio::test]
async fn an_expected_status_is_a_success_and_no_other() {
    let server = Server::start().await;
    let expecting = |status: u16| json!({"url": server.url(&format!("/status/{status}")), "expect": [404, 410]});
    assert_eq!(output(&http(), &call(expecting(404))).await["status"], 404);
    assert_eq!(kind(&fails(expecting(200)).await), Expected::Permanent);
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_handed_on() {
    let server = Server::start().await;
    for status in [429, 503] {
        server.answers_with("/wait", status, &[("retry-after", "7")], "");
        let after = Some(Duration::from_secs(7));
        let got = fails(json!({"url": server.url("/wait"), "json": {}})).await;
        assert!(matches!(got, Failure::Retry { after: got, .. } if got == after));
    }
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    server.answers_with("/wait", 503, &[("retry-after", past)], "");
    let got = fails(json!({"url": server.url("/wait")})).await;
    assert!(
        matches!(
            got,
            Failure::Retry {
                after: Some(Duration::ZERO),
                ..
            }
        ),
        "{got:?}"
    );
}

#[tokio::test]
async fn a_server_that_stays_silent_is_doubtful_for_what_may_have_arrived() {
    let url = format!("http://127.0.0.1:{}/", silent().await);
    let quick = json!({"url": url, "first_byte_timeout": 100, "connect_timeout": 100});
    let got = fails(quick.clone()).await;
    assert_eq!(kind(&got), Expected::Retry);
    insta::assert_snapshot!(got.error(), @"no answer came within 100 ms");
    let mut post = quick;
    post["json"] = json!({});
    assert_eq!(kind(&fails(post.clone()).await), Expected::Unknown);
    // A handshake that never ends is no request that may have arrived.
    post["url"] = post["url"]
        .as_str()
        .unwrap()
        .replace("http:", "https:")
        .into();
    assert_eq!(kind(&fails(post).await), Expected::Retry);
}

#[tokio::test]
async fn an_attempt_ends_with_its_time() {
    let mut slow =
        call(json!({"url": format!("http://127.0.0.1:{}/", silent().await), "json": {}}));
    slow.timeout = Duration::from_millis(100);
    let got = failure(&http(), &slow).await;
    assert_eq!(kind(&got), Expected::Unknown);
    insta::assert_snapshot!(got.error(), @"no answer came within 100 ms");
}

#[tokio::test]
async fn failures_say_what_happened() {
    let server = Server::start().await;
    server.answers("/no", 422, "{\n  \"error\": \"no such customer\"\n}");
    server.answers("/long", 400, "x".repeat(1000));
    let said = |failure: Failure| format!("{:?}: {}", kind(&failure), failure.error());
    insta::assert_snapshot!(said(fails(json!({"url": server.url("/no")})).await), @r#"Permanent: the answer was 422: { "error": "no such customer" }"#);
    assert_eq!(
        fails(json!({"url": server.url("/long")}))
            .await
            .error()
            .chars()
            .count(),
        321
    );
    insta::assert_snapshot!(said(fails(json!({"url": "ftp://example.com/"})).await), @"Permanent: ftp: addresses are not requested; use http or https");
    insta::assert_snapshot!(said(fails(json!({"url": "http://a:b@example.com/"})).await), @"Permanent: a user or a password in the URL would be kept in records: use `auth`");
    insta::assert_snapshot!(said(fails(json!({"url": "example.com"})).await), @r#"Permanent: "example.com" is no URL: relative URL without a base"#);
    insta::assert_snapshot!(said(fails(json!({"url": "http://10.0.0.1/"})).await), @"Permanent: 10.0.0.1 is a private address, which tasks may not reach: if it is meant, add 10.0.0.1:80 to the allowed addresses in oncely.toml");
    let header = json!({"url": "http://127.0.0.1/", "headers": {"x-a": "b\nc"}});
    insta::assert_snapshot!(said(fails(header).await), @r#"Permanent: the header "x-a" cannot be sent: its name or its value has characters that a header may not have, such as a line break"#);
    let body = format!("http://127.0.0.1:{}/", cutting(Cut::Body).await);
    insta::assert_snapshot!(said(fails(json!({"url": body, "json": {}})).await), @"Unknown: the answer 200 broke off: end of file before message length reached");
    let asked = format!("http://127.0.0.1:{}/", cutting(Cut::Asked).await);
    insta::assert_snapshot!(said(fails(json!({"url": asked, "json": {}})).await), @"Unknown: the connection was cut off before an answer came: connection closed before message completed");
}

#[tokio::test]
async fn private_addresses_are_refused_in_whatever_way_they_are_written() {
    let server = Server::start().await;
    let port = server.port;
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
    ] {
        let options = json!({"url": format!("http://{host}:{port}/"), "json": {}});
        let got = failure(&http_allowing(&[]), &call(options)).await;
        assert_eq!(kind(&got), Expected::Permanent, "{host}: {got:?}");
        assert!(got.error().contains("may not reach"), "{host}: {got:?}");
    }
    assert_eq!(server.received(), []);
}

#[tokio::test]
async fn what_is_allowed_is_allowed_for_its_port_only() {
    let server = Server::start().await;
    let (port, other) = (server.port, server.port.wrapping_add(1));
    let reaches = async |allowed: &str, host: &str| {
        let options = json!({"url": format!("http://{host}:{port}/")});
        http_allowing(&[allowed]).run(&call(options)).await.is_ok()
    };
    assert!(reaches("127.0.0.0/8", "127.0.0.1").await);
    assert!(reaches("127.0.0.0/8", "localhost").await);
    assert!(reaches(&format!("127.0.0.1:{port}"), "localhost").await);
    assert!(reaches(&format!("localhost:{port}"), "localhost").await);
    assert!(!reaches(&format!("localhost:{port}"), "127.0.0.1").await);
    assert!(!reaches(&format!("127.0.0.1:{other}"), "localhost").await);
    assert!(!reaches(&format!("localhost:{other}"), "localhost").await);
}

#[tokio::test]
async fn a_proxy_in_the_environment_changes_nothing() {
    let server = Server::start().await;
    // Only a process of its own can be given another environment.
    let mut helper = std::process::Command::new(env!("CARGO_BIN_EXE_oncely-actions-helper"));
    helper.args(["get", &server.url("/direct")]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        helper.env(name, "http://127.0.0.1:9/");
    }
    let got = tokio::task::spawn_blocking(move || helper.status())
        .await
        .unwrap();
    assert!(got.unwrap().success());
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_only_as_far_as_the_task_allows() {
    let server = Server::start().await;
    server.answers_with("/a", 302, &[("location", "/b")], "");
    server.answers_with("/b", 307, &[("location", "/c")], "");
    let follow = |redirects: u32| json!({"url": server.url("/a"), "redirects": redirects});
    assert_eq!(output(&http(), &call(follow(2))).await["status"], 200);
    assert_eq!(kind(&fails(follow(0)).await), Expected::Permanent);
    insta::assert_snapshot!(fails(follow(1)).await.error(), @"redirected more often than `redirects` = 1 allows");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let server = Server::start().await;
    let inner = Server::start().await;
    let to = inner.url("/secret");
    server.answers_with("/a", 302, &[("location", to.as_str())], "");
    let http = http_allowing(&[&format!("127.0.0.1:{}", server.port)]);
    let got = failure(
        &http,
        &call(json!({"url": server.url("/a"), "redirects": 3})),
    )
    .await;
    assert_eq!(kind(&got), Expected::Permanent);
    assert_eq!(inner.received(), []);
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_no_secrets_along() {
    let server = Server::start().await;
    let other = Server::start().await;
    let away = format!("http://localhost:{}/c", other.port);
    server.answers_with("/a", 307, &[("location", "/b")], "");
    server.answers_with("/b", 307, &[("location", away.as_str())], "");
    let options = json!({
        "url": server.url("/a"), "redirects": 3, "json": {"a": 1},
        "auth": {"bearer": {"$secret": [{"name": "TOKEN"}]}},
        "headers": {"x-api-key": {"$secret": [{"name": "TOKEN"}]}, "x-plain": "plain", "cookie": "a=b"},
    });
    // The header of a secret with a quote and a letter beyond ASCII is still a header.
    let done = output(&http(), &call(options)).await;
    assert_eq!(done["json"], json!({"a": 1}));
    let (first, last) = (server.received(), other.received());
    assert!(
        first
            .iter()
            .all(|one| one.headers.contains_key("authorization"))
    );
    let last = &last[0];
    for name in ["authorization", "x-api-key", "cookie"] {
        assert!(!last.headers.contains_key(name), "{name}");
    }
    assert_eq!(
        (last.header("x-plain"), last.body.as_str()),
        (Some("plain"), r#"{"a":1}"#)
    );
}

#[tokio::test]
async fn a_post_that_was_redirected_to_a_page_is_not_sent_again() {
    let server = Server::start().await;
    server.answers_with("/a", 303, &[("location", "/status/500")], "");
    let options = json!({"url": server.url("/a"), "redirects": 1, "json": {}});
    let got = fails(options).await;
    assert_eq!(kind(&got), Expected::Unknown);
    let methods: Vec<_> = server
        .received()
        .into_iter()
        .map(|one| one.method)
        .collect();
    assert_eq!(methods, ["POST", "GET"]);
}

#[tokio::test]
async fn a_large_answer_is_read_to_its_bound() {
    let server = Server::start().await;
    server.answers("/big", 200, "äx\n".repeat(2_000_000));
    let answer = get(server.url("/big")).await;
    assert_eq!(answer["truncated"], true);
    let text = answer["text"].as_str().unwrap();
    assert!(text.starts_with("äx\n") && !text.contains('\u{fffd}'));
    let kept = answer.to_string().len();
    assert!((OUTPUT_BYTES / 2..=OUTPUT_BYTES).contains(&kept), "{kept}");
}

#[tokio::test]
async fn any_answer_fits_the_bound_of_an_output() {
    let server = Server::start().await;
    let long = "h".repeat(3000);
    let headers = [
        ("x-a", long.as_str()),
        ("x-b", long.as_str()),
        ("x-c", long.as_str()),
    ];
    for body in [
        vec![0; 100_000],
        vec![0xff; 65_536],
        json!("j".repeat(40_000)).to_string().into_bytes(),
        json!("j".repeat(65_000)).to_string().into_bytes(),
        json!(vec!["\u{1}"; 9000]).to_string().into_bytes(),
    ] {
        server.answers_with("/any", 200, &headers, body);
        let kept = get(server.url("/any")).await.to_string().len();
        assert!(kept <= OUTPUT_BYTES, "{kept}");
    }
}

#[tokio::test]
async fn a_json_answer_is_whole_or_not_given() {
    let server = Server::start().await;
    server.answers("/j", 200, json!("j".repeat(40_000)).to_string());
    let answer = get(server.url("/j")).await;
    assert_eq!(answer["json"].as_str().unwrap().len(), 40_000);
    assert_eq!(answer["truncated"], true);
    server.answers("/j", 200, json!("j".repeat(80_000)).to_string());
    assert_eq!(get(server.url("/j")).await.get("json"), None);
}

#[tokio::test]
async fn a_secret_reaches_the_server_and_nothing_that_is_kept() {
    let server = Server::start().await;
    let secret = json!({"$secret": [{"name": "TOKEN"}]});
    for auth in [
        json!({"bearer": secret}),
        json!({"basic": {"user": "me", "password": secret}}),
    ] {
        let options = json!({"url": server.url("/x"), "auth": auth, "method": "POST"});
        output(&http(), &call(options.clone())).await;
        let sent = server.received().pop().unwrap();
        let sent = String::from_utf8_lossy(sent.headers["authorization"].as_bytes()).into_owned();
        // The server gives back what it was sent, in every way that it can.
        let body = json!({"echo": sent, SECRET: SECRET, "list": [SECRET]}).to_string();
        for status in [200, 400, 500] {
            let echo = [("x-echo", sent.as_str())];
            server.answers_with("/echo", status, &echo, body.clone());
            let mut options = options.clone();
            options["url"] = server.url("/echo").into();
            let result = format!("{:?}", http().run(&call(options)).await);
            let basic = sent.rsplit(' ').next().unwrap();
            assert!(
                !result.contains("s3cr") && !result.contains("77777"),
                "{result}"
            );
            assert!(!result.contains(basic), "{result}");
            assert!(result.contains("***"), "{result}");
        }
    }
}

#[tokio::test]
async fn half_a_secret_at_the_end_of_a_long_answer_is_not_kept() {
    let server = Server::start().await;
    let options =
        json!({"url": server.url("/x"), "headers": {"x-a": {"$secret": [{"name": "TOKEN"}]}}});
    for shift in 0..SECRET.len() {
        server.answers(
            "/x",
            200,
            format!("{}{}", "-".repeat(shift), SECRET.repeat(10_000)),
        );
        let text = output(&http(), &call(options.clone())).await["text"].to_string();
        let rest = text
            .trim_matches('"')
            .trim_start_matches('-')
            .trim_matches('*');
        assert_eq!(rest, "", "{shift}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_before_anything_is_sent() {
    let server = Server::start().await;
    let auth = json!({"bearer": {"$secret": [{"name": "CRM_TOKEN"}]}});
    let got = fails(json!({"url": server.url("/x"), "auth": auth})).await;
    assert_eq!(kind(&got), Expected::Permanent);
    assert!(got.error().contains("ONCELY_SECRET_CRM_TOKEN"));
    assert_eq!(server.received(), []);
}

#[tokio::test]
async fn half_a_secret_at_the_cut_of_an_error_is_not_kept() {
    let server = Server::start().await;
    let secret = json!({"x-a": {"$secret": [{"name": "TOKEN"}]}});
    let options = json!({"url": server.url("/x"), "headers": secret});
    for shift in 0..SECRET.len() {
        let body = format!("{}{}", "-".repeat(shift), SECRET.repeat(100));
        server.answers("/x", 400, body);
        let error = fails(options.clone()).await.error().to_owned();
        assert!(!error.contains("s3") && !error.contains("777"), "{error}");
    }
}
