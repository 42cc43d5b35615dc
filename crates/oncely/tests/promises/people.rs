//! What people do to runs.

use crate::project::Project;

/// A task that asks, and then acts.
fn asking() -> Project {
    let project = Project::new();
    project.write(
        "tasks/send.toml",
        "[on.call]\n\n[[step]]\nid = \"ok\"\napprove = \"Send {{ event.n }} mails?\"\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n",
    );
    project.write("event.json", "{\"n\": 3}");
    project
        .run(&["call", "send", "--key", "k", "--event", "event.json"])
        .says(0, &["waiting send: Send 3 mails?", "oncely approve 1"]);
    project
}

#[test]
fn approve_goes_on_and_remembers_who_and_why() {
    let project = asking();
    let text = project.session(&[
        &["approve", "1", "--note", "looks good"],
        &["approve", "1"],
        &["logs", "1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely approve 1 --note "looks good"
    Approved run 1.
    done send  [span]
    $ oncely approve 1
    oncely: run 1 does not wait for a person. `oncely status` lists what does.
    [exit 1]
    $ oncely logs 1
    [time]  run 1 send  started by ann (oncely call)
    [time]  run 1 send  began with text 8a04d11f1e2d
    [time]  run 1 send  `ok` asks: Send 3 mails?
    [time]  run 1 send  `ok` approved by ann (looks good)
    [time]  run 1 send  `act` about to act
    [time]  run 1 send  `act` done
    [time]  run 1 send  ended: done
    "##);
    assert_eq!(project.text("out"), "sent\n");
}

#[test]
fn reject_ends_it() {
    let project = asking();
    let text = project.session(&[
        &["reject", "1", "--by", "bob", "--note", "not today"],
        &["runs"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely reject 1 --by bob --note "not today"
    Rejected run 1.
    failed send: step `ok`: rejected by bob: not today
           Look: oncely show 1   Go on from there: oncely resume 1
           With the file as it is now: oncely rerun 1 --reason "…"
    [exit 1]
    $ oncely runs
    RUN  STATE   TASK  KEY  ADMITTED (UTC)
    1    failed  send  k    [time]
    "##);
    assert_eq!(project.text("out"), "");
}

#[test]
fn detach_leaves_the_rest_to_a_server() {
    let project = asking();
    project
        .run(&["approve", "1", "--detach"])
        .says(0, &["Approved run 1."]);
    assert_eq!(project.text("out"), "");
    project.run(&["serve", "--until-idle"]).says(0, &[]);
    assert_eq!(project.text("out"), "sent\n");
}

#[test]
fn pause_holds_resume_goes_on_cancel_ends() {
    let project = asking();
    project
        .run(&["pause", "1", "--detach"])
        .says(0, &["Asked to hold run 1."]);
    project
        .run(&["resume", "1", "--detach"])
        .says(0, &["Resumed run 1."]);
    project
        .run(&["cancel", "1", "--reason", "wrong list"])
        .says(0, &["Asked to end run 1.", "cancelled send"]);
    project
        .run(&["approve", "1"])
        .says(1, &["run 1 does not wait for a person"]);
    assert_eq!(project.text("out"), "");
}

#[test]
fn resume_goes_on_from_the_failed_step_and_rerun_does_all_again() {
    let project = Project::new();
    project.write(
        "tasks/two.toml",
        "[on.call]\n\n[[step]]\nid = \"a\"\ncommand = \"echo a >> out\"\n\n[[step]]\nid = \"b\"\nretry = { attempts = 1 }\ncommand = \"test -e go; echo b >> out\"\n",
    );
    project
        .run(&["call", "two", "--key", "k"])
        .says(1, &["failed two", "oncely resume 1"]);
    project.write("go", "");
    project
        .run(&["resume", "1"])
        .says(0, &["Resumed run 1.", "done two"]);
    assert_eq!(project.text("out"), "a\nb\n");
    project
        .run(&["rerun", "1"])
        .says(2, &["say why with --reason"]);
    project
        .run(&["rerun", "1", "--reason", "again"])
        .says(0, &["Run 2 does run 1 once more.", "done two"]);
    assert_eq!(project.text("out"), "a\nb\na\nb\n");
    project
        .run(&["rerun", "1", "--reason", "again"])
        .says(1, &["done once more already, as run 2"]);
    project.run(&["runs"]).says(0, &["k (time 2)"]);
}

#[test]
fn a_question_that_nobody_answered_in_time_asks_nobody_any_more() {
    let project = Project::new();
    project.write(
        "tasks/send.toml",
        "[on.call]\n\n[[step]]\nid = \"ok\"\napprove = { text = \"Send?\", expires = \"1ms\" }\n",
    );
    project.run(&["call", "send", "--key", "k"]);
    project
        .run(&["status"])
        .says(0, &["nobody answered in time"]);
    let status = project.json(&["status"]);
    assert_eq!(status[0]["needs_person"], false, "{status:?}");
    project.run(&["approve", "1"]).says(1, &["has expired"]);
}

#[test]
fn settle_says_what_became_of_an_unknown_attempt() {
    let project = Project::new();
    project.write(
        "tasks/slow.toml",
        "[on.call]\n\n[[step]]\nid = \"a\"\ntimeout = \"200ms\"\ncommand = \"echo a >> out; test -e go || sleep 60\"\n",
    );
    project
        .run(&["call", "slow", "--key", "k"])
        .says(4, &["unknown slow", "oncely settle 1"]);
    project.run(&["resume", "1"]).says(
        1,
        &[
            "run 1 is unknown",
            "oncely settle 1",
            "Nothing was changed.",
        ],
    );
    project.write("go", "");
    project
        .run(&["settle", "1", "not-done", "--reason", "looked"])
        .says(0, &["Settled step `a` of run 1.", "done slow"]);
    assert_eq!(project.text("out"), "a\na\n");
    project
        .run(&["settle", "1", "done", "--reason", "x"])
        .says(1, &["run 1"]);
}

#[test]
fn a_failed_try_is_made_again_when_its_time_has_come() {
    let project = Project::new();
    project.write(
        "tasks/flaky.toml",
        "[on.call]\n\n[[step]]\nid = \"a\"\nretry = { attempts = 3, first = \"100ms\" }\ncommand = \"echo x >> out; test $(wc -l < out) = 3\"\n",
    );
    project
        .run(&["call", "flaky", "--key", "k"])
        .says(0, &["done flaky"]);
    assert_eq!(project.text("out"), "x\nx\nx\n");
}

#[test]
fn acts_on_runs_that_are_not_there_are_wrong_command_lines() {
    let project = Project::new();
    project.run(&["run"]);
    for args in [
        &["approve", "9"][..],
        &["reject", "9"],
        &["settle", "9", "done", "--reason", "x"],
        &["resume", "9"],
        &["rerun", "9", "--reason", "x"],
        &["pause", "9"],
        &["cancel", "9"],
        &["show", "9"],
        &["logs", "9"],
    ] {
        project.run(args).says(2, &["there is no run 9"]);
    }
}

/// A project with people, and a task that asks one of them.
fn asking_lead(approve: &str) -> Project {
    let project = Project::new();
    let toml = project.text("oncely.toml");
    project.write(
        "oncely.toml",
        format!(
            "{toml}\n[people]\nanna = {{ email = \"anna@example.com\", roles = [\"lead\"] }}\nann = {{ roles = [\"lead\"] }}\nbob = {{}}\n"
        ),
    );
    project.write(
        "tasks/send.toml",
        format!("[on.call]\n\n[[step]]\nid = \"ok\"\napprove = {{ text = \"Send?\", {approve} }}\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n"),
    );
    project
}

#[test]
fn only_those_answer_who_may_and_never_the_starter() {
    let project = asking_lead("by = \"lead\", not_by = \"starter\"");
    let text = project.session(&[
        &["call", "send", "--key", "k"],
        &["approve", "1"],
        &["approve", "1", "--by", "bob"],
        &["reject", "1", "--by", "mallory"],
        &["approve", "1", "--by", "anna"],
        &["logs", "1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely call send --key k
    waiting send: Send?
            For: lead
            Not for who started it
            Answer: oncely approve 1   or: oncely reject 1
    $ oncely approve 1
    oncely: run 1: ann started the run, and the task says that somebody else answers (not_by = "starter"). Nothing was changed.
    [exit 1]
    $ oncely approve 1 --by bob
    oncely: run 1: bob may not answer: it is for lead. Nothing was changed.
    [exit 1]
    $ oncely reject 1 --by mallory
    oncely: run 1: mallory may not answer: it is for lead. Nothing was changed.
    [exit 1]
    $ oncely approve 1 --by anna
    Approved run 1.
    done send  [span]
    $ oncely logs 1
    [time]  run 1 send  started by ann (oncely call)
    [time]  run 1 send  began with text af1ffbc45e48
    [time]  run 1 send  `ok` asks: Send?
    [time]  run 1 send  `ok` approved by anna as lead
    [time]  run 1 send  `act` about to act
    [time]  run 1 send  `act` done
    [time]  run 1 send  ended: done
    "##);
    assert_eq!(project.text("out"), "sent\n");
}

#[test]
fn a_yes_needs_everything_ticked() {
    let project = asking_lead("tick = [\"Backups are fresh\", \"Support knows\"]");
    let text = project.session(&[
        &["call", "send", "--key", "k"],
        &["approve", "1"],
        &["approve", "1", "--tick", "2"],
        &["approve", "1", "--tick", "3"],
        &["approve", "1", "--tick", "1", "--tick", "2"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely call send --key k
    waiting send: Send?
            [1] Backups are fresh
            [2] Support knows
            Answer: oncely approve 1 --tick all   or: oncely reject 1
    $ oncely approve 1
    oncely: run 1: a yes needs everything ticked, and this is not: Backups are fresh; Support knows. Nothing was changed.
    [exit 1]
    $ oncely approve 1 --tick 2
    oncely: run 1: a yes needs everything ticked, and this is not: Backups are fresh. Nothing was changed.
    [exit 1]
    $ oncely approve 1 --tick 3
    oncely: --tick 3: there is no such thing to be ticked. There are 1 to 2. Nothing was changed.
    [exit 2]
    $ oncely approve 1 --tick 1 --tick 2
    Approved run 1.
    done send  [span]
    "##);
    let facts = project.json(&["logs", "1"]);
    let answer = facts
        .iter()
        .find(|fact| fact["fact"] == "answered")
        .unwrap();
    assert_eq!(answer["ticked"][1], "Support knows");
    assert_eq!(project.text("out"), "sent\n");
}

#[test]
fn a_release_begins_nothing_that_nobody_could_answer() {
    let project = asking_lead("by = \"leed\"");
    let asks = project.text("tasks/send.toml");
    project.write(
        "tasks/20260101000000_send.toml",
        asks.replace("[on.call]", "[on.release]"),
    );
    project.release_task(20250101000000, "first", "touch first");
    std::fs::remove_file(project.path("tasks/send.toml")).unwrap();
    insta::assert_snapshot!(project.session(&[&["plan"], &["run"], &["status"]]), @r#"
    $ oncely plan
    20250101000000_first
      - act: command touch first  (no undo)
    [version]_send
      - ok: approve Send?
      - act: command echo sent >> out  (no undo)
    oncely: error: `by` names nobody: there is no `leed` in [people]
     --> tasks/[version]_send.toml:5:34
      |
    5 | approve = { text = "Send?", by = "leed" }
      |                                  ^^^^^^ nobody could answer
      |
      = help: did you mean `lead`?

    1 error in task files. Nothing was run.
    [exit 2]
    $ oncely run
    oncely: error: `by` names nobody: there is no `leed` in [people]
     --> tasks/[version]_send.toml:5:34
      |
    5 | approve = { text = "Send?", by = "leed" }
      |                                  ^^^^^^ nobody could answer
      |
      = help: did you mean `lead`?

    1 error in task files. Nothing was run.
    [exit 2]
    $ oncely status
    STATE    VERSION         TASK   LAST RUN (UTC)  TOOK
    pending  20250101000000  first
    pending  [version]  send
    "#);
    assert!(!project.path("first").exists());
    // With somebody who answers it begins, and goes on when they leave.
    let people = project.text("oncely.toml");
    project.write("oncely.toml", format!("{people}leed = {{}}\n"));
    project.session(&[&["run"]]);
    project.write("oncely.toml", people);
    insta::assert_snapshot!(project.session(&[&["run"], &["cancel", "2"]]), @r#"
    $ oncely run
    waiting [version]_send: Send?
            For: leed
            Answer: oncely approve 2   or: oncely reject 2
    $ oncely cancel 2
    Asked to end run 2.
    cancelled [version]_send: ann cancelled it
    "#);
    // Taken back, it is to begin once more.
    project
        .run(&["undo", "2", "--yes", "--reason", "wrong"])
        .says(0, &[]);
    project
        .run(&["run"])
        .says(2, &["there is no `leed`", "Nothing was run."]);
}

#[test]
fn check_says_whom_nobody_knows_and_nobody_reaches() {
    let project = asking_lead("by = [\"leed\", \"bob\"], tell = \"email\"");
    insta::assert_snapshot!(project.session(&[&["check"]]), @r##"
    $ oncely check
    error: `by` names nobody: there is no `leed` in [people]
     --> tasks/send.toml:5:35
      |
    5 | approve = { text = "Send?", by = ["leed", "bob"], tell = "email" }
      |                                   ^^^^^^ nobody could answer
      |
      = help: did you mean `lead`?

    error: `tell` does not reach bob, who has no `email` in [people]
     --> tasks/send.toml:5:43
      |
    5 | approve = { text = "Send?", by = ["leed", "bob"], tell = "email" }
      |                                           ^^^^^ bob is meant here
      |
      = help: say the `email` of bob in oncely.toml

    2 errors in 1 task file.
    [exit 2]
    "##);
}

#[test]
fn a_person_who_is_there_twice_is_refused() {
    let project = Project::new();
    let people = "[people]\nann = { user = \"asmith\" }\nasmith = {}\n";
    project.write("oncely.toml", people);
    project.run(&["status"]).says(
        2,
        &[
            "`ann` and `asmith` are one person twice",
            "Nothing was run.",
        ],
    );
}

#[test]
fn later_tasks_wait_for_an_answer_unless_they_are_independent() {
    let project = Project::new();
    project.write(
        "tasks/20260101000000_ask.toml",
        "[[step]]\napprove = \"Go?\"\n\n[[step]]\nid = \"a\"\ncommand = \"echo asked >> out\"\n",
    );
    project.release_task(20260102000000, "next", "echo next >> out");
    project.write(
        "tasks/20260103000000_alone.toml",
        "[on.release]\nindependent = true\n\n[[step]]\ncommand = \"echo alone >> out\"\n",
    );
    project.run(&["run", "--strict-exit"]).says(
        3,
        &[
            "waiting 20260101000000_ask: Go?",
            "done 20260103000000_alone",
        ],
    );
    assert_eq!(project.text("out"), "alone\n");
    project.run(&["approve", "1"]).says(0, &["done"]);
    project.run(&["run"]).says(0, &["done 20260102000000_next"]);
    assert_eq!(project.text("out"), "alone\nasked\nnext\n");
}

#[test]
fn what_is_held_is_cancelled_by_an_older_release_and_held_anew_by_a_newer_one() {
    let project = Project::new();
    project.release_task(20260101000000, "first", "true");
    project.run(&["run", "--release", "4"]).says(0, &["done"]);
    project.write(
        "tasks/20260102000000_drop.toml",
        "[[step]]\nid = \"drop\"\nhold = \"24h\"\ncommand = \"echo dropped >> out\"\n",
    );
    project
        .run(&["run", "--release", "5"])
        .says(0, &["waiting 20260102000000_drop", "Held until"]);
    project
        .run(&["status"])
        .says(0, &["Run 2 of 20260102000000_drop is held until"]);
    let file = project.text("tasks/20260102000000_drop.toml");
    std::fs::remove_file(project.path("tasks/20260102000000_drop.toml")).unwrap();
    project.run(&["run", "--release", "4"]).says(
        0,
        &["cancelled 20260102000000: release 4 arrived, which is older than 5"],
    );
    project.write("tasks/20260102000000_drop.toml", file);
    project
        .run(&["run", "--release", "6"])
        .says(0, &["waiting 20260102000000_drop", "Held until"]);
    assert_eq!(project.json(&["runs", "--state", "waiting"])[0]["run"], 3);
    assert_eq!(project.text("out"), "");
}

#[test]
fn the_example_asks_those_who_may_answer_and_goes_on_after_a_link() {
    let project = Project::empty();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/approval");
    for file in [
        "run",
        "tasks/20260126120000_announce_prices.toml",
        "tasks/20260126130000_raise_the_flag.toml",
    ] {
        let from = format!("{example}/{file}");
        let to = project.write(file, std::fs::read(&from).unwrap());
        let mode = std::fs::metadata(&from).unwrap().permissions();
        std::fs::set_permissions(to, mode).unwrap();
    }
    // The port of the example may be taken on this machine.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let settings = std::fs::read_to_string(format!("{example}/oncely.toml")).unwrap();
    project.write("oncely.toml", settings.replace("127.0.0.1:8093", &address));
    let mut run = std::process::Command::new(project.path("run"));
    run.env("ONCELY", env!("CARGO_BIN_EXE_oncely"))
        .env("ONCELY_EPHEMERAL", "allow");
    let ended = project.ended(run);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let page = std::fs::read_to_string(format!("{example}/README.md")).unwrap();
    let said = |line: &&str| line.starts_with("oncely: run 1") || line.starts_with("New prices");
    let lines: Vec<&str> = page.lines().filter(said).collect();
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert!(
            ended.all().contains(line),
            "{line} is not in {}",
            ended.all()
        );
    }
    assert!(
        ended
            .out
            .contains("`ok` approved by bob as lead with a link")
    );
    // Looking at the page answered nothing.
    assert!(
        project
            .text("page.html")
            .contains("Announce the new prices?")
    );
    assert_eq!(project.text("hoisted.txt"), "up\n");
}
