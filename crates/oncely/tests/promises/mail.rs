//! Mails, from a release task with a template to a mail server on this machine.

use crate::gateway::address;
use crate::links::ask;
use crate::project::{Ended, Project, wait};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The release task of the design, for every environment.
const NOTIFY: &str = include_str!("../../../core/tests/tasks/notify_issue_111.toml");
const FILE: &str = "tasks/20261122101500_notify_issue_111.toml";

/// A mail server that keeps what it takes; without `answers` it never says that it did.
pub(crate) struct Post {
    pub(crate) port: u16,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Post {
    pub(crate) fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = talk(stream, &kept, answers);
            }
        });
        Self { port, taken }
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

fn talk(mut stream: TcpStream, taken: &Mutex<Vec<String>>, answers: bool) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"220 post\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let verb = line.split(' ').next().unwrap_or_default();
        match verb {
            "QUIT" => return stream.write_all(b"221 bye\r\n"),
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let text = lines.by_ref().map_while(Result::ok);
                let text: Vec<String> = text.take_while(|line| line != ".").collect();
                taken.lock().unwrap().push(text.join("\n"));
                if !answers {
                    return Ok(());
                }
                stream.write_all(b"250 taken\r\n")?;
            }
            _ => stream.write_all(b"250 fine\r\n")?,
        }
    }
    Ok(())
}

/// A project with the task of the design, its templates and this mail server.
fn project(post: &Post) -> Project {
    let project = Project::new();
    let config = format!(
        "environment = \"production\"\n\n[email]\nserver = \"smtp://127.0.0.1:{}\"\ntls = \"none\"\n\
         from = \"Shop <shop@example.com>\"\n",
        post.port
    );
    project.write("oncely.toml", config);
    project.write(FILE, NOTIFY);
    project.write("mails/issue_111.txt", "Fixed in {{ event.environment }}.\n");
    project.write("mails/issue_111_wait.txt", "Please wait.\n");
    project
}

fn run(project: &Project) -> Ended {
    project.run(&["run"])
}

#[test]
fn the_release_task_of_the_design_tells_the_customer_once() {
    let post = Post::start(true);
    let project = project(&post);
    project.run(&["plan"]).says(
        0,
        &["mail: sends a mail to cs@example.com: Issue 111 is fixed"],
    );
    run(&project).says(0, &["done"]);
    run(&project).says(0, &["Nothing to do"]);
    let taken = post.taken();
    assert_eq!(taken.len(), 1);
    for line in [
        "Subject: Issue 111 is fixed",
        "To: cs@example.com",
        "From: Shop <shop@example.com>",
        "Fixed in production.",
    ] {
        assert!(taken[0].contains(line), "{}", taken[0]);
    }
}

#[test]
fn a_mail_of_which_nothing_is_known_is_not_sent_again() {
    let post = Post::start(false);
    let project = project(&post);
    project.run(&["run"]);
    project
        .run(&["status"])
        .says(0, &["unknown", "oncely settle 1"]);
    project.run(&["run"]);
    assert_eq!(post.taken().len(), 1);
    project
        .run(&["show", "1"])
        .says(0, &["whether the server took it is not known"]);
}

#[test]
fn a_template_that_is_missing_or_wrong_stops_the_release_before_it_begins() {
    let post = Post::start(true);
    let project = project(&post);
    std::fs::remove_file(project.path("mails/issue_111_wait.txt")).unwrap();
    run(&project).says(2, &["there is no file mails/issue_111_wait.txt", FILE]);
    project.write("mails/issue_111_wait.txt", "Hello {{ event.nme }}\n");
    run(&project).says(
        2,
        &[
            "mails/issue_111_wait.txt:1:10",
            "Hello {{ event.nme }}",
            "has no `nme`",
        ],
    );
    std::fs::remove_file(project.path("mails/issue_111_wait.txt")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", project.path("mails/issue_111_wait.txt")).unwrap();
    run(&project).says(2, &["a link leads out of the project"]);
    assert!(post.taken().is_empty());
}

#[test]
fn a_server_takes_in_a_template_that_changes() {
    let post = Post::start(true);
    let project = project(&post);
    std::fs::remove_file(project.path(FILE)).unwrap();
    project.write(
        "tasks/tell.toml",
        "[on.call]\n\n[[step]]\nid = \"mail\"\nemail = { to = \"a@example.com\", subject = \"x\", \
         template = \"mails/a.txt\" }\n",
    );
    project.write("mails/a.txt", "first\n");
    let mut server = project.serve(&[]);
    let call = |key| project.run(&["call", "tell", "--key", key, "--detach"]);
    call("1").says(0, &[]);
    wait("the first mail", || post.taken().len() == 1);
    project.write("mails/a.txt", "second, and longer\n");
    server.hear("reloaded");
    call("2").says(0, &[]);
    wait("the second mail", || post.taken().len() == 2);
    assert!(post.taken()[1].contains("second, and longer"));
    assert_eq!(server.stop().code, 0);
}

#[test]
fn a_run_ends_with_the_template_that_it_began_with() {
    let post = Post::start(true);
    let project = project(&post);
    project.write(
        FILE,
        "[on.release]\n\n[[step]]\nid = \"ask\"\napprove = \"Send it?\"\n\n[[step]]\nid = \"mail\"\n\
         email = { to = \"a@example.com\", subject = \"x\", template = \"mails/issue_111.txt\" }\n",
    );
    project.run(&["run"]);
    project.write("mails/issue_111.txt", "Another text.\n");
    project.run(&["approve", "1"]).says(0, &[]);
    project.run(&["run"]);
    let taken = post.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].contains("Fixed in production."), "{}", taken[0]);
}

