//! What `on.webhook` promises, without a network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::limits;
use oncely_core::source::{Room, Source, Verdict};
use oncely_core::task::{Bundle, Trigger, Verify, WebhookTrigger, load};
use oncely_core::time::{Clock, Timestamp};
use oncely_sources::webhook::{Doors, Doubt, Hook, HookConfig, Reply, Request, verify};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const BODY: &str = r#"{"id": "evt_1"}"#;
const NOW: i64 = 1_700_000_000;

struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn boot_millis(&self) -> i64 {
        0
    }
}

fn trigger(on: &str) -> WebhookTrigger {
    let text = format!("on.webhook = {{ path = \"/hooks/a\", {on} }}\n[[step]]\ncommand = \"x\"\n");
    let bundle = Bundle {
        path: "tasks/t.toml".into(),
        text,
        executable: false,
        files: Default::default(),
    };
    let Trigger::Webhook(trigger) = load(&bundle).unwrap().on else {
        panic!("no webhook");
    };
    trigger
}

/// Verifies as a task would, with the secret that is called like its value.
fn check(proof: &str, headers: &[(&str, &str)], body: &str, seconds: i64) -> Result<(), Doubt> {
    let trigger = trigger(&format!("verify = {proof}, key = \"event.body.id\""));
    let Verify { style, secrets } = trigger.verify.unwrap();
    let secrets: Vec<_> = secrets.iter().map(|name| value(name)).collect();
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let now = Timestamp(seconds * 1000);
    verify(&style, &secrets, header, body.as_bytes(), now)
}

fn value(name: &str) -> String {
    match name {
        "GITHUB" => "It's a Secret to Everybody".into(),
        "SLACK" => "8f742231b10e8888abcd99yyyzzz85a5".into(),
        "EMPTY" => String::new(),
        _ => name.to_owned(),
    }
}

#[test]
fn githubs_own_example_is_taken() {
    let proof = "{ style = \"github\", secret = \"{{ secret.GITHUB }}\" }";
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let of = |signature: &str| {
        check(
            proof,
            &[("x-hub-signature-256", signature)],
            "Hello, World!",
            0,
        )
    };
    assert_eq!(of(good), Ok(()));
    assert_eq!(of(&good.replace("757", "758")), Err(Doubt::Forged));
    assert_eq!(of(&good[7..]), Err(Doubt::Unsigned));
    assert_eq!(of(&good[..41]), Err(Doubt::Forged));
    assert_eq!(of(&good[..40]), Err(Doubt::Unsigned));
    assert_eq!(of("sha256="), Err(Doubt::Forged));
    let other = check(proof, &[("x-hub-signature-256", good)], "Hello, World?", 0);
    assert_eq!(other, Err(Doubt::Forged));
    assert_eq!(check(proof, &[], "Hello, World!", 0), Err(Doubt::Unsigned));
}

#[test]
fn slacks_own_example_is_taken_for_five_minutes() {
    let proof = "{ style = \"slack\", secret = \"{{ secret.SLACK }}\" }";
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let good = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let at = 1_531_420_618;
    let of = |time: &str, now| {
        let headers = [
            ("x-slack-signature", good),
            ("x-slack-request-timestamp", time),
        ];
        check(proof, &headers, body, now)
    };
    let signed = at.to_string();
    for now in [at - 300, at, at + 300] {
        assert_eq!(of(&signed, now), Ok(()));
    }
    for now in [at - 301, at + 301, at + 100_000] {
        assert_eq!(of(&signed, now), Err(Doubt::Stale));
    }
    // The time is signed too: a later one does not make it fresh.
    assert_eq!(of("1531420619", at), Err(Doubt::Forged));
    let wide = proof.replace("secret =", "tolerance = \"1h\", secret =");
    let headers = [
        ("x-slack-signature", good),
        ("x-slack-request-timestamp", &signed),
    ];
    assert_eq!(check(&wide, &headers, body, at + 3600), Ok(()));
    assert_eq!(check(&wide, &headers, body, at + 3601), Err(Doubt::Stale));
}

