//! The first five minutes.

use crate::project::Project;

#[test]
fn init_new_plan_run_and_run_again() {
    let project = Project::empty();
    let text = project.session(&[
        &["init"],
        &["new", "greet_customer", "-d", "Say hello to customer X"],
        &["plan"],
        &["run"],
        &["run"],
        &["status"],
    ]);
    insta::assert_snapshot!(text, @r#"
    $ oncely init
    Made oncely.toml, tasks/, .gitignore.
    Next: oncely new my_first_task -d "What it does"
    $ oncely new greet_customer -d "Say hello to customer X"
    Made tasks/[version]_greet_customer.toml.
    Next: oncely plan
    $ oncely plan
    [version]_greet_customer
      Say hello to customer X
      - hello: command echo Hello from {{ event.environment }}  (no undo)

    1 task would run in development. Nothing was done.
    $ oncely run
    done [version]_greet_customer  [span]
    $ oncely run
    Nothing to do: 1 task already done here.
    $ oncely status
    STATE  VERSION         TASK            LAST RUN (UTC)       TOOK
    done   [version]  greet_customer  [time]  [span]
    "#);
}

#[test]
fn init_twice_changes_nothing_and_keeps_what_git_ignores() {
    let project = Project::empty();
    project.write(".gitignore", "target");
    assert_eq!(project.run(&["init"]).code, 0);
    let before = project.text("oncely.toml") + &project.text(".gitignore");
    assert!(before.contains("target\n"));
    project
        .run(&["init"])
        .says(0, &["This is a project already; nothing was changed."]);
    let after = project.text("oncely.toml") + &project.text(".gitignore");
    assert_eq!(after, before);
}

#[test]
fn every_new_file_works_as_it_is_and_two_in_one_second_have_two_versions() {
    let project = Project::new();
    project
        .run(&["new", "a", "--lang", "sh"])
        .says(0, &["Made tasks/"]);
    project
        .run(&["new", "b", "--lang", "py"])
        .says(0, &["Made tasks/"]);
    project
        .run(&["new", "c", "--lang", "sql"])
        .says(0, &["Made tasks/"]);
    project.run(&["new", "d"]).says(0, &["Made tasks/"]);
    project
        .run(&["new", "e", "--on", "object"])
        .says(0, &["Made tasks/e.toml"]);
    let event = r#"{"id": "1"}"#;
    let then = format!("then echo '{event}' | oncely call f --event -");
    project
        .run(&["new", "f", "--on", "call"])
        .says(0, &["Made tasks/f.toml", &then]);
    project
        .fed(&["call", "f", "--event", "-"], event.as_bytes())
        .says(0, &["done"]);
    project.run(&["check"]).says(0, &["6 tasks, no errors."]);
    let ran = project.run(&["run"]);
    ran.says(0, &[]);
    assert_eq!(ran.out.matches("done").count(), 4, "{}", ran.out);
    project
        .run(&["run"])
        .says(0, &["Nothing to do: 4 tasks already done here."]);
}

#[test]
fn looking_makes_nothing() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    let looks: &[&[&str]] = &[
        &["plan"],
        &["run", "--dry-run"],
        &["check"],
        &["status"],
        &["runs"],
        &["logs"],
        &["why", "x"],
        &["doctor"],
        &["schema"],
        &["model", "list"],
        &["ledger", "export"],
    ];
    for look in looks {
        let ended = project.run(look);
        assert_eq!(ended.code, 0, "{look:?}: {}", ended.all());
        assert!(!project.path(".oncely").exists(), "{look:?} made a ledger");
    }
    for wrong in [&["show", "1"][..], &["approve", "1"], &["resume", "1"]] {
        project.run(wrong).says(2, &["there is no run 1"]);
        assert!(!project.path(".oncely").exists(), "{wrong:?} made a ledger");
    }
}
