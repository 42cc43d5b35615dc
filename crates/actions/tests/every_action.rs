//! Every action, tested the same three ways: each step done twice, failed at each point in turn,
//! taken back twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, Fault, Rig, done_twice, failed_without_trace, undone_twice};
use common::server::{Cut, Server, cutting};
use common::smtp::{At, Does, Post};
use common::{call, command, http, slack};
use oncely_actions::{CallTask, Database, Put, PutConfig, Sql, SqlConfig};
use oncely_core::Value;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn lines(path: PathBuf) -> Box<dyn Fn() -> Vec<String>> {
    Box::new(move || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    })
}

fn command_rig(options: Value) -> Rig {
    let root = TempDir::new().unwrap();
    Rig {
        action: Box::new(command(root.path())),
        call: call(options),
        seen: lines(root.path().join("log")),
        keep: Box::new(root),
    }
}

fn http_rig(server: &Server, options: Value) -> Rig {
    let (server, puts) = (server.clone(), options["method"] == "PUT");
    Rig {
        action: Box::new(http()),
        call: call(options),
        seen: Box::new(move || match puts {
            true => server.stored(),
            false => server.effects(),
        }),
        keep: Box::new(()),
    }
}

/// A database with a table `t` of which `a` is unique.
fn sql_rig(options: Value) -> Rig {
    let root = TempDir::new().unwrap();
    let path = root.path().join("results.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("create table t (a integer unique, b)")
        .unwrap();
    let config = SqlConfig {
        databases: [("results".to_owned(), Database::Sqlite(path.clone()))].into(),
        sabotage_mark: false,
    };
    Rig {
        action: Box::new(Sql::new(config)),
        call: call(options),
        seen: Box::new(move || rows(&path)),
        keep: Box::new(root),
    }
}

fn rows(path: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut statement = database
        .prepare("select a || ' ' || coalesce(b, '') from t")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn put_rig(options: Value) -> Rig {
    let root = TempDir::new().unwrap();
    let path = root.path().to_owned();
    Rig {
        action: Box::new(Put::new(PutConfig {
            root: path.clone(),
            allowed: vec![],
            sources: vec!["/proc/self".into()],
        })),
        call: call(options),
        seen: Box::new(move || files(&path)),
        keep: Box::new(root),
    }
}

fn email_rig(post: &Post, options: Value) -> Rig {
    let root = TempDir::new().unwrap();
    let seen = post.clone();
    Rig {
        action: Box::new(post.email(root.path())),
        call: call(options),
        seen: Box::new(move || seen.taken().iter().map(|one| format!("{one:?}")).collect()),
        keep: Box::new(root),
    }
}

/// A Slack that takes every message.
async fn slack_server() -> Server {
    let server = Server::start().await;
    let done = r#"{"ok":true,"ts":"1.2","channel":"C1"}"#;
    server.answers("/api/chat.postMessage", 200, done);
    server
}

fn slack_rig(port: u16, server: &Server) -> Rig {
    let server = server.clone();
    Rig {
        action: Box::new(slack(port)),
        call: call(json!({"channel": "#orders", "text": "Order 7 is there"})),
        seen: Box::new(move || server.effects()),
        keep: Box::new(()),
    }
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(format!("{} {:?}", path.display(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

fn root_of(rig: &Rig) -> PathBuf {
    rig.keep
        .downcast_ref::<TempDir>()
        .unwrap()
        .path()
        .to_owned()
}

// Each step twice.

#[tokio::test]
async fn a_safe_command_twice_is_a_safe_command_once() {
    done_twice(&command_rig(
        json!({"shell": "echo done > log", "safe": true}),
    ))
    .await;
}

#[tokio::test]
async fn a_keyed_command_carries_the_same_key_and_reads_the_same_bytes() {
    let shell = "echo \"$ONCELY_KEY $(cat)\" >> log";
    let event = json!({"a": 1, "b": [2, "c"]});
    done_twice(&command_rig(
        json!({"shell": shell, "key_honoured": 1000, "stdin": event}),
    ))
    .await;
}

#[tokio::test]
async fn a_command_of_which_nothing_is_known_is_asked_about_and_keeps_its_key() {
    done_twice(&command_rig(json!({"shell": "echo $ONCELY_KEY >> log"}))).await;
}

#[tokio::test]
async fn requests_hold_what_their_method_declares() {
    let server = Server::start().await;
    let url = server.url("/things/1");
    for options in [
        json!({"method": "PUT", "url": url, "json": {"a": 1}}),
        json!({"method": "GET", "url": url}),
        json!({"method": "POST", "url": url, "json": {"b": 2, "a": 1}, "key_honoured": 1000}),
        json!({"method": "PATCH", "url": url, "form": {"a": "x y"}}),
    ] {
        server.told.lock().unwrap().received.clear();
        done_twice(&http_rig(&server, options)).await;
    }
}

#[tokio::test]
async fn a_mark_keeps_statements_from_being_executed_twice() {
    let insert = "insert into t (a, b) values (:a, 'x'); update t set b = b || '!'";
    done_twice(&sql_rig(
        json!({"db": "results", "text": insert, "bind": {"a": 1}}),
    ))
    .await;
}

#[tokio::test]
async fn a_file_put_twice_is_the_same_file() {
    done_twice(&put_rig(json!({"to": "out/a.json", "json": {"b": 1}}))).await;
    done_twice(&put_rig(
        json!({"to": "a.txt", "text": "hello", "if_absent": true}),
    ))
    .await;
}

#[tokio::test]
async fn a_call_twice_is_the_same_call() {
    done_twice(&Rig {
        action: Box::new(CallTask),
        call: call(json!({"task": "other", "event": {"a": 1}})),
        seen: Box::new(Vec::new),
        keep: Box::new(()),
    })
    .await;
}

#[tokio::test]
async fn a_mail_keeps_its_key_and_its_bytes_and_is_asked_about() {
    let post = Post::start().await;
    done_twice(&email_rig(
        &post,
        json!({"to": ["a@example.com", "b@example.com"], "subject": "Hi", "text": "x", "html": "y"}),
    ))
    .await;
}

#[tokio::test]
async fn a_message_keeps_its_key_and_its_bytes_and_is_asked_about() {
    let server = slack_server().await;
    done_twice(&slack_rig(server.port, &server)).await;
}

// An error at each point in turn.

fn command_fault(name: &str, options: Value, expected: Expected) -> Fault {
    Fault {
        name: name.into(),
        rig: command_rig(options),
        expected,
        mend: None,
    }
}

#[tokio::test]
async fn a_command_that_fails_leaves_no_trace_of_oncely() {
    for fault in [
        command_fault(
            "no program",
            json!({"args": ["bin/none"]}),
            Expected::Permanent,
        ),
        command_fault(
            "no folder",
            json!({"args": ["true"], "cwd": "none"}),
            Expected::Permanent,
        ),
        command_fault(
            "outside",
            json!({"args": ["true"], "cwd": "../.."}),
            Expected::Permanent,
        ),
        command_fault(
            "no secret",
            json!({
                "args": ["true"], "env": {"A": {"$secret": [{"name": "NONE"}]}},
            }),
            Expected::Permanent,
        ),
        command_fault("exit 3", json!({"shell": "exit 3"}), Expected::Retry),
        command_fault("exit 75", json!({"shell": "exit 75"}), Expected::Retry),
        command_fault("killed", json!({"shell": "kill -9 $$"}), Expected::Unknown),
        command_fault(
            "safe and killed",
            json!({"shell": "kill -9 $$", "safe": true}),
            Expected::Retry,
        ),
        command_fault(
            "group killed",
            json!({"shell": "kill -9 0"}),
            Expected::Unknown,
        ),
        command_fault(
            "no JSON",
            json!({"shell": "echo no", "output": "json"}),
            Expected::Unknown,
        ),
    ] {
        failed_without_trace(fault).await;
    }
    let mut fault = command_fault(
        "slow",
        json!({"shell": "read never < fifo"}),
        Expected::Unknown,
    );
    fifo(&root_of(&fault.rig).join("fifo"));
    fault.rig.call.timeout = std::time::Duration::from_millis(100);
    failed_without_trace(fault).await;
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn a_request_that_is_cut_off_is_as_doubtful_as_it_is_declared() {
    for cut in Cut::ALL {
        let url = format!("http://127.0.0.1:{}/", cutting(cut).await);
        let faults = [
            (json!({"url": url}), Expected::Retry),
            (json!({"url": url, "method": "DELETE"}), Expected::Retry),
            (json!({"url": url, "json": {}}), Expected::Unknown),
            (
                json!({"url": url, "json": {}, "key_honoured": 9}),
                Expected::Unknown,
            ),
        ];
        let server = Server::start().await;
        for (options, expected) in faults {
            let name = format!("{cut:?} {options}");
            let url = server.url("/mended");
            failed_without_trace(Fault {
                name,
                rig: http_rig(&server, options.clone()),
                expected,
                mend: (options["method"].is_null() && !options["json"].is_null()).then(|| {
                    Box::new(move |rig: &mut Rig| rig.call.options["url"] = url.into()) as _
                }),
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_request_that_was_never_sent_may_be_repeated() {
    // A port that nothing listens on any more.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let server = Server::start().await;
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{}/", server.port),
        "http://no-such-host.invalid/".to_owned(),
    ] {
        let rig = http_rig(&server, json!({"url": url, "json": {}}));
        failed_without_trace(Fault {
            name: url,
            rig,
            expected: Expected::Retry,
            mend: None,
        })
        .await;
    }
}

#[tokio::test]
async fn a_mail_that_fails_before_its_text_may_be_repeated_and_after_it_is_doubtful() {
    let known = [At::Greeting, At::Hello, At::From, At::To, At::Ask];
    let known = known.map(|at| (at, Expected::Retry));
    let doubtful = [At::Text, At::Taken].map(|at| (at, Expected::Unknown));
    for (at, expected) in known.into_iter().chain(doubtful) {
        for does in [Does::Cuts, Does::Says("no answer at all")] {
            let post = Post::start().await;
            post.does(at, does);
            let options = json!({"to": "a@example.com", "subject": "Hi", "text": "x"});
            failed_without_trace(Fault {
                name: format!("{at:?} {does:?}"),
                rig: email_rig(&post, options),
                expected,
                mend: Some(Box::new(move |_| post.works())),
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_message_that_is_cut_off_is_doubtful() {
    for cut in Cut::ALL {
        let server = slack_server().await;
        let port = server.port;
        failed_without_trace(Fault {
            name: format!("{cut:?}"),
            rig: slack_rig(cutting(cut).await, &server),
            expected: Expected::Unknown,
            mend: Some(Box::new(move |rig| rig.action = Box::new(slack(port)))),
        })
        .await;
    }
}

#[tokio::test]
async fn a_statement_that_fails_at_any_position_leaves_nothing() {
    for place in 0..4 {
        let mut statements = vec!["insert into t (a) values (1)".to_owned(); 4];
        for (at, statement) in statements.iter_mut().enumerate() {
            *statement = match at == place {
                true => "insert into t (a) values (7), (7)".into(),
                false => format!("insert into t (a) values ({at})"),
            };
        }
        failed_without_trace(Fault {
            name: format!("statement {place}"),
            rig: sql_rig(json!({"db": "results", "text": statements.join(";\n")})),
            expected: Expected::Permanent,
            mend: Some(Box::new(|rig| {
                rig.call.options["text"] = "insert into t (a) values (1)".into();
            })),
        })
        .await;
    }
}

#[tokio::test]
async fn a_busy_database_is_tried_again() {
    let mut rig = sql_rig(json!({"db": "results", "text": "insert into t (a) values (1)"}));
    rig.call.timeout = std::time::Duration::from_millis(50);
    let other = rusqlite::Connection::open(root_of(&rig).join("results.db")).unwrap();
    other.execute_batch("begin immediate").unwrap();
    failed_without_trace(Fault {
        name: "busy".into(),
        rig,
        expected: Expected::Retry,
        mend: Some(Box::new(move |_| drop(other))),
    })
    .await;
}

#[tokio::test]
async fn a_put_that_fails_leaves_no_file_behind() {
    let fault = |name: &str, options, expected| Fault {
        name: name.into(),
        rig: put_rig(options),
        expected,
        mend: None,
    };
    let outside = fault(
        "outside",
        json!({"to": "../a", "text": ""}),
        Expected::Permanent,
    );
    failed_without_trace(outside).await;
    let options = json!({"to": "a", "copy": "none"});
    failed_without_trace(fault("no source", options, Expected::Permanent)).await;
    // Memory that is not mapped cannot be read: the copy breaks in the middle.
    let options = json!({"to": "a", "copy": "/proc/self/mem"});
    failed_without_trace(fault("broken source", options, Expected::Retry)).await;

    let mut folder = fault(
        "a file on the way",
        json!({"to": "a/b", "text": "x"}),
        Expected::Permanent,
    );
    let blocking = root_of(&folder.rig).join("a");
    fs::write(&blocking, "in the way").unwrap();
    folder.mend = Some(Box::new(move |_| fs::remove_file(blocking).unwrap()));
    failed_without_trace(folder).await;

    let mut place = fault(
        "a folder in its place",
        json!({"to": "a", "text": "x"}),
        Expected::Permanent,
    );
    let blocking = root_of(&place.rig).join("a");
    fs::create_dir(&blocking).unwrap();
    place.mend = Some(Box::new(move |_| fs::remove_dir(blocking).unwrap()));
    failed_without_trace(place).await;

    let options = json!({"to": "a", "text": "x", "if_absent": true});
    let mut other = fault("other content", options, Expected::Permanent);
    let blocking = root_of(&other.rig).join("a");
    fs::write(&blocking, "y").unwrap();
    other.mend = Some(Box::new(move |_| fs::remove_file(blocking).unwrap()));
    failed_without_trace(other).await;
}

// Each undo twice.

#[tokio::test]
async fn a_file_is_taken_back_once() {
    undone_twice(&put_rig(json!({"to": "out/a.txt", "text": "hello"}))).await;
}

#[tokio::test]
async fn what_cannot_be_taken_back_says_so() {
    let post = Post::start().await;
    let server = slack_server().await;
    for rig in [
        slack_rig(server.port, &server),
        email_rig(
            &post,
            json!({"to": "a@example.com", "subject": "Hi", "text": "x"}),
        ),
        command_rig(json!({"args": ["true"]})),
        sql_rig(json!({"db": "results", "text": "select 1"})),
    ] {
        let undone = rig.action.undo(&rig.call, &json!({})).await;
        assert!(undone.unwrap_err().error().contains("give it an `undo`"));
    }
}
