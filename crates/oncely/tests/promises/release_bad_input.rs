//! What goes wrong around releases: each kind has its own clear error, nothing is lost or done twice,
//! and people read what to do next.
//!
//! Who may answer a question stands in `people.rs`, and what becomes of wrong links in `links.rs`; the
//! kinds of wrong task files and data in `bad_input.rs`.

use crate::gateway::{address, listening};
use crate::links::ask;
use crate::mail::Post;
use crate::project::{Ended, Project, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

/// A release task that is a script, with or without its run bit.
fn script(project: &Project, name: &str, text: &str, mode: u32) {
    let path = project.write(&format!("tasks/{name}"), text);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_task_without_its_run_bit_stops_everything_before_it_begins() {
    let project = Project::new();
    script(
        &project,
        "1_first.sh",
        "#!/bin/sh\necho first >> out\n",
        0o755,
    );
    script(
        &project,
        "2_next.sh",
        "#!/bin/sh\necho next >> out\n",
        0o644,
    );
    insta::assert_snapshot!(project.run(&["run", "--release", "v1"]).all());
    for args in [&["check"][..], &["plan"]] {
        project.run(args).says(
            2,
            &[
                "a task by its name, and cannot be executed",
                "chmod +x tasks/2_next.sh",
            ],
        );
    }
    assert_eq!(project.text("out"), "");
    script(
        &project,
        "2_next.sh",
        "#!/bin/sh\necho next >> out\n",
        0o755,
    );
    project.run(&["run", "--release", "v1"]).says(0, &["done"]);
    assert_eq!(project.text("out"), "first\nnext\n");
}

#[test]
fn a_task_whose_interpreter_is_not_there_fails_by_itself_and_names_it() {
    let project = Project::new();
    script(
        &project,
        "1_gone.sh",
        "#!/usr/bin/nosuch -x\necho x >> out\n",
        0o755,
    );
    script(
        &project,
        "2_windows.sh",
        "#!/bin/sh\r\necho x >> out\r\n",
        0o755,
    );
    script(&project, "3_none.sh", "echo x >> out\n", 0o755);
    script(
        &project,
        "4_good.sh",
        "#!/bin/sh\necho good >> out\n",
        0o755,
    );
    insta::assert_snapshot!(
        project
            .run(&["run", "--release", "v1", "--keep-going"])
            .all()
    );
    assert_eq!(project.text("out"), "good\n");
    // As the message says: the file is mended, and done as it is now.
    script(
        &project,
        "2_windows.sh",
        "#!/bin/sh\necho mended >> out\n",
        0o755,
    );
    project
        .run(&["rerun", "2", "--reason", "line ends"])
        .says(0, &["done 2_windows"]);
    assert_eq!(project.text("out"), "good\nmended\n");
}

/// A task that sends a mail by this server, one after it, and what `oncely run` says of it.
fn mailing(server: u16, timeout: &str) -> (Project, String) {
    let project = Project::new();
    project.write(
        "oncely.toml",
        format!(
            "[email]\nserver = \"smtp://127.0.0.1:{server}\"\ntls = \"none\"\nfrom = \"shop@example.com\"\n"
        ),
    );
    project.write(
        "tasks/1_tell.toml",
        format!("[on.release]\n\n[[step]]\nid = \"mail\"\nemail = {{ to = \"bob@example.com\", subject = \"News\", text = \"Here\\n\" }}\ntimeout = \"{timeout}\"\nretry = {{ attempts = 2, first = \"10ms\" }}\n"),
    );
    project.release_task(2, "next", "echo next >> out");
    let ended = project.run(&["run", "--release", "v1"]);
    let all = said(&ended, server);
    (project, all)
}

/// What a command said, without the port of a server and the key of a mail.
fn said(ended: &Ended, port: u16) -> String {
    let text = ended.all().replace(&format!(":{port}"), ":[port]");
    match text.split_once("the mail <") {
        Some((before, rest)) => {
            let (_, after) = rest.split_once('@').unwrap();
            format!("{before}the mail <[key]@{after}")
        }
        None => text,
    }
}

/// A mail server that says this, hears nothing, and keeps what it is connected by.
fn says_only(greeting: &'static [u8], closes: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(greeting);
            if !closes {
                open.push(stream);
            }
        }
    });
    port
}

#[test]
fn a_mail_server_that_refuses_fails_the_task_and_nothing_was_sent() {
    let (project, text) = mailing(says_only(b"554 we take no mail from you\r\n", true), "30s");
    insta::assert_snapshot!(text);
    assert_eq!(project.text("out"), "", "what comes after it waits");
}

