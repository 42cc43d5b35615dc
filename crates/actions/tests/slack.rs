//! What the `slack` action promises, against a server on this machine that speaks like Slack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, kind};
use common::server::{Cut, Server, cutting, silent};
use common::{Given, TOKEN, call, failure, output, slack};
use oncely_actions::{Allowed, Slack, SlackApi, SlackConfig};
use oncely_core::Value;
use oncely_core::action::{Action as _, Failure};
use oncely_core::fact::Repeat;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const METHOD: &str = "/api/chat.postMessage";
const HOOK: &str = "/services/T00000000/B00000000/hushhushhush";

fn message() -> Value {
    json!({"channel": "#orders", "text": "Order 7 is there"})
}

fn by_webhook() -> Value {
    json!({"webhook": {"$secret": [{"name": "SLACK_WEBHOOK"}]}, "text": "Order 7 is there"})
}

/// How Slack's answer to a message ends.
async fn answered(status: u16, body: Value) -> Failure {
    let server = Server::start().await;
    server.answers(METHOD, status, body.to_string());
    failure(&slack(server.port), &call(message())).await
}

#[tokio::test]
async fn a_message_is_what_the_step_says() {
    let server = Server::start().await;
    server.answers(
        METHOD,
        200,
        r#"{"ok":true,"ts":"1.5","channel":"C1","message":{}}"#,
    );
    let options = json!({
        "channel": " #orders ", "text": "Order &lt;7&gt;", "thread_ts": "1.2",
        "blocks": [{"type": "divider"}],
    });
    let said = output(&slack(server.port), &call(options)).await;
    assert_eq!(said, json!({"ts": "1.5", "channel": "C1"}));
    let received = &server.received()[0];
    assert_eq!(
        received.header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(
        (received.method.as_str(), received.path.as_str()),
        ("POST", METHOD)
    );
    assert_eq!(received.header("content-type"), Some("application/json"));
    insta::assert_snapshot!(received.body, @r##"{"channel":"#orders","text":"Order &lt;7&gt;","blocks":[{"type":"divider"}],"thread_ts":"1.2"}"##);
}

#[tokio::test]
async fn a_webhook_gets_the_message_without_token_and_channel() {
    let server = Server::start().await;
    server.answers(HOOK, 200, "ok");
    let said = output(&slack(server.port), &call(by_webhook())).await;
    assert_eq!(said, json!({"ts": null, "channel": null}));
    let received = &server.received()[0];
    assert_eq!(received.header("authorization"), None);
    assert_eq!(
        (received.path.as_str(), received.body.as_str()),
        (HOOK, r#"{"text":"Order 7 is there"}"#)
    );
}

#[tokio::test]
async fn a_step_may_bring_a_token_of_its_own() {
    let server = Server::start().await;
    server.answers(METHOD, 200, r#"{"ok":true,"ts":"1","channel":"C"}"#);
    let mut options = message();
    options["token"] = json!({"$secret": [{"name": "OTHER"}]});
    output(&slack(server.port), &call(options)).await;
    assert_eq!(
        server.received()[0].header("authorization"),
        Some("Bearer other-token")
    );
}

#[tokio::test]
async fn what_slack_refuses_is_said_with_what_helps() {
    let word = async |word: &str| {
        let failed = answered(200, json!({"ok": false, "error": word})).await;
        assert_eq!(kind(&failed), Expected::Permanent, "{failed:?}");
        failed.error().to_owned()
    };
    insta::assert_snapshot!(word("not_in_channel").await, @"Slack answered not_in_channel: invite the app into the channel with /invite");
    insta::assert_snapshot!(word("channel_not_found").await, @"Slack answered channel_not_found: look at `channel`; a private channel is found only by apps that were invited into it");
    insta::assert_snapshot!(word("invalid_auth").await, @"Slack answered invalid_auth: look at the token, which is the secret SLACK_TOKEN unless `token` says another");
    insta::assert_snapshot!(word("something_new").await, @"Slack answered something_new");
    let scope = json!({"ok": false, "error": "missing_scope", "needed": "chat:write:bot"});
    insta::assert_snapshot!(answered(200, scope).await.error(), @"Slack answered missing_scope (needed: chat:write:bot): give the app the scope that is needed, such as chat:write, and install it again");
    let blocks = json!({"ok": false, "error": "invalid_blocks", "response_metadata": {
        "messages": ["[ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]"],
    }});
    insta::assert_snapshot!(answered(200, blocks).await.error(), @"Slack answered invalid_blocks ([ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]): try the blocks in Slack's Block Kit Builder");
}

#[tokio::test]
async fn what_a_webhook_refuses_is_said_with_what_helps() {
    let server = Server::start().await;
    server.answers(HOOK, 404, "no_service");
    let failed = failure(&slack(server.port), &call(by_webhook())).await;
    assert_eq!(kind(&failed), Expected::Permanent);
    insta::assert_snapshot!(failed.error(), @"the answer was 404: no_service: the webhook is not there any more; make a new one and change the secret");
}

#[tokio::test]
async fn slack_is_not_hurried() {
    let server = Server::start().await;
    server.answers_with(
        METHOD,
        429,
        &[("retry-after", "30")],
        r#"{"ok":false,"error":"ratelimited"}"#,
    );
    let waits = Some(Duration::from_secs(30));
    let failed = failure(&slack(server.port), &call(message())).await;
    assert!(
        matches!(failed, Failure::Retry { after, .. } if after == waits),
        "{failed:?}"
    );
    server.answers_with(
        METHOD,
        200,
        &[("retry-after", "30")],
        r#"{"ok":false,"error":"ratelimited"}"#,
    );
    let failed = failure(&slack(server.port), &call(message())).await;
    assert!(
        matches!(failed, Failure::Retry { after, .. } if after == waits),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_message_that_may_have_been_sent_is_unknown() {
    let action = slack(1);
    assert_eq!(action.repeat(&call(message())), Repeat::AskFirst);
    for cut in Cut::ALL {
        let action = slack(cutting(cut).await);
        for options in [message(), json!({"channel": "a", "blocks": []})] {
            let failed = failure(&action, &call(options)).await;
            assert_eq!(kind(&failed), Expected::Unknown, "{cut:?} {failed:?}");
        }
    }
    let mut call = call(message());
    call.timeout = Duration::from_millis(200);
    let failed = failure(&slack(silent().await), &call).await;
    insta::assert_snapshot!(failed.error(), @"no answer came within 200 ms");
    assert_eq!(kind(&failed), Expected::Unknown);
    for (status, body) in [
        (500, json!({})),
        (200, json!("a page of a proxy")),
        (200, json!({"ok": false, "error": "fatal_error"})),
    ] {
        let failed = answered(status, body).await;
        assert_eq!(kind(&failed), Expected::Unknown, "{status} {failed:?}");
    }
}

#[tokio::test]
async fn a_message_that_was_never_sent_is_tried_again() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let failed = failure(&slack(port), &call(message())).await;
    assert_eq!(kind(&failed), Expected::Retry, "{failed:?}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let server = Server::start().await;
    let error = async |options: Value| {
        let failed = failure(&slack(server.port), &call(options)).await;
        assert_eq!(kind(&failed), Expected::Permanent, "{failed:?}");
        failed.error().to_owned()
    };
    insta::assert_snapshot!(error(json!({"channel": " ", "text": "x"})).await, @"`channel` names no channel: look at what its template gave");
    insta::assert_snapshot!(error(json!({"channel": "a", "blocks": {}})).await, @"`blocks` is a list of Slack's blocks");
    let missing = json!({"$secret": [{"name": "NONE"}]});
    insta::assert_snapshot!(error(json!({"channel": "a", "text": "x", "token": missing})).await, @"the secret NONE is not given: set ONCELY_SECRET_NONE, or put a file named NONE into the secrets folder");
    let wrong = json!({"$secret": [{"name": "OTHER"}]});
    insta::assert_snapshot!(error(json!({"text": "x", "webhook": wrong})).await, @"the secret of `webhook` is no address that could be used: it begins with https://");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_webhook_leads_to_public_addresses_or_allowed_ones() {
    let server = Server::start().await;
    let config = |allowed: &[&str]| SlackConfig {
        api: SlackApi::parse(SlackApi::USUAL).unwrap(),
        allowed: allowed
            .iter()
            .map(|one| Allowed::parse(one).unwrap())
            .collect(),
        secrets: Arc::new(Given::slack(server.port)),
    };
    let failed = failure(&Slack::new(config(&[])), &call(by_webhook())).await;
    assert_eq!(kind(&failed), Expected::Permanent);
    assert!(failed.error().contains("tasks may not reach"), "{failed:?}");
    assert!(server.received().is_empty());
    server.answers(HOOK, 200, "ok");
    output(&Slack::new(config(&["127.0.0.1"])), &call(by_webhook())).await;
}

#[tokio::test]
async fn a_secret_reaches_slack_and_nothing_that_is_kept() {
    let server = Server::start().await;
    let echo = format!(
        "no: {TOKEN} at http://127.0.0.1:{}{HOOK} and {HOOK}",
        server.port
    );
    let mut kept = Vec::new();
    for status in [400, 500] {
        for path in [METHOD, HOOK] {
            server.answers(path, status, echo.clone());
        }
        kept.push(
            failure(&slack(server.port), &call(message()))
                .await
                .error()
                .to_owned(),
        );
        kept.push(
            failure(&slack(server.port), &call(by_webhook()))
                .await
                .error()
                .to_owned(),
        );
    }
    let refused = json!({"ok": false, "error": format!("bad {TOKEN}")});
    server.answers(METHOD, 200, refused.to_string());
    kept.push(
        failure(&slack(server.port), &call(message()))
            .await
            .error()
            .to_owned(),
    );
    let done = json!({"ok": true, "ts": TOKEN, "channel": "C"});
    server.answers(METHOD, 200, done.to_string());
    kept.push(
        output(&slack(server.port), &call(message()))
            .await
            .to_string(),
    );
    for (at, text) in kept.iter().enumerate() {
        let by_webhook = at % 2 == 1 && at < 4;
        let hidden = if by_webhook { "hushhush" } else { TOKEN };
        assert!(!text.contains(hidden), "{text}");
        assert!(text.contains("***"), "{text}");
    }
}