#[test]
fn stripe_signs_with_old_and_new_secrets_and_a_time() {
    let new = "e8852b8fc73dd537655dffca7885106cd7ddc96a7a1a5ebdf65e3e447f4ed6a4";
    let old = "45604a379d33c8c38c77e8f47754d7fcceaf2fb9378a09b8bbf9bc8ff48fd41c";
    let of =
        |proof: &str, header: &str, now| check(proof, &[("stripe-signature", header)], BODY, now);
    let proof = |name| format!("{{ style = \"stripe\", secret = \"{{{{ secret.{name} }}}}\" }}");
    let both = format!("t={NOW},v1={old},v1={new},v0=00");
    for name in ["whsec_new", "whsec_old"] {
        assert_eq!(of(&proof(name), &both, NOW), Ok(()), "{name}");
    }
    assert_eq!(of(&proof("other"), &both, NOW), Err(Doubt::Forged));
    assert_eq!(of(&proof("whsec_new"), &both, NOW + 301), Err(Doubt::Stale));
    let one = format!("t={NOW}, v1={new}");
    let list =
        "{ style = \"stripe\", secret = [\"{{ secret.other }}\", \"{{ secret.whsec_new }}\"] }";
    assert_eq!(of(list, &one, NOW), Ok(()));
    for wrong in [
        format!("v1={new}"),
        format!("t={NOW}"),
        format!("t={NOW},v0={new}"),
        format!("t={NOW},v1=xyz"),
        format!("t={},v1={new}", NOW + 1),
        String::new(),
    ] {
        assert!(of(list, &wrong, NOW).is_err(), "{wrong}");
    }
    // The right one behind a flood of wrong ones is not looked for.
    let flood = format!("t={NOW}{},v1={new}", format!(",v1={old}").repeat(8));
    assert_eq!(of(&proof("whsec_new"), &flood, NOW), Err(Doubt::Forged));
}

#[test]
fn shopify_and_the_plain_styles() {
    let hush = "secret = \"{{ secret.hush }}\"";
    let shopify = format!("{{ style = \"shopify\", {hush} }}");
    let good = "aHb3HAiWF/YtCMpyqEQ4E7X/niTU757jY5tCTPVMXwQ=";
    assert_eq!(
        check(&shopify, &[("x-shopify-hmac-sha256", good)], BODY, 0),
        Ok(())
    );
    let hex = "6876f71c089617f62d08ca72a8443813b5ff9e24d4ef9ee3639b424cf54c5f04";
    let of = |own: &str, header: (&str, &str)| {
        check(
            &format!("{{ style = \"hmac\", {hush}{own} }}"),
            &[header],
            BODY,
            0,
        )
    };
    assert_eq!(of("", ("x-signature", hex)), Ok(()));
    assert_eq!(of("", ("x-signature", &hex.to_uppercase())), Ok(()));
    assert_eq!(of("", ("x-signature", good)), Err(Doubt::Unsigned));
    assert_eq!(of(", encoding = \"base64\"", ("x-signature", good)), Ok(()));
    let prefixed = format!("sha256={hex}");
    let own = ", header = \"X-Mine\", prefix = \"sha256=\"";
    assert_eq!(of(own, ("x-mine", &prefixed)), Ok(()));
    assert_eq!(of(own, ("x-mine", hex)), Err(Doubt::Unsigned));
    let long =
        "HCizEw6ZE/6e1BAZhRDoCP8CguoC1cUtESA/AbsKUKmwBVg2pqx0QKJlM3ViEIRKMpNgd78CIvh5iOiw/N6CBQ==";
    let own = ", digest = \"sha512\", encoding = \"base64\"";
    assert_eq!(of(own, ("x-signature", long)), Ok(()));
    assert_eq!(of(own, ("x-signature", good)), Err(Doubt::Forged));
    let token = format!("{{ style = \"token\", {hush} }}");
    for (given, is) in [
        ("hush", Ok(())),
        ("hush!", Err(Doubt::Forged)),
        ("", Err(Doubt::Forged)),
    ] {
        assert_eq!(check(&token, &[("x-token", given)], BODY, 0), is, "{given}");
    }
}

#[test]
fn an_empty_secret_is_nobodys() {
    // What is signed with the empty secret: everybody can do that.
    let signed = "sha256=f2d7786a10434d0912ea00026b9c65eb788a157ade4bbf33f8071aab233e09b0";
    let proof = "{ style = \"github\", secret = \"{{ secret.EMPTY }}\" }";
    assert!(check(proof, &[("x-hub-signature-256", signed)], BODY, 0).is_err());
    let token = "{ style = \"token\", secret = \"{{ secret.EMPTY }}\" }";
    assert_eq!(
        check(token, &[("x-token", "")], BODY, 0),
        Err(Doubt::Forged)
    );
}

struct Stage {
    doors: Arc<Doors>,
    hook: Hook,
}

impl Stage {
    fn new(on: &str) -> Self {
        let doors = Arc::new(Doors::default());
        let hook = doors.open(config(on));
        Self { doors, hook }
    }

