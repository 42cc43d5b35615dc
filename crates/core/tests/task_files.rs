//! Task files: what is read, what is refused, and in which words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::task::{
    ActionKind, Bundle, Diagnostic, Existing, Format, Items, Phase, Step, Task, Trigger, Undo,
    Work, load, load_all, read_text,
};
use oncely_core::template::Node;

fn bundle(path: &str, text: &str) -> Bundle {
    Bundle {
        path: path.into(),
        text: text.into(),
        executable: false,
        files: Default::default(),
    }
}

fn good(path: &str, text: &str) -> Task {
    load(&bundle(path, text)).unwrap_or_else(|errors| panic!("{}", words(&errors)))
}

fn words(errors: &[Diagnostic]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The errors of a call task, one a line.
fn wrong(text: &str) -> String {
    wrong_at("tasks/t.toml", text)
}

fn wrong_at(path: &str, text: &str) -> String {
    words(&load(&bundle(path, text)).expect_err("the file is read without a fault"))
}

/// The errors of one step of a task that is called.
fn wrong_step(step: &str) -> String {
    wrong(&format!("on.call = {{}}\n[[step]]\n{step}\n"))
}

fn action(step: &Step) -> (ActionKind, &Node) {
    match &step.work {
        Work::Action(spec) => (spec.kind, &spec.options),
        Work::Each(_) => panic!("a for_each step"),
    }
}

const SCORE: &str = r#"
title = "Predict the income bracket of every census record that arrives"

[on.object]
source = "folder:inbox"               # or s3://bucket/prefix
match  = "*.csv"

[[step]]
id       = "score"
for_each = { read = "{{ event.url }}", as = "csv" }

  [[step.do]]
  id      = "predict"
  predict = { model = "adult-income", record = "{{ item }}" }

  [[step.do]]
  id  = "store"

    [step.do.sql]
    db   = "results"
    text = "insert into predictions (object, line, label, score) values (:object, :line, :label, :score)"
    bind = { object = "{{ event.key }}", line = "{{ loop.index }}", label = "{{ steps.predict.label }}", score = "{{ steps.predict.score }}" }

[[step]]
id    = "tell_crm"
retry = { attempts = 6, first = "2s", max = "5m" }

  [step.http]
  method       = "POST"
  url          = "https://crm.example.com/v1/batches"
  json         = { object = "{{ event.key }}", rows = "{{ steps.score.done }}" }
  auth         = { bearer = "{{ secret.CRM_TOKEN }}" }
  key_honoured = "24h"                # the other side keeps Idempotency-Key that long; without it a POST cut off is unknown
"#;

const NOTIFY: &str = r#"
title        = "Tell customer X that issue 111 is fixed"
environments = ["production"]

[on.release]
phase = "after"                       # before | after the new version takes traffic

[[step]]
id    = "mail"
email = { to = "cs@example.com", subject = "Issue 111 is fixed", template = "mails/issue_111.txt" }
undo  = { email = { to = "cs@example.com", subject = "Issue 111: please wait", template = "mails/issue_111_wait.txt" } }
"#;

#[test]
fn the_census_task_of_the_design_is_read() {
    let task = good("tasks/score_census.toml", SCORE);
    assert_eq!(task.id.as_str(), "score_census");
    let Trigger::Object(object) = &task.on else {
        panic!("{:?}", task.on)
    };
    assert_eq!(
        (object.folder.as_str(), object.pattern.as_str()),
        ("inbox", "*.csv")
    );
    assert_eq!(object.existing, None::<Existing>);
    let Work::Each(each) = &task.steps[0].work else {
        panic!("no for_each")
    };
    let Items::Read {
        from,
        format,
        columns,
    } = &each.items
    else {
        panic!("no read")
    };
    assert!(matches!(from, Node::Text(_)) && *format == Format::Csv && columns.is_none());
    assert_eq!(each.steps.len(), 2);
    let (kind, options) = action(&task.steps[1]);
    assert_eq!(kind, ActionKind::Http);
    assert_eq!(options.fixed()["key_honoured"], 86_400_000);
    assert_eq!(task.steps[1].policy.retry.attempts, 6);
}

#[test]
fn an_action_that_is_not_there_yet_says_which_there_are() {
    insta::assert_snapshot!(wrong_at("tasks/20261122101500_notify_issue_111.toml", NOTIFY), @r#"
tasks/20261122101500_notify_issue_111.toml:10:1: `email` is no action and no other key of a step (actions: command, http, sql, put, predict, require, approve, call; beside them: id, for_each, when, until, retry, timeout, on_unknown, undo)
tasks/20261122101500_notify_issue_111.toml:11:11: `email` is no action (actions: command, http, sql, put, predict, require, approve, call)
"#);
}

#[test]
fn the_release_task_of_the_design_is_read_with_another_action() {
    let text = NOTIFY
        .replace("email = {", "put = {")
        .replace(
            "to = \"cs@example.com\", subject = ",
            "to = \"mails/out.txt\", text = ",
        )
        .replace(", template = \"mails/issue_111.txt\"", "")
        .replace(", template = \"mails/issue_111_wait.txt\"", "");
    let task = good("tasks/20261122101500_notify_issue_111.toml", &text);
    assert_eq!(task.id.as_str(), "20261122101500");
    assert!(matches!(&task.on, Trigger::Release(r) if r.phase == Phase::After));
    assert!(matches!(&task.steps[0].policy.undo, Some(Undo::Action(_))));
}
