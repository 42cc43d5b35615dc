//! The listener of `oncely serve`: where it listens, who may reach it, and who takes it over.

use crate::project::Project;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A project that listens there.
pub(crate) fn listening(address: &str) -> Project {
    let project = Project::new();
    gateway(&project, &format!("listen = {address:?}"));
    project
}

/// Puts a `[gateway]` into the configuration, in place of the one that is there.
fn gateway(project: &Project, keys: &str) {
    let toml = project.text("oncely.toml");
    let before = toml.split("\n[gateway]").next().unwrap();
    project.write("oncely.toml", format!("{before}\n[gateway]\n{keys}\n"));
}

/// Where it really listens.
pub(crate) fn address(project: &Project) -> String {
    let text = project.wait_text(".oncely/gateway.address", |text| text.ends_with('\n'));
    text.trim().to_owned()
}

/// What is answered to a request without a body.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_server_says_that_it_is_up_where_it_is_told_to_listen() {
    let project = listening("127.0.0.1:0");
    let server = project.serve(&[]);
    let address = address(&project);
    let up = get(&address, "/healthz");
    assert!(up.starts_with("HTTP/1.1 200"), "{up}");
    assert!(up.contains("{\"status\":\"ok\"}"), "{up}");
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
    server.stop().says(0, &[]);
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn other_machines_reach_a_server_only_where_somebody_says_so() {
    let project = listening("0.0.0.0:0");
    project
        .run(&["serve"])
        .says(2, &["gateway.listen", "expose = true", "Nothing was run."]);
    gateway(&project, "listen = \"0.0.0.0:0\"\nexpose = true");
    project.run(&["doctor"]).says(0, &["0.0.0.0:0, exposed"]);
    let server = project.serve(&[]);
    let port = address(&project).rsplit_once(':').unwrap().1.to_owned();
    let up = get(&format!("127.0.0.1:{port}"), "/healthz");
    assert!(up.starts_with("HTTP/1.1 200"), "{up}");
    server.stop().says(0, &[]);
}

#[test]
fn a_second_server_listens_when_the_first_is_gone() {
    let project = listening("127.0.0.1:0");
    let first = project.serve(&[]);
    let taken = address(&project);
    gateway(&project, &format!("listen = {taken:?}"));
    let mut second = project.serve(&[]);
    let told = second.hear("problem");
    let words = told["problem"].as_str().unwrap();
    assert!(words.contains("as soon as the address is free"), "{words}");
    first.stop().says(0, &[]);
    let heard = second.hear("listening");
    assert_eq!(heard["listening"], taken.as_str());
    assert!(get(&taken, "/healthz").starts_with("HTTP/1.1 200"));
    second.stop().says(0, &[]);
}

#[test]
fn what_is_wrong_about_the_listener_is_said_with_its_place() {
    let project = listening("127.0.0.1:8090");
    let wrong = [
        ("listen = \"localhost\"", "is no address"),
        (
            "listen = \"127.0.0.1:0\"\nurl = \"hooks.example.com\"",
            "is no base URL",
        ),
        ("header_time = \"soon\"", "is not a duration"),
        ("body_time = \"\"", "is not a duration"),
        ("connection = 3", "connections"),
    ];
    for (keys, words) in wrong {
        gateway(&project, keys);
        project
            .run(&["doctor"])
            .says(2, &["oncely.toml", words, "Nothing was run."]);
    }
    gateway(&project, "");
    project
        .run(&["doctor"])
        .says(0, &["none: no request can come in"]);
    let address = "192.0.2.1:9";
    gateway(&project, &format!("listen = {address:?}\nexpose = true"));
    project
        .run(&["serve"])
        .says(2, &["cannot listen on 192.0.2.1:9", "Nothing was run."]);
}
