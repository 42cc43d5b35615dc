//! `on.webhook`: a request is answered when its run is in the ledger, and starts one run.

use crate::gateway::{address, listening};
use crate::project::{Project, Running};
use hmac::{Hmac, KeyInit, Mac};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TASK: &str = r#"
[on.webhook]
path = "/hooks/orders"
key  = "event.body.id"

  [on.webhook.verify]
  style  = "hmac"
  secret = ["{{ secret.HOOK_NEW }}", "{{ secret.HOOK }}"]

[[step]]
id      = "write"
command = ["sh", "-c", "echo $ID >> out"]
"#;

fn project() -> Project {
    let project = listening("127.0.0.1:0").variable("ONCELY_SECRET_HOOK", "hush");
    let task = TASK.replace(
        "command = [\"sh\", \"-c\", \"echo $ID >> out\"]",
        "command = { shell = \"echo $ID >> out\", env = { ID = \"{{ event.body.id }}\" } }",
    );
    project.write("tasks/order.toml", task);
    project
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// What is answered, or what became of the connection.
fn send(address: &str, signature: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let text = format!(
        "POST /hooks/orders HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-signature: {signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

fn order(address: &str, secret: &str, id: usize) -> std::io::Result<String> {
    let body = format!("{{\"id\": \"order-{id}\"}}");
    send(address, &signature(secret, &body), &body)
}

fn runs(project: &Project) -> Vec<serde_json::Value> {
    let rows = project.json(&["runs", "--limit", "1000"]);
    rows.into_iter()
        .filter(|row| row.get("run").is_some())
        .collect()
}

#[test]
fn a_request_starts_its_run_once_and_a_forged_one_none() {
    let project = project();
    let server = project.serve(&[]);
    let address = address(&project);
    let first = order(&address, "hush", 1).unwrap();
    assert!(first.starts_with("HTTP/1.1 202"), "{first}");
    // What was answered is in the ledger.
    assert_eq!(runs(&project).len(), 1);
    let again = order(&address, "hush", 1).unwrap();
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    assert!(again.contains("duplicate"), "{again}");
    for forged in ["", "hush2", "HUSH"] {
        let said = order(&address, forged, 666).unwrap();
        assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    }
    let body = "{\"id\": \"order-2\"}";
    let other = send(&address, &signature("hush", body), "{\"id\": \"order-3\"}").unwrap();
    assert!(other.starts_with("HTTP/1.1 401"), "{other}");
    project.wait_lines("out", 1);
    let ended = server.stop();
    assert_eq!(runs(&project).len(), 1);
    assert_eq!(project.text("out"), "order-1\n");
    let log = ended.all();
    assert!(
        log.contains("a request to /hooks/orders was refused"),
        "{log}"
    );
    for hidden in [
        "666",
        "order-2",
        "order-3",
        "hush",
        &signature("hush2", body),
    ] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
}

#[test]
fn a_secret_is_replaced_while_the_server_goes_on() {
    let project = project();
    let toml = project.text("oncely.toml");
    project.write("oncely.toml", format!("secrets = \"secrets\"\n{toml}"));
    let server = project.serve(&[]);
    let address = address(&project);
    let status = |secret: &str, id| order(&address, secret, id).unwrap()[9..12].to_owned();
    assert_eq!(
        (status("hush", 1), status("new", 2)),
        ("202".into(), "401".into())
    );
    project.write("secrets/HOOK_NEW", "new\n");
    assert_eq!(
        (status("hush", 3), status("new", 4)),
        ("202".into(), "202".into())
    );
    server.stop().says(0, &[]);
}

#[test]
fn a_task_that_changes_takes_its_requests_as_it_says_now() {
    let project = project();
    let mut server = project.serve(&[]);
    let address = address(&project);
    assert!(order(&address, "hush", 1).unwrap().contains("202"));
    let moved = project
        .text("tasks/order.toml")
        .replace("event.body.id\"\n", "'v2-' ~ event.body.id\"\n");
    project.write("tasks/order.toml", moved);
    server.hear("reloaded");
    let said = order(&address, "hush", 1).unwrap();
    assert!(said.starts_with("HTTP/1.1 202"), "{said}");
    std::fs::remove_file(project.path("tasks/order.toml")).unwrap();
    server.hear("reloaded");
    // The door closes with its source, which may take a moment longer than the line.
    crate::project::wait("the door closes", || {
        let said = order(&address, "hush", 2).unwrap();
        said.starts_with("HTTP/1.1 404")
    });
    server.stop().says(0, &[]);
}

#[test]
fn a_server_that_is_killed_before_it_answers_has_the_run_when_the_sender_comes_again() {
    const SENDERS: usize = 24;
    const EACH: usize = 5;
    let project = project();
    let task = project.text("tasks/order.toml");
    let task = task.split("[[step]]").next().unwrap().to_owned();
    project.write(
        "tasks/order.toml",
        task + "[[step]]\nid = \"ok\"\nrequire = \"true\"\n",
    );
    let mut server = project.serve(&[]);
    let at = address(&project);
    let toml = project.text("oncely.toml").replace("127.0.0.1:0", &at);
    project.write("oncely.toml", toml);
    let told = AtomicUsize::new(0);
    let lost = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (at, told, lost) = (&at, &told, &lost);
            scope.spawn(move || {
                for number in 0..EACH {
                    deliver(at, sender * EACH + number, lost);
                    told.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for part in 1..=3 {
            crate::project::wait("the senders come on", || {
                told.load(Ordering::SeqCst) >= part * SENDERS * EACH / 4
            });
            server.kill();
            server = restarted(&project);
        }
    });
    server.stop().says(0, &[]);
    let runs = runs(&project);
    let mut keys: Vec<_> = runs.iter().map(|row| row["key"].to_string()).collect();
    keys.sort();
    let all = keys.len();
    keys.dedup();
    assert_eq!((all, keys.len()), (SENDERS * EACH, SENDERS * EACH));
    assert!(
        lost.load(Ordering::SeqCst) > 0,
        "no request met a killed server"
    );
}

fn restarted(project: &Project) -> Running {
    let mut server = project.serve(&[]);
    server.hear("listening");
    server
}

/// Sends until it is told that it was taken.
fn deliver(at: &str, id: usize, lost: &AtomicUsize) {
    let from = Instant::now();
    loop {
        match order(at, "hush", id) {
            Ok(said) if said.starts_with("HTTP/1.1 20") => return,
            Ok(said) if said.starts_with("HTTP/1.1 4") => panic!("{said}"),
            _ => lost.fetch_add(1, Ordering::SeqCst),
        };
        assert!(
            from.elapsed() < Duration::from_secs(60),
            "it was never taken"
        );
        std::thread::yield_now();
    }
}

#[test]
fn doctor_says_where_requests_come_in_and_what_keeps_them_out() {
    let project = project();
    project.run(&["doctor"]).says(
        1,
        &[
            "ok   webhook order",
            "http://127.0.0.1:0/hooks/orders",
            "LOOK webhook order",
            "the secret HOOK_NEW is not given",
        ],
    );
    let toml = project.text("oncely.toml");
    project.write("oncely.toml", toml.split("\n[gateway]").next().unwrap());
    project.run(&["doctor"]).says(1, &["nothing listens"]);
    let mut server = project.start(&["--json", "serve"]);
    let told = server.hear("problem");
    let words = told["problem"].as_str().unwrap();
    assert!(
        words.starts_with("it waits for requests at /hooks/orders"),
        "{words}"
    );
    assert!(words.contains("nothing listens"), "{words}");
    server.hear("serving");
    server.stop().says(0, &[]);
    project.run(&["call", "order", "--key", "1"]).says(
        2,
        &[
            "started by requests to /hooks/orders",
            "Nothing was started.",
        ],
    );
}

#[test]
fn a_new_task_for_requests_works_as_it_is() {
    let project = listening("127.0.0.1:0").variable("ONCELY_SECRET_HOOK", "hush");
    project
        .run(&[
            "new",
            "take_order",
            "--on",
            "webhook",
            "-d",
            "Take an order",
        ])
        .says(0, &["Made tasks/take_order.toml.", "[gateway] listen"]);
    project.run(&["check"]).says(0, &[]);
    project.run(&["doctor"]).says(0, &["/hooks/take-order"]);
}

#[test]
fn the_example_says_what_its_page_says() {
    let project = Project::empty();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/webhook");
    let page = std::fs::read_to_string(format!("{example}/README.md")).unwrap();
    for file in ["oncely.toml", "run", "tasks/order_paid.toml"] {
        let from = format!("{example}/{file}");
        let to = project.write(file, std::fs::read(&from).unwrap());
        let mode = std::fs::metadata(&from).unwrap().permissions();
        std::fs::set_permissions(to, mode).unwrap();
    }
    let free = project.text("oncely.toml").replace(":8090", ":0");
    project.write("oncely.toml", free);
    let mut run = std::process::Command::new(project.path("run"));
    run.env("ONCELY", env!("CARGO_BIN_EXE_oncely"))
        .env("ONCELY_EPHEMERAL", "allow");
    let ended = project.ended(run);
    let answers = page.split("docs").next().unwrap();
    let answers = answers
        .lines()
        .filter(|line| line.starts_with('{') || line.starts_with("order-7"));
    let said: Vec<&str> = ended.out.lines().collect();
    for answer in answers {
        assert!(said.contains(&answer), "{answer} is not in {}", ended.all());
    }
    let statuses = said.iter().filter(|line| line.len() == 3);
    let statuses: Vec<_> = statuses
        .filter(|line| line.parse::<u16>().is_ok())
        .collect();
    assert_eq!(statuses, [&"202", &"200", &"200", &"401"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
}
