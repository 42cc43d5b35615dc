//! A release that is left to a server, with the ledger in PostgreSQL: in order, once, and by another
//! server where the first one is killed.

use crate::detached::{ORDERED, five_in, taken_over};
use crate::project::{Project, wait};
use oncely_ledger::conformance::Server;

/// A project whose ledger is in a database of its own, with leases that end soon.
fn project(server: &Server) -> Project {
    let project = Project::empty().variable("DATABASE_URL", &server.database());
    project.write(
        "oncely.toml",
        "ledger = \"env:DATABASE_URL\"\n\n[limits]\nlease = \"1s\"\n",
    );
    five_in(project)
}

#[test]
fn what_is_detached_is_done_in_order_and_who_waits_is_told() {
    let server = Server::start(&[]);
    let project = project(&server);
    project
        .run(&["run", "--detach", "--release", "v1"])
        .says(2, &["no `oncely serve` is at work in development"]);
    assert!(project.json(&["runs"]).is_empty(), "something was admitted");
    let serving = project.serve(&[]);
    let pid = serving.child.id();
    project.run(&["run", "--detach", "--release", "v1"]).says(
        0,
        &[
            &format!("Left to process {pid} (oncely serve"),
            "5 tasks, in order.",
        ],
    );
    project.wait_lines("held", 1);
    // Asking once more is asking once.
    project
        .run(&["run", "--detach", "--release", "v1"])
        .says(0, &["Left to process"]);
    project.write("go", "");
    project
        .run(&["run", "--detach", "--wait=60s", "--release", "v1"])
        .says(0, &[]);
    assert_eq!(project.text("out"), ORDERED);
    wait("the release to be ended", || {
        let again = project.run(&["run", "--detach", "--release", "v1"]);
        again.out.contains("Nothing to do: 5 tasks")
    });
    assert_eq!(serving.stop().code, 0);
    assert_eq!(project.text("out"), ORDERED);
    // One that has ended is none.
    project
        .run(&["run", "--detach", "--release", "v2"])
        .says(2, &["no `oncely serve` is at work in development"]);
}

#[test]
fn another_server_goes_on_with_a_release_whose_server_was_killed() {
    let server = Server::start(&[]);
    taken_over(&project(&server));
}

#[test]
fn a_server_goes_on_after_an_answer_and_a_wait_ends_with_the_release() {
    let server = Server::start(&[]);
    let project = project(&server);
    project.write("go", "");
    project.write(
        "tasks/0_ask.toml",
        "[on.release]\n[[step]]\napprove = \"Go?\"\n",
    );
    let serving = project.serve(&[]);
    let mut deploy = project.start(&["run", "--detach", "--wait=60s", "--release", "v1"]);
    project.wait_run("waiting");
    assert_eq!(project.text("out"), "");
    project
        .run(&["approve", "1", "--detach"])
        .says(0, &["Left to process"]);
    deploy.end().says(0, &["done 5_append"]);
    assert_eq!(project.text("out"), ORDERED);
    assert_eq!(serving.stop().code, 0);
}
