//! `oncely serve`: how it ends, and what it leaves.

use crate::project::{Project, wait};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Whether a process is there and not just waiting to be buried.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z")
}

#[test]
fn sigterm_lets_a_short_step_finish() {
    let project = Project::new();
    project.call_task(
        "greet",
        "echo $$ > began; until test -e go; do sleep 0.01; done; echo done > out",
    );
    let server = project.serve(&[]);
    project
        .run(&["call", "greet", "--key", "1", "--detach"])
        .says(0, &[]);
    project.wait_lines("began", 1);
    let root = project.root.clone();
    let stopping = std::thread::spawn(move || server.stop());
    std::fs::write(root.join("go"), "").unwrap();
    assert_eq!(stopping.join().unwrap().code, 0);
    assert_eq!(project.text("out"), "done\n");
}

#[test]
fn who_is_at_work_is_listed_and_gone_with_its_end() {
    let project = Project::new();
    project.call_task(
        "greet",
        "echo $$ > began; until test -e go; do sleep 0.01; done",
    );
    project.write("tasks/look.toml", look(""));
    assert_eq!(project.json(&["workers"]), [Value::Null; 0]);
    let server = project.serve(&[]);
    let mut at_work = Vec::new();
    wait("the server to be listed with what it watches", || {
        at_work = project.json(&["workers"]);
        at_work
            .first()
            .is_some_and(|server| server["names"].as_array().unwrap().len() == 2)
    });
    assert_eq!(at_work[0]["names"][0], "serve/development");
    let watched = at_work[0]["names"][1].as_str().unwrap();
    assert!(
        watched.starts_with("source/development/look/folder:inbox on "),
        "{watched}"
    );
    assert_eq!(at_work[0]["role"], "oncely serve");
    assert_eq!(at_work[0]["holds"], json!([]));
    project
        .run(&["call", "greet", "--key", "1", "--detach"])
        .says(0, &[]);
    project.wait_lines("began", 1);
    let all = project.run(&["workers"]);
    all.says(
        0,
        &["oncely serve", "run 1 (greet), serve/development, source/"],
    );
    project.write("go", "");
    project.wait_run("done");
    assert_eq!(server.stop().code, 0);
    let gone = project.run(&["workers"]);
    insta::assert_snapshot!(gone.out, @"Nobody is at work here. `oncely serve` starts a worker.");
}

#[test]
fn sigterm_ends_within_the_grace_time_and_parks_what_is_not_finished() {
    let project = Project::new();
    project.write("oncely.toml", "[limits]\ngrace = \"500ms\"\n");
    project.call_task("slow", "echo $$ > began; sleep 600");
    project.call_task("later", "true");
    let server = project.serve(&[]);
    project
        .run(&["call", "slow", "--key", "1", "--detach"])
        .says(0, &[]);
    project.wait_lines("began", 1);
    let at = Instant::now();
    let ended = server.stop();
    let took = at.elapsed();
    println!(
        "stopped {} ms after SIGTERM with a grace time of 500 ms",
        took.as_millis()
    );
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    let program = project.text("began");
    wait("the step's program to end", || !lives(program.trim()));
    project
        .run(&["status"])
        .says(0, &["slow", "oncely settle 1"]);
}

#[test]
fn sigkill_of_the_worker_ends_the_steps_program() {
    let project = Project::new();
    project.call_task("slow", "sleep 300 & echo $! > child; echo $$ > began; wait");
    let mut server = project.serve(&[]);
    project
        .run(&["call", "slow", "--key", "1", "--detach"])
        .says(0, &[]);
    let program = project.wait_lines("began", 1);
    let child = project.wait_lines("child", 1);
    assert!(lives(program.trim()) && lives(child.trim()));
    server.kill();
    wait("the step's program to end", || !lives(program.trim()));
    wait("its child to end", || !lives(child.trim()));
    project.run(&["serve", "--until-idle"]).says(0, &[]);
    project
        .run(&["status"])
        .says(0, &["unknown", "oncely settle 1"]);
}

#[test]
fn a_file_that_lands_is_worked_once_and_the_same_file_again_is_a_duplicate() {
    let project = Project::new();
    project.write(
        "tasks/look.toml",
        "[on.object]\nsource = \"folder:inbox\"\nmatch = \"*.csv\"\nexisting = \"skip\"\n\n[[step]]\nid = \"a\"\ncommand = [\"cp\", \"{{ event.path }}\", \"copy\"]\n",
    );
    project.write("inbox/old.csv", "old\n");
    let mut server = project.serve(&[]);
    // What was there before is skipped, and that is recorded.
    server.hear("admitted");
    project.write("inbox/new.csv", "one\n");
    server.hear("admitted");
    project.wait_text("copy", |text| text == "one\n");
    project.write("inbox/new.csv", "one\n");
    server.hear("duplicate");
    project.write("inbox/new.csv", "two\n");
    server.hear("admitted");
    project.wait_text("copy", |text| text == "two\n");
    assert_eq!(server.stop().code, 0);
    assert_eq!(
        project
            .json(&["runs"])
            .iter()
            .filter(|r| r["state"] == "done")
            .count(),
        2
    );
}

