//! What other tools have done is taken over, and never done again.

use crate::project::Project;
use rusqlite::Connection;

/// Three release tasks and a table of after_party: the second version stands twice, one has no file,
/// and one is no version.
fn project() -> Project {
    let project = Project::new().variable("DATABASE_URL", "sqlite3:app.sqlite3");
    for n in [1, 2, 3] {
        project.release_task(20_200_100_000_000 + n, "write", &format!("echo {n} >> out"));
    }
    table(
        &project,
        "task_records",
        &[
            "20200100000001",
            "20200100000002",
            "20200100000002",
            "20190100000009",
            "later",
        ],
    );
    project
}

fn table(project: &Project, name: &str, versions: &[&str]) {
    let database = Connection::open(project.path("app.sqlite3")).unwrap();
    let make = format!("create table {name} (version varchar not null)");
    database.execute_batch(&make).unwrap();
    for version in versions {
        let add = format!("insert into {name} values (?1)");
        database.execute(&add, [version]).unwrap();
    }
}

#[test]
fn what_after_party_did_is_known_and_not_done_again() {
    let project = project();
    let before = std::fs::read(project.path("app.sqlite3")).unwrap();
    insta::assert_snapshot!(project.session(&[
        &["import", "after_party", "--dry-run"],
        &["import", "after_party"],
        &["import", "after_party"],
        &["run"],
        &["show", "1"],
    ]), @r#"
    $ oncely import after_party --dry-run
    5 rows in task_records of [dir]/app.sqlite3: 3 versions.
    BECOMES     VERSION         TASK       NOTE
    imported    20190100000009  (no file)
    imported    20200100000001  write
    imported    20200100000002  write      2 rows
    no version  "later"         (no file)
    3 versions would be imported into development. Nothing was done.
    The table does not have these, and the next `oncely run` does them:
      20200100000003_write
    $ oncely import after_party
    5 rows in task_records of [dir]/app.sqlite3: 3 versions.
    BECOMES     VERSION         TASK       NOTE
    imported    20190100000009  (no file)
    imported    20200100000001  write
    imported    20200100000002  write      2 rows
    no version  "later"         (no file)
    3 versions imported into development.
    The table does not have these, and the next `oncely run` does them:
      20200100000003_write
    $ oncely import after_party
    5 rows in task_records of [dir]/app.sqlite3: 3 versions.
    BECOMES     VERSION  TASK       NOTE
    no version  "later"  (no file)
    0 versions imported into development. 3 versions imported before.
    The table does not have these, and the next `oncely run` does them:
      20200100000003_write
    $ oncely run
    done 20200100000003_write  [span]
    $ oncely show 1
    Run 1 of 20190100000009  imported
    key release   environment development   admitted [time] UTC
    event {"version":"20190100000009","environment":"development","table":"task_records","database":"[dir]/app.sqlite3","recorded":null}

      [time]  ended: imported (a row in task_records of [dir]/app.sqlite3, says ann)
    "#);
    assert_eq!(project.text("out"), "3\n");
    assert_eq!(std::fs::read(project.path("app.sqlite3")).unwrap(), before);
    // The file of a version that was kept without one comes later, and is known as done.
    project.release_task(20_190_100_000_009, "write", "echo 9 >> out");
    project
        .run(&["run"])
        .says(0, &["4 tasks already done here"]);
    assert_eq!(project.text("out"), "3\n");
}

#[test]
fn a_version_in_both_places_is_left_as_the_ledger_has_it() {
    let project = project();
    let failing = project
        .text("tasks/20200100000002_write.toml")
        .replace("echo 2 >> out", "exit 1")
        + "retry = { attempts = 1 }\n";
    project.write("tasks/20200100000002_write.toml", failing);
    project.run(&["run"]).says(1, &["failed"]);
    insta::assert_snapshot!(project.run(&["import", "after_party"]).all(), @r#"
    5 rows in task_records of [dir]/app.sqlite3: 3 versions.
    BECOMES     VERSION         TASK       NOTE
    imported    20190100000009  (no file)
    done here   20200100000001  write      done as run 1
    COLLISION   20200100000002  write      failed as run 2, 2 rows
    no version  "later"         (no file)
    1 version imported into development.
    20200100000002 stands in task_records, and here run 2 of it is failed. It was left so: oncely show 2
    The table does not have these, and the next `oncely run` does them:
      20200100000003_write
    [exit 1]
    "#);
    project.run(&["status"]).says(0, &["failed"]);
}

#[test]
fn data_migrate_is_taken_over_the_same_way() {
    let project = project();
    table(&project, "data_migrations", &["20200100000003"]);
    project
        .run(&["import", "data_migrate"])
        .says(0, &["1 version imported"]);
    project.run(&["run"]).says(0, &[]);
    assert_eq!(project.text("out"), "1\n2\n");
}

#[test]
fn a_database_that_cannot_be_read_is_said_and_nothing_imported() {
    let project = project();
    for (args, words) in [
        (vec!["--database", "env:NOT_SET"], "NOT_SET is to say where"),
        (
            vec!["--database", "mysql2://u:s3cret@h/shop"],
            "holds a password",
        ),
        (
            vec!["--database", "mongodb://h/shop"],
            "no database that can be read",
        ),
        (
            vec!["--database", "postgres://u@127.0.0.1:1/shop"],
            "cannot be reached",
        ),
        (vec!["--database", "none.sqlite3"], "No such file"),
        (vec!["--table", "nothing"], "has no table nothing"),
        (vec!["--table", "a;b"], "is no name of a table"),
    ] {
        let args: Vec<&str> = ["import", "after_party"].into_iter().chain(args).collect();
        let refused = project.run(&args);
        refused.says(2, &[words, "Nothing was imported."]);
        assert!(!refused.all().contains("s3cret"), "{}", refused.all());
    }
    assert!(project.json(&["runs"]).is_empty());
    project.release_task(20_200_100_000_001, "twin", "true");
    project
        .run(&["import", "after_party"])
        .says(2, &["two release tasks have the version"]);
}

#[test]
fn an_imported_run_is_not_undone() {
    let project = project();
    project.run(&["import", "after_party"]).says(0, &[]);
    insta::assert_snapshot!(project.run(&["undo", "1", "--yes"]).all(), @r#"
    oncely: run 1 is imported: oncely did nothing that could be taken back. Nothing was changed.
    [exit 1]
    "#);
    let runs = project.json(&["runs", "--state", "imported"]);
    assert_eq!(runs.len(), 3);
}
