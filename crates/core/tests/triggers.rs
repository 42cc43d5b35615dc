//! What a task file says of its trigger is what the task has, and what it does not say is as usual.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::{
    Digest, Encoding, Existing, Missed, Phase, Plain, ReleaseTrigger, Style, Trigger, Verify,
    WebhookTrigger,
};
use oncely_core::time::Timestamp;

fn read(path: &str, on: &str) -> Result<Trigger, String> {
    let text = format!("{on}\n[[step]]\ncommand = \"x\"\n");
    texts::read(&texts::bundle(path, &text)).map(|task| task.on)
}

fn on(on: &str) -> Trigger {
    read("tasks/t.toml", on).unwrap_or_else(|told| panic!("{told}"))
}

fn release(said: &str) -> ReleaseTrigger {
    match read("tasks/20261122101500_x.toml", said) {
        Ok(Trigger::Release(release)) => release,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_release_task_is_after_the_release_once_and_in_turn_unless_it_says_more() {
    let said = |on: &str| {
        let release = release(on);
        assert_eq!(release.version, "20261122101500");
        assert!(!release.until_recorded, "only files of the gem are");
        (release.phase, release.every, release.independent)
    };
    assert_eq!(said(""), (Phase::After, false, false));
    assert_eq!(
        said("on.release = { phase = \"before\" }"),
        (Phase::Before, false, false)
    );
    assert_eq!(
        said("on.release = { phase = \"after\", every = true }"),
        (Phase::After, true, false)
    );
    assert_eq!(
        said("on.release = { independent = true }"),
        (Phase::After, false, true)
    );
}

#[test]
fn objects_are_those_of_a_folder_that_match() {
    let said = |more: &str| match on(&format!(
        "on.object = {{ source = \"folder:in/new/\"{more} }}"
    )) {
        Trigger::Object(object) => (object.folder, object.pattern, object.existing),
        other => panic!("{other:?}"),
    };
    let folder = || "in/new".to_owned();
    assert_eq!(said(""), (folder(), "*".to_owned(), None));
    assert_eq!(
        said(", match = \"**/*.csv\", existing = \"run\""),
        (folder(), "**/*.csv".to_owned(), Some(Existing::Run))
    );
    assert_eq!(
        said(", existing = \"skip\""),
        (folder(), "*".to_owned(), Some(Existing::Skip))
    );
    let told = |pattern: &str| {
        read(
            "tasks/t.toml",
            &format!("on.object = {{ source = \"folder:in\", match = \"{pattern}\" }}"),
        )
    };
    assert!(told("a..b/*").is_ok());
    for pattern in ["/a", "../a", "a/../b", "{{ event.x }}"] {
        assert!(told(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn ticks_that_were_missed_come_once_unless_all_or_none_are_wanted() {
    let said = |more: &str| match on(&format!("on.schedule = {{ every = \"1h\"{more} }}")) {
        Trigger::Schedule(schedule) => schedule.missed,
        other => panic!("{other:?}"),
    };
    assert_eq!(said(""), Missed::Last);
    assert_eq!(said(", missed = \"last\""), Missed::Last);
    assert_eq!(said(", missed = \"all\""), Missed::All);
    assert_eq!(said(", missed = \"none\""), Missed::None);
}

#[test]
fn a_clock_ticks_in_its_time_zone_and_an_interval_everywhere_alike() {
    let schedule = |said: &str| match on(&format!("on.schedule = {{ {said} }}")) {
        Trigger::Schedule(schedule) => schedule.schedule,
        other => panic!("{other:?}"),
    };
    let berlin = schedule("cron = \"0 9 * * *\", timezone = \"Europe/Berlin\"");
    let utc = schedule("cron = \"0 9 * * *\"");
    let every = schedule("every = \"90m\"");
    let shown = |schedule: &oncely_core::task::Schedule| {
        schedule.shown(schedule.next_after(Timestamp(0)).unwrap())
    };
    assert_eq!(shown(&berlin), "1970-01-01T09:00:00+01:00");
    assert_eq!(shown(&utc), "1970-01-01T09:00:00+00:00");
    assert_eq!(shown(&every), "1970-01-01T01:30:00+00:00");
    assert_eq!(berlin.to_string(), "0 9 * * * Europe/Berlin");
    assert_eq!(every.to_string(), "every 5400000 ms");
}

fn hook(verify: &str, more: &str) -> WebhookTrigger {
    let said = format!("on.webhook = {{ path = \"/hooks/a\", verify = {verify}{more} }}");
    match on(&said) {
        Trigger::Webhook(webhook) => webhook,
        other => panic!("{other:?}"),
    }
}

/// The proof and the key of a style, with these options.
fn style(style: &str, more: &str, key: &str) -> (Style, String) {
    let verify = format!("{{ style = \"{style}\", secret = \"{{{{ secret.A }}}}\"{more} }}");
    let webhook = hook(&verify, key);
    let Verify { style, secrets } = webhook.verify.unwrap();
    assert_eq!(secrets, ["A"]);
    (style, webhook.key.source().to_owned())
}

#[test]
fn each_style_of_webhook_has_the_key_that_its_sender_means() {
    let minutes = 5 * 60 * 1000;
    for (name, means, key) in [
        (
            "github",
            Style::Github,
            "event.headers[\"x-github-delivery\"]",
        ),
        (
            "shopify",
            Style::Shopify,
            "event.headers[\"x-shopify-webhook-id\"]",
        ),
        (
            "stripe",
            Style::Stripe {
                tolerance_ms: minutes,
            },
            "event.body.id",
        ),
        (
            "slack",
            Style::Slack {
                tolerance_ms: minutes,
            },
            "event.body.event_id",
        ),
    ] {
        assert_eq!(style(name, "", ""), (means.clone(), key.to_owned()));
        let own = style(name, "", ", key = \"event.body.own\"");
        assert_eq!(own, (means, "event.body.own".to_owned()));
    }
    for name in ["stripe", "slack"] {
        let (style, _) = style(name, ", tolerance = \"2m\"", "");
        let tolerance = match style {
            Style::Stripe { tolerance_ms } | Style::Slack { tolerance_ms } => tolerance_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(tolerance, 120_000);
    }
}

#[test]
fn a_sender_without_a_style_says_how_it_signs() {
    let key = ", key = \"event.body.id\"";
    let usual = Plain {
        header: "x-signature".into(),
        digest: Digest::Sha256,
        encoding: Encoding::Hex,
        prefix: String::new(),
    };
    assert_eq!(style("hmac", "", key).0, Style::Hmac(usual));
    let said = ", header = \"X-Own\", digest = \"sha512\", encoding = \"base64\", prefix = \"v1=\"";
    let own = Plain {
        header: "x-own".into(),
        digest: Digest::Sha512,
        encoding: Encoding::Base64,
        prefix: "v1=".into(),
    };
    assert_eq!(style("hmac", said, key).0, Style::Hmac(own));
    let token = |header: &str| Style::Token {
        header: header.to_owned(),
    };
    assert_eq!(style("token", "", key).0, token("x-token"));
    assert_eq!(
        style("token", ", header = \"X-Own\"", key).0,
        token("x-own")
    );
}

#[test]
fn any_of_the_secrets_will_do_and_none_is_asked_where_none_is_wanted() {
    let many = "{ style = \"github\", secret = [\"{{ secret.NEW }}\", \"{{ secret.OLD }}\"] }";
    assert_eq!(hook(many, "").verify.unwrap().secrets, ["NEW", "OLD"]);
    let open = hook(
        "\"none\"",
        ", key = \"event.body.id\", when = \"event.body.id > 3\"",
    );
    assert_eq!(open.verify, None);
    assert_eq!(open.path, "/hooks/a");
    assert_eq!(open.when.unwrap().source(), "event.body.id > 3");
}

#[test]
fn what_another_style_takes_is_told_and_so_is_what_none_takes() {
    let told = |style: &str, more: &str| {
        let verify = format!("{{ style = \"{style}\", secret = \"{{{{ secret.A }}}}\", {more} }}");
        let said = format!(
            "on.webhook = {{ path = \"/hooks/a\", key = \"event.body.id\", verify = {verify} }}"
        );
        read("tasks/t.toml", &said).unwrap_err()
    };
    assert_eq!(
        told("github", "header = \"X-Own\""),
        "tasks/t.toml:1:114: `header` is not for the style github"
    );
    assert_eq!(
        told("token", "digest = \"sha512\""),
        "tasks/t.toml:1:113: `digest` is not for the style token"
    );
    assert_eq!(
        told("hmac", "tolerance = \"2m\""),
        "tasks/t.toml:1:112: `tolerance` is not for the style hmac"
    );
    assert_eq!(
        told("github", "algorithm = \"md5\""),
        "tasks/t.toml:1:114: unknown key `algorithm` in `verify` (known keys: `style`, `secret`, \
         `tolerance`, `header`, `digest`, `encoding`, `prefix`)"
    );
}

#[test]
fn paths_of_webhooks_lie_below_hooks() {
    let path = |path: &str| {
        let said = format!(
            "on.webhook = {{ path = \"{path}\", verify = \"none\", key = \"event.body.id\" }}"
        );
        read("tasks/t.toml", &said).is_ok()
    };
    for good in ["/hooks/a", "/hooks/a-b_c.d/E9"] {
        assert!(path(good), "{good}");
    }
    for bad in [
        "/hooks/",
        "/hooks/a/",
        "/hooks/./a",
        "/hooks//a",
        "/hook/a",
        "/hooks/a b",
        "/hooks/a?b",
    ] {
        assert!(!path(bad), "{bad}");
    }
}