#[test]
fn a_mail_server_that_hangs_is_tried_again_within_the_bound_and_then_fails() {
    let (project, text) = mailing(says_only(b"", false), "1s");
    insta::assert_snapshot!(text);
    project
        .run(&["logs", "1"])
        .says(0, &["failed, may be tried again", "(attempt 2)"]);
    assert_eq!(project.text("out"), "");
}

#[test]
fn a_mail_server_that_dies_after_the_text_leaves_an_unknown_that_is_never_sent_again_silently() {
    let post = Post::start(false);
    let (project, text) = mailing(post.port, "30s");
    insta::assert_snapshot!(text);
    for _ in 0..2 {
        project
            .run(&["run", "--release", "v2"])
            .says(4, &["unknown 1_tell", "oncely settle 1"]);
    }
    assert_eq!(post.taken().len(), 1, "it was sent once");
    assert_eq!(project.text("out"), "", "what comes after it is held");
    project.run(&["resume", "1"]).says(1, &["unknown"]);
    project
        .run(&["settle", "1", "done", "--reason", "it is in the mailbox"])
        .says(0, &[]);
    project
        .run(&["run", "--release", "v2"])
        .says(0, &["done 2_next"]);
    assert_eq!(post.taken().len(), 1, "and stays sent once");
}

/// A Slack that is busy the first time, and asks to wait so many seconds; it keeps what was asked.
fn busy_slack(seconds: u32) -> (u16, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(0));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let first = {
                let mut asked = kept.lock().unwrap();
                *asked += 1;
                *asked == 1
            };
            let _ = answer(&mut stream, first, seconds);
        }
    });
    (port, asked)
}

fn answer(stream: &mut TcpStream, busy: bool, seconds: u32) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !text.ends_with(b"}") {
        match stream.read(&mut chunk)? {
            0 => break,
            bytes => text.extend_from_slice(&chunk[..bytes]),
        }
    }
    let body = r#"{"ok":true,"ts":"1.2","channel":"C1"}"#;
    let answer = match busy {
        true => format!(
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n"
        ),
        false => format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    };
    stream.write_all(answer.as_bytes())
}

fn telling(slack: u16) -> Project {
    let project = Project::new().variable("ONCELY_SECRET_SLACK_TOKEN", "xoxb-hush-hush");
    project.write(
        "oncely.toml",
        format!("[slack]\napi = \"http://127.0.0.1:{slack}/api\"\n"),
    );
    project.write(
        "tasks/1_tell.toml",
        "[on.release]\n\n[[step]]\nid = \"tell\"\nslack = { channel = \"#ops\", text = \"x\" }\nretry = { attempts = 3, first = \"1ms\", max = \"1ms\" }\n",
    );
    project
}

#[test]
fn a_slack_that_asks_for_patience_gets_it_and_people_see_until_when() {
    let (slack, asked) = busy_slack(3600);
    let project = telling(slack);
    let run = project.start(&["run", "--release", "v1"]);
    project.wait_run("waiting");
    let status = project.run(&["status"]).all();
    assert!(status.contains("waiting"), "{status}");
    insta::assert_snapshot!(status);
    // It is woken and told to stop: it neither asks again nor loses the run.
    assert_eq!(run.stop().code, 1);
    assert_eq!(
        *asked.lock().unwrap(),
        1,
        "it was asked again before its time"
    );
    assert_eq!(project.json(&["runs", "--state", "waiting"]).len(), 1);
}

#[test]
fn a_slack_that_was_busy_is_told_once_its_time_has_come() {
    let (slack, asked) = busy_slack(1);
    let project = telling(slack);
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["done 1_tell"]);
    assert_eq!(*asked.lock().unwrap(), 2);
    let logs = project.json(&["logs", "1"]);
    let at = |n: usize| logs[n]["at"].as_i64().unwrap();
    let busy = logs.iter().position(|l| l.to_string().contains("429"));
    let busy = busy.unwrap();
    let waited = at(busy + 1) - at(busy);
    assert!(waited >= 1000, "{waited} ms");
}

