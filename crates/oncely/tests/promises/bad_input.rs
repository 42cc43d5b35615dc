//! Bad input: each kind has its own clear error, nothing is lost, and the other tasks go on.

use crate::project::Project;
use serde_json::Value;

#[test]
fn every_kind_of_wrong_task_file_is_said_at_once_and_the_other_tasks_go_on() {
    let project = Project::new();
    let call = "[on.call]\n\n[[step]]\nid = \"a\"\n";
    let release = "[on.release]\n\n[[step]]\nid = \"a\"\ncommand = \"true\"\n";
    project.write("tasks/not_utf8.toml", b"title = \"caf\xe9\"\n");
    project.write("tasks/syntax.toml", "title = \"open\n");
    project.write(
        "tasks/unknown_key.toml",
        format!("titel = \"x\"\n{call}command = \"true\"\n"),
    );
    project.write(
        "tasks/name_a.toml",
        format!("id = \"same\"\n{call}command = \"true\"\n"),
    );
    project.write(
        "tasks/name_b.toml",
        format!("id = \"same\"\n{call}command = \"true\"\n"),
    );
    project.write("tasks/7_first.toml", release);
    project.write("tasks/7_second.toml", release);
    project.write(
        "tasks/cycle_a.toml",
        format!("{call}call = {{ task = \"cycle_b\" }}\n"),
    );
    project.write(
        "tasks/cycle_b.toml",
        format!("{call}call = {{ task = \"cycle_a\" }}\n"),
    );
    project.call_task("good", "echo good >> out");
    let check = project.run(&["check"]);
    insta::assert_snapshot!(check.all(), @r##"
    error: this file is not UTF-8: byte 0xe9
     --> tasks/not_utf8.toml:1:1
      |
    1 |
      | ^ the first bad byte stands here
      |
      = help: save it as UTF-8

    error: two release tasks have the version 7
     --> tasks/7_first.toml:1:1
      |
    1 | [on.release]
      | ^ the other is tasks/7_second.toml
      |
      = help: give the newer file a later time

    error: two release tasks have the version 7
     --> tasks/7_second.toml:1:1
      |
    1 | [on.release]
      | ^ the other is tasks/7_first.toml
      |
      = help: give the newer file a later time

    error: the cycle cycle_a -> cycle_b -> cycle_a
     --> tasks/cycle_a.toml:5:17
      |
    5 | call = { task = "cycle_b" }
      |                 ^^^^^^^^^ this call closes it
      |
      = help: a task cannot call itself, by whatever way

    error: the cycle cycle_b -> cycle_a -> cycle_b
     --> tasks/cycle_b.toml:5:17
      |
    5 | call = { task = "cycle_a" }
      |                 ^^^^^^^^^ this call closes it
      |
      = help: a task cannot call itself, by whatever way

    error: two tasks are called `same`
     --> tasks/name_a.toml:1:6
      |
    1 | id = "same"
      |      ^^^^^^ the other is tasks/name_b.toml
      |
      = help: rename one of the files, or give one an `id` of its own

    error: two tasks are called `same`
     --> tasks/name_b.toml:1:6
      |
    1 | id = "same"
      |      ^^^^^^ the other is tasks/name_a.toml
      |
      = help: rename one of the files, or give one an `id` of its own

    error: this is not TOML: invalid basic string, expected `"`
     --> tasks/syntax.toml:1:14
      |
    1 | title = "open
      |              ^

    error: unknown key `titel` in a task file
     --> tasks/unknown_key.toml:1:1
      |
    1 | titel = "x"
      | ^^^^^ not known here
      |
      = help: did you mean `title`?

    9 errors in 10 task files.
    [exit 2]
    "##);
    project
        .run(&["call", "good", "--key", "1"])
        .says(0, &["done good"]);
    project
        .run(&["call", "syntax", "--key", "1"])
        .says(2, &["tasks/syntax.toml:1"]);
    let served = project.run(&["serve", "--until-idle"]);
    served.says(0, &["The other tasks go on", "Serving 1 task"]);
    assert_eq!(project.text("out"), "good\n");
    let problems = project.json(&["check"]);
    assert_eq!(problems.len(), 9);
    assert!(
        problems
            .iter()
            .all(|p| p["path"].is_string() && p["line"].is_u64())
    );
}

#[test]
fn a_task_file_that_cannot_be_read_is_said() {
    let project = Project::new();
    project.release_task(1, "good", "true");
    std::os::unix::fs::symlink(project.path("nowhere"), project.path("tasks/2_gone.toml")).unwrap();
    let check = project.run(&["check"]);
    check.says(2, &["tasks/2_gone.toml", "cannot be read"]);
}

/// A project that writes each record of a file that lands into a table.
fn records(columns: &str) -> Project {
    let project = Project::new();
    project.write("oncely.toml", "[db.results]\nsqlite = \"results.db\"\n");
    let text = format!(
        "[on.object]\nsource = \"folder:inbox\"\nmatch = \"*.csv\"\nexisting = \"run\"\n\n\
         [[step]]\nid = \"rows\"\nfor_each = {{ read = \"{{{{ event.url }}}}\", as = \"csv\"{columns} }}\n\n\
         [[step.do]]\nid = \"store\"\n\n[step.do.sql]\ndb = \"results\"\n\
         text = \"insert into rows (line, a, b) values (:line, :a, :b)\"\n\
         bind = {{ line = \"{{{{ loop.index }}}}\", a = \"{{{{ item.a }}}}\", b = \"{{{{ item.b }}}}\" }}\n"
    );
    project.write("tasks/rows.toml", text);
    let database = rusqlite::Connection::open(project.path("results.db")).unwrap();
    database
        .execute_batch("create table rows (line integer, a text, b text)")
        .unwrap();
    std::fs::create_dir(project.path("inbox")).unwrap();
    project
}

/// What was written, and what was set aside.
fn written(project: &Project) -> (Vec<String>, Vec<Value>) {
    project.run(&["serve", "--until-idle"]).says(0, &[]);
    let database = rusqlite::Connection::open(project.path("results.db")).unwrap();
    let mut rows = database
        .prepare("select a || '|' || b from rows order by line, a")
        .unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    let rows = rows.collect::<Result<_, _>>().unwrap();
    let shown = project.json(&["show", "1"]);
    let aside = shown
        .iter()
        .filter_map(|line| line.get("set_aside").cloned());
    (rows, aside.collect())
}

#[test]
fn a_ragged_row_and_a_bad_quote_are_set_aside_and_the_others_are_written() {
    let project = records("");
    project.write("inbox/f.csv", "a,b\n1,2\n3\n4,5,6\n\"x\"y,7\n8,9\n");
    let (rows, aside) = written(&project);
    assert_eq!(rows, ["1|2", "8|9"]);
    let reasons: Vec<_> = aside
        .iter()
        .map(|a| format!("{}: {}", a["line"], a["reason"].as_str().unwrap()))
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r##"
    3: it has 1 field; 2 are expected
    4: it has 3 fields; 2 are expected
    5: something stands between a closing quote and the next comma
    "##);
    let shown = project.run(&["show", "1"]);
    shown.says(0, &["5 items, 2 done, 3 set aside", "line 3"]);
}

#[test]
fn a_byte_order_mark_and_crlf_are_no_part_of_the_data() {
    let project = records("");
    project.write("inbox/f.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r\n");
    let (rows, aside) = written(&project);
    assert_eq!(
        (rows, aside.len()),
        (vec!["1|2".to_owned(), "3|4".to_owned()], 0)
    );
}

#[test]
fn a_file_without_a_header_takes_its_names_from_columns() {
    let project = records(", columns = [\"a\", \"b\"]");
    project.write("inbox/f.csv", "1,2\n3,4\n");
    let (rows, aside) = written(&project);
    assert_eq!(
        (rows, aside.len()),
        (vec!["1|2".to_owned(), "3|4".to_owned()], 0)
    );
}

#[test]
fn files_without_rows_are_done_at_once() {
    let project = records("");
    project.write("inbox/header.csv", "a,b\n");
    project.write("inbox/nothing.csv", "");
    let (rows, aside) = written(&project);
    assert_eq!((rows.len(), aside.len()), (0, 0));
    let runs = project.run(&["runs"]);
    insta::assert_snapshot!(keys_hidden(&runs.out), @r##"
    header.csv done
    nothing.csv failed
    "##);
}

/// States and names only.
fn keys_hidden(runs: &str) -> String {
    let mut lines: Vec<String> = runs
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {}", words[3].split('#').next().unwrap(), words[1])
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn ten_megabytes_in_one_line_are_set_aside_and_the_next_line_is_written() {
    let project = records("");
    let long = "x".repeat(10 * 1024 * 1024);
    project.write("inbox/f.csv", format!("a,b\n1,2\n{long},3\n4,5\n"));
    let (rows, aside) = written(&project);
    assert_eq!(rows, ["1|2", "4|5"]);
    assert_eq!(aside.len(), 1);
    assert!(aside[0]["input"].as_str().unwrap().len() < 1024 * 1024);
    insta::assert_snapshot!(aside[0]["reason"].as_str().unwrap(), @r##"
    the line has 10485763 bytes; at most 1048576 are allowed
    "##);
}

#[test]
fn an_event_of_100_megabytes_is_refused_and_one_of_other_things_than_json_too() {
    let project = Project::new();
    project.call_task("greet", "echo x >> out");
    let large = format!("{{\"text\": \"{}\"}}", "é".repeat(50 * 1024 * 1024));
    project.write("large.json", &large);
    let call = |file: &str| project.run(&["call", "greet", "--key", "1", "--event", file]);
    insta::assert_snapshot!(call("large.json").all(), @r##"
    oncely: the event large.json has more than 1048576 bytes. Nothing was started. Put the content into a file of its own and let the event name it.
    [exit 2]
    "##);
    project
        .fed(
            &["call", "greet", "--key", "1", "--event", "-"],
            large.as_bytes(),
        )
        .says(2, &["has more than 1048576 bytes"]);
    project.write("wrong.json", "{\"a\": }");
    call("wrong.json").says(
        2,
        &["is not JSON", "line 1 column 7", "Nothing was started."],
    );
    project.write("list.json", "[1]");
    call("list.json").says(2, &["is not a JSON object. Nothing was started."]);
    project.write("bytes.json", b"{\"a\": \"\xff\"}");
    call("bytes.json").says(2, &["is not JSON", "Nothing was started."]);
    call("nowhere.json").says(2, &["nowhere.json", "Nothing was started."]);
    assert_eq!(project.json(&["runs"]).len(), 0);
    assert_eq!(project.text("out"), "");
}

#[test]
fn a_sql_error_fails_its_task_alone_and_names_the_place() {
    let project = Project::new();
    for (name, text) in [
        ("syntax", "selec 1"),
        ("table", "insert into nowhere values (1)"),
    ] {
        project.write(
            &format!("tasks/{name}.toml"),
            format!("[on.call]\n\n[[step]]\nid = \"a\"\nsql = {{ db = \"ledger\", text = \"{text}\" }}\n"),
        );
    }
    project.write(
        "tasks/which.toml",
        "[on.call]\n\n[[step]]\nid = \"a\"\nsql = { db = \"reslts\", text = \"select 1\" }\n",
    );
    project.call_task("good", "true");
    let text = project.session(&[
        &["call", "syntax", "--key", "1"],
        &["call", "table", "--key", "1"],
        &["call", "which", "--key", "1"],
        &["call", "good", "--key", "1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely call syntax --key 1
    failed syntax: step `a`: near "selec": syntax error
           Look: oncely show 1   Go on from there: oncely resume 1
           With the file as it is now: oncely rerun 1 --reason "…"
    [exit 1]
    $ oncely call table --key 1
    failed table: step `a`: no such table: nowhere
           Look: oncely show 2   Go on from there: oncely resume 2
           With the file as it is now: oncely rerun 2 --reason "…"
    [exit 1]
    $ oncely call which --key 1
    failed which: step `a`: there is no database named "reslts": add [db.reslts] to oncely.toml; known are ledger
           Look: oncely show 3   Go on from there: oncely resume 3
           With the file as it is now: oncely rerun 3 --reason "…"
    [exit 1]
    $ oncely call good --key 1
    done good  [span]
    "##);
}

#[test]
fn a_ledger_that_is_no_ledger_is_left_as_it_is() {
    let project = Project::new();
    project.release_task(1, "a", "echo x >> out");
    let other = project.path("other.db");
    rusqlite::Connection::open(&other)
        .and_then(|db| db.execute_batch("create table mine (x); insert into mine values (1)"))
        .unwrap();
    project.write(
        "text.db",
        "This is a letter to my aunt, and no database at all. ".repeat(100),
    );
    project.write("empty.db", "");
    for (file, words) in [
        ("other.db", "it is a database of something else"),
        ("text.db", "it is not a SQLite database"),
        ("tasks", "it is not a file"),
        ("no/such/folder.db", "does not exist"),
    ] {
        let before = std::fs::read(project.path(file)).ok();
        for args in [&["run"][..], &["doctor"]] {
            let mut command = project.command(args);
            command.env("ONCELY_LEDGER", file);
            let ended = project.ended(command);
            let said = format!("{}{}", ended.out, ended.err);
            let missing = args[0] == "doctor" && file.starts_with("no/");
            assert!(missing || said.contains(words), "{file}: {said}");
            assert!(
                missing || ended.code == if args[0] == "run" { 2 } else { 1 },
                "{file} {args:?}: {said}"
            );
        }
        assert_eq!(
            std::fs::read(project.path(file)).ok(),
            before,
            "{file} was changed"
        );
    }
    assert!(!project.path("no").exists());
    assert_eq!(project.text("out"), "");
}

#[test]
fn a_missing_task_folder_is_said() {
    let project = Project::new();
    std::fs::remove_dir(project.path("tasks")).unwrap();
    for args in [&["run"][..], &["plan"], &["check"], &["serve"]] {
        project
            .run(args)
            .says(2, &["the task folder", "cannot be read", "oncely init"]);
    }
}
