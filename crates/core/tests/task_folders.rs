//! Folders of task files, and files that are tasks by themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::{
    ActionKind, Bundle, Loaded, Task, Trigger, Undo, Work, is_task_file, load, load_all, read_text,
};
use texts::{script as bundle, words};

fn called(path: &str, step: &str) -> Bundle {
    bundle(path, &format!("on.call = {{}}\n[[step]]\n{step}\n"))
}

fn told(loaded: &Loaded) -> String {
    let tasks: Vec<_> = loaded.tasks.iter().map(|t| t.id.as_str()).collect();
    let mut lines = vec![format!("tasks: {}", tasks.join(" "))];
    lines.extend(loaded.diagnostics.iter().map(ToString::to_string));
    lines.join("\n")
}

fn wrong(bundle: &Bundle) -> String {
    let errors = load(bundle).expect_err("the file is read without a fault");
    words(&errors)
}

fn options(task: &Task) -> (ActionKind, serde_json::Value) {
    match &task.steps[0].work {
        Work::Action(spec) => (spec.kind, spec.fixed.clone()),
        Work::Each(_) => panic!("a for_each step"),
    }
}

#[test]
fn a_bad_file_never_takes_the_others_with_it() {
    let loaded = load_all(&[
        called("tasks/good.toml", "call = { task = \"bad\" }"),
        called("tasks/bad.toml", "commnd = \"x\""),
        called("tasks/other.toml", "command = \"x\""),
    ]);
    insta::assert_snapshot!(told(&loaded), @r#"
tasks: good other
tasks/bad.toml:3:1: `commnd` is no action and no other key of a step (did you mean `command`?)
"#);
}

#[test]
fn neither_of_two_tasks_of_one_name_is_taken() {
    let loaded = load_all(&[
        bundle(
            "tasks/a.toml",
            "id = \"b\"\non.call = {}\n[[step]]\ncommand = \"x\"\n",
        ),
        called("tasks/b.toml", "command = \"x\""),
        called("tasks/c.toml", "command = \"x\""),
        bundle("tasks/20261122101500_x.toml", "[[step]]\ncommand = \"x\"\n"),
        bundle("tasks/20261122101500_y.sh", "#!/bin/sh\n"),
    ]);
    insta::assert_snapshot!(told(&loaded), @r#"
tasks: c
tasks/a.toml:1:6: two tasks are called `b` (rename one of the files, or give one an `id` of its own)
tasks/b.toml:1:1: two tasks are called `b` (rename one of the files, or give one an `id` of its own)
tasks/20261122101500_x.toml:1:1: two release tasks have the version 20261122101500 (give the newer file a later time)
tasks/20261122101500_y.sh:1:1: two release tasks have the version 20261122101500 (give the newer file a later time)
"#);
}

#[test]
fn requests_to_one_path_go_to_one_task() {
    let hook = |path: &str, top: &str, at: &str| {
        let on =
            format!("on.webhook = {{ path = {at:?}, verify = \"none\", key = \"event.body.id\" }}");
        bundle(path, &format!("{top}{on}\n[[step]]\ncommand = \"x\"\n"))
    };
    let loaded = load_all(&[
        hook("tasks/a.toml", "", "/hooks/x"),
        hook(
            "tasks/b.toml",
            "environments = [\"production\"]\n",
            "/hooks/x",
        ),
        hook(
            "tasks/c.toml",
            "environments = [\"production\"]\n",
            "/hooks/y",
        ),
        hook("tasks/d.toml", "environments = [\"staging\"]\n", "/hooks/y"),
    ]);
    insta::assert_snapshot!(told(&loaded), @r#"
tasks: c d
tasks/a.toml:1:1: two tasks wait for requests at /hooks/x (give one another path, or let it `call` the other)
tasks/b.toml:1:1: two tasks wait for requests at /hooks/x (give one another path, or let it `call` the other)
"#);
}

#[test]
fn a_cycle_of_calls_is_told_and_the_rest_goes_on() {
    let loaded = load_all(&[
        called("tasks/a.toml", "call = { task = \"b\" }"),
        called("tasks/b.toml", "call = { task = \"a\" }"),
        called("tasks/self.toml", "call = { task = \"self\" }"),
        called("tasks/outside.toml", "call = { task = \"leaf\" }"),
        called("tasks/leaf.toml", "command = \"x\""),
    ]);
    insta::assert_snapshot!(told(&loaded), @r#"
tasks: outside leaf
tasks/a.toml:3:17: the cycle a -> b -> a (a task cannot call itself, by whatever way)
tasks/b.toml:3:17: the cycle b -> a -> b (a task cannot call itself, by whatever way)
tasks/self.toml:3:17: the cycle self -> self (a task cannot call itself, by whatever way)
"#);
}

#[test]
fn a_call_to_nobody_is_told_with_a_suggestion() {
    let loaded = load_all(&[
        called("tasks/a.toml", "call = { task = \"inovice\" }"),
        called("tasks/invoice.toml", "command = \"x\""),
        called("tasks/b.toml", "call = { task = \"20261122101500\" }"),
        bundle("tasks/20261122101500_x.sh", "#!/bin/sh\n"),
    ]);
    insta::assert_snapshot!(told(&loaded), @r#"
tasks: invoice 20261122101500
tasks/a.toml:3:17: there is no task `inovice` (did you mean `invoice`?)
tasks/b.toml:3:17: task `20261122101500` cannot be called (give the called task [on.call])
"#);
}

#[test]
fn an_executable_is_a_release_task_by_its_name() {
    let task = load(&bundle(
        "tasks/20261122101500_fix.sh",
        "#!/bin/sh\necho done\n",
    ))
    .unwrap();
    assert_eq!(task.id.as_str(), "20261122101500");
    assert!(matches!(task.on, Trigger::Release(_)));
    assert_eq!(task.steps[0].id.as_str(), "run");
    let (kind, options) = options(&task);
    assert_eq!(kind, ActionKind::Command);
    assert_eq!(options["script"], "tasks/20261122101500_fix.sh");
    assert_eq!(options["script_text"], "#!/bin/sh\necho done\n");
}

#[test]
fn the_header_of_a_script_is_toml() {
    for (leader, path) in [
        ("#", "tasks/report.py"),
        ("//", "tasks/report.js"),
        ("--", "tasks/report.lua"),
        (";", "tasks/report.lisp"),
    ] {
        let text = format!(
            "#!/usr/bin/env x\n{leader} /// oncely\n{leader} title = \"Report — monthly\"\n\
             {leader} on.call = {{ key = \"event.id\" }}\n{leader}\n{leader} timeout = \"5m\"\n\
             {leader} when = \"event.id != 3\"\n{leader} ///\nrest = [[[\n"
        );
        let task = load(&bundle(path, &text)).unwrap();
        assert_eq!(task.id.as_str(), "report");
        assert_eq!(task.title.as_deref(), Some("Report — monthly"));
        assert_eq!(task.steps[0].policy.timeout_ms, Some(300_000));
    }
}

#[test]
fn a_script_has_one_header_and_what_looks_like_another_is_its_own() {
    let text = "#!/bin/sh\n# /// oncely\n# title = \"One\"\n# ///\ncat <<'E'\n# /// oncely\n# timeout = \"5m\"\n# ///\nE\n";
    let task = load(&bundle("tasks/20261122101500_fix.sh", text)).unwrap();
    assert_eq!(task.title.as_deref(), Some("One"));
    assert_eq!(task.steps[0].policy.timeout_ms, None);
}

#[test]
fn faults_of_a_header_are_told_at_the_lines_of_the_script() {
    let text = "#!/bin/sh\necho é\n# /// oncely\n# tiemout = \"5m\"\n# [[step]]\n# ///\n";
    insta::assert_snapshot!(wrong(&bundle("tasks/20261122101500_fix.sh", text)), @r#"
tasks/20261122101500_fix.sh:4:3: unknown key `tiemout` in the header of a script (did you mean `timeout`?)
tasks/20261122101500_fix.sh:5:5: unknown key `step` in the header of a script (known keys: `title`, `id`, `environments`, `tags`, `on`, `limits`, `cancel_on`, `when`, `until`, `every`, `check`, `times`, `for`, `retry`, `timeout`, `hold`, `on_unknown`, `probe`, `undo`)
"#);
    let errors = load(&bundle("tasks/20261122101500_fix.sh", text)).unwrap_err();
    insta::assert_snapshot!(errors[0].render(text, false), @r#"
error: unknown key `tiemout` in the header of a script
 --> tasks/20261122101500_fix.sh:4:3
  |
4 | # tiemout = "5m"
  |   ^^^^^^^ not known here
  |
  = help: did you mean `timeout`?
"#);
    let text = "#!/bin/sh\n# /// oncely\n# title = \"x\"\n";
    insta::assert_snapshot!(wrong(&bundle("tasks/20261122101500_fix.sh", text)), @"tasks/20261122101500_fix.sh:2:1: the header has no end (end it with a comment line that holds `///` alone)");
    let text = "#!/bin/sh\n# /// oncely\n# title = \"x\"\necho\n# ///\n";
    insta::assert_snapshot!(wrong(&bundle("tasks/20261122101500_fix.sh", text)), @"tasks/20261122101500_fix.sh:4:1: every line of the header is a comment (begin it like the first line of the header)");
}

#[test]
fn a_script_that_cannot_be_executed_says_how() {
    let file = Bundle {
        executable: false,
        ..bundle("tasks/20261122101500_fix.sh", "#!/bin/sh\n")
    };
    insta::assert_snapshot!(wrong(&file), @"tasks/20261122101500_fix.sh:1:1: this file is a task by its name, and cannot be executed (chmod +x tasks/20261122101500_fix.sh)");
}

#[test]
fn an_sql_file_is_one_statement_step() {
    let text = "-- /// oncely\n-- db = \"app\"\n-- on.release.phase = \"before\"\n-- ///\nupdate t set x = '{{1}}';\n";
    let task = load(&bundle("tasks/20261122101500_fix.sql", text)).unwrap();
    let (kind, given) = options(&task);
    assert_eq!(kind, ActionKind::Sql);
    assert_eq!(
        (&given["db"], &given["text"]),
        (&"app".into(), &text.into())
    );
    let task = load(&bundle("tasks/20261122101500_fix.sql", "select 1")).unwrap();
    assert_eq!(options(&task).1["db"], "ledger");
}

#[test]
fn the_undo_of_a_script_stands_beside_it() {
    let undo_of = |mut file: Bundle| {
        file.files.insert(
            "tasks/20261122101500_fix.undo.sql".into(),
            "select 2".into(),
        );
        match load(&file).unwrap().steps.remove(0).policy.undo {
            Some(Undo::Action(undo)) => undo,
            _ => panic!("no undo"),
        }
    };
    let undo = undo_of(bundle("tasks/20261122101500_fix.sh", "#!/bin/sh\n"));
    assert_eq!(
        (undo.kind, undo.options.fixed_text("text")),
        (ActionKind::Sql, Some("select 2"))
    );
    let undo = undo_of(bundle(
        "tasks/20261122101500_fix.sql",
        "-- /// oncely\n-- db = \"app\"\n-- ///\nselect 1",
    ));
    assert_eq!(
        undo.options.fixed_text("db"),
        Some("app"),
        "where the task was"
    );
    for elsewhere in [
        "tasks/20261122101500_other.undo.sql",
        "more/20261122101500_fix.undo.sql",
        "tasks/20261122101500_fix.sql",
    ] {
        let mut file = bundle("tasks/20261122101500_fix.sh", "#!/bin/sh\n");
        file.files.insert(elsewhere.into(), "select 2".into());
        let task = load(&file).unwrap();
        assert!(task.steps[0].policy.undo.is_none(), "{elsewhere}");
    }
}

#[test]
fn which_files_are_tasks() {
    for (path, executable, is) in [
        ("tasks/a.toml", false, true),
        ("tasks/a.sql", false, true),
        ("tasks/a.py", true, true),
        ("tasks/a.py", false, false),
        ("tasks/20261122101500_a.py", false, true),
        ("tasks/20261122101500_a.undo.py", true, false),
        ("tasks/README.md", false, false),
        ("tasks/.hidden", false, false),
    ] {
        assert_eq!(is_task_file(path, executable), is, "{path}");
    }
}

#[test]
fn bytes_that_are_not_text_are_told_with_their_place() {
    let error = read_text("tasks/a.toml", b"title = \"a\"\nid = \"caf\xe9\"\n").unwrap_err();
    insta::assert_snapshot!(error, @"tasks/a.toml:2:10: this file is not UTF-8: byte 0xe9 (save it as UTF-8)");
    insta::assert_snapshot!(error.render("title = \"a\"\nid = \"caf", false), @r#"
error: this file is not UTF-8: byte 0xe9
 --> tasks/a.toml:2:10
  |
2 | id = "caf
  |          ^ the first bad byte stands here
  |
  = help: save it as UTF-8
"#);
    let long = vec![b'#'; oncely_core::limits::TASK_FILE_BYTES + 1];
    insta::assert_snapshot!(read_text("tasks/a.toml", &long).unwrap_err(), @"tasks/a.toml:1:1: the file has 1048577 bytes; at most 1048576 are read (keep data in a file of its own, and name that file)");
    let error = read_text("tasks/a.toml", &long).unwrap_err();
    assert!(error.render("", false).contains("tasks/a.toml"));
    assert_eq!(read_text("tasks/a.toml", "é".as_bytes()).unwrap(), "é");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    load(&called("tasks/a.toml", "command = \"x\"")).unwrap();
    let file = called("tasks/a.toml", "command = \"x\"");
    load(&bundle("tasks/a.toml", &format!("\u{feff}{}", file.text))).unwrap();
}