#[test]
fn a_used_link_an_altered_one_and_an_expired_one_say_so_and_change_nothing() {
    let project = listening("127.0.0.1:0");
    let toml = project.text("oncely.toml") + "\n[people]\nanna = {}\n";
    project.write("oncely.toml", toml);
    project.write(
        "tasks/1_send.toml",
        "[on.release]\n\n[[step]]\nid = \"ok\"\napprove = { text = \"Send it?\", by = \"anna\" }\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n",
    );
    let server = project.serve(&[]);
    let at = address(&project);
    let toml = project.text("oncely.toml");
    project.write("oncely.toml", toml.replace("127.0.0.1:0", &at));
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["waiting"]);
    let link = |more: &[&str]| {
        let said = project.json(&[&["link", "1", "--for", "anna"], more].concat());
        let url = said[0]["url"].as_str().unwrap().to_owned();
        url[url.find("/answer/").unwrap()..].to_owned()
    };
    let good = link(&[]);
    let expired = link(&["--expires", "1ms"]);
    let other = if &good[20..21] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &good[..20], &good[21..]);
    let words = |path: &str| {
        let page = ask(&at, "POST", path, "answer=yes");
        let status = page.lines().next().unwrap().to_owned();
        let text = page.split_once("<main>").map_or(&*page, |(_, main)| main);
        format!("{status}\n{}\n", plain(text))
    };
    let before = format!("{}\n{}", words(&expired), words(&altered));
    assert_eq!(project.text("out"), "", "a wrong link did something");
    words(&good);
    project.wait_text("out", |text| text == "sent\n");
    // When it was answered stands behind.
    let used = words(&good);
    let (used, _) = used.split_once(" on 20").unwrap();
    insta::assert_snapshot!(format!("{before}\n{used}"));
    server.stop().says(0, &[]);
    assert_eq!(project.text("out"), "sent\n");
}

