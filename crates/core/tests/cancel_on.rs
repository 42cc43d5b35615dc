//! What a task file may say about what cancels its runs.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::load_all;
use texts::{bundle, words};

const STEP: &str = "[[step]]\ncommand = \"x\"\n";

fn told(top: &str) -> String {
    let loaded = load_all(&[
        bundle("tasks/a.toml", &format!("{top}\n{STEP}")),
        bundle("tasks/paid.toml", &format!("on.call = {{}}\n{STEP}")),
    ]);
    words(&loaded.diagnostics)
}

#[test]
fn what_cancels_is_another_task_and_says_which_run() {
    let good = "{ task = \"paid\", key = \"event.body.invoice\" }";
    for top in [
        format!("on.call = {{}}\ncancel_on = {good}"),
        format!("on.call = {{}}\ncancel_on = [{good}, {good}]"),
        format!(
            "on.webhook = {{ path = \"/hooks/a\", key = \"event.body.id\", verify = \"none\" }}\ncancel_on = {good}"
        ),
    ] {
        assert_eq!(told(&top), "", "{top}");
    }
    insta::assert_snapshot!(told("on.call = {}\ncancel_on = { task = \"pad\", key = \"event.id\" }"), @"tasks/a.toml:2:22: there is no task `pad` (did you mean `paid`?)");
    insta::assert_snapshot!(told("on.call = {}\ncancel_on = { task = \"a\", key = \"event.id\" }"), @"tasks/a.toml:2:22: a task does not cancel itself (limits.one_at_a_time has its runs take turns)");
    insta::assert_snapshot!(told("on.call = {}\ncancel_on = { match = \"event.id\" }"), @r#"
tasks/a.toml:2:13: `cancel_on` needs `task` (task = "invoice_paid")
tasks/a.toml:2:13: `cancel_on` needs `key` (key = "event.body.invoice")
tasks/a.toml:2:15: unknown key `match` in `cancel_on` (known keys: `task`, `key`, `equals`)
"#);
    insta::assert_snapshot!(told("on.call = {}\ncancel_on = []"), @"tasks/a.toml:2:13: `cancel_on` names 1 to 8 tasks");
    insta::assert_snapshot!(told("on.call = {}\ncancel_on = { task = \"paid\", key = \"steps.a.b\" }"), @"tasks/a.toml:2:37: there is no step `a` (there are no steps before this one here)");
}

#[test]
fn runs_of_files_of_the_clock_and_of_releases_are_named_by_what_their_events_hold() {
    let key = "task = \"paid\", key = \"event.body.invoice\"";
    for (on, equals) in [
        (
            "on.object = { source = \"folder:in\", match = \"*\", existing = \"run\" }",
            "event.name",
        ),
        ("on.schedule = { every = \"1h\" }", "true"),
        ("on.call = {}", "event.invoice"),
        (
            "on.webhook = { path = \"/hooks/a\", key = \"event.body.id\", verify = \"none\" }",
            "event.body.order",
        ),
    ] {
        assert_eq!(
            told(&format!(
                "{on}\ncancel_on = {{ {key}, equals = \"{equals}\" }}"
            )),
            "",
            "{on}"
        );
    }
    insta::assert_snapshot!(told(&format!("on.schedule = {{ every = \"1h\" }}\ncancel_on = {{ {key} }}")), @r#"tasks/a.toml:2:13: `cancel_on` of on.schedule needs `equals` (over the event of this task: equals = "true" and key = "true" mean every run that is under way)"#);
    insta::assert_snapshot!(told(&format!("on.object = {{ source = \"folder:in\", match = \"*\", existing = \"run\" }}\ncancel_on = {{ {key} }}")), @r#"tasks/a.toml:2:13: `cancel_on` of on.object needs `equals` (over the event of this task: equals = "event.name")"#);
    insta::assert_snapshot!(told(&format!("on.object = {{ source = \"folder:in\", match = \"*\", existing = \"run\" }}\ncancel_on = {{ {key}, equals = \"event.nam\" }}")), @"tasks/a.toml:2:68: the event of on.object has no `nam` (did you mean `event.name`?)");
}
