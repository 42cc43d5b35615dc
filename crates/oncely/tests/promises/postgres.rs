//! A ledger in PostgreSQL keeps the promises that one in a file keeps.

use crate::project::Project;
use oncely_ledger::conformance::Server;
use std::process::Child;

const CONFIG: &str = "environment = \"production\"\nledger = \"env:DATABASE_URL\"\n";

/// A project whose ledger is in a database of its own.
fn project(url: &str) -> Project {
    let project = Project::empty().variable("DATABASE_URL", url);
    project.write("oncely.toml", CONFIG);
    project
}

#[test]
fn a_release_task_is_done_once_from_any_folder_that_shares_the_ledger() {
    let server = Server::start(&[]);
    let url = server.database();
    let one = project(&url);
    let other = project(&url);
    for place in [&one, &other] {
        place.release_task(20_261_122_101_500, "tell", "echo told >> told.txt");
    }
    let first = one.run(&["run"]);
    assert_eq!(first.code, 0, "{}", first.all());
    let second = other.run(&["run"]);
    assert_eq!(second.code, 0, "{}", second.all());
    assert!(second.all().contains("Nothing to do"), "{}", second.all());
    assert_eq!(one.text("told.txt"), "told\n");
    assert_eq!(other.text("told.txt"), "");
}

#[test]
fn who_only_looks_finds_an_empty_ledger_and_makes_none() {
    let server = Server::start(&[]);
    let project = project(&server.database());
    project.release_task(20_261_122_101_500, "tell", "true");
    for command in ["status", "plan", "runs", "doctor"] {
        let looked = project.run(&[command]);
        assert_eq!(looked.code, 0, "{command}: {}", looked.all());
    }
    let doctor = project.run(&["doctor"]);
    assert!(doctor.all().contains("not made yet"), "{}", doctor.all());
    assert!(doctor.all().contains("(DATABASE_URL)"), "{}", doctor.all());
}

#[test]
fn twenty_runs_at_once_keep_the_order() {
    let server = Server::start(&[]);
    let project = project(&server.database());
    for n in 1..=5 {
        let shell = format!("echo {n} >> order.txt");
        project.release_task(20_261_122_101_500 + n, &format!("task_{n}"), &shell);
    }
    let running: Vec<Child> = (0..20)
        .map(|_| project.command(&["run"]).spawn().unwrap())
        .collect();
    for child in running {
        let ended = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{words}");
    }
    assert_eq!(project.text("order.txt"), "1\n2\n3\n4\n5\n");
}

#[test]
fn what_a_killed_server_was_doing_is_taken_over_by_another() {
    let server = Server::start(&[]);
    let project = project(&server.database());
    project.write(
        "oncely.toml",
        format!("{CONFIG}\n[limits]\nlease = \"1s\"\n"),
    );
    let shell =
        "echo began >> began.txt; until test -e go; do sleep 0.05; done; echo done >> done.txt";
    project.write(
        "tasks/work.toml",
        format!(
            "[on.call]\n\n[[step]]\nid = \"act\"\ncommand = {{ shell = {shell:?}, safe = true }}\n"
        ),
    );
    let mut first = project.serve(&[]);
    let call = ["call", "work", "--key", "k", "--detach"];
    project.run(&call).says(0, &[]);
    project.wait_lines("began.txt", 1);
    let at_work = &project.json(&["workers"])[0];
    assert_eq!(at_work["holds"][0]["task"], "work");
    let role = at_work["role"].as_str().unwrap();
    assert!(role.starts_with("oncely serve on "), "{role}");
    first.kill();
    let _second = project.serve(&[]);
    project.wait_lines("began.txt", 2);
    project.write("go", "");
    project.wait_run("done");
    assert_eq!(project.text("done.txt"), "done\n");
}

#[test]
fn what_is_done_while_the_database_is_away_is_recorded_when_it_is_back() {
    let mut server = Server::start(&[]);
    let project = project(&server.database());
    project.call_task(
        "work",
        "echo began >> began.txt; until test -e go; do sleep 0.05; done; echo done >> done.txt",
    );
    let _worker = project.serve(&[]);
    let call = ["call", "work", "--key", "k", "--detach"];
    project.run(&call).says(0, &[]);
    project.wait_lines("began.txt", 1);
    server.crash();
    project.write("go", "");
    project.wait_lines("done.txt", 1);
    let away = project.run(&["runs"]);
    away.says(2, &["cannot be used", "Check the server"]);
    server.go_on();
    project.wait_run("done");
    assert_eq!(project.text("done.txt"), "done\n");
    project
        .run(&["call", "work", "--key", "k"])
        .says(0, &["before"]);
}

