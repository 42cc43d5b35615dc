//! `mirror = true`: what oncely has done stands in after_party's table too, so that a team can go back.

use crate::project::{Project, wait};
use rusqlite::Connection;
use std::io::Write;

fn project() -> Project {
    let project = Project::new().variable("DATABASE_URL", "sqlite3:app.sqlite3");
    let text = project.text("oncely.toml");
    let adopt = "[adopt.rake]\ndir = \"lib/tasks/deployment\"\nmirror = true\n";
    project.write("oncely.toml", format!("{text}\n{adopt}"));
    std::fs::create_dir_all(project.path("lib/tasks/deployment")).unwrap();
    let make = "create table task_records (version varchar not null);
        insert into task_records values ('20190100000009')";
    database(&project).execute_batch(make).unwrap();
    project
}

fn database(project: &Project) -> Connection {
    Connection::open(project.path("app.sqlite3")).unwrap()
}

fn rows(project: &Project) -> Vec<String> {
    let database = database(project);
    let mut found = database
        .prepare("select version from task_records order by rowid")
        .unwrap();
    let rows = found.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn what_is_done_stands_in_the_old_table_once_and_what_failed_does_not() {
    let project = project();
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    project.release_task(20_200_100_000_002, "break", "exit 3");
    project.release_task(1, "short", "true");
    insta::assert_snapshot!(project.session(&[&["run"], &["run"]]), @r#"
    $ oncely run
    done 1_short  [span]
    done 20200100000001_write  [span]
    failed 20200100000002_break: step `act`: exited with 3 (after 4 tries)
           Look: oncely show 3   Go on from there: oncely resume 3
           With the file as it is now: oncely rerun 3 --reason "…"
    1 row in after_party's table (mirror = true).
    [exit 1]
    $ oncely run
    failed 20200100000002_break: step `act`: exited with 3 (after 4 tries)
           Look: oncely show 3   Go on from there: oncely resume 3
           With the file as it is now: oncely rerun 3 --reason "…"
    [exit 1]
    "#);
    let row = [
        "run 4 after_party.mirror",
        "`row` about to act",
        "`row` done",
    ];
    project.run(&["logs", "4"]).says(0, &row);
    let wanted = ["20190100000009", "20200100000001"];
    assert_eq!(rows(&project), wanted);
    // A row that somebody took away stays away: it was added once.
    let delete = "delete from task_records where version = '20200100000001'";
    database(&project).execute_batch(delete).unwrap();
    project.run(&["run"]);
    assert_eq!(rows(&project), ["20190100000009"]);
    assert_eq!(project.text("out"), "1\n");
}

#[test]
fn a_row_that_cannot_be_added_fails_no_release_and_is_tried_again_by_the_next() {
    let project = project();
    database(&project)
        .execute_batch("alter table task_records rename to elsewhere")
        .unwrap();
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    insta::assert_snapshot!(project.session(&[&["run"], &["run"]]), @r#"
$ oncely run
done 20200100000001_write  [span]
The rows of 1 task are not in after_party's table yet (mirror = true): step `row`: the database [dir]/app.sqlite3 has no table task_records or task_record. Is it the application's database, of this environment? A table of another name: --table NAME, or `table` of [adopt.rake]. The next `oncely run` tries again.
$ oncely run
Nothing to do: 1 task already done here.
The rows of 1 task are not in after_party's table yet (mirror = true): step `row`: the database [dir]/app.sqlite3 has no table task_records or task_record. Is it the application's database, of this environment? A table of another name: --table NAME, or `table` of [adopt.rake]. The next `oncely run` tries again.
"#);
    database(&project)
        .execute_batch("alter table elsewhere rename to task_records")
        .unwrap();
    insta::assert_snapshot!(project.session(&[&["run"], &["run"], &["status"]]), @r#"
$ oncely run
Nothing to do: 1 task already done here.
1 row in after_party's table (mirror = true).
$ oncely run
Nothing to do: 1 task already done here.
$ oncely status
STATE  VERSION         TASK   LAST RUN (UTC)       TOOK
done   20200100000001  write  [time]  [span]
"#);
    assert_eq!(rows(&project), ["20190100000009", "20200100000001"]);
    assert_eq!(project.text("out"), "1\n");
}

#[test]
fn a_server_adds_the_rows_of_the_release_that_was_left_to_it() {
    let project = project();
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    let server = project.serve(&[]);
    project
        .run(&["run", "--detach", "--release", "v1"])
        .says(0, &["Left to process"]);
    let wanted = ["20190100000009", "20200100000001"];
    wait("the row of what the server did", || {
        rows(&project) == wanted
    });
    // A file that comes while it serves changes nothing about that.
    project.release_task(20_200_100_000_002, "write", "echo 2 >> out");
    project
        .run(&["run", "--detach", "--wait=60s", "--release", "v2"])
        .says(0, &["done 20200100000002_write"]);
    wait("the second row", || rows(&project).len() == 3);
    assert_eq!(server.stop().code, 0);
    project
        .run(&["run", "--release", "v2"])
        .says(0, &["Nothing to do: 2 tasks"]);
    assert_eq!(rows(&project).len(), 3);
}

/// Makes a task file unreadable as a task, and look as it did.
fn spoil(project: &Project, file: &str) {
    let text = project.text(file);
    let path = project.path(file);
    let looked = std::fs::metadata(&path).unwrap().modified().unwrap();
    let spoilt = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    (&spoilt)
        .write_all("#".repeat(text.len()).as_bytes())
        .unwrap();
    spoilt.set_modified(looked).unwrap();
}

#[test]
fn with_nothing_pending_and_every_row_added_no_file_is_read_again() {
    let project = project();
    let file = "tasks/20200100000001_write.toml";
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    project
        .run(&["run"])
        .says(0, &["1 row in after_party's table"]);
    spoil(&project, file);
    for _ in 0..2 {
        project.run(&["run"]).says(0, &["Nothing to do: 1 task"]);
    }
    // Another run, which has nothing to do with a release, changes nothing about that.
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    project.call_task("greet", "true");
    project.run(&["run"]).says(0, &["Nothing to do"]);
    project.run(&["call", "greet", "--key", "k"]).says(0, &[]);
    spoil(&project, file);
    project.run(&["run"]).says(0, &["Nothing to do: 1 task"]);
}

#[test]
fn the_rows_of_what_was_done_before_are_added_once_the_mirror_is_switched_on() {
    let project = project();
    let on = project.text("oncely.toml");
    project.write("oncely.toml", on.replace("mirror = true", "mirror = false"));
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    project
        .run(&["run"])
        .says(0, &["done 20200100000001_write"]);
    for _ in 0..2 {
        project.run(&["run"]).says(0, &["Nothing to do: 1 task"]);
    }
    assert_eq!(rows(&project), ["20190100000009"]);
    project.write("oncely.toml", on);
    project
        .run(&["run"])
        .says(0, &["1 row in after_party's table"]);
    assert_eq!(rows(&project), ["20190100000009", "20200100000001"]);
}

#[test]
fn a_row_that_is_missing_is_looked_for_however_often_there_is_nothing_else_to_do() {
    let project = project();
    let rename = |from: &str, to: &str| {
        let text = format!("alter table {from} rename to {to}");
        database(&project).execute_batch(&text).unwrap();
    };
    rename("task_records", "elsewhere");
    project.release_task(20_200_100_000_001, "write", "echo 1 >> out");
    for _ in 0..3 {
        project
            .run(&["run"])
            .says(0, &["The rows of 1 task are not"]);
    }
    rename("elsewhere", "task_records");
    project
        .run(&["run"])
        .says(0, &["1 row in after_party's table"]);
    // One that comes later fails again, and that the first one is there does not hide it.
    rename("task_records", "elsewhere");
    project.release_task(20_200_100_000_002, "write", "echo 2 >> out");
    for _ in 0..2 {
        project
            .run(&["run"])
            .says(0, &["The rows of 1 task are not"]);
    }
    rename("elsewhere", "task_records");
    project
        .run(&["run"])
        .says(0, &["1 row in after_party's table"]);
    assert_eq!(rows(&project).len(), 3);
}
