//! `oncely dev`: tasks run as they are saved, mail and requests are caught, and nothing is left.

use crate::project::{Project, wait};
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
    project.write(
        "tasks/rows.toml",
        "[on.object]\nsource = \"folder:inbox\"\nexisting = \"run\"\n\n[[step]]\nid = \"each\"\nfor_each = { read = \"{{ event.url }}\", as = \"csv\" }\n\n  [[step.do]]\n  id = \"tell\"\n  slack = { channel = \"#rows\", text = \"{{ item.a }}\" }\n\n[[step]]\nid = \"long\"\ncommand = \"touch began; sleep 600\"\n",
    );
    fs::create_dir_all(project.path("inbox")).unwrap();
    let mut dev = project.start(&["--json", "dev"]);
    dev.hear("developing");
    project.write("inbox/a.csv", "a\n7\n");
    assert_eq!(dev.hear("kind")["call"]["text"], "7");
    wait("the long step to begin", || project.path("began").exists());
    let ended = dev.stop();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(!project.path(".oncely").exists(), "something is left");
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
    let refused = project.run(&["dev", "--env", "production"]);
    insta::assert_snapshot!(refused.all(), @"
    oncely: the environment production is protected, and `oncely dev` tries things out: choose another with --env. Nothing was run.
    [exit 2]
    ");
    assert!(!project.path(".oncely").exists(), "something was made");
}
