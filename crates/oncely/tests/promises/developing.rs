//! `oncely dev`: tasks run as they are saved, mail and requests are caught, and nothing is left.

use crate::project::{Project, wait_gone};
use crate::terminal::Terminal;
use std::fs;

/// A release task that writes, asks, sends a mail and a request.
const NEWS: &str = r#"[on.release]

[[step]]
id = "make"
command = "echo made >> made"

[[step]]
id = "ok"
approve = { text = "Send it?", tick = ["it was read"], by = ["zoe"] }

[[step]]
id = "post"
http = { url = "https://api.example.com/news", json = {}, auth = { bearer = "{{ secret.NEWS }}" } }

[[step]]
id = "mail"
email = { to = "bob@example.com", subject = "News", text = "Here they are\n" }
"#;

fn news() -> Project {
    let project = Project::new().variable("ONCELY_SECRET_NEWS", "hush-news");
    let config = project.text("oncely.toml")
        + "\n[email]\nserver = \"smtp://127.0.0.1:1\"\ntls = \"none\"\nfrom = \"shop@example.com\"\n\n[people.zoe]\n\n[env.production]\nprotected = true\n";
    project.write("oncely.toml", config);
    project.release_task(1, "old", "echo old >> old");
    project
}

/// The folders in which developers' servers keep what they must.
fn folders(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.path(".oncely")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("dev-")).collect()
}

#[test]
fn a_release_task_runs_each_time_it_is_saved_and_nothing_is_sent_or_left() {
    let project = news();
    let mut dev = project.start(&["--json", "dev", "--yes"]);
    let greeting = dev.hear("developing");
    assert_eq!(greeting["environment"], "development");
    assert_eq!(
        greeting["caught"],
        serde_json::json!(["http", "email", "slack"])
    );
    assert_eq!(
        greeting["done"],
        serde_json::json!(["command", "sql", "put"])
    );
    project.write("tasks/2_news.toml", NEWS);
    assert_eq!(dev.hear("saved")["run"], 1);
    let post = dev.hear("kind");
    assert_eq!(post["kind"], "http");
    assert_eq!(post["call"]["auth"]["bearer"], "<secret NEWS>");
    let mail = dev.hear("kind");
    let text = mail["text"].as_str().unwrap();
    assert!(
        text.contains("To: bob@example.com") && text.contains("Here they are"),
        "{text}"
    );
    dev.hear("end");
    project.write("tasks/2_news.toml", format!("{NEWS}# once more\n"));
    assert_eq!(dev.hear("saved")["run"], 2);
    dev.hear("end");
    let ended = dev.stop();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(
        project.text("made"),
        "made\nmade\n",
        "the command really runs"
    );
    assert_eq!(
        project.text("old"),
        "",
        "what was there at the start was run"
    );
    assert!(!project.path(".oncely").exists(), "something is left");
    assert!(!ended.all().contains("hush"), "{}", ended.all());
}

#[test]
fn all_effects_are_caught_where_that_is_asked_for() {
    let project = news();
    let mut dev = project.start(&["--json", "dev", "--yes", "--catch", "all"]);
    dev.hear("developing");
    project.write("tasks/2_news.toml", NEWS);
    let make = dev.hear("kind");
    assert_eq!(make["text"], "sh -e -c: echo made >> made\n");
    dev.hear("end");
    assert_eq!(dev.stop().code, 0);
    assert!(!project.path("made").exists(), "the command was run");
}

#[test]
fn sources_are_watched_and_an_attempt_in_the_middle_does_not_hold_the_end_up() {
    let project = news();
    // A server would let the step go on for that long; a developer waits for nothing.
    let config = project.text("oncely.toml") + "\n[limits]\ngrace = \"1h\"\n";
    project.write("oncely.toml", config);
    project.write(
        "tasks/rows.toml",
        "[on.object]\nsource = \"folder:inbox\"\nexisting = \"run\"\n\n[[step]]\nid = \"each\"\nfor_each = { read = \"{{ event.url }}\", as = \"csv\" }\n\n  [[step.do]]\n  id = \"tell\"\n  slack = { channel = \"#rows\", text = \"{{ item.a }}\" }\n\n[[step]]\nid = \"long\"\ncommand = \"echo $$ > began; while true; do sleep 1; done\"\n",
    );
    fs::create_dir_all(project.path("inbox")).unwrap();
    let mut dev = project.start(&["--json", "dev"]);
    dev.hear("developing");
    project.write("inbox/a.csv", "a\n7\n");
    assert_eq!(dev.hear("kind")["call"]["text"], "7");
    let step = project.wait_lines("began", 1);
    dev.signal(rustix::process::Signal::INT);
    let ended = dev.end();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(!project.path(".oncely").exists(), "something is left");
    wait_gone(&step);
}

