//! Protected environments: nobody changes what became of a run without saying why.

use crate::project::Project;

const PROTECTED: &str =
    "environment = \"production\"\n\n[env.production]\nprotected = true\n\n[env.staging]\n";

/// A failed run 1, one that is done, and one that asks, all in production.
fn protected() -> Project {
    let project = Project::new();
    project.write("oncely.toml", PROTECTED);
    project.release_task(1, "open", "echo open >> out");
    project.write(
        "tasks/fail.toml",
        "[on.call]\n\n[[step]]\nid = \"act\"\nretry = { attempts = 1 }\ncommand = \"test -e go\"\n",
    );
    project.write(
        "tasks/ask.toml",
        "[on.call]\n\n[[step]]\nid = \"ok\"\napprove = \"Send?\"\n",
    );
    project.run(&["call", "fail", "--key", "k"]).says(1, &[]);
    project
        .run(&["run", "--release", "v1"])
        .says(0, &["done 1_open"]);
    project
        .run(&["call", "ask", "--key", "k"])
        .says(0, &["waiting ask"]);
    project
}

/// How many facts each run has.
fn facts(project: &Project) -> String {
    project
        .session(&[&["logs", "1"], &["logs", "2"], &["logs", "3"]])
        .replace("production", "")
}

#[test]
fn a_protected_environment_asks_for_a_reason_and_changes_nothing_without_one() {
    let project = protected();
    let before = facts(&project);
    let text = project.session(&[
        &["resume", "1"],
        &["rerun", "1"],
        &["rerun", "1", "--reason", " "],
        &["pause", "3", "--reason", "  "],
        &["cancel", "3"],
        &["settle", "1", "done", "--reason", ""],
        &["undo", "2", "--yes", "--partly"],
        &["rollback", "--to", "v1", "--yes"],
        &["baseline"],
        &["baseline", "--before", "7"],
        &["doctor"],
    ]);
    let shown: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("  ok ") || line.contains("protected"))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r##"
    $ oncely resume 1
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely resume 1 --reason "…"
    [exit 2]
    $ oncely rerun 1
    oncely: a rerun does again what was done before: say why with --reason. Nothing was changed.
            oncely rerun 1 --reason "…"
    [exit 2]
    $ oncely rerun 1 --reason " "
    oncely: a rerun does again what was done before: say why with --reason. Nothing was changed.
            oncely rerun 1 --reason "…"
    [exit 2]
    $ oncely pause 3 --reason "  "
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely pause 3 --reason "…"
    [exit 2]
    $ oncely cancel 3
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely cancel 3 --reason "…"
    [exit 2]
    $ oncely settle 1 done --reason ""
    oncely: say with --reason how you know. Nothing was changed.
            oncely settle 1 done --reason "…"
    [exit 2]
    $ oncely undo 2 --yes --partly
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely undo 2 --reason "…"
    [exit 2]
    $ oncely rollback --to v1 --yes
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely rollback --to v1 --reason "…"
    [exit 2]
    $ oncely baseline
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely baseline --reason "…"
    [exit 2]
    $ oncely baseline --before 7
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely baseline --before 7 --reason "…"
    [exit 2]
    $ oncely doctor
      ok   protected      production  (oncely.toml)

    Nothing is wrong.
    "##);
    assert_eq!(facts(&project), before, "nothing was changed");
}

#[test]
fn it_is_the_environment_of_the_run_that_counts_and_not_that_of_the_shell() {
    let project = protected();
    project
        .run(&["--env", "staging", "cancel", "3"])
        .says(2, &["the environment production is protected"]);
    project
        .run(&["--env", "staging", "call", "ask", "--key", "k"])
        .says(0, &["waiting ask"]);
    project
        .run(&["cancel", "4"])
        .says(0, &["Asked to end run 4."]);
    insta::assert_snapshot!(
        project.session(&[&["--env", "production", "baseline"]]),
        @r##"
    $ oncely --env production baseline
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely --env production baseline --reason "…"
    [exit 2]
    "##
    );
}

#[test]
fn with_a_reason_it_is_done_and_the_reason_is_kept() {
    let project = protected();
    project.run(&["approve", "3"]).says(0, &["Approved run 3."]);
    project.run(&["undo", "2", "--dry-run"]).says(0, &[]);
    project.run(&["baseline", "--dry-run"]).says(0, &[]);
    project.write("go", "");
    project
        .run(&["resume", "1", "--reason", "the file is there now"])
        .says(0, &["Resumed run 1.", "done fail"]);
    project
        .run(&["logs", "1"])
        .says(0, &["the file is there now"]);
}

#[test]
fn what_is_old_at_the_first_run_is_passed_over_with_a_reason_only() {
    let project = Project::new();
    project.write("oncely.toml", PROTECTED);
    project.release_task(1, "old", "echo old >> out");
    let first = ["run", "--release", "v1", "--first-run", "baseline"];
    let shell = ["--env", "staging", "run", "--first-run", "baseline"];
    let named = ["--env", "production", "run", "--first-run", "baseline"];
    let empty = ["run", "--first-run", "baseline", "--reason", " "];
    insta::assert_snapshot!(project.session(&[&first, &empty, &named]), @r##"
    $ oncely run --release v1 --first-run baseline
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely run --first-run baseline --reason "…"
    [exit 2]
    $ oncely run --first-run baseline --reason " "
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely run --first-run baseline --reason "…"
    [exit 2]
    $ oncely --env production run --first-run baseline
    oncely: the environment production is protected ([env.production] protected = true in [dir]/oncely.toml), and this needs a reason. Nothing was changed. Say why:
            oncely --env production run --first-run baseline --reason "…"
    [exit 2]
    "##);
    assert_eq!(project.json(&["runs"]).len(), 0, "nothing was changed");
    project.run(&shell).says(0, &["1 task skipped"]);
    let said = [&first[..], &["--reason", "done by hand in 2025"]].concat();
    project.run(&said).says(0, &["1 task skipped"]);
    project
        .run(&["show", "2"])
        .says(0, &["ended: skipped (done by hand in 2025, says ann)"]);
    // Nothing is left that the flag could be about: it stays where a script has it.
    project.run(&first).says(0, &["Nothing to do"]);
    assert_eq!(project.text("out"), "");
}

#[test]
fn a_wrong_name_of_an_environment_is_said() {
    let project = Project::new();
    project.write("oncely.toml", "[env.\"a b\"]\nprotected = true\n");
    insta::assert_snapshot!(project.session(&[&["status"]]), @r##"
    $ oncely status
    oncely: oncely.toml, env: "a b" is no name for an environment: letters, digits, -, _ and . only, at most 64. Nothing was run.
    [exit 2]
    "##);
    project.write("oncely.toml", "[env.production]\nprotect = true\n");
    project.run(&["status"]).says(
        2,
        &[
            "protect = true",
            "unknown field",
            "`protected`",
            "Nothing was run.",
        ],
    );
}
