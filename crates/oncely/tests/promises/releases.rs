//! Which release tasks are done, and which are left.

use crate::project::{Project, Running};

/// Tasks 1 to `tasks`, each adding its number to `out`; task 2 fails until `fixed` is there.
fn project(tasks: u64) -> Project {
    let project = Project::new();
    for n in 1..=tasks {
        let shell = match n {
            2 => format!("test -e fixed && echo {n} >> out"),
            _ => format!("echo {n} >> out"),
        };
        project.release_task(n, "write", &shell);
    }
    if tasks > 1 {
        let once = project.text("tasks/2_write.toml") + "retry = { attempts = 1 }\n";
        project.write("tasks/2_write.toml", once);
    }
    project
}

#[test]
fn the_first_failure_stops_the_rest_unless_told_to_keep_going() {
    let stopped = project(4);
    stopped.run(&["run"]).says(1, &["2_write"]);
    assert_eq!(stopped.text("out"), "1\n");
    let gone_on = project(4);
    gone_on
        .run(&["run", "--keep-going"])
        .says(1, &["2_write", "4_write"]);
    assert_eq!(gone_on.text("out"), "1\n3\n4\n");
    // What failed stays failed, and does not keep the others from being done.
    gone_on.run(&["run", "--keep-going"]).says(1, &["failed"]);
    gone_on.write("fixed", "");
    let failed = gone_on.json(&["runs", "--state", "failed"]);
    let id = failed[0]["run"].to_string();
    gone_on.run(&["resume", &id]).says(0, &["done"]);
    gone_on
        .run(&["run"])
        .says(0, &["Nothing to do: 4 tasks already done here."]);
}