#[test]
fn what_a_killed_server_left_is_removed_by_the_next_one() {
    let project = news();
    let mut first = project.start(&["--json", "dev"]);
    first.hear("developing");
    let left = folders(&project);
    first.kill();
    assert_eq!(folders(&project), left, "a killed one cleans nothing up");
    let mut second = project.start(&["--json", "dev"]);
    second.hear("developing");
    let now = folders(&project);
    assert!(now.len() == 1 && now != left, "{left:?} and then {now:?}");
    assert_eq!(second.stop().code, 0);
}

#[test]
fn nothing_is_tried_out_in_a_protected_environment() {
    let project = news();
    // One that is not refused goes on for ever, which the end is not waited for in vain.
    let refused = project.start(&["dev", "--env", "production"]).end();
    insta::assert_snapshot!(refused.all(), @"
    oncely: the environment production is protected, and `oncely dev` tries things out: choose another with --env. Nothing was run.
    [exit 2]
    ");
    assert!(!project.path(".oncely").exists(), "something was made");
}

/// A task on call that says its event.
const GREET: &str = "[on.call]\n\n[[step]]\nid = \"say\"\ncommand = { shell = \"echo $WHO >> greeted\", env = { WHO = \"{{ event.who }}\" } }\n";

#[test]
fn a_task_on_call_is_started_from_another_terminal() {
    let project = news();
    project.write("tasks/greet.toml", GREET);
    project.write("eve.json", r#"{"who": "eve"}"#);
    let call = [
        "call", "greet", "--event", "eve.json", "--key", "k", "--dev",
    ];
    insta::assert_snapshot!(project.run(&call).all(), @"
    oncely: no `oncely dev` is at work in this project. Nothing was started. Start one in another terminal: oncely dev
    [exit 2]
    ");
    let mut dev = project.start(&["--json", "dev"]);
    let pid = dev.hear("developing")["pid"].clone();
    let handed = project.json(&call);
    assert_eq!(handed[0]["handed_to"], pid);
    let called = dev.hear("called");
    assert_eq!(
        (&called["called"], &called["key"]),
        (&"greet".into(), &"k".into())
    );
    project.wait_text("greeted", |text| text == "eve\n");
    // The same key is the same event, and another key another one.
    project.run(&call).says(0, &["Handed to process"]);
    assert_eq!(dev.hear("called")["duplicate"], true);
    let other = [
        "call", "greet", "--event", "eve.json", "--key", "other", "--dev",
    ];
    project.run(&other).says(0, &["Handed to process"]);
    project.wait_text("greeted", |text| text == "eve\neve\n");
    // What is wrong is said where it is typed, and nothing is handed over.
    project
        .run(&["call", "gret", "--dev"])
        .says(2, &["Did you mean `greet`?", "Nothing was started."]);
    project
        .run(&["call", "1_old", "--dev"])
        .says(2, &["is started by releases"]);
    assert_eq!(dev.stop().code, 0);
    assert!(!project.path(".oncely").exists(), "something is left");
}

/// A release task that asks, and then acts.
const ASKS: &str = "[on.release]\n\n[[step]]\nid = \"ok\"\napprove = { text = \"Send it?\", by = [\"zoe\"] }\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n";

#[test]
fn a_question_is_answered_at_its_terminal_and_ctrl_c_ends_it() {
    let project = news();
    let mut dev = Terminal::new(&project, &["dev"]);
    dev.shows("Trying out 1 task in development.");
    project.write("tasks/2_ask.toml", ASKS);
    dev.shows("2_ask asks: Send it?");
    dev.shows("Answer as zoe: yes, no, or Enter for later: ");
    dev.types("yes");
    dev.shows("Note, or Enter for none: ");
    dev.types("it was read");
    project.wait_text("out", |text| text == "sent\n");
    dev.shows("approved by zoe (it was read)");
    // One that is left for later, and Ctrl-C while the next one waits.
    project.write("tasks/2_ask.toml", format!("{ASKS}# once more\n"));
    dev.shows("Answer as zoe: yes, no, or Enter for later: ");
    dev.types("");
    dev.shows("nobody answered here.");
    project.write("tasks/2_ask.toml", format!("{ASKS}# and again\n"));
    dev.shows("Answer as zoe: yes, no, or Enter for later: ");
    dev.interrupts();
    dev.shows("Stopped.");
    assert_eq!(dev.ends(), 0);
    assert_eq!(project.text("out"), "sent\n");
    assert!(!project.path(".oncely").exists(), "something is left");
}