#[test]
fn a_bad_task_file_beside_the_others_stops_none_of_them() {
    let project = Project::new();
    project.write("tasks/wrong.toml", "title = 7\n");
    project.call_task("good", "echo x > out");
    let server = project.serve(&[]);
    project
        .run(&["call", "good", "--key", "1", "--detach"])
        .says(0, &[]);
    project.wait_lines("out", 1);
    assert_eq!(server.stop().code, 0);
}

#[test]
fn files_that_were_there_before_the_task_are_asked_about_skipped_or_run() {
    for (existing, done, skipped) in [("run", 2, 0), ("skip", 1, 1)] {
        let project = Project::new();
        project.write("inbox/old.csv", "old\n");
        project.write(
            "tasks/look.toml",
            look(&format!("existing = \"{existing}\"\n")),
        );
        let mut server = project.serve(&[]);
        server.hear("admitted");
        project.write("inbox/new.csv", "new\n");
        server.hear("admitted");
        wait("both to be dealt with", || {
            let of = |state| project.json(&["runs", "--state", state]).len();
            (of("done"), of("skipped")) == (done, skipped)
        });
        assert_eq!(server.stop().code, 0);
    }
    let project = Project::new();
    project.write("inbox/old.csv", "old\n");
    project.write("tasks/look.toml", look(""));
    let mut server = project.serve(&[]);
    let said = server.hear("problem");
    assert!(
        said["problem"]
            .as_str()
            .unwrap()
            .contains("existing = \"skip\""),
        "{said}"
    );
    assert_eq!(project.json(&["runs"]).len(), 0);
}

fn look(existing: &str) -> String {
    format!(
        "[on.object]\nsource = \"folder:inbox\"\nmatch = \"*.csv\"\n{existing}\n[[step]]\nid = \"a\"\ncommand = \"true\"\n"
    )
}

#[test]
fn a_schedule_ticks_once_for_all_servers_and_each_tick_has_its_moment() {
    let project = Project::new();
    project.write(
        "tasks/tick.toml",
        "[on.schedule]\nevery = \"1s\"\n\n[[step]]\nid = \"a\"\ncommand = \"echo $ONCELY_EVENT_KEY >> out\"\n",
    );
    let (one, two) = (project.serve(&[]), project.serve(&[]));
    let text = project.wait_lines("out", 3);
    assert_eq!(one.stop().code, 0);
    assert_eq!(two.stop().code, 0);
    let text = if text.lines().count() > 3 {
        text
    } else {
        project.text("out")
    };
    let ticks: Vec<&str> = text.lines().collect();
    let mut different = ticks.clone();
    different.dedup();
    assert_eq!(ticks, different, "a tick was done twice");
    assert!(ticks.is_sorted(), "{ticks:?}");
    assert!(
        ticks
            .iter()
            .all(|tick| tick.len() == 20 && tick.ends_with('Z')),
        "{ticks:?}"
    );
    project
        .run(&["call", "tick"])
        .says(2, &["started by the clock (every 1000 ms)"]);
    project.run(&["why", ticks[0]]).says(0, &["tick", "done"]);
}

#[test]
fn a_new_task_for_the_clock_works_as_it_is() {
    let project = Project::new();
    project
        .run(&["new", "remind", "--on", "schedule", "-d", "Remind them"])
        .says(0, &["Made tasks/remind.toml.", "oncely serve"]);
    project.run(&["check"]).says(0, &[]);
}

#[test]
fn status_says_when_each_schedule_ticks_next() {
    let project = Project::new();
    let toml = "[[step]]\nid = \"a\"\ncommand = \"true\"\n";
    project.call_task("greet", "true");
    let without = project.run(&["status"]);
    assert!(!without.all().contains("NEXT"), "{}", without.all());
    let cron = "[on.schedule]\ncron = \"30 9 24 12 *\"\ntimezone = \"Europe/Berlin\"\n";
    project.write("tasks/gifts.toml", format!("{cron}{toml}"));
    project
        .run(&["status"])
        .says(0, &["NEXT (UTC)", "-12-24 08:30"]);
    let rows = project.json(&["status"]);
    let row = |task: &str| rows.iter().find(|row| row["task"] == task).unwrap();
    let next = row("gifts")["next"].as_str().unwrap();
    assert!(next.ends_with("-12-24T08:30:00Z"), "{next}");
    assert_eq!(row("greet")["next"], Value::Null);
}
