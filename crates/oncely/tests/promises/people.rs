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