/// The words of a page.
fn plain(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_was_taken_back_is_not_taken_back_once_more() {
    let project = Project::new();
    project.write(
        "tasks/1_note.toml",
        "[on.release]\n\n[[step]]\nid = \"do\"\ncommand = \"echo done >> out\"\nundo = { command = \"echo undone >> out\" }\n",
    );
    project.run(&["run", "--release", "v1"]).says(0, &["done"]);
    project.run(&["undo", "1", "--yes"]).says(0, &[]);
    insta::assert_snapshot!(project.session(&[
        &["undo", "1", "--yes"],
        &["undo", "2", "--yes"],
        &["status"],
    ]));
    assert_eq!(project.text("out"), "done\nundone\n");
}

#[test]
fn an_application_database_that_cannot_be_used_is_said_and_nothing_is_imported() {
    let project = Project::new();
    rusqlite::Connection::open(project.path("other.sqlite3"))
        .and_then(|db| db.execute_batch("create table users (id integer)"))
        .unwrap();
    rusqlite::Connection::open(project.path("columns.sqlite3"))
        .and_then(|db| db.execute_batch("create table task_records (name text)"))
        .unwrap();
    project.write(
        "letter.sqlite3",
        "My dear aunt, this is no database. ".repeat(50),
    );
    let mut text = String::new();
    for url in [
        "sqlite3:none.sqlite3",
        "sqlite3:letter.sqlite3",
        "sqlite3:tasks",
        "sqlite3:other.sqlite3",
        "sqlite3:columns.sqlite3",
        "shop",
        "postgres://u:s3cret@127.0.0.1:1/shop",
        "postgres://u:s3cret@127.0.0.1:port/shop",
        "postgres://u@127.0.0.1",
        "mysql2://u:s3cret@127.0.0.1:1/shop",
        "mysql2://u@127.0.0.1:1/",
        "mongodb://h/shop",
    ] {
        let mut command = project.command(&["import", "after_party"]);
        command.env("DATABASE_URL", url);
        let all = project.ended(command).all();
        let shown = url.replace("s3cret", "…");
        text.push_str(&format!("DATABASE_URL={shown}\n{all}"));
    }
    assert!(!text.contains("s3cret"), "{text}");
    insta::assert_snapshot!(text);
    assert!(project.json(&["runs"]).is_empty());
}

#[test]
fn a_task_renamed_or_edited_after_it_ran_is_shown_and_not_run_again() {
    let post = Post::start(true);
    let project = Project::new();
    let email = format!(
        "[email]\nserver = \"smtp://127.0.0.1:{}\"\ntls = \"none\"\nfrom = \"shop@example.com\"\n",
        post.port
    );
    project.write("oncely.toml", email);
    project.release_task(1, "edited", "echo 1 >> out");
    project.release_task(2, "renamed", "echo 2 >> out");
    script(&project, "3_both.sh", "#!/bin/sh\necho 3 >> out\n", 0o755);
    project.write("mails/4.txt", "Hello\n");
    project.write(
        "tasks/4_template.toml",
        "[on.release]\n\n[[step]]\nid = \"say\"\nemail = { to = \"bob@example.com\", subject = \"x\", template = \"mails/4.txt\" }\n",
    );
    project.release_task(5, "same", "echo 5 >> out");
    project.run(&["run", "--release", "v1"]).says(0, &["done"]);
    let before = project.text("out");
    project.release_task(1, "edited", "echo edited >> out");
    let rename = |from: &str, to: &str| {
        fs::rename(project.path(from), project.path(to)).unwrap();
    };
    rename("tasks/2_renamed.toml", "tasks/2_another.toml");
    rename("tasks/3_both.sh", "tasks/3_other.sh");
    script(
        &project,
        "3_other.sh",
        "#!/bin/sh\necho other >> out\n",
        0o755,
    );
    project.write("mails/4.txt", "Another text\n");
    insta::assert_snapshot!(project.session(&[&["status"], &["plan"], &["check"]]));
    for release in ["v2", "v3"] {
        project
            .run(&["run", "--release", release])
            .says(0, &["Nothing to do: 5 tasks already done here."]);
    }
    assert_eq!(project.text("out"), before, "something ran once more");
    assert_eq!(post.taken().len(), 1, "a mail was sent once more");
    // Every way that reads the files says the same, and still does when they look as they did.
    let changed = |args: &[&str]| {
        let lines = project.json(args);
        let own = |line: &serde_json::Value| match args[0] {
            "status" => line["changed"].clone(),
            _ => line.clone(),
        };
        let lines = lines.iter().map(own);
        let lines = lines.filter(|line| line["changed"].is_string());
        lines.collect::<Vec<_>>()
    };
    let told = changed(&["status"]);
    assert_eq!(told.len(), 4);
    for args in [["plan"], ["check"], ["status"]] {
        assert_eq!(changed(&args), told, "{args:?}");
    }
    // Done as it is now, it is as it was when it ran.
    project
        .run(&["rerun", "1", "--reason", "the new text"])
        .says(0, &["done 1_edited"]);
    assert_eq!(changed(&["status"]).len(), 3);
}

#[test]
fn what_runs_at_every_release_or_was_taken_back_is_edited_freely() {
    let project = Project::new();
    let every = "[on.release]\nevery = true\n\n[[step]]\nid = \"a\"\ncommand = \"true\"\n";
    project.write("tasks/1_every.toml", every);
    let undone =
        "[on.release]\n\n[[step]]\nid = \"a\"\ncommand = \"true\"\nundo = { command = \"true\" }\n";
    project.write("tasks/2_undone.toml", undone);
    project.call_task("greet", "true");
    project.run(&["run", "--release", "v1"]).says(0, &["done"]);
    project.run(&["call", "greet", "--key", "k"]).says(0, &[]);
    project.run(&["undo", "2", "--yes"]).says(0, &[]);
    for file in ["1_every", "2_undone", "greet"] {
        let file = format!("tasks/{file}.toml");
        let text = project.text(&file);
        project.write(&file, format!("{text}# another text\n"));
    }
    for args in [["status"], ["check"], ["plan"]] {
        let said = project.run(&args).all();
        assert!(!said.contains("edited"), "{said}");
    }
}

#[test]
fn a_command_that_only_reads_files_goes_without_a_ledger_that_it_cannot_read() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.write("text.db", "no ledger");
    let mut check = project.command(&["check"]);
    check.env("ONCELY_LEDGER", "text.db");
    project.ended(check).says(0, &["1 task, no errors."]);
    let mut check = project.command(&["check"]);
    check.env("ONCELY_LEDGER", "postgres://u@127.0.0.1:1/ledger");
    project.ended(check).says(0, &["1 task, no errors."]);
}

#[test]
fn a_ledger_that_is_just_being_made_is_none_yet_and_no_error() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.write(".oncely/ledger.db", "");
    for args in [&["status"][..], &["runs"], &["plan"], &["check"]] {
        project.run(args).says(0, &[]);
    }
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["done 1_a"]);
}

#[test]
fn what_waits_and_was_paused_or_is_to_be_cancelled_is_shown_as_that() {
    let project = Project::new();
    project.write(
        "tasks/1_ask.toml",
        "[on.release]\n\n[[step]]\nid = \"ok\"\napprove = \"Send it?\"\n",
    );
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["waiting"]);
    insta::assert_snapshot!(project.session(&[
        &["pause", "1", "--detach"],
        &["status"],
        &["resume", "1", "--detach"],
        &["status"],
        &["cancel", "1", "--detach"],
        &["status"],
    ]));
    project.run(&["run", "--release", "v1"]);
    wait("the run to be cancelled", || {
        project.json(&["runs", "--state", "cancelled"]).len() == 1
    });
}
