//! Release tasks that wait for something that comes later, such as a migration.

use crate::project::Project;

const MIGRATION: &str = "20261120090000";

/// A task that waits for a migration of the application's database, and one after it.
fn waiting(attempts: u32) -> Project {
    let project = Project::new();
    let config = project.text("oncely.toml");
    let config = format!("{config}\n[db.app]\nsqlite = \"app.db\"\n");
    project.write("oncely.toml", config);
    application(&project, "create table schema_migrations (version text)");
    project.write(
        "tasks/1_fill.toml",
        format!(
            "[on.release]\n\n[[step]]\nid = \"migrated\"\nuntil = \"output.rows | length > 0\"\nretry = {{ attempts = {attempts}, first = \"50ms\", max = \"50ms\" }}\n\n  [step.sql]\n  db = \"app\"\n  text = \"select version from schema_migrations where version = :version\"\n  bind = {{ version = \"{MIGRATION}\" }}\n\n[[step]]\nid = \"fill\"\ncommand = \"echo filled >> out\"\n"
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
