//! `oncely run --detach` leaves a release to a server, and `--wait` waits for what takes its time.

use crate::project::{Project, wait, wait_gone};
use std::time::Instant;

/// Five ordered tasks that append to one file; the third goes on when it may.
fn five() -> Project {
    five_in(Project::new())
}

/// The same in a project of this configuration.
pub(crate) fn five_in(project: Project) -> Project {
    for n in 1..=5 {
        let held = "test $ONCELY_TASK != 3 || { echo $$ >> held; until test -e go; do sleep 0.01; done; }; ";
        project.release_task(n, "append", &format!("{held}echo {n} >> out"));
        let file = format!("tasks/{n}_append.toml");
        // A step may be repeated after its server was killed; else it would wait for a person.
        let text = project.text(&file) + "on_unknown = \"repeat\"\n";
        project.write(&file, text);
    }
    project
}

/// Another server takes over what the first one was killed in, does it, and all that comes after it.
pub(crate) fn taken_over(project: &Project) {
    let mut first = project.serve(&[]);
    project
        .run(&["run", "--detach", "--release", "v1"])
        .says(0, &["Left to"]);
    let step = project.wait_lines("held", 1);
    let _second = project.serve(&[]);
    first.kill();
    // Only when the step of the first is gone and begun anew: else it would be done twice.
    project.wait_lines("held", 2);
    wait_gone(&step);
    project.write("go", "");
    project.wait_text("out", |text| text.ends_with("5\n"));
    assert_eq!(project.text("out"), ORDERED);
}

pub(crate) const ORDERED: &str = "1\n2\n3\n4\n5\n";

#[test]
fn what_is_detached_is_done_in_order_by_a_server() {
    let project = five();
    let server = project.serve(&[]);
    let pid = server.child.id();
    let left = project.run(&["run", "--detach", "--release", "v1"]);
    left.says(
        0,
        &[
            &format!("Left to process {pid} (oncely serve): 5 tasks, in order."),
            "oncely logs --follow",
        ],
    );
    project.wait_lines("held", 1);
    // Asking once more is asking once, and who runs tasks himself waits for his turn.
    project
        .run(&["run", "--detach", "--release", "v1"])
        .says(0, &["Left to process"]);
    project
        .run(&["run", "--on-busy", "skip", "--release", "v1"])
        .says(0, &["is running the tasks"]);
    assert_eq!(project.text("out"), "1\n2\n");
    project.write("go", "");
    project.wait_text("out", |text| text == ORDERED);
    wait("the release to be ended", || {
        project
            .run(&["run", "--detach", "--release", "v1"])
            .out
            .contains("Nothing to do: 5 tasks")
    });
    assert_eq!(server.stop().code, 0);
    assert_eq!(project.text("out"), ORDERED);
}

#[test]
fn without_a_server_nothing_is_detached_and_it_says_what_to_do() {
    let project = five();
    let ended = project.run(&["run", "--detach", "--release", "v1"]);
    insta::assert_snapshot!(ended.all(), @r"
    oncely: no `oncely serve` is at work in development, which could do it. Nothing was admitted. Start one (`oncely serve --env development`), or leave out --detach.
    [exit 2]
    ");
    assert_eq!(project.json(&["runs"]).len(), 0);
    // A server that was killed is none.
    let mut server = project.serve(&[]);
    server.kill();
    project
        .run(&["run", "--detach"])
        .says(2, &["no `oncely serve` is at work in development"]);
    // Neither is one of another environment.
    let _other = project.serve(&["--env", "staging"]);
    project
        .run(&["run", "--detach"])
        .says(2, &["no `oncely serve` is at work in development"]);
}

#[test]
fn another_server_goes_on_with_a_release_whose_server_was_killed() {
    let project = five();
    let at = Instant::now();
    taken_over(&project);
    println!(
        "killed, taken over and finished in {} ms",
        at.elapsed().as_millis()
    );
}

#[test]
fn wait_ends_when_the_server_is_done_and_exits_as_run_does() {
    let project = five();
    project.write("go", "");
    let server = project.serve(&[]);
    let ended = project.run(&["run", "--detach", "--wait=60s", "--release", "v1"]);
    ended.says(0, &["Left to process", "done 1_append", "done 5_append"]);
    assert_eq!(project.text("out"), ORDERED);
    project.write(
        "tasks/6_fail.toml",
        "[on.release]\n[[step]]\nid = \"a\"\ncommand = \"false\"\nretry = { attempts = 1 }\n",
    );
    project.release_task(7, "after", "echo 7 >> out");
    project
        .run(&["run", "--detach", "--wait=60s", "--release", "v2"])
        .says(1, &["failed 6_fail"]);
    assert_eq!(project.text("out"), ORDERED);
    assert_eq!(server.stop().code, 0);
}

#[test]
fn a_server_goes_on_after_the_answer() {
    let project = Project::new();
    project.write(
        "tasks/1_ask.toml",
        "[on.release]\n[[step]]\napprove = \"Go?\"\n",
    );
    project.release_task(2, "after", "echo 2 >> out");
    let server = project.serve(&[]);
    project
        .run(&["run", "--detach", "--release", "v1"])
        .says(0, &["Left to process"]);
    // Only then is it known what a wait of any length has to tell.
    project.wait_run("waiting");
    project
        .run(&["run", "--detach", "--wait=300ms", "--release", "v1"])
        .says(3, &["waiting 1_ask: Go?", "The time is over"]);
    assert_eq!(project.text("out"), "");
    project
        .run(&["approve", "1", "--detach"])
        .says(0, &["Left to process"]);
    project.wait_lines("out", 1);
    assert_eq!(server.stop().code, 0);
    project.run(&["runs"]).says(0, &[]);
    project.call_task("greet", "true");
    project
        .run(&["call", "greet", "--key", "k", "--detach"])
        .says(
            0,
            &["No `oncely serve` is at work in development: it goes on when one is."],
        );
}

#[test]
fn wait_lets_a_deploy_go_on_when_the_answer_is_given() {
    let project = Project::new();
    project.write(
        "tasks/1_ask.toml",
        "[on.release]\n[[step]]\napprove = \"Go?\"\n",
    );
    project.release_task(2, "after", "echo 2 >> out");
    project
        .run(&["run", "--wait=200ms"])
        .says(3, &["waiting 1_ask: Go?", "Waiting until"]);
    let mut deploy = project.start(&["run", "--wait"]);
    // The run waits already; it is the deploy that has to be there.
    wait("the deploy to have its turn", || {
        let workers = project.json(&["workers"]);
        let mut names = workers.iter().flat_map(|w| w["names"].as_array().unwrap());
        names.any(|name| name == "release/development")
    });
    project.run(&["approve", "1"]).says(0, &["Approved"]);
    let ended = deploy.end();
    ended.says(0, &["done 2_after"]);
    assert_eq!(project.text("out"), "2\n");
    project
        .run(&["run", "--wait=soon"])
        .says(2, &["--wait=soon is no length of time"]);
}