    /// Sends a request, and answers it as soon as it waits.
    async fn ask(
        &mut self,
        request: Request<'_>,
        verdict: Verdict,
    ) -> (Reply, Vec<serde_json::Value>) {
        let doors = Arc::clone(&self.doors);
        let mut seen = Vec::new();
        let asking = doors.take(request);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                biased;
                reply = &mut asking => return (reply, seen),
                () = self.hook.changed() => {
                    let batch = self.hook.poll(None, Room { events: 8 }).await.unwrap();
                    seen.extend(batch.events.iter().map(|e| serde_json::json!({
                        "key": e.event.key.as_str(), "data": e.event.data,
                    })));
                    let verdicts = batch.events.into_iter().map(|e| (e.receipt, verdict));
                    self.hook.acknowledge(verdicts.collect()).await.unwrap();
                }
            }
        }
    }
}

fn config(on: &str) -> HookConfig {
    HookConfig {
        trigger: trigger(on),
        secret: Arc::new(|name| (name != "MISSING").then(|| value(name))),
        clock: Arc::new(Turned(AtomicI64::new(NOW * 1000))),
    }
}

fn request<'r>(headers: &'r [(&'r str, &'r str)], body: &'r str) -> Request<'r> {
    Request {
        path: "/hooks/a",
        query: Some("shop=north&a=%26"),
        headers,
        body: body.as_bytes(),
    }
}

const TOKEN: &str = "verify = { style = \"token\", secret = \"{{ secret.hush }}\" }";