#[test]
fn doctor_shows_the_mail_server_and_a_password_that_is_missing() {
    let post = Post::start(true);
    let project = project(&post);
    project
        .run(&["doctor"])
        .says(0, &["email.server", "tls none", "Shop <shop@example.com>"]);
    let config = project.text("oncely.toml") + "user = \"shop\"\n";
    project.write("oncely.toml", config);
    project
        .run(&["doctor"])
        .says(1, &["LOOK email password", "ONCELY_SECRET_EMAIL_PASSWORD"]);
    let mut given = project.command(&["doctor"]);
    given.env("ONCELY_SECRET_EMAIL_PASSWORD", "hush");
    project.ended(given).says(0, &["email password", "given"]);
}

#[test]
fn a_wrong_mail_server_is_said_before_anything_runs() {
    let project = Project::new();
    let said = |config: &str| {
        project.write("oncely.toml", format!("[email]\n{config}\n"));
        let ended = project.run(&["run"]);
        assert_eq!(ended.code, 2, "{}", ended.all());
        ended.err
    };
    insta::assert_snapshot!(said("server = \"mail.example.com\"\ntls = \"none\""), @r#"oncely: oncely.toml, email.server: tls = "none" is for a mail server on this machine, and mail.example.com is another: use "starttls" or "tls". Nothing was run."#);
    insta::assert_snapshot!(said("user = \"shop\""), @r#"oncely: oncely.toml: email.user is given without email.server. Write it like server = "smtp://mail.example.com:587". Nothing was run."#);
    insta::assert_snapshot!(said("server = \"smtp://a:b@mail.example.com\""), @"oncely: oncely.toml, email.server: a server is named without user and password: give `user`, and the password as the secret EMAIL_PASSWORD. Nothing was run.");
}

/// A task whose question is told to two of three people.
fn asking(post: &Post) -> Project {
    let project = project(post);
    let config = project.text("oncely.toml");
    let people = "\n[people]\nanna = { email = \"anna@example.com\", roles = [\"lead\"] }\nann = { email = \"ann@example.com\", roles = [\"lead\"] }\nbob = { email = \"bob@example.com\", roles = [\"lead\"] }\n";
    project.write("oncely.toml", format!("{config}{people}"));
    project.write(
        "tasks/send.toml",
        "[on.call]\n\n[[step]]\nid = \"ok\"\n\n[step.approve]\ntext = \"Send it?\"\ntick = [\"Backups are fresh\"]\nby = \"lead\"\nnot_by = \"starter\"\ntell = \"email\"\n",
    );
    project
}

/// Starts it, and lets it be decided about once more.
fn looked_at_twice(project: &Project) {
    let waits = &["waiting send: Send it?"];
    project.run(&["call", "send", "--key", "k"]).says(0, waits);
    project.run(&["pause", "1", "--detach"]).says(0, &[]);
    project.run(&["resume", "1"]).says(0, waits);
}

#[test]
fn those_who_may_answer_are_told_once_each() {
    let post = Post::start(true);
    let project = asking(&post);
    looked_at_twice(&project);
    let taken = post.taken();
    assert_eq!(taken.len(), 2, "{taken:?}");
    for (mail, to) in taken.iter().zip(["anna@example.com", "bob@example.com"]) {
        for line in [
            &*format!("To: {to}"),
            "Subject: Send it?",
            "[1] Backups are fresh",
            "Yes: oncely approve 1 --tick all",
        ] {
            assert!(mail.contains(line), "no {line:?} in {mail}");
        }
    }
    project
        .run(&["approve", "1", "--by", "anna", "--tick", "all"])
        .says(0, &["Approved run 1.", "done send"]);
    assert_eq!(post.taken().len(), 2);
}

#[test]
fn a_message_of_which_nothing_is_known_is_not_sent_again_and_the_question_stands() {
    let post = Post::start(false);
    let project = asking(&post);
    looked_at_twice(&project);
    assert_eq!(post.taken().len(), 2);
    project.run(&["logs", "1"]).says(
        0,
        &[
            "settled by on_unknown",
            "may have been sent is not sent again",
        ],
    );
    project
        .run(&["approve", "1", "--by", "bob", "--tick", "all"])
        .says(0, &["done send"]);
}

#[test]
fn a_mail_holds_a_link_that_answers_for_its_reader_and_that_the_ledger_does_not_know() {
    let post = Post::start(true);
    let project = asking(&post);
    let config = project.text("oncely.toml");
    let gateway =
        "[gateway]\nlisten = \"127.0.0.1:0\"\nurl = \"https://answers.example.com/once\"\n";
    project.write("oncely.toml", format!("{config}\n{gateway}"));
    project
        .run(&["call", "send", "--key", "k"])
        .says(0, &["waiting send"]);
    let mails = post.taken();
    let to_anna = mails.iter().find(|mail| mail.contains("To: anna@"));
    // Long lines of a mail are broken by `=`.
    let mail = to_anna.unwrap().replace("=\n", "");
    let (_, link) = mail
        .split_once("https://answers.example.com/once/answer/")
        .unwrap_or_else(|| panic!("no link in {mail}"));
    let link = link.lines().next().unwrap();
    for file in [".oncely/ledger.db", ".oncely/ledger.db-wal"] {
        let bytes = std::fs::read(project.path(file)).unwrap_or_default();
        let there = bytes
            .windows(link.len())
            .any(|part| part == link.as_bytes());
        assert!(!there, "{file}");
    }
    let server = project.serve(&[]);
    let path = format!("/answer/{link}");
    let taken = ask(&address(&project), "POST", &path, "answer=yes&tick=1");
    assert!(taken.starts_with("HTTP/1.1 303"), "{taken}");
    project.wait_run("done");
    project
        .run(&["logs", "1"])
        .says(0, &["approved by anna as lead with a link"]);
    server.stop().says(0, &[]);
}
