//! `oncely check --against`: what two branches get wrong only together.

use crate::project::Project;
use std::process::Command;

/// A project in git with one release task on `main`, and a branch `work` that is checked out.
fn project() -> Project {
    let project = Project::new();
    git(&project, &["init", "-q", "-b", "main"]);
    project.release_task(20_260_101_000_000, "first", "true");
    commit(&project);
    git(&project, &["checkout", "-q", "-b", "work"]);
    project
}

fn git(project: &Project, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(args)
        .current_dir(&project.root)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
}

fn commit(project: &Project) {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", "tasks"]);
}

/// Adds a task on `main`, and goes back.
fn meanwhile(project: &Project, version: u64, name: &str) {
    commit(project);
    git(project, &["checkout", "-q", "main"]);
    project.release_task(version, name, "true");
    commit(project);
    git(project, &["checkout", "-q", "work"]);
}

#[test]
fn one_version_on_two_branches_is_an_error_before_the_merge() {
    let project = project();
    project.release_task(20_260_202_000_000, "mine", "true");
    meanwhile(&project, 20_260_202_000_000, "theirs");
    project.run(&["check"]).says(0, &["2 tasks, no errors."]);
    let both = project.run(&["check", "--against", "main"]);
    insta::assert_snapshot!(both.all(), @"
    error: two release tasks have the version [version]
     --> tasks/[version]_mine.toml:1:1
      |
    1 | [on.release]
      | ^ the other is tasks/[version]_theirs.toml
      |
      = help: give the newer file a later time

    error: two release tasks have the version [version]
     --> tasks/[version]_theirs.toml:1:1
      |
    1 | [on.release]
      | ^ the other is tasks/[version]_mine.toml
      |
      = help: give the newer file a later time

    2 errors in 2 task files and 1 of main.
    [exit 2]
    ");
}

#[test]
fn what_is_older_than_the_other_branch_is_late() {
    let project = project();
    project.release_task(20_260_202_000_000, "mine", "true");
    meanwhile(&project, 20_260_303_000_000, "theirs");
    let late = ["check", "--against", "main"];
    insta::assert_snapshot!(project.run(&late).all(), @"
    tasks/[version]_mine.toml is late: main has newer release tasks. Where those ran before, it runs after them. Rename it to a newer version if the order matters.
    2 tasks, no errors.
    ");
    let denied = ["check", "--against", "main", "--deny-late"];
    project
        .run(&denied)
        .says(2, &["20260202000000_mine.toml is late"]);
    let told = project.json(&late);
    assert_eq!(told[0]["late"], "tasks/20260202000000_mine.toml");
}

#[test]
fn what_was_taken_away_here_is_not_missed() {
    let project = project();
    std::fs::remove_file(project.path("tasks/20260101000000_first.toml")).unwrap();
    // The same version again, under another name: it replaces the one that was taken away.
    project.release_task(20_260_101_000_000, "instead", "true");
    commit(&project);
    project
        .run(&["check", "--against", "main"])
        .says(0, &["1 task, no errors."]);
}

#[test]
fn a_branch_that_is_not_there_is_named() {
    let project = project();
    let missing = project.run(&["check", "--against", "origin/main"]);
    insta::assert_snapshot!(missing.all(), @r#"
    oncely: git knows no commit "origin/main" here. Where a checkout is shallow, as in CI, fetch it first: git fetch origin BRANCH.
    [exit 2]
    "#);
    let option = project.run(&["check", "--against=--output=x"]);
    assert_eq!(option.code, 2, "{}", option.all());
    let outside = Project::new();
    outside
        .run(&["check", "--against", "main"])
        .says(2, &["git says"]);
}
