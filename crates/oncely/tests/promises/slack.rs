//! Messages to Slack, from a task to a server on this machine that answers like Slack.

use crate::project::{Ended, Project};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A Slack that keeps what it is asked, and answers each request with `answer`; nothing at all
/// where that is empty.
struct Slack {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Slack {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = whole(&mut stream);
                kept.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                if !answer.is_empty() {
                    let _ = stream.write_all((head + answer).as_bytes());
                }
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A request up to the end of its body, which is JSON in one piece.
fn whole(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !text.ends_with(b"}") {
        match stream.read(&mut chunk) {
            Ok(bytes @ 1..) => text.extend_from_slice(&chunk[..bytes]),
            _ => break,
        }
    }
    String::from_utf8(text).unwrap()
}

fn project(slack: &Slack) -> Project {
    let project = Project::new();
    let config = format!("[slack]\napi = \"http://127.0.0.1:{}/api\"\n", slack.port);
    project.write("oncely.toml", config);
    project.write(
        "tasks/20260101000000_tell.toml",
        "[on.release]\n\n[[step]]\nid = \"tell\"\n\
         slack = { channel = \"#ops\", text = \"Released {{ event.release }}\" }\n",
    );
    project
}

fn run(project: &Project, args: &[&str]) -> Ended {
    let mut command = project.command(args);
    command.env("ONCELY_SECRET_SLACK_TOKEN", "xoxb-hush-hush");
    project.ended(command)
}

#[test]
fn a_channel_is_told_once_and_data_is_no_markup() {
    let slack = Slack::start(r#"{"ok":true,"ts":"1.2","channel":"C1"}"#);
    let project = project(&slack);
    project.run(&["plan"]).says(
        0,
        &["tell: sends a Slack message to #ops: Released {{ event.release }}"],
    );
    for _ in 0..2 {
        let ended = run(&project, &["run", "--release", "<!channel> & 7"]);
        assert_eq!(ended.code, 0, "{}", ended.all());
    }
    let asked = slack.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("POST /api/chat.postMessage "));
    assert!(asked[0].contains("Bearer xoxb-hush-hush"));
    let text = "Released &lt;!channel&gt; &amp; 7";
    assert!(asked[0].contains(text), "{}", asked[0]);
}

#[test]
fn a_message_of_which_nothing_is_known_is_not_sent_again_and_shows_no_token() {
    let slack = Slack::start("");
    let project = project(&slack);
    let first = run(&project, &["run"]);
    run(&project, &["run"]);
    assert_eq!(slack.asked().len(), 1);
    project
        .run(&["status"])
        .says(0, &["unknown", "oncely settle 1"]);
    let shown = project.run(&["show", "1"]).all();
    for text in [first.all(), shown] {
        assert!(!text.contains("xoxb-hush"), "{text}");
    }
    let ledger = std::fs::read(project.path(".oncely/ledger.db")).unwrap();
    assert!(!ledger.windows(9).any(|nine| nine == b"xoxb-hush"));
}

#[test]
fn what_slack_refuses_is_told_with_what_helps() {
    let slack = Slack::start(r#"{"ok":false,"error":"not_in_channel"}"#);
    let project = project(&slack);
    let ended = run(&project, &["run"]);
    ended.says(1, &["not_in_channel", "/invite"]);
}

#[test]
fn doctor_shows_where_slack_is_and_a_wrong_place_is_said() {
    let slack = Slack::start("");
    let project = project(&slack);
    let here = format!("http://127.0.0.1:{}/api", slack.port);
    project.run(&["doctor"]).says(0, &["slack.api", &here]);
    project.write(
        "oncely.toml",
        "[slack]\napi = \"http://slack.example.com/api\"\n",
    );
    let said = project.run(&["run"]);
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.err, @r#"oncely: oncely.toml, slack.api: "http://slack.example.com/api" would show the token to the network: use https. Nothing was run."#);
}

#[test]
fn those_who_may_answer_are_told_in_slack_once() {
    let slack = Slack::start(r#"{"ok":true,"ts":"1.2","channel":"D1"}"#);
    let project = project(&slack);
    let config = project.text("oncely.toml");
    let people = "[people]\nanna = { slack = \"U012AB3CD\" }\nbob = {}\n";
    project.write("oncely.toml", format!("{config}\n{people}"));
    project.write(
        "tasks/send.toml",
        "[on.call]\n\n[[step]]\nid = \"ok\"\napprove = { text = \"Send <all>?\", by = \"anna\", \
         tell = \"slack\" }\n",
    );
    run(&project, &["call", "send", "--key", "k"]).says(0, &["waiting send"]);
    run(&project, &["pause", "1", "--detach"]).says(0, &[]);
    run(&project, &["resume", "1"]).says(0, &["waiting send"]);
    let asked = slack.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for words in ["U012AB3CD", "Send &lt;all&gt;?", "oncely approve 1"] {
        assert!(asked[0].contains(words), "no {words:?} in {}", asked[0]);
    }
}
