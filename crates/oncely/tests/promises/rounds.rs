//! Steps that are done in rounds, on the real program: rounds survive its death, and people see where
//! they stand.

use crate::project::{Project, wait};

/// Says each round, and stops in the second until it is let go.
const TASK: &str = r#"[on.call]

[[step]]
id    = "remind"
every = "1s"
until = "check.stdout == 'paid'"
times = 50
check = { command = { shell = "cat state", safe = true } }

  [step.command]
  shell = "echo $ROUND >> out; test $ROUND != 2 || test -e go || { echo $$ > held; sleep 600; }"
  env   = { ROUND = "{{ round }}" }

[[step]]
id      = "after"
command = { shell = "echo after $ROUNDS >> out", env = { ROUNDS = "{{ steps.remind.rounds }}" } }
"#;

fn reminding() -> Project {
    let project = Project::new();
    project.write("tasks/remind.toml", TASK);
    project.write("state", "open");
    project
}

#[test]
fn a_server_that_is_killed_in_a_round_repeats_none_and_another_goes_on() {
    let project = reminding();
    project.run(&["call", "remind", "--key", "7"]).says(
        0,
        &[
            "waiting remind",
            "`remind` has done 1 round; the next one is due at",
        ],
    );
    project.run(&["status"]).says(
        0,
        &["of remind: `remind` has done 1 round; the next one is due at"],
    );
    let mut server = project.serve(&[]);
    project.wait_lines("held", 1);
    server.kill();
    project.write("go", "");
    let server = project.serve(&[]);
    project.wait_run("unknown");
    project.run(&["logs", "1"]).says(
        0,
        &[
            "`remind`, check before round 2 done",
            "`remind`, round 2 interrupted",
        ],
    );
    let reason = ["--reason", "it came"];
    project
        .run(&[&["settle", "1", "done"][..], &reason].concat())
        .says(0, &["Settled step `remind`, round 2 of run 1."]);
    project.wait_lines("out", 3);
    project.write("state", "paid");
    project.wait_run("done");
    let out = project.text("out");
    let rounds: Vec<&str> = out.lines().collect();
    let (after, rounds) = rounds.split_last().unwrap();
    let counted: Vec<String> = (1..=rounds.len()).map(|n| n.to_string()).collect();
    assert_eq!(rounds, counted, "each round once, and in order");
    assert_eq!(*after, format!("after {}", rounds.len()));
    project.run(&["show", "1"]).says(
        0,
        &[&format!(
            "`remind` over after {} rounds: `until` holds",
            rounds.len()
        )],
    );
    server.stop().says(0, &[]);
}

#[test]
fn between_rounds_a_run_is_paused_resumed_and_cancelled_by_people() {
    let project = reminding();
    project.write("tasks/remind.toml", TASK.replace("1s", "14d"));
    project.run(&["call", "remind", "--key", "7"]).says(0, &[]);
    project.run(&["pause", "1"]).says(0, &[]);
    project
        .run(&["status"])
        .says(0, &["`remind` has done 1 round; the run is paused"]);
    project.run(&["resume", "1"]).says(0, &[]);
    project.run(&["show", "1"]).says(
        0,
        &["Step `remind` has done 1 round; the next one is due at"],
    );
    project.run(&["cancel", "1"]).says(0, &[]);
    wait("the run to be cancelled", || {
        let runs = project.json(&["runs", "--state", "cancelled"]);
        !runs.is_empty() || project.run(&["run"]).code != 0
    });
    assert_eq!(project.text("out"), "1\n");
}

#[test]
fn the_example_reminds_until_the_invoice_is_paid() {
    let project = Project::empty();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoice");
    for file in [
        "oncely.toml",
        "run",
        "event.json",
        "tasks/20260105090000_make_invoices.sql",
        "tasks/remind.toml",
        "tasks/pay.toml",
    ] {
        let from = format!("{example}/{file}");
        let to = project.write(file, std::fs::read(&from).unwrap());
        let mode = std::fs::metadata(&from).unwrap().permissions();
        std::fs::set_permissions(to, mode).unwrap();
    }
    let mut run = std::process::Command::new(project.path("run"));
    run.env("ONCELY", env!("CARGO_BIN_EXE_oncely"))
        .env("ONCELY_EPHEMERAL", "allow");
    let ended = project.ended(run);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let page = std::fs::read_to_string(format!("{example}/README.md")).unwrap();
    let said = page.lines().filter(|line| line.starts_with("Dear Ann"));
    for line in said {
        assert!(ended.out.contains(line), "{line} is not in {}", ended.all());
    }
    for words in [
        "`remind` over after",
        "`give_up` skipped: when = \"not steps.remind.held\" does not hold",
    ] {
        assert!(
            ended.out.contains(words),
            "{words} is not in {}",
            ended.all()
        );
    }
    assert_eq!(project.text("letters/invoice-7_lawyer.txt"), "");
}
