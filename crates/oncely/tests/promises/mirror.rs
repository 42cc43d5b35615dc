//! `mirror = true`: what oncely has done stands in after_party's table too, so that a team can go back.

use crate::project::Project;
use rusqlite::Connection;

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
