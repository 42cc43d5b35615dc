//! What commands say to people and to programs, and how they exit.

use crate::project::Project;
use std::io::Read;
use std::process::Stdio;

#[test]
fn a_task_that_fails_ends_the_run_with_1_and_says_how_to_go_on() {
    let project = Project::new();
    project.write(
        "tasks/1_broken.toml",
        "[on.release]\n\n[[step]]\nid = \"act\"\nretry = { attempts = 1 }\ncommand = \"echo no disk >&2; exit 3\"\n",
    );
    project.release_task(2, "after_it", "echo after >> out");
    let text = project.session(&[&["run"], &["run"], &["status"], &["plan"]]);
    insta::assert_snapshot!(text, @r#"
    $ oncely run
    failed 1_broken: step `act`: exited with 3: no disk
           Look: oncely show 1   Go on from there: oncely resume 1
           With the file as it is now: oncely rerun 1 --reason "…"
    [exit 1]
    $ oncely run
    failed 1_broken: step `act`: exited with 3: no disk
           Look: oncely show 1   Go on from there: oncely resume 1
           With the file as it is now: oncely rerun 1 --reason "…"
    [exit 1]
    $ oncely status
    STATE    VERSION  TASK      LAST RUN (UTC)       TOOK
    failed   1        broken    [time]  [span]
    pending  2        after_it

    Run 1 of 1_broken failed: step `act`: exited with 3: no disk
      oncely show 1   then: oncely resume 1   or: oncely rerun 1 --reason "…"
    $ oncely plan
    1_broken  failed as run 1: it stays so until `oncely resume`
      - act: command echo no disk >&2; exit 3  (no undo)
    2_after_it
      - act: command echo after >> out  (no undo)

    2 tasks would run in development. Nothing was done.
    "#);
    assert_eq!(
        project.text("out"),
        "",
        "what comes after a failed task was done"
    );
    project.write(
        "tasks/1_broken.toml",
        "[on.release]\n\n[[step]]\nid = \"act\"\ncommand = \"true\"\n",
    );
    project
        .run(&["rerun", "1", "--reason", "mended"])
        .says(0, &["done"]);
    project.run(&["run"]).says(0, &["done 2_after_it"]);
    assert_eq!(project.text("out"), "after\n");
}

#[test]
fn a_wrong_file_ends_the_run_with_2_and_nothing_is_run() {
    let project = Project::new();
    project.release_task(1, "good", "echo good >> out");
    project.write(
        "tasks/2_wrong.toml",
        "[on.release]\n\n[[stepp]]\nid = \"act\"\n",
    );
    let run = project.run(&["run"]);
    insta::assert_snapshot!(run.all(), @r##"
    oncely: error: unknown key `stepp` in a task file
     --> tasks/2_wrong.toml:3:3
      |
    3 | [[stepp]]
      |   ^^^^^ not known here
      |
      = help: did you mean `step`?

    1 error in task files. Nothing was run.
    [exit 2]
    "##);
    assert_eq!(project.text("out"), "");
}

#[test]
fn waiting_for_a_person_is_0_and_3_with_strict_exit() {
    let project = Project::new();
    project.write(
        "tasks/1_ask.toml",
        "[on.release]\n\n[[step]]\nid = \"ok\"\napprove = \"Send it?\"\n",
    );
    let text = project.session(&[&["run"], &["run", "--strict-exit"], &["status"]]);
    insta::assert_snapshot!(text, @r##"
    $ oncely run
    waiting 1_ask: Send it?
            Answer: oncely approve 1   or: oncely reject 1
    $ oncely run --strict-exit
    waiting 1_ask: Send it?
            Answer: oncely approve 1   or: oncely reject 1
    [exit 3]
    $ oncely status
    STATE    VERSION  TASK  LAST RUN (UTC)       TOOK
    waiting  1        ask   [time]

    Run 1 of 1_ask asks: Send it?
      oncely approve 1   or: oncely reject 1
    "##);
}

#[test]
fn an_attempt_that_nobody_knows_about_is_4() {
    let project = Project::new();
    project.write("tasks/1_slow.toml", SLOW);
    let text = project.session(&[&["run"], &["status"]]);
    insta::assert_snapshot!(text, @r##"
    $ oncely run
    unknown 1_slow: step `act`: was stopped because it took longer than [span]
           Nothing is repeated before you say what became of it: oncely settle 1 done|not-done --reason "…"
    [exit 4]
    $ oncely status
    STATE    VERSION  TASK  LAST RUN (UTC)       TOOK
    unknown  1        slow  [time]

    Run 1 of 1_slow is unknown: step `act`: was stopped because it took longer than [span]
      oncely settle 1 done|not-done --reason "…"
    "##);
    project
        .run(&["settle", "1", "done", "--reason", "seen in the log"])
        .says(0, &["Settled step `act` of run 1."]);
    project.run(&["run"]).says(0, &["Nothing to do"]);
}

const SLOW: &str =
    "[on.release]\n\n[[step]]\nid = \"act\"\ntimeout = \"200ms\"\ncommand = \"sleep 60\"\n";

#[test]
fn every_command_speaks_json_a_value_a_line() {
    let project = Project::new();
    assert_eq!(
        project.json(&["new", "a"])[0]["made"]
            .as_str()
            .map(|s| s.ends_with("_a.toml")),
        Some(true)
    );
    let plan = project.json(&["plan"]);
    assert_eq!(plan[0]["status"], serde_json::Value::Null);
    assert_eq!(
        plan[0]["effects"][0],
        "hello: command echo Hello from {{ event.environment }}"
    );
    let run = project.json(&["run"]);
    assert_eq!(
        (&run[0]["run"], &run[0]["status"]),
        (&1.into(), &"done".into())
    );
    let again = project.json(&["run"]);
    assert_eq!(
        (&again[0]["ran"], &again[0]["done_before"]),
        (&0.into(), &1.into())
    );
    for looking in [
        &["plan"][..],
        &["check"],
        &["status"],
        &["runs"],
        &["show", "1"],
        &["logs"],
        &["logs", "1"],
        &["why", "once"],
        &["doctor"],
        &["ledger", "export"],
        &["init"],
    ] {
        let lines = project.json(looking);
        assert!(!lines.is_empty(), "{looking:?} said nothing");
        assert!(
            lines.iter().all(serde_json::Value::is_object),
            "{looking:?}"
        );
    }
    let wrong = project.run(&["--json", "call", "nothing"]);
    assert_eq!((wrong.code, &wrong.json()[0]["exit"]), (2, &2.into()));
}

#[test]
fn show_and_logs_tell_a_run_in_order() {
    let project = Project::new();
    project.call_task("greet", "echo hello");
    let text = project.session(&[
        &["call", "greet", "--key", "k1"],
        &["call", "greet", "--key", "k1"],
        &["show", "1"],
        &["logs"],
        &["runs"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely call greet --key k1
    done greet  [span]
    $ oncely call greet --key k1
    Nothing to do: k1 started run 1 of greet before.
    $ oncely show 1
    Run 1 of greet  done
    key k1   environment development   admitted [time] UTC
    event {}

      [time]  started by ann (oncely call)
      [time]  began with text d09dfdbaca63
      [time]  `act` about to act
      [time]  `act` done
      [time]  ended: done

    Outputs
      act: {"code":0,"stdout":"hello\n","stderr":"","millis":[millis]}
    $ oncely logs
    [time]  run 1 greet  started by ann (oncely call)
    [time]  run 1 greet  began with text d09dfdbaca63
    [time]  run 1 greet  `act` about to act
    [time]  run 1 greet  `act` done
    [time]  run 1 greet  ended: done
    $ oncely runs
    RUN  STATE  TASK   KEY  ADMITTED (UTC)
    1    done   greet  k1   [time]
    "##);
}

#[test]
fn mistyped_words_get_a_suggestion() {
    let project = Project::new();
    project.release_task(1, "notify_customer", "true");
    project.call_task("reindex", "true");
    project.run(&["run"]);
    for (args, words) in [
        (&["rum"][..], "similar subcommands exist"),
        (&["model", "trian"], "'train'"),
        (&["completion", "fihs"], "'fish'"),
        (&["call", "reindx", "--key", "1"], "Did you mean `reindex`?"),
        (&["runs", "--task", "reindx"], "Did you mean `reindex`?"),
        (&["runs", "--state", "faild"], "Did you mean `failed`?"),
        (&["run", "--on-busy", "skp"], "'skip'"),
    ] {
        project.run(args).says(2, &[words]);
    }
    project
        .run(&["runs", "--task", "1_notify_customer"])
        .says(0, &["done"]);
    project
        .run(&["runs", "--task", "1"])
        .says(0, &["1_notify_customer"]);
}

#[test]
fn a_mistyped_key_in_the_configuration_is_shown_with_the_right_one() {
    let project = Project::new();
    project.write("oncely.toml", "enviroment = \"production\"\n");
    let run = project.run(&["run"]);
    insta::assert_snapshot!(run.all(), @r##"
    oncely: [dir]/oncely.toml:
    TOML parse error at line 1, column 1
      |
    1 | enviroment = "production"
      | ^^^^^^^^^^
    unknown field `enviroment`, expected one of `environment`, `ledger`, `tasks`, `spool`, `secrets`, `env`, `adopt`, `db`, `http`, `put`, `email`, `slack`, `people`, `gateway`, `limits`
    Did you mean `environment`?
    Nothing was run.
    [exit 2]
    "##);
    project.write("oncely.toml", "[http]\nallowed = [\"127.0.0.1:1\"]\n");
    project
        .run(&["plan"])
        .says(2, &["unknown field `allowed`", "Did you mean `allow`?"]);
}

#[test]
fn a_project_is_found_from_a_folder_below_and_named_from_anywhere() {
    let project = Project::new();
    std::fs::create_dir_all(project.path("deep/down")).unwrap();
    let mut below = project.command(&["plan"]);
    below.current_dir(project.path("deep/down"));
    project.ended(below).says(0, &["Nothing would run"]);
    let mut away = project.command(&["--project", project.root.to_str().unwrap(), "plan"]);
    away.current_dir("/");
    project.ended(away).says(0, &["Nothing would run"]);
    let mut lost = project.command(&["plan"]);
    lost.current_dir("/");
    project.ended(lost).says(
        2,
        &["there is no oncely.toml in / or above it", "oncely init"],
    );
}

#[test]
fn environments_have_runs_of_their_own() {
    let project = Project::new();
    project.release_task(1, "a", "echo $ONCELY_ENVIRONMENT >> out");
    project.run(&["run"]).says(0, &["done 1_a"]);
    project
        .run(&["--env", "production", "run"])
        .says(0, &["done 1_a"]);
    let mut named = project.command(&["run"]);
    named.env("ONCELY_ENV", "production");
    project
        .ended(named)
        .says(0, &["Nothing to do: 1 task already done here."]);
    assert_eq!(project.text("out"), "development\nproduction\n");
}

#[test]
fn a_deleted_file_and_a_renamed_one_are_noticed() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.call_task("inner", "true");
    project.write(
        "tasks/outer.toml",
        "[on.call]\n\n[[step]]\nid = \"c\"\ncall = { task = \"inner\" }\n",
    );
    project.run(&["run"]).says(0, &["done 1_a"]);
    std::fs::remove_file(project.path("tasks/inner.toml")).unwrap();
    project
        .run(&["run"])
        .says(2, &["inner", "tasks/outer.toml"]);
    std::fs::remove_file(project.path("tasks/outer.toml")).unwrap();
    std::fs::rename(
        project.path("tasks/1_a.toml"),
        project.path("tasks/1_b.toml"),
    )
    .unwrap();
    for _ in 0..2 {
        project
            .run(&["run"])
            .says(0, &["Nothing to do: 1 task already done here."]);
    }
    project.run(&["status"]).says(0, &["done   1        b"]);
}

#[test]
fn why_says_what_became_of_an_event() {
    let project = Project::new();
    project.call_task("greet", "true");
    project.write(
        "tasks/look.toml",
        "[on.object]\nsource = \"folder:inbox\"\nmatch = \"*.csv\"\nexisting = \"run\"\n\n[[step]]\nid = \"act\"\ncommand = \"true\"\n",
    );
    project.run(&["call", "greet", "--key", "order-7"]);
    project.run(&["call", "greet", "--key", "order-7"]);
    project.write("inbox/notes.txt", "x");
    project.write("inbox/new.csv", "x");
    project.write("tasks/wrong.toml", "title = 7\n");
    let text = project.session(&[
        &["why", "order-7"],
        &["why", "notes.txt"],
        &["why", "new.csv"],
        &["why", "never.csv"],
        &["why", "greet"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely why order-7
    order-7 arrived at [time] UTC and started run 1 of greet: done
    Should it arrive again, nothing is started: a key starts a task once.
    $ oncely why notes.txt
    No event with the key notes.txt was admitted in development.
      tasks/wrong.toml:1:1: nothing starts this task (add [on.object], [on.schedule], [on.webhook] or [on.call], or name the file YYYYMMDDHHMMSS_name for a task that runs once at a release): that task starts nothing before it is mended.
      tasks/wrong.toml:1:9: `title` takes a text: that task starts nothing before it is mended.
      look: inbox/notes.txt is there, but does not match "*.csv"
    $ oncely why new.csv
    No event with the key new.csv was admitted in development.
      tasks/wrong.toml:1:1: nothing starts this task (add [on.object], [on.schedule], [on.webhook] or [on.call], or name the file YYYYMMDDHHMMSS_name for a task that runs once at a release): that task starts nothing before it is mended.
      tasks/wrong.toml:1:9: `title` takes a text: that task starts nothing before it is mended.
      look: inbox/new.csv is there and waits: is `oncely serve` running?
    $ oncely why never.csv
    No event with the key never.csv was admitted in development.
      tasks/wrong.toml:1:1: nothing starts this task (add [on.object], [on.schedule], [on.webhook] or [on.call], or name the file YYYYMMDDHHMMSS_name for a task that runs once at a release): that task starts nothing before it is mended.
      tasks/wrong.toml:1:9: `title` takes a text: that task starts nothing before it is mended.
      look: there is no inbox/never.csv
    $ oncely why greet
    order-7 arrived at [time] UTC and started run 1 of greet: done
    Should it arrive again, nothing is started: a key starts a task once.
    "##);
}

#[test]
fn doctor_says_where_each_value_is_from_and_what_to_look_at() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::new();
    project.run(&["run"]);
    project
        .run(&["doctor"])
        .says(0, &["development  (oncely.toml)", "Nothing is wrong."]);
    project
        .run(&["--env", "x", "doctor"])
        .says(0, &["x  (--env)"]);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(project.path(".oncely"), open).unwrap();
    project.run(&["doctor"]).says(
        1,
        &[
            "LOOK permissions",
            "open to others (755)",
            "chmod 700",
            "1 thing to look at.",
        ],
    );
    project.write("oncely.toml", "environment = 7\n");
    project
        .run(&["doctor"])
        .says(2, &["oncely.toml", "environment = 7", "invalid type"]);
}

#[test]
fn the_schema_knows_the_examples_and_what_new_writes() {
    let project = Project::new();
    let schema = project.run(&["schema"]);
    schema.says(0, &[]);
    let schema: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    project.run(&["new", "a"]);
    project.run(&["new", "b", "--on", "object"]);
    project.run(&["new", "c", "--on", "call"]);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut files = tasks_below(std::path::Path::new(examples));
    files.extend(tasks_below(&project.root));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let value: toml::Table = toml::from_str(&text).unwrap();
        let value = serde_json::to_value(value).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

/// Task files in folders called `tasks`.
fn tasks_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(tasks_below(&path));
        } else if path.extension().is_some_and(|e| e == "toml") && folder.ends_with("tasks") {
            found.push(path);
        }
    }
    found
}

#[test]
fn completions_are_for_three_shells_and_more() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run(&["completion", shell]);
        script.says(0, &["oncely", "rerun", "doctor"]);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_complain() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.run(&["run"]);
    for args in [
        &["schema"][..],
        &["completion", "bash"],
        &["ledger", "export"],
        &["--json", "show", "1"],
        &["status"],
        &["logs"],
        &["doctor"],
        &["--help"],
    ] {
        let mut command = project.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(Stdio::from(writer));
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!((said.as_str(), status.code()), ("", Some(0)), "{args:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.run(&["run"]);
    let on_terminal = |no_colour: bool| {
        let line = format!("{} status", crate::project::ONCELY);
        let mut command = project.command(&[]);
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env_clear();
        script
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TERM", "xterm");
        script.current_dir(&project.root).stdin(Stdio::null());
        if no_colour {
            script.env("NO_COLOR", "1");
        }
        std::mem::swap(&mut command, &mut script);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(
        on_terminal(false).contains("\u{1b}[32mdone"),
        "no colours on a terminal"
    );
    assert!(
        !on_terminal(true).contains("\u{1b}["),
        "colours in spite of NO_COLOR"
    );
}

#[test]
fn what_is_admitted_with_detach_waits_for_a_server() {
    let project = Project::new();
    project.call_task("greet", "echo hello >> out");
    project
        .run(&["call", "greet", "--key", "1", "--detach"])
        .says(0, &["Admitted as run 1. No `oncely serve` is at work in development: it goes on when one is."]);
    assert_eq!(project.text("out"), "");
    project
        .run(&["serve", "--until-idle"])
        .says(0, &["Stopped."]);
    assert_eq!(project.text("out"), "hello\n");
}

#[test]
fn a_command_line_that_cannot_be_read_is_said_in_json_where_json_is_spoken() {
    let project = Project::new();
    let said = project.run(&["--json", "stauts"]);
    assert_eq!(said.code, 2);
    let value = said.json().remove(0);
    assert_eq!(value["exit"], 2);
    let words = value["error"].as_str().unwrap();
    assert!(
        words.contains("stauts") && words.contains("status"),
        "{words}"
    );
    assert_eq!(said.err, "");
}

#[test]
fn a_plan_shows_the_statement_and_not_the_comment_above_it() {
    let project = Project::new();
    let text =
        "-- /// oncely\n-- title = \"Tidy up\"\n-- ///\n\n-- what is old\ndelete from sessions;\n";
    project.write("tasks/20260101000000_tidy.sql", text);
    project.run(&["plan"]).says(0, &["delete from sessions"]);
    let plan = project.run(&["plan"]);
    assert!(!plan.out.contains("what is old"), "{}", plan.out);
}
