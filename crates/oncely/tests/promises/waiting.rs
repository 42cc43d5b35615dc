//! Release tasks that wait for something that comes later, such as a migration.

use crate::project::Project;

const MIGRATION: &str = "20261120090000";

/// A task that waits for a migration of the application's database, and one after it.
fn waiting(attempts: u32) -> Project {
    waiting_for(attempts, "50ms")
}

fn waiting_for(attempts: u32, time: &str) -> Project {
    let project = Project::new();
    let config = project.text("oncely.toml");
    let config = format!("{config}\n[db.app]\nsqlite = \"app.db\"\n");
    project.write("oncely.toml", config);
    application(&project, "create table schema_migrations (version text)");
    project.write(
        "tasks/1_fill.toml",
        format!(
            "[on.release]\n\n[[step]]\nid = \"migrated\"\nuntil = \"output.rows | length > 0\"\nretry = {{ attempts = {attempts}, first = \"{time}\", max = \"{time}\" }}\n\n  [step.sql]\n  db = \"app\"\n  text = \"select version from schema_migrations where version = :version\"\n  bind = {{ version = \"{MIGRATION}\" }}\n\n[[step]]\nid = \"fill\"\ncommand = \"echo filled >> out\"\n"
        ),
    );
    project.release_task(2, "next", "echo next >> out");
    project
}

fn application(project: &Project, statement: &str) {
    let database = rusqlite::Connection::open(project.path("app.db")).unwrap();
    database.execute_batch(statement).unwrap();
}

#[test]
fn a_release_task_waits_for_a_migration_and_goes_on_when_it_is_there() {
    let project = waiting(1000);
    let mut run = project.start(&["--json", "run", "--release", "v1"]);
    project.wait_run("waiting");
    assert_eq!(
        project.text("out"),
        "",
        "nothing is done before it is there"
    );
    let arrives = format!("insert into schema_migrations values ('{MIGRATION}')");
    application(&project, &arrives);
    run.end().says(0, &["\"status\":\"done\""]);
    assert_eq!(project.text("out"), "filled\nnext\n");
}

#[test]
fn a_migration_that_does_not_come_fails_the_task_and_says_what_was_waited_for() {
    let project = waiting(3);
    project.run(&["run", "--release", "v1"]).says(
        1,
        &[
            "failed 1_fill: step `migrated`: until = ",
            "does not hold yet (after 3 tries)",
            "oncely resume 1",
        ],
    );
    let arrives = format!("insert into schema_migrations values ('{MIGRATION}')");
    application(&project, &arrives);
    project.run(&["resume", "1"]).says(0, &["done 1_fill"]);
    assert_eq!(project.text("out"), "filled\n");
}

#[test]
fn what_is_waited_for_is_said_once_with_the_next_look_to_everybody() {
    let project = waiting_for(5, "1h");
    let mut run = project.start(&["run", "--release", "v1"]);
    insta::assert_snapshot!(run.hear_line("waiting"), @r#"waiting 1_fill: step `migrated`: until = "output.rows | length > 0" does not hold yet; next look at [time] UTC"#);
    let status = project.run(&["status"]);
    let told = status.out.lines().find(|line| line.contains("Run 1"));
    insta::assert_snapshot!(crate::project::clean(told.unwrap()), @r#"Run 1 of 1_fill waits: step `migrated`: until = "output.rows | length > 0" does not hold yet; next look at [time] UTC"#);
    let show = project.run(&["show", "1"]);
    show.says(0, &["Waits: step `migrated`: until = ", "next look at 2"]);
    assert!(
        !run.stop().out.contains("waiting 1_fill: step"),
        "it is said once"
    );
    let mut run = project.start(&["--json", "run", "--release", "v1"]);
    let told = run.hear("waits");
    assert_eq!(
        (&told["run"], &told["waits"]),
        (&1.into(), &"migrated".into())
    );
    run.stop();
}

#[test]
fn a_condition_that_is_waited_for_is_said_too() {
    let project = Project::new();
    project.write(
        "tasks/1_wait.toml",
        "[on.release]\n\n[[step]]\nid = \"later\"\nrequire = { that = \"false\", else = \"retry\", every = \"10m\", for = \"1h\" }\n",
    );
    let mut run = project.start(&["run", "--release", "v1"]);
    insta::assert_snapshot!(run.hear_line("waiting"), @"waiting 1_wait: step `later`: its condition does not hold yet; next look at [time] UTC");
    run.stop();
}