#[test]
fn tasks_are_chosen_by_version_or_file_name() {
    let project = project(5);
    project
        .run(&["run", "--only", "3", "--only", "5_write"])
        .says(0, &["3_write", "5_write"]);
    assert_eq!(project.text("out"), "3\n5\n");
    project
        .run(&["run", "--except", "2"])
        .says(0, &["1_write", "4_write"]);
    assert_eq!(project.text("out"), "3\n5\n1\n4\n");
    project
        .run(&["plan", "--except", "2"])
        .says(0, &["Nothing would run"]);
    project
        .run(&["run", "--dry-run", "--only", "2"])
        .says(0, &["1 task would run"]);
    insta::assert_snapshot!(project.run(&["run", "--only", "3_wirte"]).all(), @r##"
    oncely: there is no task `3_wirte`. There are: 1, 2, 3, 4, 5. Nothing was started.
    [exit 2]
    "##);
    insta::assert_snapshot!(project.run(&["run", "--only", "1", "--except", "2"]).all(), @r##"
    error: the argument '--only <TASK>' cannot be used with '--except <TASK>'

    Usage: oncely run --only <TASK>

    For more information, try '--help'.
    [exit 2]
    "##);
    project.call_task("greet", "echo hello");
    insta::assert_snapshot!(project.run(&["run", "--only", "greet"]).all(), @r##"
    oncely: `greet` is no release task: it starts by call. Nothing was started.
    [exit 2]
    "##);
}

#[test]
fn old_tasks_are_skipped_with_a_reason_and_never_done() {
    let project = project(5);
    insta::assert_snapshot!(project.session(&[
        &["baseline", "--before", "4", "--dry-run"],
        &["baseline", "--before", "4", "--reason", "done by hand in 2025"],
        &["baseline", "--before", "4"],
        &["run"],
        &["run"],
        &["show", "1"],
    ]), @r##"
    $ oncely baseline --before 4 --dry-run
    1_write
    2_write
    3_write
    3 tasks would be skipped in development. Nothing was done.
    $ oncely baseline --before 4 --reason "done by hand in 2025"
    1_write
    2_write
    3_write
    3 tasks skipped in development: never done here by `oncely run`.
    $ oncely baseline --before 4
    Nothing to skip: every release task before 4 is recorded in development.
    $ oncely run
    done 4_write  [span]
    done 5_write  [span]
    $ oncely run
    Nothing to do: 5 tasks already done here.
    $ oncely show 1
    Run 1 of 1_write  skipped
    key release   environment development   admitted [time] UTC
    event {"release":"unknown","environment":"development","phase":"after","version":"1","late":false}

      [time]  ended: skipped (done by hand in 2025, says ann)
    "##);
    assert_eq!(project.text("out"), "4\n5\n");
}

#[test]
fn a_new_environment_with_many_tasks_asks_whether_they_are_old() {
    let project = project(1);
    for n in 10..31 {
        project.release_task(n, "write", &format!("echo {n} >> out"));
    }
    insta::assert_snapshot!(project.run(&["run"]).all(), @r##"
    oncely: nothing is recorded in this environment and 22 tasks are pending, which may be old. Nothing was run. Say `oncely run --first-run baseline` to skip them, or `oncely run --first-run all` to do them. Where tasks have been done here, the ledger is missing: is its disk kept between releases?
    [exit 2]
    "##);
    assert_eq!(project.text("out"), "");
    insta::assert_snapshot!(project.run(&["run", "--first-run", "baseline"]).all(), @r##"
    22 tasks skipped; new ones will be done from now on.
    "##);
    project.release_task(40, "write", "echo 40 >> out");
    project.run(&["run"]).says(0, &["40_write"]);
    assert_eq!(project.text("out"), "40\n");
    // Another environment, where all of them are new and wanted.
    project
        .run(&["run", "--env", "staging", "--first-run", "all"])
        .says(0, &["40_write"]);
    assert_eq!(project.text("out").lines().count(), 24);
}

#[test]
fn a_run_that_is_told_to_stop_says_what_is_left_and_fails() {
    let project = Project::new();
    project.release_task(
        1,
        "wait",
        "echo begun >> out; until test -e go; do sleep 0.01; done",
    );
    project.release_task(2, "write", "echo 2 >> out");
    let mut running: Running = project.start(&["--json", "run"]);
    project.wait_lines("out", 1);
    running.terminate();
    running.hear("stopping");
    project.write("go", "");
    let ended = running.end();
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    let said = "told to stop: 1 task was not begun";
    assert!(
        ended.err.contains(said) || ended.out.contains(said),
        "{}{}",
        ended.out,
        ended.err
    );
    project.run(&["run"]).says(0, &["2_write"]);
    assert_eq!(project.text("out"), "begun\n2\n");
}

/// Tasks 1 and 3 run once for ever, task 2 at every release.
fn with_every() -> Project {
    let project = project(1);
    project.release_task(2, "restart", "echo \"every $RELEASE\" >> out");
    let text = project.text("tasks/2_restart.toml");
    let text = text.replace("[on.release]", "[on.release]\nevery = true").replace(
        "command = \"echo \\\"every $RELEASE\\\" >> out\"",
        "command = { shell = \"echo every $RELEASE >> out\", env = { RELEASE = \"{{ event.release }}\" } }",
    );
    project.write("tasks/2_restart.toml", text);
    project.release_task(3, "write", "echo 3 >> out");
    project
}

#[test]
fn a_task_of_every_release_runs_once_at_each() {
    let project = with_every();
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["2_restart"]);
    assert_eq!(project.text("out"), "1\nevery v1\n3\n");
    // The second time it is found by looking at each task, the third time at a glance.
    for _ in 0..3 {
        project
            .run(&["run", "--release", "v1"])
            .says(0, &["Nothing to do: 3 tasks already done here."]);
    }
    project
        .run(&["plan", "--release", "v2"])
        .says(0, &["2_restart", "1 task would run"]);
    for _ in 0..2 {
        project.run(&["run", "--release", "v2"]).says(0, &[]);
        assert_eq!(project.text("out"), "1\nevery v1\n3\nevery v2\n");
    }
    let late = project.json(&["runs", "--task", "2_restart"]);
    assert_eq!(late.len(), 2);
    // A release that is made once more was made before.
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["Nothing to do"]);
}

#[test]
fn what_failed_at_one_release_does_not_stop_the_next() {
    let project = project(1);
    project.release_task(2, "restart", "test -e fixed && echo restarted >> out");
    let text = project.text("tasks/2_restart.toml") + "retry = { attempts = 1 }\n";
    let text = text.replace("[on.release]", "[on.release]\nevery = true");
    project.write("tasks/2_restart.toml", text);
    project
        .run(&["run", "--release", "v1"])
        .says(1, &["2_restart"]);
    project.write("fixed", "");
    project
        .run(&["run", "--release", "v1"])
        .says(1, &["failed"]);
    project
        .run(&["run", "--release", "v2"])
        .says(0, &["2_restart"]);
    assert_eq!(project.text("out"), "1\nrestarted\n");
}

#[test]
fn a_task_of_every_release_needs_the_name_of_the_release() {
    let project = with_every();
    insta::assert_snapshot!(project.run(&["run"]).all(), @"
    oncely: tasks/2_restart.toml runs at every release, and which one this is is not known. Nothing was run. Name it with --release ID; HEROKU_RELEASE_VERSION, KAMAL_VERSION, GITHUB_SHA or a git checkout name it too.
    [exit 2]
    ");
    insta::assert_snapshot!(project.run(&["plan"]).all(), @"
    oncely: tasks/2_restart.toml runs at every release, and which one this is is not known. Nothing was run. Name it with --release ID; HEROKU_RELEASE_VERSION, KAMAL_VERSION, GITHUB_SHA or a git checkout name it too.
    [exit 2]
    ");
    assert_eq!(project.text("out"), "");
}

#[test]
fn a_baseline_leaves_what_runs_at_every_release() {
    let project = with_every();
    project.run(&["baseline"]).says(0, &["2 tasks skipped"]);
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["2_restart"]);
    assert_eq!(project.text("out"), "every v1\n");
    let other = with_every();
    let run = ["run", "--release", "v1", "--first-run", "baseline"];
    other.run(&run).says(0, &["2 tasks skipped", "2_restart"]);
    assert_eq!(other.text("out"), "every v1\n");
}

#[test]
fn a_ledger_that_would_be_thrown_away_is_refused_where_it_matters() {
    let on_heroku = || {
        Project::new()
            .variable("DYNO", "release.1")
            .variable("ONCELY_EPHEMERAL", "")
    };
    let project = on_heroku();
    project.release_task(1, "write", "echo 1 >> out");
    let refused = project.run(&["--env", "production", "run"]);
    insta::assert_snapshot!(refused.all(), @r#"
    oncely: the ledger [dir]/.oncely/ledger.db would be thrown away with this machine, as a Heroku dyno's disk is: the next release in production would do everything again. Nothing was run. Keep the ledger in PostgreSQL, ledger = "env:DATABASE_URL" in oncely.toml, or on a volume. Where forgetting is meant, as in an environment for one review: ONCELY_EPHEMERAL=allow.
    [exit 2]
    "#);
    assert!(!project.path(".oncely/ledger.db").exists());
    project
        .run(&["--env", "production", "plan"])
        .says(0, &["1 task would run"]);
    let trying = on_heroku();
    trying.release_task(1, "write", "echo 1 >> out");
    trying.run(&["run"]).says(0, &["1_write"]);
    let allowed = project.variable("ONCELY_EPHEMERAL", "allow");
    allowed
        .run(&["--env", "review-7", "run"])
        .says(0, &["1_write"]);
}

#[test]
fn tasks_are_chosen_by_tags() {
    let project = project(1);
    for (version, tags) in [(2, "\"billing\""), (3, "\"mail\", \"billing\""), (4, "")] {
        let text = format!(
            "tags = [{tags}]\n[on.release]\n[[step]]\nid = \"a\"\ncommand = \"echo {version} >> out\"\n"
        );
        project.write(&format!("tasks/{version}_tagged.toml"), text);
    }
    let run = ["run", "--tag", "mail", "--tag", "billing", "--except", "2"];
    project.run(&run).says(0, &["3_tagged"]);
    assert_eq!(project.text("out"), "3\n");
    project
        .run(&["plan", "--tag", "billing"])
        .says(0, &["1 task would run"]);
    insta::assert_snapshot!(project.run(&["run", "--tag", "biling"]).all(), @"
    oncely: no release task has the tag `biling`. Did you mean `billing`? Nothing was started.
    [exit 2]
    ");
    project.run(&["run"]).says(0, &[]);
    assert_eq!(project.text("out"), "3\n1\n2\n4\n");
}