#[tokio::test]
async fn an_event_holds_what_was_sent_and_no_secret() {
    let mut stage = Stage::new(&format!("{TOKEN}, key = \"event.body.id\""));
    let headers = [
        ("x-token", "hush"),
        ("authorization", "Basic x"),
        ("cookie", "a=b"),
        ("x-topic", "orders"),
    ];
    let (reply, seen) = stage.ask(request(&headers, BODY), Verdict::Admitted).await;
    assert_eq!(reply, Reply::Admitted);
    insta::assert_snapshot!(serde_json::to_string(&seen).unwrap(), @r#"[{"key":"evt_1","data":{"body":{"id":"evt_1"},"headers":{"x-topic":"orders"},"query":{"shop":"north","a":"&"}}}]"#);
    let again = stage.ask(request(&headers, BODY), Verdict::Duplicate).await;
    assert_eq!(again.0, Reply::Duplicate);
    let refused = stage.ask(request(&headers, BODY), Verdict::Refused).await;
    assert!(matches!(refused.0, Reply::NoEvent(_)), "{:?}", refused.0);
}

#[tokio::test]
async fn what_is_not_proved_or_no_event_never_waits() {
    let mut stage = Stage::new(&format!(
        "{TOKEN}, key = \"event.body.id\", when = \"event.body.kind | default('') != 'ping'\""
    ));
    let own = [("x-token", "hush")];
    let other = [("x-token", "other")];
    let long = format!("{{\"id\": {:?}}}", "x".repeat(limits::KEY_BYTES + 1));
    let cases = [
        (&other, BODY, Reply::Unverified),
        (&own, "{\"id\": ", Reply::NotJson),
        (&own, "", Reply::NotJson),
        (&own, "{\"id\": 1, \"kind\": \"ping\"}", Reply::PassedOver),
    ];
    for (headers, body, expected) in cases {
        let (reply, seen) = stage.ask(request(headers, body), Verdict::Admitted).await;
        assert_eq!((reply, seen.len()), (expected, 0), "{body}");
    }
    for body in [
        "{}",
        "{\"id\": null}",
        "{\"id\": []}",
        "{\"id\": \"\"}",
        "{\"id\": \"undo:1\"}",
        &long,
    ] {
        let (reply, seen) = stage.ask(request(&own, body), Verdict::Admitted).await;
        assert!(matches!(reply, Reply::NoEvent(_)), "{body}: {reply:?}");
        assert_eq!(seen.len(), 0);
    }
    let elsewhere = Request {
        path: "/hooks/b",
        ..request(&own, BODY)
    };
    assert_eq!(
        stage.ask(elsewhere, Verdict::Admitted).await.0,
        Reply::Nowhere
    );
    let (number, seen) = stage
        .ask(request(&own, "{\"id\": 7}"), Verdict::Admitted)
        .await;
    assert_eq!(number, Reply::Admitted);
    assert_eq!(seen[0]["key"], "7");
}

#[tokio::test]
async fn without_its_secret_a_door_takes_nothing() {
    let mut stage = Stage::new(
        "verify = { style = \"token\", secret = \"{{ secret.MISSING }}\" }, key = \"1\"",
    );
    let (reply, _) = stage
        .ask(request(&[("x-token", "")], BODY), Verdict::Admitted)
        .await;
    assert!(matches!(reply, Reply::Later(_)), "{reply:?}");
}

#[tokio::test]
async fn slack_hears_its_challenge_when_it_is_signed() {
    use hmac::{Hmac, KeyInit, Mac};
    let mut stage = Stage::new("verify = { style = \"slack\", secret = \"{{ secret.SLACK }}\" }");
    let body = r#"{"type": "url_verification", "challenge": "3eZbrw"}"#;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(value("SLACK").as_bytes()).unwrap();
    mac.update(format!("v0:{NOW}:{body}").as_bytes());
    let signed = mac.finalize().into_bytes();
    let signature = format!("v0={}", data_encoding::HEXLOWER.encode(&signed));
    let time = NOW.to_string();
    let headers = [
        ("x-slack-signature", signature.as_str()),
        ("x-slack-request-timestamp", &time),
    ];
    let (reply, seen) = stage.ask(request(&headers, body), Verdict::Admitted).await;
    assert_eq!((reply, seen.len()), (Reply::Challenge("3eZbrw".into()), 0));
    let forged = [headers[0], ("x-slack-request-timestamp", "1")];
    assert_eq!(
        stage.ask(request(&forged, body), Verdict::Admitted).await.0,
        Reply::Unverified
    );
}

#[tokio::test]
async fn what_waits_is_admitted_together_and_what_is_not_answered_is_offered_again() {
    let mut stage = Stage::new("verify = \"none\", key = \"event.body.id\"");
    let bodies: Vec<String> = (0..300).map(|n| format!("{{\"id\": {n}}}")).collect();
    let mut asking = tokio::task::JoinSet::new();
    for body in bodies {
        let doors = Arc::clone(&stage.doors);
        asking.spawn(async move { doors.take(request(&[], &body)).await });
    }
    // All of them are on their way before anybody looks: there is one thread.
    for _ in 0..600 {
        tokio::task::yield_now().await;
    }
    let room = Room { events: 256 };
    let first = stage.hook.poll(None, room).await.unwrap();
    assert_eq!((first.events.len(), first.more), (256, true));
    // The ledger was busy: nothing was said of them.
    let again = stage.hook.poll(None, room).await.unwrap();
    assert_eq!(again.events, first.events);
    let verdicts = again
        .events
        .into_iter()
        .map(|e| (e.receipt, Verdict::Admitted));
    stage.hook.acknowledge(verdicts.collect()).await.unwrap();
    let rest = stage.hook.poll(None, room).await.unwrap();
    assert_eq!((rest.events.len(), rest.more), (44, false));
    let verdicts = rest
        .events
        .into_iter()
        .map(|e| (e.receipt, Verdict::Duplicate));
    stage.hook.acknowledge(verdicts.collect()).await.unwrap();
    let replies = asking.join_all().await;
    let admitted = replies.iter().filter(|reply| **reply == Reply::Admitted);
    assert_eq!((admitted.count(), replies.len()), (256, 300));
}

#[tokio::test]
async fn what_is_too_much_may_come_again_and_who_gives_up_is_forgotten() {
    let mut stage = Stage::new("verify = \"none\", key = \"event.body.id\"");
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..limits::HOOK_WAITING {
        let doors = Arc::clone(&stage.doors);
        asking.spawn(async move { doors.take(request(&[], &format!("{{\"id\": {n}}}"))).await });
    }
    for _ in 0..2 * limits::HOOK_WAITING {
        tokio::task::yield_now().await;
    }
    let more = stage.doors.take(request(&[], BODY)).await;
    assert!(matches!(more, Reply::Later(_)), "{more:?}");
    asking.shutdown().await;
    while stage
        .hook
        .poll(None, Room { events: 256 })
        .await
        .unwrap()
        .more
    {}
    let (reply, seen) = stage.ask(request(&[], BODY), Verdict::Admitted).await;
    assert_eq!((reply, seen.len()), (Reply::Admitted, 1));
}

#[tokio::test]
async fn a_door_closes_with_its_task_and_not_with_an_older_one() {
    let on = "verify = \"none\", key = \"event.body.id\"";
    let stage = Stage::new(on);
    let doors = Arc::clone(&stage.doors);
    let waiting = doors.take(request(&[], BODY));
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("it was answered"),
        () = tokio::task::yield_now() => {}
    }
    let newer = stage.doors.open(config(on));
    drop(stage.hook);
    assert!(matches!(waiting.await, Reply::Later(_)));
    assert!(stage.doors.waits_at("/hooks/a"));
    drop(newer);
    assert!(!stage.doors.waits_at("/hooks/a"));
}
