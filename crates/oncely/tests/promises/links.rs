//! Questions that are answered by a link, on the page of `oncely serve`.

use crate::gateway::{address, listening};
use crate::project::{Project, Running};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A project that listens, with people and a task that asks one of them.
fn asking(approve: &str) -> Project {
    let project = listening("127.0.0.1:0");
    let toml = project.text("oncely.toml");
    let people =
        "[people]\nanna = { email = \"anna@example.com\", roles = [\"lead\"] }\nbob = {}\n";
    project.write("oncely.toml", format!("{toml}\n{people}"));
    project.write(
        "tasks/send.toml",
        format!("[on.call]\n\n[[step]]\nid = \"ok\"\napprove = {{ text = \"Send {{{{ event.what }}}}?\", by = \"lead\", {approve} }}\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n"),
    );
    project.write("event.json", r#"{"what": "<b>all</b> & more"}"#);
    project
}

/// A server, and run 1, which waits for an answer.
fn waiting(project: &Project) -> (Running, String) {
    let server = project.serve(&[]);
    let at = address(project);
    let toml = project.text("oncely.toml");
    project.write("oncely.toml", toml.replace("127.0.0.1:0", &at));
    let call = ["call", "send", "--key", "k", "--event", "event.json"];
    project.run(&call).says(0, &["waiting send"]);
    (server, at)
}

/// The path of a link to run 1.
fn link(project: &Project, more: &[&str]) -> String {
    let all = [&["link", "1", "--for", "anna"], more].concat();
    let said = project.json(&all);
    let url = said[0]["url"].as_str().unwrap().to_owned();
    let place = url.find("/answer/").unwrap();
    url[place..].to_owned()
}

/// What is answered to a request with this body.
pub(crate) fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn says(answer: &str, status: &str, words: &[&str]) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
    for word in words {
        assert!(answer.contains(word), "no {word:?} in:\n{answer}");
    }
}

#[test]
fn a_link_shows_the_question_and_only_a_post_answers_it() {
    let project = asking("tick = [\"Backups are fresh\"]");
    let (server, at) = waiting(&project);
    let path = link(&project, &[]);
    let page = ask(&at, "GET", &path, "");
    says(
        &page,
        "200",
        &[
            "Send &lt;b&gt;all&lt;&#x2f;b&gt; &amp; more?",
            "Backups are fresh",
            "You answer as anna.",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "frame-ancestors 'none'",
        ],
    );
    says(&ask(&at, "HEAD", &path, ""), "200", &[]);
    says(&ask(&at, "PUT", &path, "answer=yes"), "405", &[]);
    let get = format!("{path}?answer=yes&tick=1");
    says(&ask(&at, "GET", &get, ""), "200", &["You answer as anna."]);
    says(
        &ask(&at, "POST", &path, "answer=maybe"),
        "400",
        &["neither yes nor no"],
    );
    let unticked = ask(&at, "POST", &path, "answer=yes");
    says(
        &unticked,
        "422",
        &["a yes needs everything ticked", "Backups are fresh"],
    );
    assert_eq!(project.json(&["runs", "--state", "waiting"]).len(), 1);

    let taken = ask(&at, "POST", &path, "answer=yes&tick=1&note=go+on");
    says(
        &taken,
        "303",
        &[&format!("location: {}", &path["/answer/".len()..])],
    );
    project.wait_text("out", |text| text == "sent\n");
    says(&ask(&at, "GET", &path, ""), "200", &["anna said yes on"]);
    says(
        &ask(&at, "POST", &path, "answer=no"),
        "409",
        &["anna said yes on"],
    );
    project.run(&["logs", "1"]).says(
        0,
        &[
            "link for anna made by ann",
            "approved by anna as lead with a link (go on)",
        ],
    );
    server.stop().says(0, &[]);
}

#[test]
fn a_link_that_is_altered_expired_or_of_nobody_changes_nothing() {
    let project = asking("not_by = \"starter\"");
    let (server, at) = waiting(&project);
    let path = link(&project, &[]);
    let other = if &path[20..21] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &path[..20], &path[21..]);
    for wrong in [&*altered, &path[..path.len() - 1], "/answer/x"] {
        let answer = ask(&at, "POST", wrong, "answer=yes");
        says(
            &answer,
            "404",
            &["this link is none of ours, or was changed on its way"],
        );
    }
    says(&ask(&at, "GET", "/answer/", ""), "404", &[]);
    let brief = link(&project, &["--expires", "1ms"]);
    let answer = ask(&at, "POST", &brief, "answer=yes");
    says(
        &answer,
        "410",
        &["this link has expired. Nothing was changed."],
    );
    let text = project.session(&[
        &["link", "1", "--for", "bob"],
        &["link", "1", "--for", "mallory"],
        &["link", "1", "--for", "anna", "--expires", "soon"],
        &["link", "9", "--for", "anna"],
    ]);
    insta::assert_snapshot!(text, @r#"
    $ oncely link 1 --for bob
    oncely: run 1: bob may not answer: it is for lead. Nothing was changed.
    [exit 1]
    $ oncely link 1 --for mallory
    oncely: `mallory` is not in [people] of oncely.toml, and a link is for somebody who is known. No link was made.
    [exit 1]
    $ oncely link 1 --for anna --expires soon
    oncely: --expires "soon" is not a duration. Write it like 4h or 2d. No link was made.
    [exit 2]
    $ oncely link 9 --for anna
    oncely: there is no run 9 in this ledger. `oncely runs` lists them.
    [exit 2]
    "#);
    let toml = project.text("oncely.toml");
    let without = toml.replace("anna = {", "anne = {");
    project.write("oncely.toml", without);
    server.stop().says(0, &[]);
    let server = project.serve(&[]);
    says(
        &ask(&at, "POST", &path, "answer=yes"),
        "403",
        &["anna may not answer"],
    );
    assert_eq!(project.json(&["runs", "--state", "waiting"]).len(), 1);
    assert_eq!(project.text("out"), "");
    server.stop().says(0, &[]);
}

#[test]
fn a_project_that_nobody_can_reach_makes_no_links() {
    let project = Project::new();
    project.run(&["link", "1", "--for", "anna"]).says(
        2,
        &[
            "no address leads to a page",
            "[gateway]",
            "No link was made.",
        ],
    );
}

#[test]
fn a_key_that_could_be_guessed_is_refused() {
    let project = listening("127.0.0.1:0").variable("ONCELY_SECRET_LINK_KEY", "short");
    project.run(&["serve"]).says(
        2,
        &[
            "the secret LINK_KEY has fewer than 32 characters",
            "Nothing was run.",
        ],
    );
}

#[test]
fn a_page_names_the_task_as_people_know_it() {
    let project = asking("");
    project.write(
        "tasks/20260101000000_open_beta.toml",
        "[[step]]\nid = \"ok\"\napprove = { text = \"Open it?\", by = \"lead\" }\n",
    );
    project.run(&["run"]).says(0, &["waiting"]);
    let server = project.serve(&[]);
    let at = address(&project);
    let toml = project.text("oncely.toml");
    project.write("oncely.toml", toml.replace("127.0.0.1:0", &at));
    let page = ask(&at, "GET", &link(&project, &[]), "");
    says(
        &page,
        "200",
        &["Run 1 of 20260101000000_open_beta in development asks"],
    );
    project
        .run(&["status"])
        .says(0, &["waiting", "asks: Open it?"]);
    server.stop().says(0, &[]);
}
