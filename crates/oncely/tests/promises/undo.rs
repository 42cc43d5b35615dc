//! Taking back what was done: one run, or all that came with later releases.

use crate::project::Project;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

/// A release task whose step writes its key to `out`, and whose undo writes its own.
fn task(project: &Project, version: u64, name: &str) {
    let text = format!(
        "[on.release]\n\n[[step]]\nid = \"act\"\ncommand = {{ shell = \"echo do-{version} $ONCELY_KEY >> out\", key_honoured = \"1h\" }}\n\
         undo = {{ command = {{ shell = \"echo undo-{version} $ONCELY_KEY >> out\", key_honoured = \"1h\" }} }}\n"
    );
    project.write(&format!("tasks/{version}_{name}.toml"), text);
}

fn words(project: &Project) -> Vec<String> {
    let text = project.text("out");
    let words = text.lines().filter_map(|line| line.split(' ').next());
    words.map(str::to_owned).collect()
}

#[test]
fn undo_shows_asks_takes_back_and_the_next_release_goes_forward_again() {
    let project = Project::new();
    task(&project, 1, "tell");
    let text = project.session(&[
        &["plan"],
        &["run", "--release", "v1"],
        &["undo", "1"],
        &["undo", "1", "--dry-run"],
        &["undo", "1", "--yes", "--reason", "wrong list"],
        &["undo", "1", "--yes"],
        &["status"],
        &["plan"],
        &["run", "--release", "v1"],
        &["logs", "1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely plan
    1_tell
      - act: command echo do-1 $ONCELY_KEY >> out  (undo: command echo undo-1 $ONCELY_KEY >> out)

    1 task would run in development. Nothing was done.
    $ oncely run --release v1
    done 1_tell  [span]
    $ oncely undo 1
    Run 1 of 1_tell  done
      takes back  act: command echo undo-1 $ONCELY_KEY >> out
    oncely: there is no terminal to ask on: say --yes when what is shown may be taken back. Nothing was done.
    [exit 2]
    $ oncely undo 1 --dry-run
    Run 1 of 1_tell  done
      takes back  act: command echo undo-1 $ONCELY_KEY >> out

    Nothing was done.
    $ oncely undo 1 --yes --reason "wrong list"
    Run 1 of 1_tell  done
      takes back  act: command echo undo-1 $ONCELY_KEY >> out

    Run 2 takes run 1 back.
    done 1_tell, undo of run 1  [span]
    The next `oncely run` does 1_tell again. Where that is not wanted, take its file away.
    $ oncely undo 1 --yes
    oncely: run 1 was taken back already, by run 2. Nothing was changed.
    [exit 1]
    $ oncely status
    STATE   VERSION  TASK  LAST RUN (UTC)       TOOK
    undone  1        tell  [time]  [span]
    $ oncely plan
    1_tell  undone as run 1
      - act: command echo do-1 $ONCELY_KEY >> out  (undo: command echo undo-1 $ONCELY_KEY >> out)

    1 task would run in development. Nothing was done.
    $ oncely run --release v1
    done 1_tell  [span]
    $ oncely logs 1
    [time]  run 1 1_tell  started by ann (release v1)
    [time]  run 1 1_tell  began with text 6cd0fa6462ad
    [time]  run 1 1_tell  `act` about to act
    [time]  run 1 1_tell  `act` done
    [time]  run 1 1_tell  ended: done
    [time]  run 1 1_tell  undo asked for by ann (wrong list)
    [time]  run 1 1_tell  taken back by run 2
    "##);
    project.run(&["undo", "3", "--yes"]).says(0, &["done"]);
    assert_eq!(words(&project), ["do-1", "undo-1", "do-1", "undo-1"]);
    let text = project.text("out");
    let keys: BTreeSet<&str> = text.lines().filter_map(|l| l.split(' ').nth(1)).collect();
    assert_eq!(keys.len(), 4, "each effect has a key of its own: {text}");
}

#[test]
fn an_undo_that_was_killed_at_any_step_goes_on_and_doubles_nothing() {
    for killed in ["c", "b", "a"] {
        let project = Project::new();
        let step = |id: &str| {
            let undo = format!(
                "echo {id} $ONCELY_KEY >> undone; if test {id} = {killed} && ! test -e go; then touch held; sleep 60; fi"
            );
            format!(
                "[[step]]\nid = \"{id}\"\ncommand = \"true\"\nundo = {{ command = {{ shell = \"{undo}\", key_honoured = \"1h\" }} }}\n"
            )
        };
        let steps = ["a", "b", "c"].map(step).concat();
        project.write("tasks/1_three.toml", format!("[on.release]\n{steps}"));
        project.run(&["run"]).says(0, &["done"]);
        let mut undo = project.start(&["undo", "1", "--yes"]);
        crate::project::wait("the undo to reach the step", || {
            project.path("held").exists()
        });
        undo.kill();
        project.write("go", "");
        project.run(&["serve", "--until-idle"]).says(0, &[]);
        let text = project.text("undone");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.dedup();
        let order: Vec<&str> = lines.iter().filter_map(|l| l.split(' ').next()).collect();
        assert_eq!(order, ["c", "b", "a"], "killed at {killed}: {text}");
        assert_eq!(
            text.lines().count(),
            4,
            "only what was in flight is repeated"
        );
        assert_eq!(project.json(&["runs", "--state", "undone"]).len(), 1);
    }
}

#[test]
fn a_rollback_takes_back_in_reverse_what_ran_first_in_later_releases() {
    let project = Project::new();
    task(&project, 1, "one");
    project.run(&["run", "--release", "v1"]).says(0, &["done"]);
    task(&project, 2, "two");
    project.run(&["run", "--release", "v2"]).says(0, &["done"]);
    // A release without a task of its own has its place too.
    project
        .run(&["run", "--release", "v3"])
        .says(0, &["Nothing to do"]);
    task(&project, 3, "three");
    task(&project, 4, "four");
    project.run(&["run", "--release", "v4"]).says(0, &["done"]);
    let text = project.session(&[
        &["rollback", "--to", "v0"],
        &["rollback", "--to", "v4"],
        &["rollback", "--to", "v3", "--dry-run"],
        &["rollback", "--to", "v1", "--yes"],
        &["rollback", "--to", "v1", "--yes"],
    ]);
    insta::assert_snapshot!(text, @r#"
    $ oncely rollback --to v0
    oncely: no release v0 was made here as far as the ledger knows. Nothing was done. The newest ones: v4, v3, v2, v1.
    [exit 2]
    $ oncely rollback --to v4
    Nothing to take back: no task ran first after v4.
    $ oncely rollback --to v3 --dry-run
    Run 4 of 4_four  done
      takes back  act: command echo undo-4 $ONCELY_KEY >> out
    Run 3 of 3_three  done
      takes back  act: command echo undo-3 $ONCELY_KEY >> out

    2 runs would be taken back. Nothing was done.
    $ oncely rollback --to v1 --yes
    Run 4 of 4_four  done
      takes back  act: command echo undo-4 $ONCELY_KEY >> out
    Run 3 of 3_three  done
      takes back  act: command echo undo-3 $ONCELY_KEY >> out
    Run 2 of 2_two  done
      takes back  act: command echo undo-2 $ONCELY_KEY >> out

    done 4_four, undo of run 4  [span]
    done 3_three, undo of run 3  [span]
    done 2_two, undo of run 2  [span]
    3 runs taken back. The next `oncely run` whose files have these tasks does them again.
    $ oncely rollback --to v1 --yes
    Nothing to take back: no task ran first after v1.
    "#);
    assert_eq!(words(&project)[4..], ["undo-4", "undo-3", "undo-2"]);
    // Forward again, with the release that does it; then back once more.
    project
        .run(&["run", "--release", "v5"])
        .says(0, &["2_two", "3_three", "4_four"]);
    assert_eq!(words(&project)[7..], ["do-2", "do-3", "do-4"]);
    project
        .run(&["rollback", "--to", "v4", "--yes"])
        .says(0, &["3 runs taken back"]);
    let text = project.text("out");
    let keys: BTreeSet<&str> = text.lines().filter_map(|l| l.split(' ').nth(1)).collect();
    assert_eq!(keys.len(), text.lines().count(), "{text}");
}

#[test]
fn a_failed_undo_stops_and_says_what_a_person_must_do() {
    let project = Project::new();
    project.write(
        "tasks/1_two.toml",
        "[on.release]\n\n[[step]]\nid = \"a\"\ncommand = \"true\"\nundo = { command = \"echo a >> undone\" }\n\n\
         [[step]]\nid = \"b\"\ncommand = \"true\"\nretry = { attempts = 1 }\nundo = { command = \"test -e mended; echo b >> undone\" }\n",
    );
    task(&project, 2, "later");
    project.run(&["run"]).says(0, &["done"]);
    let text = project.session(&[
        &["undo", "1", "--yes"],
        &["status"],
        &["run"],
        &["undo", "1"],
    ]);
    insta::assert_snapshot!(text, @r#"
    $ oncely undo 1 --yes
    Run 1 of 1_two  done
      takes back  b: command test -e mended; echo b >> undone
      takes back  a: command echo a >> undone

    Run 3 takes run 1 back.
    failed 1_two, undo of run 1: step `b`: exited with 1
           Look: oncely show 3   Go on from there: oncely resume 3
    [exit 1]
    $ oncely status
    STATE   VERSION  TASK   LAST RUN (UTC)       TOOK
    failed  1        two    [time]  [span]
    done    2        later  [time]  [span]

    Run 3, the undo of run 1 of 1_two, failed: step `b`: exited with 1
      oncely show 3   then: oncely resume 3
    $ oncely run
    failed 1_two, undo of run 1: step `b`: exited with 1
           Look: oncely show 3   Go on from there: oncely resume 3
    [exit 1]
    $ oncely undo 1
    oncely: run 1 is being taken back by run 3, which failed. `oncely show 3` says where; `oncely resume 3` goes on from there. Nothing was changed.
    [exit 1]
    "#);
    project.write("mended", "");
    project.run(&["resume", "3"]).says(0, &["done"]);
    assert_eq!(project.text("undone"), "b\na\n");
    assert_eq!(project.json(&["runs", "--state", "undone"])[0]["run"], 1);
}

#[test]
fn what_stands_beside_a_script_takes_it_back() {
    let project = Project::new();
    let script = |name: &str, text: &str| {
        let path = project.write(name, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("tasks/1_make.sh", "#!/bin/sh\necho made > made\n");
    script("tasks/1_make.undo.sh", "#!/bin/sh\nrm made\n");
    project.write(
        "tasks/2_table.sql",
        "-- /// oncely\n-- db = \"shop\"\n-- ///\ncreate table t (x);\n",
    );
    project.write("tasks/2_table.undo.sql", "drop table t;\n");
    let toml = project.text("oncely.toml") + "\n[db.shop]\nsqlite = \"shop.db\"\n";
    project.write("oncely.toml", toml);
    project.run(&["plan"]).says(
        0,
        &[
            "(undo: command tasks/1_make.undo.sh",
            "(undo: sql shop drop table t;)",
        ],
    );
    project.run(&["run"]).says(0, &["done"]);
    assert_eq!(project.text("made"), "made\n");
    // What the run began with counts, not what is there now.
    std::fs::remove_file(project.path("tasks/1_make.undo.sh")).unwrap();
    project.run(&["undo", "2", "--yes"]).says(0, &["done"]);
    project.run(&["undo", "1", "--yes"]).says(0, &["done"]);
    assert!(!project.path("made").exists());
    script("tasks/1_make.undo.sh", "#!/bin/sh\n");
    script("tasks/1_make.undo.py", "#!/usr/bin/env python3\n");
    project
        .run(&["check"])
        .says(2, &["this task has two undos"]);
}

#[test]
fn a_file_that_put_made_is_removed_and_one_that_it_wrote_over_is_said() {
    let project = Project::new();
    let put = |name: &str, to: &str| {
        let text = format!(
            "[on.release]\n\n[[step]]\nid = \"w\"\nput = {{ to = \"{to}\", text = \"new\" }}\n"
        );
        project.write(name, text);
    };
    put("tasks/1_new.toml", "files/new.txt");
    put("tasks/2_over.toml", "files/old.txt");
    project.write("files/old.txt", "old");
    project.run(&["run"]).says(0, &["done"]);
    project
        .run(&["undo", "1", "--yes"])
        .says(0, &["removes the file", "done"]);
    assert!(!project.path("files/new.txt").exists());
    project.run(&["undo", "2", "--yes"]).says(
        1,
        &["it wrote over a file that was there before", "--partly"],
    );
    assert_eq!(project.text("files/old.txt"), "new");
}

#[test]
fn what_stays_is_said_with_what_becomes_of_it() {
    let project = Project::new();
    let text = "[on.release]\n\n[[step]]\nid = \"tell\"\ncommand = \"echo told >> out\"\nundo = \"never\"\n";
    project.write("tasks/1_tell.toml", text);
    project.run(&["run"]).says(0, &["done"]);
    let undone = project.run(&["undo", "1", "--yes", "--reason", "wrong"]);
    undone.says(
        0,
        &[
            "stays       tell: undo = \"never\"",
            "The next `oncely run` that has this task does what stays once more, too.",
        ],
    );
    project.run(&["run"]).says(0, &["done"]);
    assert_eq!(project.text("out"), "told\ntold\n");
}

#[test]
fn what_cannot_be_taken_back_says_why() {
    let project = Project::new();
    project.release_task(1, "plain", "true");
    project.write(
        "tasks/ask.toml",
        "[on.call]\n\n[[step]]\nid = \"ok\"\napprove = \"Go?\"\n",
    );
    project.run(&["run"]).says(0, &["done"]);
    project
        .run(&["call", "ask", "--key", "k"])
        .says(0, &["waiting"]);
    project.release_task(3, "old", "true");
    project.run(&["baseline"]).says(0, &[]);
    let text = project.session(&[
        &["undo", "99"],
        &["undo", "1"],
        &["undo", "2"],
        &["undo", "3"],
        &["call", "ask", "--key", "undo:1"],
    ]);
    insta::assert_snapshot!(text, @r#"
    $ oncely undo 99
    oncely: there is no run 99 in this ledger. `oncely runs` lists them.
    [exit 2]
    $ oncely undo 1
    Run 1 of 1_plain  done
      no undo     act: it has no `undo`
    oncely: run 1 cannot be taken back whole: step `act`: it has no `undo`. Nothing was changed. --partly takes back the rest and leaves that as it is.
    [exit 1]
    $ oncely undo 2
    oncely: run 2 is waiting: it has not ended. `oncely cancel 2` ends it; then it can be taken back. Nothing was changed.
    [exit 1]
    $ oncely undo 3
    oncely: run 3 is skipped: oncely did nothing that could be taken back. Nothing was changed.
    [exit 1]
    $ oncely call ask --key undo:1
    oncely: keys of the form `undo:NUMBER` belong to runs that take others back. Nothing was started. Choose another key; `oncely undo` takes a run back.
    [exit 2]
    "#);
}
