//! What a task file may say about rounds, and the words for what it may not.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::Task;

fn read(path: &str, text: &str) -> Result<Task, String> {
    texts::read(&texts::script(path, text))
}

fn wrong(step: &str) -> String {
    let text = format!("on.call = {{}}\n[[step]]\nid = \"a\"\n{step}\n");
    read("tasks/t.toml", &text).unwrap_err()
}

#[test]
fn rounds_have_an_end() {
    insta::assert_snapshot!(wrong("command = \"x\"\nevery = \"14d\""), @r#"tasks/t.toml:5:1: `every` needs a bound (times = 12, or for = "180d"; steps after it read whether `until` held)"#);
    insta::assert_snapshot!(wrong("command = \"x\"\nevery = \"1s\"\nfor = \"1d\""), @"tasks/t.toml:6:1: there are at most 1000 rounds");
    insta::assert_snapshot!(wrong("command = \"x\"\nevery = \"500ms\"\ntimes = 1001"), @"tasks/t.toml:5:9: `every` is from a second to 366 days");
    insta::assert_snapshot!(wrong("command = \"x\"\nevery = \"400d\"\nfor = \"0s\""), @"tasks/t.toml:5:9: `every` is from a second to 366 days");
    insta::assert_snapshot!(wrong("command = \"x\"\ntimes = 3\nfor = \"1d\""), @r#"
tasks/t.toml:5:1: `times` needs `every` (every = "14d")
tasks/t.toml:6:1: `for` needs `every` (every = "14d")
"#);
}

#[test]
fn a_check_only_looks() {
    let check = |check: &str| {
        wrong(&format!(
            "command = \"x\"\nevery = \"1d\"\ntimes = 2\nuntil = \"check\"\ncheck = {check}"
        ))
    };
    insta::assert_snapshot!(check("{ http = { url = \"https://x.example/\", json = {} } }"), @"tasks/t.toml:8:9: this `http` cannot be a check (a check only looks: http with GET or HEAD, a select on a [db.NAME], or a command with safe = true)");
    insta::assert_snapshot!(check("{ sql = { db = \"shop\", text = \"delete from orders\" } }"), @"tasks/t.toml:8:9: this `sql` cannot be a check (a check only looks: http with GET or HEAD, a select on a [db.NAME], or a command with safe = true)");
    insta::assert_snapshot!(check("{ sql = { text = \"select 1\" } }"), @"tasks/t.toml:8:9: this `sql` cannot be a check (a check only looks: http with GET or HEAD, a select on a [db.NAME], or a command with safe = true)");
    insta::assert_snapshot!(check("{ command = [\"bin/look\"] }"), @"tasks/t.toml:8:9: this `command` cannot be a check (a check only looks: http with GET or HEAD, a select on a [db.NAME], or a command with safe = true)");
    insta::assert_snapshot!(check("{ put = { to = \"a/b\", text = \"\" } }"), @"tasks/t.toml:8:9: this `put` cannot be a check (a check only looks: http with GET or HEAD, a select on a [db.NAME], or a command with safe = true)");
    insta::assert_snapshot!(check("{}"), @"tasks/t.toml:8:9: `check` has no action (actions: command, http, sql, put, email, slack, predict, require, approve, call)");
    insta::assert_snapshot!(wrong("command = \"x\"\nevery = \"1d\"\ntimes = 2\ncheck = { http = { url = \"https://x.example/\" } }"), @r#"tasks/t.toml:7:1: `check` needs `until` (until = "check.json.paid")"#);
}

#[test]
fn rounds_stand_where_they_can_be_waited_for() {
    insta::assert_snapshot!(wrong("approve = \"ok?\"\nevery = \"1d\"\ntimes = 2"), @"tasks/t.toml:5:1: `every` says nothing about `approve` (use `expires`)");
    insta::assert_snapshot!(wrong("for_each = \"[1]\"\nevery = \"1d\"\ntimes = 2\ndo = [{ command = \"x\" }]"), @"tasks/t.toml:5:1: a `for_each` step is not done in rounds (put it into a task of its own, and `call` that task in rounds)");
    insta::assert_snapshot!(wrong("for_each = \"[1]\"\ndo = [{ command = \"x\", every = \"1d\", times = 2 }]"), @"tasks/t.toml:5:24: `every` cannot stand inside a `do` block (`call` a task for each item, and let that one have the rounds)");
    let release = "[[step]]\ncommand = \"x\"\nevery = \"1d\"\ntimes = 2\n";
    insta::assert_snapshot!(read("tasks/20261122101500_x.toml", release).unwrap_err(), @"tasks/20261122101500_x.toml:3:1: a release task has no rounds: later ones would wait for them (put them into a task with [on.call], and `call` that one)");
}

#[test]
fn what_rounds_read_is_checked() {
    let until = |until: &str| {
        wrong(&format!(
            "command = \"x\"\nevery = \"1d\"\ntimes = 2\nuntil = \"{until}\""
        ))
    };
    insta::assert_snapshot!(until("check.paid"), @"tasks/t.toml:7:10: `check` can be read in a step with `every` and `check` only");
    insta::assert_snapshot!(until("output.paid"), @"tasks/t.toml:7:10: `output` has no `paid` (there are: `code`, `stdout`, `stderr`, `json`, `millis`)");
    insta::assert_snapshot!(wrong("command = [\"x\", \"{{ round }}\"]"), @"tasks/t.toml:4:21: `round` can be read in a step with `every` only");
    insta::assert_snapshot!(wrong("command = \"x\"\nevery = \"1d\"\ntimes = 2\nwhen = \"round == 1\""), @"tasks/t.toml:7:9: `round` can be read in a step with `every` only");
    let later =
        "command = \"x\"\nevery = \"1d\"\ntimes = 2\n[[step]]\nrequire = \"steps.a.code == 0\"";
    insta::assert_snapshot!(wrong(later), @"tasks/t.toml:8:12: step `a` has no `code` (there are: `rounds`, `held`, `output`, `check`)");
}