#[test]
fn a_password_is_taken_from_the_environment_and_never_shown() {
    let project = project("postgres://ann:s3cret@127.0.0.1:1/led?sslmode=disable");
    let doctor = project.run(&["doctor"]);
    assert!(!doctor.all().contains("s3cret"), "{}", doctor.all());
    assert!(
        doctor.all().contains("postgres://ann@127.0.0.1:1/led"),
        "{}",
        doctor.all()
    );
    project.write(
        "oncely.toml",
        "ledger = \"postgres://ann:s3cret@127.0.0.1:1/led?sslmode=disable\"\n",
    );
    let refused = project.run(&["run"]);
    assert_eq!(refused.code, 2, "{}", refused.all());
    assert!(!refused.all().contains("s3cret"), "{}", refused.all());
    assert!(
        refused.all().contains("holds a password"),
        "{}",
        refused.all()
    );
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let project = Project::empty();
    project.write("oncely.toml", CONFIG);
    let refused = project.run(&["run"]);
    assert_eq!(refused.code, 2);
    insta::assert_snapshot!(refused.err, @r#"oncely: oncely.toml: the ledger is where the environment variable DATABASE_URL says, and it is not set. Nothing was run. Set it, or write the place itself, such as postgres://user@host:5432/database."#);
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let project = project("postgres://ann@127.0.0.1:1/led?sslmode=disable");
    let refused = project.run(&["run"]);
    assert_eq!(refused.code, 2);
    insta::assert_snapshot!(refused.err, @"oncely: the ledger in PostgreSQL 127.0.0.1:1/led cannot be used: error connecting to server: Connection refused (os error 111). What was recorded before is kept. Check the server and the `ledger` line of oncely.toml, then start again.");
}

#[test]
fn a_ledger_moves_to_postgresql_and_nothing_is_done_again() {
    let server = Server::start(&[]);
    let project = Project::empty().variable("DATABASE_URL", &server.database());
    project.write("oncely.toml", "environment = \"production\"\n");
    project.release_task(20_261_122_101_500, "tell", "echo told >> told.txt");
    project.run(&["run"]).says(0, &[]);
    project.call_task("greet", "true");
    project.run(&["call", "greet", "--key", "k"]).says(0, &[]);
    let before = project.run(&["ledger", "export"]).out;
    let moved = project.run(&["ledger", "move", "--to", "env:DATABASE_URL"]);
    moved.says(0, &["Moved 2 runs", "ledger = \"env:DATABASE_URL\""]);
    let forgotten = project.run(&["run"]);
    assert_eq!(forgotten.code, 2);
    insta::assert_snapshot!(forgotten.all(), @"
    oncely: the ledger [dir]/.oncely/ledger.db was moved to a PostgreSQL database, and nothing more is recorded here. Nothing was run. Name that database with `ledger` in oncely.toml.
    [exit 2]
    ");
    project.write("oncely.toml", CONFIG);
    project.run(&["run"]).says(0, &["Nothing to do"]);
    let again = project.run(&["call", "greet", "--key", "k"]);
    again.says(0, &["k started run 2 of greet before"]);
    assert_eq!(project.text("told.txt"), "told\n");
    let after = project.run(&["ledger", "export"]).out;
    // The run that found nothing to do has held the release's name once more.
    let mut kept = before
        .lines()
        .filter(|line| !line.contains(r#""kind":"name""#));
    assert!(kept.all(|line| after.contains(line)), "{after}");
}

#[test]
fn a_ledger_that_is_worked_on_does_not_move() {
    let server = Server::start(&[]);
    let project = Project::new().variable("DATABASE_URL", &server.database());
    project.call_task("greet", "true");
    let _server = project.serve(&[]);
    crate::project::wait("the server to be listed", || {
        !project.json(&["workers"]).is_empty()
    });
    let refused = project.run(&["ledger", "move", "--to", "env:DATABASE_URL"]);
    refused.says(
        1,
        &["(oncely serve) is at work on the ledger. Nothing was moved."],
    );
    let nowhere = project.run(&["ledger", "move", "--to", "elsewhere.db"]);
    nowhere.says(2, &["from a file to a PostgreSQL database"]);
}

/// A lock of another program on a table of a task: a step that waits for it fails clearly, is tried
/// again, and is done once when the lock is let go. Everything else goes on meanwhile.
#[test]
fn a_step_that_waits_for_a_lock_is_tried_again_and_done_once() {
    let server = Server::start(&[]);
    let project = project(&server.database());
    server
        .query(
            "t0",
            "create table t (n bigint); create table let_go (a bigint)",
        )
        .unwrap();
    project.write(
        "tasks/row.toml",
        "[on.call]\n\n[[step]]\nid = \"row\"\nretry = { attempts = 100, first = \"100ms\", max = \"100ms\" }\n\
         sql = { db = \"ledger\", text = \"insert into t values (1)\" }\n",
    );
    project.call_task("greet", "true");
    let _worker = project.serve(&[]);
    std::thread::scope(|scope| {
        // It holds the table until it is told to let go.
        let holds = "begin; lock table t;
             do $$ begin
               while not exists (select from let_go) loop perform pg_sleep(0.02); end loop;
             end $$; commit";
        let locker = scope.spawn(|| server.query("t0", holds));
        crate::project::wait("the table to be locked", || {
            let locked = "do $$ begin assert (select count(*) from pg_locks l join pg_class c
                 on c.oid = l.relation where c.relname = 't' and l.mode = 'AccessExclusiveLock'
                 and l.granted) > 0; end $$";
            server.query("t0", locked).is_ok()
        });
        project
            .run(&["call", "row", "--key", "k", "--detach"])
            .says(0, &[]);
        let told = "a lock that the statements need";
        crate::project::wait("the step to fail for the first time", || {
            project.run(&["show", "1"]).all().contains(told)
        });
        let shown = project.run(&["show", "1"]);
        shown.says(0, &["row", "Nothing was changed."]);
        project.run(&["call", "greet", "--key", "k"]).says(0, &[]);
        server.query("t0", "insert into let_go values (1)").unwrap();
        locker.join().unwrap().unwrap();
    });
    crate::project::wait("both runs to be done", || {
        project.json(&["runs", "--state", "done"]).len() == 2
    });
    let once = "do $$ begin assert (select count(*) from t) = 1; end $$";
    server.query("t0", once).unwrap();
}

/// A lease of ten minutes, and a bound of one: nobody waits for the lease to end.
#[test]
fn what_a_worker_gives_back_when_it_is_told_to_stop_goes_on_elsewhere_at_once() {
    let server = Server::start(&[]);
    let project = project(&server.database());
    let limits = "[limits]\nlease = \"10m\"\ngrace = \"100ms\"\n";
    project.write("oncely.toml", format!("{CONFIG}\n{limits}"));
    let shell =
        "echo began >> began.txt; until test -e go; do sleep 0.05; done; echo done >> done.txt";
    project.write(
        "tasks/work.toml",
        format!(
            "[on.call]\n\n[[step]]\nid = \"act\"\ncommand = {{ shell = {shell:?}, safe = true }}\n"
        ),
    );
    let first = project.serve(&[]);
    project
        .run(&["call", "work", "--key", "k", "--detach"])
        .says(0, &[]);
    project.wait_lines("began.txt", 1);
    let _second = project.serve(&[]);
    let pids = || -> Vec<u64> {
        let workers = project.json(&["workers"]);
        assert!(
            workers
                .iter()
                .all(|w| w["since"].as_str().unwrap().contains('T'))
        );
        workers.iter().filter_map(|w| w["pid"].as_u64()).collect()
    };
    crate::project::wait("two workers to be listed", || pids().len() == 2);
    assert_eq!(first.stop().code, 0);
    assert_eq!(pids().len(), 1);
    project.wait_lines("began.txt", 2);
    project.write("go", "");
    project.wait_run("done");
    assert_eq!(project.text("done.txt"), "done\n");
}
