//! `cancel_on` on the real program: a request says that an invoice is paid, and its reminders end.

use crate::gateway::{address, listening};
use crate::project::Project;
use std::io::{Read, Write};
use std::net::TcpStream;

const REMIND: &str = r#"[on.call]
key = "event.invoice"

[cancel_on]
task = "paid"
key  = "event.body.invoice"

[[step]]
id      = "remind"
every   = "14d"
times   = 12
command = { shell = "echo remind $ID >> out", env = { ID = "{{ event.invoice }}" } }
"#;

const PAID: &str = r#"[on.webhook]
path   = "/hooks/paid"
verify = "none"
key    = "event.body.id"

[[step]]
id      = "thanks"
command = { shell = "echo thanks $ID >> out", env = { ID = "{{ event.body.invoice }}" } }
"#;

fn pay(address: &str, id: &str, invoice: &str) -> String {
    let body = serde_json::json!({ "id": id, "invoice": invoice }).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let text = format!(
        "POST /hooks/paid HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

fn remind(project: &Project, invoice: &str) {
    let event = format!("{invoice}.json");
    let json = serde_json::json!({ "invoice": invoice });
    project.write(&event, json.to_string());
    let call = ["call", "remind", "--event", &event];
    project.run(&call).says(0, &["waiting remind"]);
}

#[test]
fn a_request_ends_the_reminders_of_its_invoice_and_no_others() {
    let project = listening("127.0.0.1:0");
    project.write("tasks/remind.toml", REMIND);
    project.write("tasks/paid.toml", PAID);
    remind(&project, "i7");
    remind(&project, "i8");
    let server = project.serve(&[]);
    let address = address(&project);
    let said = pay(&address, "p1", "i7");
    assert!(said.starts_with("HTTP/1.1 202"), "{said}");
    project.wait_run("cancelled");
    project.run(&["logs", "1"]).says(
        0,
        &[
            "cancel asked for by task paid (run 3, as cancel_on says)",
            "ended: cancelled (task paid cancelled it: run 3, as cancel_on says)",
        ],
    );
    // The same request again starts nothing, and cancels nothing.
    let again = pay(&address, "p1", "i8");
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    project.wait_lines("out", 3);
    server.stop().says(0, &[]);
    let waiting = project.json(&["runs", "--state", "waiting"]);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["key"], "i8");
    assert_eq!(project.text("out"), "remind i7\nremind i8\nthanks i7\n");
}
