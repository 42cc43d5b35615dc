//! Task files: what is read, what is refused, and in which words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::{
    ActionKind, Bundle, Existing, Format, Items, Phase, Step, Task, Trigger, Undo, Work, files_of,
    load,
};
use oncely_core::template::Node;
use texts::{bundle, words};

fn good(path: &str, text: &str) -> Task {
    texts::read(&bundle(path, text)).unwrap_or_else(|told| panic!("{told}"))
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

#[test]
fn what_is_said_of_how_fast_a_stream_goes_is_understood_or_refused() {
    let each = "for_each = \"event.a\"\ndo = [{ command = [\"x\"] }]";
    let with = |pace: &str| wrong_step(&format!("{each}\n{pace}"));
    insta::assert_snapshot!([
        with("rate = \"fast\""),
        with("rate = 5"),
        with("batch = 5000"),
        with("while = { http = { url = \"https://db.example.com/\", json = {} } }"),
        with("while = { command = \"bin/healthy\" }"),
        with("while = { every = \"5s\" }"),
        wrong_step("for_each = { rows = \"select a from t limit 9\", key = \"a\" }\ndo = [{ command = \"x\" }]"),
        wrong_step("for_each = { rows = \"select a from t\", key = \"t.a\" }\ndo = [{ command = \"x\" }]"),
        wrong_step("for_each = { read = \"in\", as = \"files\", match = \"a/*.csv\" }\ndo = [{ command = \"x\" }]"),
        wrong_step("for_each = { read = \"in/a.csv\", as = \"csv\", match = \"*\" }\ndo = [{ command = \"x\" }]"),
        wrong_step("for_each = { rows = \"select a from t\" }\ndo = [{ command = \"x\" }]"),
    ].join("\n"));
}

const SCORE: &str = include_str!("tasks/score_census.toml");

const NOTIFY: &str = include_str!("tasks/notify_issue_111.toml");

#[test]
fn a_schedule_is_read_and_a_wrong_one_said() {
    let of = |on: &str| {
        wrong(&format!(
            "on.schedule = {on}\n[[step]]\ncommand = [\"echo\", \"{{{{ event.time }}}}\"]\n"
        ))
    };
    let task = good(
        "tasks/t.toml",
        "on.schedule = { cron = \"0 9 * * MON-FRI\", timezone = \"Europe/Berlin\", missed = \"all\" }\n[[step]]\ncommand = [\"echo\", \"{{ event.time }}\"]\n",
    );
    assert!(format!("{:?}", task.on).contains("Europe/Berlin"));
    insta::assert_snapshot!(of("{}"), @r##"
tasks/t.toml:1:4: `on.schedule` needs `cron` (cron = "0 9 * * MON-FRI", or every = "15m")
"##);
    insta::assert_snapshot!(of("{ cron = \"0 25 * * *\" }"), @r##"
tasks/t.toml:1:24: `cron` cannot be read: number out of bounds (minute, hour, day of month, month, day of week: "0 9 * * MON-FRI" is nine o'clock on weekdays)
"##);
    insta::assert_snapshot!(of("{ cron = \"0 9 * * *\", timezone = \"Europe/Berlim\" }"), @r##"
tasks/t.toml:1:48: there is no time zone `Europe/Berlim` (a name of the time zone database, such as "Europe/Berlin" or "UTC")
"##);
    insta::assert_snapshot!(of("{ cron = \"0 9 * * *\", every = \"1h\" }"), @r##"
tasks/t.toml:1:45: `on.schedule` takes `cron` or `every`
"##);
    insta::assert_snapshot!(of("{ every = \"10ms\" }"), @r##"
tasks/t.toml:1:25: `every` is at least a second
"##);
    insta::assert_snapshot!(of("{ every = \"1h\", timezone = \"UTC\", missed = \"some\" }"), @r##"
tasks/t.toml:1:31: `timezone` is for `cron`
tasks/t.toml:1:58: `missed` takes "all" or "last" or "none"
"##);
    insta::assert_snapshot!(wrong("on.schedule = { every = \"1h\" }\n[[step]]\ncommand = [\"echo\", \"{{ event.when }}\"]\n"), @r##"
tasks/t.toml:3:24: the event of on.schedule has no `when` (there are: `time`, `at`, `missed`)
"##);
}

#[test]
fn a_webhook_says_where_it_waits_and_who_may_send() {
    let file = |on: &str| {
        wrong(&format!(
            "on.webhook = {{ {on} }}\n[[step]]\ncommand = [\"echo\", \"{{{{ event.body.id }}}}\"]\n"
        ))
    };
    let stripe = |more: &str| {
        file(&format!(
            "path = \"/hooks/a\", verify = {{ style = \"stripe\", {more} }}"
        ))
    };
    let told = [
        file("verify = \"none\", key = \"event.body.id\""),
        file("path = \"/hooks/a\""),
        file("path = \"/hooks/a\", verify = \"none\""),
        file("path = \"/hooks/a\", verify = \"no\", key = \"event.body.id\""),
        file("path = \"/a\", verify = \"none\", key = \"event.body.id\""),
        file("path = \"/hooks/../a\", verify = \"none\", key = \"event.body.id\""),
        file("path = \"/hooks/{{ event.body.id }}\", verify = \"none\", key = \"event.body.id\""),
        file("path = \"/hooks/a\", verify = \"none\", key = \"event.id\""),
        file("path = \"/hooks/a\", verify = \"none\", key = \"run.id\", whn = \"1\""),
        stripe(""),
        stripe("secret = \"whsec_1\""),
        stripe("secret = []"),
        stripe("secret = \"{{ secret.A }}\", prefix = \"v1=\""),
        stripe("secret = \"{{ secret.A }}\", tolerance = \"2d\""),
    ];
    insta::assert_snapshot!(told.join("\n"), @r##"
tasks/t.toml:1:4: `on.webhook` needs `path` (path = "/hooks/orders")
tasks/t.toml:1:4: `on.webhook` needs `verify` (verify = { style = "github", secret = "{{ secret.GITHUB_HOOK }}" })
tasks/t.toml:1:4: `on.webhook` needs `key` (key = "event.body.id", or what else is the same when it is sent again)
tasks/t.toml:1:44: `verify` takes a table or "none"
tasks/t.toml:1:23: `/a` is no path of a webhook (letters, digits, `_`, `-` and `.` below /hooks/: "/hooks/orders")
tasks/t.toml:1:23: `/hooks/../a` is no path of a webhook (letters, digits, `_`, `-` and `.` below /hooks/: "/hooks/orders")
tasks/t.toml:1:23: `path` takes no `{{`: data never becomes code or address (letters, digits, `_`, `-` and `.` below /hooks/: "/hooks/orders")
tasks/t.toml:1:59: the event of on.webhook has no `id` (there are: `body`, `headers`, `query`)
tasks/t.toml:1:59: there is no run yet where this is evaluated
tasks/t.toml:1:68: unknown key `whn` in `on.webhook` (did you mean `when`?)
tasks/t.toml:1:44: `verify` needs `secret` (secret = "{{ secret.NAME }}")
tasks/t.toml:1:73: `secret` takes a secret and nothing else (write secret = "{{ secret.NAME }}")
tasks/t.toml:1:73: `secret` names 1 to 8 secrets (secret = "{{ secret.NAME }}")
tasks/t.toml:1:91: `prefix` is not for the style stripe
tasks/t.toml:1:103: `tolerance` is at most a day
"##);
}

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
    let text = NOTIFY.replace("email = {", "fax = {");
    insta::assert_snapshot!(wrong_at("tasks/20261122101500_notify_issue_111.toml", &text), @r#"
tasks/20261122101500_notify_issue_111.toml:9:1: `fax` is no action and no other key of a step (actions: command, http, sql, put, email, slack, predict, require, approve, call; beside them: id, for_each, when, until, every, check, times, for, retry, timeout, hold, on_unknown, probe, undo)
tasks/20261122101500_notify_issue_111.toml:10:11: `fax` is no action (actions: command, http, sql, put, email, slack, predict, require, approve, call)
"#);
}

/// The release task of the design, and files that it names.
fn notify(files: &[(&str, &str)]) -> Bundle {
    let files = files.iter();
    Bundle {
        files: files
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect(),
        ..bundle("tasks/20261122101500_notify_issue_111.toml", NOTIFY)
    }
}

#[test]
fn the_release_task_of_the_design_is_read_with_its_templates() {
    let named = files_of("tasks/20261122101500_notify_issue_111.toml", NOTIFY);
    let named: Vec<_> = named.iter().map(String::as_str).collect();
    assert_eq!(named, ["mails/issue_111.txt", "mails/issue_111_wait.txt"]);
    let whole = notify(&[
        ("mails/issue_111.txt", "Fixed in {{ event.release }}.\n"),
        ("mails/issue_111_wait.txt", "Please wait.\n"),
    ]);
    let task = load(&whole).unwrap_or_else(|errors| panic!("{}", words(&errors)));
    assert_eq!(task.id.as_str(), "20261122101500");
    assert!(matches!(&task.on, Trigger::Release(r) if r.phase == Phase::After));
    let (kind, options) = action(&task.steps[0]);
    assert_eq!(kind, ActionKind::Email);
    assert!(options.names().contains("event.release"));
    let Some(Undo::Action(undo)) = &task.steps[0].policy.undo else {
        panic!("no undo")
    };
    assert_eq!(undo.options.fixed_text("template"), Some("Please wait.\n"));
    // A run is pinned to the templates too.
    let other = notify(&[("mails/issue_111.txt", "Fixed.\n")]);
    assert_ne!(whole.hash(), other.hash());
}

#[test]
fn what_is_wrong_with_a_template_is_said_where_it_stands() {
    let whole = notify(&[(
        "mails/issue_111.txt",
        "Hello,\nfixed in {{ event.relaese }} with {{ secret.KEY }}.\n",
    )]);
    let errors = load(&whole).unwrap_err();
    insta::assert_snapshot!(words(&errors), @r#"
mails/issue_111.txt:2:13: the event of on.release has no `relaese` (did you mean `event.release`?)
mails/issue_111.txt:2:38: a secret cannot stand here (secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the `token` and `webhook` of slack, and in the `verify` of on.webhook)
tasks/20261122101500_notify_issue_111.toml:10:91: there is no file mails/issue_111_wait.txt (paths start at the project's root)
"#);
    let broken = notify(&[("mails/issue_111.txt", "Hello {{ event. }}")]);
    insta::assert_snapshot!(words(&load(&broken).unwrap_err()), @r#"
mails/issue_111.txt:1:17: this expression cannot be read: unexpected end of variable block, expected identifier or integer
tasks/20261122101500_notify_issue_111.toml:10:91: there is no file mails/issue_111_wait.txt (paths start at the project's root)
"#);
}

#[test]
fn templates_are_files_below_the_root_and_no_data_chooses_them() {
    let step = |path: &str| {
        let options = format!("to = \"a@example.com\", subject = \"x\", template = \"{path}\"");
        format!("email = {{ {options} }}")
    };
    for path in ["{{ event.file }}", "../secret.txt", "/etc/passwd"] {
        let text = format!("on.call = {{}}\n[[step]]\n{}\n", step(path));
        assert!(files_of("tasks/t.toml", &text).is_empty(), "{path}");
    }
    insta::assert_snapshot!(wrong_step(&step("mails/{{ event.x }}.txt")), @"tasks/t.toml:3:59: `template` takes no `{{`: data never becomes code or address (write the path out: no data may choose it)");
    insta::assert_snapshot!(wrong_step(&step("../x.txt")), @"tasks/t.toml:3:59: a path starts at the project's root and stays below it: no part of it is empty, `.` or `..`");
}

#[test]
fn files_are_found_wherever_a_step_may_stand() {
    let text = r#"
on.call = {}
[[step]]
for_each = "event.list"
do = [{ email = { to = "a", subject = "x", html_template = "mails/item.html" } }]
[[step]]
email = { to = "a", subject = "x", template = "mails/a.txt", html_template = "mails/a.html" }
undo = { email = { to = "a", subject = "x", template = "mails/undo.txt" } }
"#;
    let named: Vec<_> = files_of("tasks/t.toml", text).into_iter().collect();
    let all = [
        "mails/a.html",
        "mails/a.txt",
        "mails/item.html",
        "mails/undo.txt",
    ];
    assert_eq!(named, all);
    let script = "#!/bin/sh\n# /// oncely\n# undo = { email = { to = \"a\", subject = \"x\", template = \"mails/s.txt\" } }\n# ///\n";
    let named: Vec<_> = files_of("tasks/20260101000000_s.sh", script)
        .into_iter()
        .collect();
    assert_eq!(named, ["mails/s.txt"]);
    let elsewhere = "on.call = {}\n[[note]]\nemail = { template = \"mails/a.txt\" }\n[step]\nother = { template = \"mails/b.txt\" }\n";
    assert!(files_of("tasks/t.toml", elsewhere).is_empty());
}

#[test]
fn data_never_becomes_a_tag() {
    use oncely_core::template::{Context, Scope};
    let step = r#"email = { to = "{{ event.to }}", subject = "{{ event.name }}", text = "{{ event.name }}", html = "<p>{{ event.name }}</p>{% if event.name %}<br>{% endif %}" }"#;
    let task = good(
        "tasks/t.toml",
        &format!("on.call = {{}}\n[[step]]\n{step}\n"),
    );
    let event = serde_json::json!({ "name": "<script>&", "to": ["a@example.com"] });
    let (run, steps) = (serde_json::json!({}), serde_json::Map::new());
    let scope = Scope {
        event: &event,
        steps: &steps,
        run: &run,
        at: oncely_core::time::Timestamp(0),
    };
    let options = action(&task.steps[0])
        .1
        .render(&Context::new(scope))
        .unwrap();
    insta::assert_snapshot!(options, @r#"{"to":["a@example.com"],"subject":"<script>&","text":"<script>&","html":"<p>&lt;script&gt;&amp;</p><br>"}"#);
    insta::assert_snapshot!(wrong_step(&step.replace("<p>{{ event.name }}", "{{ secret.X }}")), @"tasks/t.toml:3:102: this expression cannot be read: a secret stands alone, as `{{ secret.NAME }}`: never in a filter, an expression or a block");
}

#[test]
fn data_never_becomes_a_link_in_slack() {
    use oncely_core::template::{Context, Scope};
    let step = r#"slack = { channel = "{{ event.channel }}", text = "<https://example.com|here> {{ event.name }}{% if event.name %} & {{ event.n }}{% endif %}", blocks = [{ type = "section", text = "{{ event.name }}" }] }"#;
    let task = good(
        "tasks/t.toml",
        &format!("on.call = {{}}\n[[step]]\n{step}\n"),
    );
    let event = serde_json::json!({ "name": "<!channel> \"it's\" a/b &", "channel": "#a", "n": 7 });
    let (run, steps) = (serde_json::json!({}), serde_json::Map::new());
    let scope = Scope {
        event: &event,
        steps: &steps,
        run: &run,
        at: oncely_core::time::Timestamp(0),
    };
    let options = action(&task.steps[0])
        .1
        .render(&Context::new(scope))
        .unwrap();
    insta::assert_snapshot!(options, @r##"{"channel":"#a","text":"<https://example.com|here> &lt;!channel&gt; \"it's\" a/b &amp; & 7","blocks":[{"type":"section","text":"<!channel> \"it's\" a/b &"}]}"##);
}

#[test]
fn a_message_has_one_place_and_its_secrets_stand_alone() {
    let step = |more: &str| format!("slack = {{ text = \"a\", {more} }}");
    insta::assert_snapshot!(wrong_step("slack = { text = \"a\" }"), @"tasks/t.toml:3:9: `slack` needs one of `channel`, `webhook`");
    insta::assert_snapshot!(wrong_step(&step(r##"channel = "#a", webhook = "{{ secret.HOOK }}""##)), @"tasks/t.toml:3:39: `slack` takes only one of `channel`, `webhook`");
    insta::assert_snapshot!(wrong_step(&step(r#"webhook = "https://hooks.slack.com/services/x""#)), @r#"tasks/t.toml:3:33: `webhook` takes a secret and nothing else (write webhook = "{{ secret.NAME }}")"#);
    insta::assert_snapshot!(wrong_step(&step(r#"webhook = "https://{{ secret.HOST }}/x""#)), @r#"tasks/t.toml:3:33: `webhook` takes a secret and nothing else (write webhook = "{{ secret.NAME }}")"#);
    insta::assert_snapshot!(wrong_step(&step(r##"channel = "#a", token = "xoxb-{{ event.token }}""##)), @r#"tasks/t.toml:3:47: `token` takes a secret and nothing else (write token = "{{ secret.NAME }}")"#);
    insta::assert_snapshot!(wrong_step(&step(r##"channel = "{{ secret.X }}""##)), @"tasks/t.toml:3:37: a secret cannot stand here (secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the `token` and `webhook` of slack, and in the `verify` of on.webhook)");
    insta::assert_snapshot!(wrong_step("slack = { channel = \"a\" }"), @"tasks/t.toml:3:9: `slack` needs one of `text`, `blocks`");
}

#[test]
fn a_mail_says_something_and_once() {
    let step = |more: &str| format!("email = {{ to = [\"a\"], subject = \"x\"{more} }}");
    insta::assert_snapshot!(wrong_step(&step("")), @"tasks/t.toml:3:9: `email` needs one of `text`, `template`, `html`, `html_template`");
    insta::assert_snapshot!(wrong_step(&step(", text = \"a\", template = \"b\"")), @r#"
tasks/t.toml:3:50: `email` takes only one of `text`, `template`
tasks/t.toml:3:61: there is no file b (paths start at the project's root)
"#);
    insta::assert_snapshot!(wrong_step(&step(", text = \"a\", attachments = [\"{{ event.file }}\"]")), @"tasks/t.toml:3:65: the first folder of a path is written out: no data may choose it (a file is named by `{{ event.url }}` of on.object, by `{{ steps.ID.path }}` of a step that wrote it, or by a path whose first folder is written out)");
    insta::assert_snapshot!(wrong_step("email = { to = 3, text = \"a\" }"), @r#"
tasks/t.toml:3:9: `email` needs `subject` (What it is about, in one line.)
tasks/t.toml:3:16: `to` takes a text or a list of texts
"#);
}

#[test]
fn a_probe_only_looks_and_says_what_it_means() {
    let probe = |inner: &str| wrong_step(&format!("command = [\"x\"]\nprobe = {{ {inner} }}"));
    let said = [
        probe("http = { url = \"https://x.example\" }"),
        probe("happened = \"output.code == 0\""),
        probe(
            "http = { url = \"https://x.example\", method = \"POST\" }, happened = \"output.status == 200\"",
        ),
        probe(
            "http = { url = \"https://x.example\", json = 1 }, happened = \"output.status == 200\"",
        ),
        probe("sql = { db = \"app\", text = \"delete from t\" }, happened = \"output.rows\""),
        probe("sql = { db = \"ledger\", text = \"select 1\" }, happened = \"output.rows\""),
        probe("put = { to = \"a\", text = \"b\" }, happened = \"output.path\""),
        probe("command = { args = [\"y\"], safe = true }, happened = \"output.status == 200\""),
        probe("command = [\"y\"], happened = \"output.code == 0\""),
        probe("command = { shell = \"y\", safe = false }, happened = \"output.code == 0\""),
        probe(
            "command = { shell = \"y\", safe = true }, http = { url = \"https://x.example\" }, happened = \"true\"",
        ),
        probe("command = [\"y\"], hapened = \"true\""),
        wrong_step(
            "require = \"true\"\nprobe = { command = { shell = \"y\", safe = true }, happened = \"true\" }",
        ),
        wrong_step("command = [\"x\"]\nwhen = \"output.code\""),
    ];
    insta::assert_snapshot!(said.join("\n"), @r##"
    tasks/t.toml:4:9: `probe` needs `happened` (happened = "output.status == 200")
    tasks/t.toml:4:9: `probe` has no action (actions: command, http, sql, put, email, slack, predict, require, approve, call)
    tasks/t.toml:4:11: a `probe` only looks: `GET`, `HEAD` or `OPTIONS`
    tasks/t.toml:4:11: a `probe` only looks: `GET`, `HEAD` or `OPTIONS`
    tasks/t.toml:4:11: a `probe` only looks: one `select`
    tasks/t.toml:4:11: the ledger's own database is not looked up (what a step does there is committed with its record and never in doubt)
    tasks/t.toml:4:11: `put` looks nothing up (a `probe` has one of: command, http, sql)
    tasks/t.toml:4:64: `output` has no `status` (there are: `code`, `stdout`, `stderr`, `json`, `millis`)
    tasks/t.toml:4:11: this `command` cannot be a `probe` (a command that changes nothing says so: safe = true)
    tasks/t.toml:4:11: this `command` cannot be a `probe` (a command that changes nothing says so: safe = true)
    tasks/t.toml:4:51: `probe` has one action (make a step of its own of it)
    tasks/t.toml:4:9: `probe` needs `happened` (happened = "output.status == 200")
    tasks/t.toml:4:28: `hapened` is no action and no other key of `probe` (did you mean `happened`?)
    tasks/t.toml:4:1: `probe` says nothing about `require` (use `else = "retry"` with `every` and `for`)
    tasks/t.toml:4:9: `output` can be read in `until` and `happened` only
    "##);
}

#[test]
fn a_fault_is_underlined_where_it_stands() {
    let text = "on.call = {}\n[[step]]\ncommand = \"true\"\nretyr = { attempts = 3 }\n";
    let errors = load(&bundle("tasks/t.toml", text)).unwrap_err();
    assert_eq!(errors.len(), 1);
    insta::assert_snapshot!(errors[0].render(text, false), @r#"
error: `retyr` is no action and no other key of a step
 --> tasks/t.toml:4:1
  |
4 | retyr = { attempts = 3 }
  | ^^^^^ not known here
  |
  = help: did you mean `retry`?
"#);
    assert!(errors[0].render(text, true).contains("\u{1b}["));
    let json = serde_json::to_value(&errors[0]).unwrap();
    assert_eq!((&json["line"], &json["column"]), (&4.into(), &1.into()));
}

#[test]
fn all_faults_are_told_at_once() {
    insta::assert_snapshot!(wrong(r#"
titel = "x"
id = "with space"
environments = ["pro duction", 3]
limits = { running = 0, one_at_a_time = "event.customer +" }
on.call = { keys = "event.id" }
on.object = { source = "s3://bucket" }

[[step]]
id = "Charge"
command = { args = [], envs = { A = "x" } }
http = { url = "https://x.example" }
timeout = 30
on_unknown = "retry"
"#), @r#"
tasks/t.toml:2:1: unknown key `titel` in a task file (did you mean `title`?)
tasks/t.toml:3:6: `with space` cannot be the name of a task
tasks/t.toml:4:17: `pro duction` cannot be the name of an environment
tasks/t.toml:4:32: `environments` takes a text
tasks/t.toml:5:22: `running` takes an integer from 1 to 4294967295
tasks/t.toml:5:57: this expression cannot be read: unexpected end of input, expected expression
tasks/t.toml:6:13: unknown key `keys` in `on.call` (did you mean `key`?)
tasks/t.toml:7:4: a task has one trigger (make a task of its own of it, and let one `call` the other)
tasks/t.toml:10:6: `Charge` cannot be the id of a step
tasks/t.toml:11:20: `args` names no program
tasks/t.toml:11:24: unknown key `envs` in `command` (did you mean `env`?)
tasks/t.toml:12:1: a step has one action (make a step of its own of it)
tasks/t.toml:13:11: `timeout` takes a duration such as "30s"
tasks/t.toml:14:14: `on_unknown` takes "repeat" or "skip" or "ask"
"#);
}

#[test]
fn text_that_is_not_toml_says_every_place() {
    insta::assert_snapshot!(wrong("title = \non.call = {}\n[[step]\ncommand = \"a\n"), @r#"
tasks/t.toml:1:9: this is not TOML: string values must be quoted, expected literal string
tasks/t.toml:3:8: this is not TOML: unclosed array table, expected `]`
"#);
}

#[test]
fn a_file_without_trigger_says_what_to_add() {
    insta::assert_snapshot!(wrong("[[step]]\ncommand = \"true\"\n"), @"tasks/t.toml:1:1: nothing starts this task (add [on.object], [on.schedule], [on.webhook] or [on.call], or name the file YYYYMMDDHHMMSS_name for a task that runs once at a release)");
    insta::assert_snapshot!(wrong("on.mail = \"daily\"\n[[step]]\ncommand = \"true\"\n"), @r#"
tasks/t.toml:1:1: `on` names no trigger (triggers: release, object, call, schedule, webhook)
tasks/t.toml:1:4: unknown key `mail` in `on` (known keys: `release`, `object`, `call`, `schedule`, `webhook`)
"#);
    insta::assert_snapshot!(wrong("on = {}\n[[step]]\ncommand = \"true\"\n"), @"tasks/t.toml:1:6: `on` names no trigger (triggers: release, object, call, schedule, webhook)");
    insta::assert_snapshot!(wrong_at("tasks/2026-fix.toml", "on.release = { phase = \"befor\" }\n[[step]]\ncommand = \"true\"\n"), @r#"
tasks/2026-fix.toml:1:4: the name of a release task begins with its version (name the file YYYYMMDDHHMMSS_fix.toml, with the time at which it was written)
tasks/2026-fix.toml:1:24: `phase` takes "before" or "after" (did you mean "before"?)
"#);
    insta::assert_snapshot!(wrong_at("tasks/20261122101500_x.toml", "id = \"x\"\n[[step]]\ncommand = \"true\"\n"), @"tasks/20261122101500_x.toml:1:1: a release task is known by its version, not by an `id`");
}

#[test]
fn a_name_that_means_a_release_needs_no_trigger() {
    let task = good(
        "tasks/20261122101500_x.toml",
        "[[step]]\ncommand = \"true\"\n",
    );
    assert!(
        matches!(&task.on, Trigger::Release(r) if r.version == "20261122101500" && r.phase == Phase::After)
    );
    let task = good(
        "tasks/20261122101500_x.toml",
        "on.release.phase = \"before\"\n[[step]]\ncommand = \"true\"\n",
    );
    assert!(matches!(&task.on, Trigger::Release(r) if r.phase == Phase::Before));
}

#[test]
fn a_task_without_steps_does_nothing() {
    insta::assert_snapshot!(wrong("on.call = {}\n"), @"tasks/t.toml:1:1: this task does nothing (say under [[step]] what is to be done)");
    insta::assert_snapshot!(wrong("on.call = {}\nstep = [1]\n"), @"tasks/t.toml:2:9: `step` takes a table");
    insta::assert_snapshot!(wrong("on.call = {}\nstep = {}\n"), @"tasks/t.toml:2:8: `step` takes a list of tables: write [[step]]");
    insta::assert_snapshot!(wrong_step("id = \"a\"\nwhen = \"true\""), @"tasks/t.toml:2:1: a step has no action (actions: command, http, sql, put, email, slack, predict, require, approve, call)");
}

#[test]
fn sources_and_patterns_stay_below_the_project() {
    let object = |on: &str| wrong(&format!("on.object = {on}\n[[step]]\ncommand = \"true\"\n"));
    insta::assert_snapshot!(object("{ match = \"*.csv\" }"), @r#"tasks/t.toml:1:4: `on.object` needs `source` (source = "folder:inbox")"#);
    insta::assert_snapshot!(object("{ source = \"s3://bucket/prefix\" }"), @r#"tasks/t.toml:1:24: `s3:` is not in this version of oncely (write `folder:` and a path below the project's root: "folder:inbox")"#);
    insta::assert_snapshot!(object("{ source = \"inbox\" }"), @r#"tasks/t.toml:1:24: a source has a scheme (write `folder:` and a path below the project's root: "folder:inbox")"#);
    insta::assert_snapshot!(object("{ source = \"folder:../inbox\" }"), @r#"tasks/t.toml:1:24: a path starts at the project's root and stays below it: no part of it is empty, `.` or `..` (write `folder:` and a path below the project's root: "folder:inbox")"#);
    insta::assert_snapshot!(object("{ source = \"folder:/inbox\", match = \"/x\" }"), @"tasks/t.toml:1:49: `match` stays below the watched folder");
    insta::assert_snapshot!(object("{ source = \"folder:inbox\", existing = \"runn\" }"), @r#"tasks/t.toml:1:51: `existing` takes "run" or "skip" (did you mean "run"?)"#);
}

#[test]
fn every_option_says_what_it_takes() {
    insta::assert_snapshot!(wrong_step("command = 3"), @"tasks/t.toml:3:11: `command` takes a table of options, or a list, or a text");
    insta::assert_snapshot!(wrong_step("command = { args = [\"x\"], shell = \"y\" }"), @"tasks/t.toml:3:27: `command` takes only one of `args`, `shell`");
    insta::assert_snapshot!(wrong_step("command = { cwd = \"x\" }"), @"tasks/t.toml:3:11: `command` needs one of `args`, `shell`");
    insta::assert_snapshot!(wrong_step("command = { shell = \"x\", env = { \"A-B\" = \"x\" }, cwd = \"/tmp\", output = \"jsno\", safe = \"yes\" }"), @r#"
tasks/t.toml:3:34: `A-B` cannot be a name here
tasks/t.toml:3:55: a path starts at the project's root and stays below it: it is not relative
tasks/t.toml:3:72: `output` takes "auto" or "text" or "json" (did you mean "json"?)
tasks/t.toml:3:87: `safe` takes true or false
"#);
    insta::assert_snapshot!(wrong_step("http = \"https://x.example\""), @"tasks/t.toml:3:8: `http` takes a table of options");
    insta::assert_snapshot!(wrong_step("http = { method = \"post\", redirects = 11, expect = [200, 99], headers = { \"a b\" = \"x\" } }"), @r#"
tasks/t.toml:3:8: `http` needs `url` (Where to. Scheme and host are written out.)
tasks/t.toml:3:19: `method` takes "GET" or "HEAD" or "PUT" or "DELETE" or "OPTIONS" or "POST" or "PATCH" (did you mean "POST"?)
tasks/t.toml:3:39: `redirects` takes an integer from 0 to 10
tasks/t.toml:3:58: `expect` takes an integer from 100 to 599
tasks/t.toml:3:75: `a b` cannot be a name here
"#);
    insta::assert_snapshot!(wrong_step("http = { url = \"https://x.example\", json = {}, body = \"x\", auth = { bearer = \"x\", basic = { user = \"u\" } } }"), @r#"
tasks/t.toml:3:48: `http` takes only one of `json`, `form`, `body`
tasks/t.toml:3:83: `auth` takes only one of `bearer`, `basic`
tasks/t.toml:3:91: `basic` needs `password` (The password.)
"#);
    insta::assert_snapshot!(wrong_step("put = { to = \"out/x\" }"), @"tasks/t.toml:3:7: `put` needs one of `text`, `json`, `copy`");
    insta::assert_snapshot!(wrong_step("call = { event = {} }"), @"tasks/t.toml:3:8: `call` needs `task` (The id of the task; it has `on.call`.)");
    insta::assert_snapshot!(wrong_step("require = { that = \"true\", every = \"5 minutes\", else = 3 }"), @r#"
tasks/t.toml:3:36: `every` takes a duration (a whole number and ms, s, m, h or d: "500ms", "30s", "5m", "24h", "7d")
tasks/t.toml:3:56: `else` takes "fail" or "end" or "retry"
"#);
    insta::assert_snapshot!(wrong_step("sql = { text = \"select 1\", bind = { x = nan, y = 9223372036854775808 } }"), @r#"
tasks/t.toml:3:41: this number has no place in JSON
tasks/t.toml:3:50: `a value in JSON` takes an integer from -9223372036854775808 to 9223372036854775807
"#);
}

#[test]
fn policies_say_what_they_take() {
    insta::assert_snapshot!(wrong_step("command = \"x\"\nretry = { attempts = 0, first = \"5m\", max = \"1s\", maximum = 3 }"), @r#"
tasks/t.toml:4:22: `attempts` takes an integer from 1 to 1000
tasks/t.toml:4:39: `first` is longer than `max`
tasks/t.toml:4:51: unknown key `maximum` in `retry` (known keys: `attempts`, `first`, `max`)
"#);
    insta::assert_snapshot!(wrong_step("command = \"x\"\nretry = 3\ntimeout = \"0s\"\nundo = \"nevr\""), @r#"
tasks/t.toml:4:9: `retry` takes a table
tasks/t.toml:5:11: `timeout` is longer than nothing
tasks/t.toml:6:8: `undo` takes "never" or a table with one action
"#);
    insta::assert_snapshot!(wrong_step("command = \"x\"\nundo = { approve = \"ok?\" }"), @"tasks/t.toml:4:8: `approve` takes nothing back");
    insta::assert_snapshot!(wrong_step("approve = \"ok?\"\nretry = { attempts = 3 }\ntimeout = \"5m\""), @r#"
tasks/t.toml:4:1: `retry` says nothing about `approve` (use `expires`)
tasks/t.toml:5:1: `timeout` says nothing about `approve` (use `expires`)
"#);
    insta::assert_snapshot!(wrong_step("command = \"x\"\nwhen = \"{{ event.x }}\""), @r#"tasks/t.toml:4:8: `when` takes a bare expression (write when = "event.x")"#);
    insta::assert_snapshot!(wrong_step("command = \"x\"\nwhen = \"event.x ==\""), @"tasks/t.toml:4:17: this expression cannot be read: unexpected end of input, expected expression");
}

#[test]
fn retry_fills_in_what_is_not_said() {
    let retry = |retry: &str| {
        let text = format!("on.call = {{}}\n[[step]]\ncommand = \"x\"\nretry = {retry}\n");
        let retry = good("tasks/t.toml", &text).steps[0].policy.retry;
        (retry.attempts, retry.first_ms, retry.max_ms)
    };
    assert_eq!(retry("{}"), (4, 1000, 300_000));
    assert_eq!(retry("{ first = \"10m\" }"), (4, 600_000, 600_000));
    assert_eq!(retry("{ max = \"500ms\" }"), (4, 500, 500));
}

#[test]
fn data_never_becomes_code_or_address() {
    insta::assert_snapshot!(wrong_step("command = \"echo {{ event.x }}\""), @r#"tasks/t.toml:3:11: `command` takes no `{{`: data never becomes code or address (hand it over with `env` or `stdin` and read it as "$NAME")"#);
    insta::assert_snapshot!(wrong_step("command = [\"{{ event.x }}\"]"), @"tasks/t.toml:3:12: data never becomes code: this argument is written out (hand data over as a later argument, with `env`, or on standard input)");
    insta::assert_snapshot!(wrong_step("command = [\"/bin/bash\", \"-ec\", \"echo {{ event.x }}\"]"), @"tasks/t.toml:3:32: data never becomes code: this argument is written out (hand data over as a later argument, with `env`, or on standard input)");
    insta::assert_snapshot!(wrong_step("command = [\"python3\", \"-c\", \"print({{ event.x }})\"]"), @"tasks/t.toml:3:29: data never becomes code: this argument is written out (hand data over as a later argument, with `env`, or on standard input)");
    insta::assert_snapshot!(wrong_step("sql = { text = \"delete from t where id = {{ event.x }}\" }"), @"tasks/t.toml:3:16: `text` takes no `{{`: data never becomes code or address (write `:name` in the statement and give it in `bind`)");
    insta::assert_snapshot!(wrong_step("http = { url = \"https://{{ event.host }}/x\" }"), @"tasks/t.toml:3:16: the host of a URL is written out: no data may choose it (write a task for each host, or `https://host/{{ … }}`)");
    insta::assert_snapshot!(wrong_step("http = { url = \"https://x.example{{ event.port }}\" }"), @"tasks/t.toml:3:16: the host of a URL is written out: no data may choose it (write a task for each host, or `https://host/{{ … }}`)");
    insta::assert_snapshot!(wrong_step("http = { url = \"{{ event.url }}\" }"), @"tasks/t.toml:3:16: a URL begins with `https://` or `http://`, written out");
    insta::assert_snapshot!(wrong_step("http = { url = \"ftp://x.example/\" }"), @"tasks/t.toml:3:16: a URL begins with `https://` or `http://`, written out");
    insta::assert_snapshot!(wrong_step("http = { url = \"https://u:p@x.example/\" }"), @r#"tasks/t.toml:3:16: a URL holds no user and no password (use `auth = { basic = { user = "…", password = "{{ secret.NAME }}" } }`)"#);
    insta::assert_snapshot!(wrong_step("put = { to = \"{{ event.x }}/a\", text = \"\" }"), @r#"tasks/t.toml:3:14: the first folder of a path is written out: no data may choose it (write it below a folder: "out/{{ … }}")"#);
    insta::assert_snapshot!(wrong_step("put = { to = \"out{{ event.x }}\", text = \"\" }"), @r#"tasks/t.toml:3:14: the first folder of a path is written out: no data may choose it (write it below a folder: "out/{{ … }}")"#);
    insta::assert_snapshot!(wrong_step("put = { to = \"out/../{{ event.x }}\", text = \"\" }"), @"tasks/t.toml:3:14: a path starts at the project's root and stays below it: no part of it is empty, `.` or `..`");
    insta::assert_snapshot!(wrong_step("put = { to = \"/etc/x\", text = \"\" }"), @"tasks/t.toml:3:14: a path starts at the project's root and stays below it: it is not relative");
    insta::assert_snapshot!(wrong_step("call = { task = \"{{ event.x }}\" }"), @"tasks/t.toml:3:17: `task` takes no `{{`: data never becomes code or address (write it out: no data may choose it)");
    insta::assert_snapshot!(wrong_step("predict = { model = \"{{ event.x }}\", record = {} }"), @"tasks/t.toml:3:21: `model` takes no `{{`: data never becomes code or address (write it out: no data may choose it)");
    insta::assert_snapshot!(wrong_step("for_each = { read = \"{{ event.file }}\", as = \"csv\" }\ndo = [{ command = [\"x\"] }]"), @"tasks/t.toml:3:21: the first folder of a path is written out: no data may choose it (a file is named by `{{ event.url }}` of on.object, by `{{ steps.ID.path }}` of a step that wrote it, or by a path whose first folder is written out)");
}

#[test]
fn what_is_written_out_may_be_followed_by_data() {
    for step in [
        "http = { url = \"https://x.example/{{ event.x }}?a={{ event.y }}\" }",
        "http = { url = \"HTTP://x.example?a={{ event.y }}\" }",
        "put = { to = \"out/{{ event.x }}.{{ event.y }}\", text = \"{{ event.z }}\" }",
        "command = [\"bash\", \"-c\", \"echo $1\", \"--\", \"{{ event.x }}\"]",
        "for_each = { read = \"out/{{ event.x }}\", as = \"lines\" }\ndo = [{ command = [\"x\", \"{{ item }}\"] }]",
        "for_each = \"event.list\"\ndo = [{ command = [\"x\", \"{{ item.a }}\", \"{{ loop.index0 }}\"] }]",
    ] {
        good(
            "tasks/t.toml",
            &format!("on.call = {{}}\n[[step]]\n{step}\n"),
        );
    }
}

#[test]
fn secrets_stand_only_where_the_other_side_is_told_who_asks() {
    insta::assert_snapshot!(wrong_step("http = { url = \"https://x.example/?k={{ secret.KEY }}\", json = { k = \"{{ secret.KEY }}\" } }"), @r#"
tasks/t.toml:3:41: a secret cannot stand here (secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the `token` and `webhook` of slack, and in the `verify` of on.webhook)
tasks/t.toml:3:74: a secret cannot stand here (secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the `token` and `webhook` of slack, and in the `verify` of on.webhook)
"#);
    insta::assert_snapshot!(wrong_step("http = { url = \"https://x.example/\", auth = { bearer = \"{{ secret.KEY | upper }}\" } }"), @"tasks/t.toml:3:60: this expression cannot be read: a secret stands alone, as `{{ secret.NAME }}`: never in a filter, an expression or a block");
    insta::assert_snapshot!(wrong_step("command = \"x\"\nwhen = \"secret.KEY == 'x'\""), @"tasks/t.toml:4:9: a secret cannot stand here (secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the `token` and `webhook` of slack, and in the `verify` of on.webhook)");
    insta::assert_snapshot!(wrong_step("command = [\"x\", \"{{ secret.KEY }}\"]"), @"tasks/t.toml:3:21: a secret cannot stand here (secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the `token` and `webhook` of slack, and in the `verify` of on.webhook)");
    let text = "on.call = {}\n[[step]]\ncommand = { args = [\"x\"], env = { K = \"a {{ secret.KEY }}\" } }\n";
    let task = good("tasks/t.toml", text);
    let (_, options) = action(&task.steps[0]);
    assert!(matches!(
        options.get("env").unwrap().get("K"),
        Some(Node::Text(_))
    ));
}

#[test]
fn names_that_nobody_has_are_told_at_load() {
    let object = |step: &str| {
        wrong(&format!(
            "on.object = {{ source = \"folder:inbox\" }}\n[[step]]\n{step}\n"
        ))
    };
    insta::assert_snapshot!(object("command = \"x\"\nwhen = \"event.nmae == 'x'\""), @"tasks/t.toml:4:9: the event of on.object has no `nmae` (did you mean `event.name`?)");
    insta::assert_snapshot!(object("command = [\"x\", \"{{ event.customer.id }}\"]"), @"tasks/t.toml:3:21: the event of on.object has no `customer` (there are: `key`, `name`, `path`, `url`, `size`, `hash`, `modified`)");
    insta::assert_snapshot!(object("command = [\"x\", \"{{ event.key.id }}\"]"), @"tasks/t.toml:3:21: `event.key` has nothing below it");
    insta::assert_snapshot!(object("command = [\"x\", \"{{ evnt.key }}\", \"{{ item.a }}\", \"{{ run.idd }}\", \"{{ output.code }}\"]"), @r#"
tasks/t.toml:3:21: there is no `evnt` to read here (did you mean `event`?)
tasks/t.toml:3:39: `item` can be read inside a `do` block only
tasks/t.toml:3:55: `run` has no `idd` (did you mean `run.id`?)
tasks/t.toml:3:72: `output` can be read in `until` and `happened` only
"#);
    insta::assert_snapshot!(object("command = \"x\"\nuntil = \"output.cod == 0 and output.json.ready\""), @"tasks/t.toml:4:10: `output` has no `cod` (did you mean `output.code`?)");
    insta::assert_snapshot!(wrong("on.call = { key = \"run.id\" }\n[[step]]\ncommand = \"x\"\n"), @"tasks/t.toml:1:20: there is no run yet where this is evaluated");
}

#[test]
fn steps_read_only_what_came_before_them() {
    insta::assert_snapshot!(wrong(r#"
on.call = {}
[[step]]
id = "first"
command = ["x", "{{ steps.second.stdout }}", "{{ steps.first.stdout }}"]
[[step]]
id = "each"
for_each = "event.list"
do = [
  { id = "a", command = ["x", "{{ steps.first.stdut }}", "{{ steps.b.code }}"] },
  { id = "b", command = ["x", "{{ steps.a.code }}", "{{ steps.each.done }}", "{{ item.whatever }}"] },
]
[[step]]
id = "second"
command = ["x", "{{ steps.frist.stdout }}", "{{ steps.each.done }}", "{{ steps.a.code }}", "{{ steps.each.rows }}"]
"#), @r#"
tasks/t.toml:5:21: step `second` cannot be read here: it comes later
tasks/t.toml:5:50: step `first` cannot be read here: it is this step
tasks/t.toml:10:35: step `first` has no `stdut` (did you mean `steps.first.stdout`?)
tasks/t.toml:10:62: step `b` cannot be read here: it comes later
tasks/t.toml:11:57: step `each` cannot be read here: it is this step
tasks/t.toml:15:21: there is no step `frist` (did you mean `first`?)
tasks/t.toml:15:74: step `a` cannot be read here: it is inside the `do` block of `each`
tasks/t.toml:15:96: step `each` has no `rows` (there are: `done`, `set_aside`, `total`)
"#);
}

#[test]
fn the_undo_of_a_step_reads_what_the_step_gave() {
    good(
        "tasks/t.toml",
        r#"
on.call = {}
[[step]]
id = "charge"
http = { url = "https://x.example/charges" }
undo = { http = { url = "https://x.example/charges/{{ steps.charge.json.id }}/refund" } }
"#,
    );
}

#[test]
fn depth_stays_at_two() {
    insta::assert_snapshot!(wrong_step("for_each = \"event.a\"\ndo = [{ for_each = \"item\", do = [{ command = \"x\" }] }]"), @"tasks/t.toml:4:9: a `for_each` step cannot stand inside a `do` block (put it into a task of its own and `call` that task)");
    insta::assert_snapshot!(wrong_step("for_each = \"event.a\"\ndo = [{ approve = \"x\" }, { require = \"true\" }, { call = { task = \"t\" } }]"), @r#"
tasks/t.toml:4:9: `approve` cannot stand inside a `do` block (inside `do` there may be: command, http, sql, put, email, slack, predict)
tasks/t.toml:4:28: `require` cannot stand inside a `do` block (inside `do` there may be: command, http, sql, put, email, slack, predict)
tasks/t.toml:4:50: `call` cannot stand inside a `do` block (inside `do` there may be: command, http, sql, put, email, slack, predict)
"#);
    insta::assert_snapshot!(wrong_step("for_each = \"event.a\"\ndo = []"), @"tasks/t.toml:4:6: the `do` block has no step");
    insta::assert_snapshot!(wrong_step("for_each = \"event.a\"\nuntil = \"true\"\ncommand = \"x\"\ndo = [{ command = \"x\" }]"), @r#"
tasks/t.toml:4:1: unknown key `until` in a `for_each` step (known keys: `id`, `for_each`, `do`, `rate`, `batch`, `while`, `when`, `retry`, `timeout`, `hold`, `on_unknown`, `undo`)
tasks/t.toml:5:1: unknown key `command` in a `for_each` step (known keys: `id`, `for_each`, `do`, `rate`, `batch`, `while`, `when`, `retry`, `timeout`, `hold`, `on_unknown`, `undo`)
"#);
    insta::assert_snapshot!(wrong_step("do = [{ command = \"x\" }]"), @r#"tasks/t.toml:2:1: a step with `do` needs `for_each` (for_each = { read = "{{ event.url }}", as = "csv" })"#);
    insta::assert_snapshot!(wrong_step("for_each = [\"a\"]\ndo = [{ command = \"x\" }]"), @"tasks/t.toml:3:12: `for_each` takes an expression in quotes that gives a list, or a table with `read` or `rows`");
    insta::assert_snapshot!(wrong_step("for_each = { read = \"in/x\", as = \"xml\", columns = [\"a\", \"a\"], header = true }\ndo = [{ command = \"x\" }]"), @r#"
tasks/t.toml:3:34: `as` takes "csv" or "jsonl" or "lines" or "files"
tasks/t.toml:3:57: two columns are called `a`
tasks/t.toml:3:63: unknown key `header` in `for_each` (known keys: `read`, `as`, `match`, `columns`)
"#);
    insta::assert_snapshot!(wrong_step("for_each = { read = \"in/x\", as = \"jsonl\", columns = [\"a\"] }\ndo = [{ command = \"x\" }]"), @"tasks/t.toml:3:43: only csv has `columns`");
}

#[test]
fn two_steps_of_one_name_are_told() {
    insta::assert_snapshot!(wrong("on.call = {}\n[[step]]\ncommand = \"x\"\n[[step]]\ncommand = \"y\"\n"), @"tasks/t.toml:4:1: two steps are called `command` (give it an `id` of its own)");
}

#[test]
fn short_forms_stand_for_long_ones() {
    let text = r#"
on.call = { key = "event.id" }
[[step]]
command = ["bin/x", "{{ event.id }}"]
[[step]]
id = "shell"
command = "make reindex"
[[step]]
require = "steps.shell.code == 0"
[[step]]
approve = "Send {{ event.n }} mails?"
"#;
    let task = good("tasks/t.toml", text);
    let keys = task.steps.iter().map(|step| match action(step).1 {
        Node::Table(entries) => entries[0].0.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["args", "shell", "that", "text"]);
    assert_eq!(task.steps[2].id.as_str(), "require");
    assert!(action(&task.steps[2]).1.expr("that").is_some());
}

#[test]
fn any_value_keeps_its_types_and_its_order() {
    let text = r#"
on.call = {}
[[step]]
[step.http]
url = "https://x.example/"
json = { z = 1, a = [1.5, true, "x"], at = 2026-11-22T10:15:00Z, deep = { x = "{{ event.x }}", y = ["{{ event.y }}", 0xff] } }
"#;
    let task = good("tasks/t.toml", text);
    let json = action(&task.steps[0]).1.get("json").unwrap();
    assert_eq!(
        json.get("a"),
        Some(&Node::Fixed(serde_json::json!([1.5, true, "x"])))
    );
    assert_eq!(
        json.get("at"),
        Some(&Node::Fixed("2026-11-22T10:15:00Z".into()))
    );
    assert!(matches!(
        json.get("deep").unwrap().get("x"),
        Some(Node::Any(_))
    ));
    assert!(matches!(
        json.get("deep").unwrap().get("y"),
        Some(Node::List(_))
    ));
    let Node::Table(entries) = json else { panic!() };
    assert_eq!(
        entries.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(),
        ["z", "a", "at", "deep"]
    );
}

#[test]
fn items_are_not_taken_back_one_by_one() {
    let each = "for_each = \"[1]\"\ndo = [{ command = [\"x\"], undo = { command = [\"y\"] } }]";
    insta::assert_snapshot!(wrong_step(each), @"tasks/t.toml:4:26: items are not taken back one by one (give the step `for_each` an `undo`: it takes back all that the block did)");
}
