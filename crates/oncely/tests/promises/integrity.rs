//! A record that was changed outside oncely leads to no effect, and people are told.

use crate::project::Project;

/// A run that waits for an answer, and whose record somebody changes.
fn tampered() -> Project {
    tampered_with(
        "drop trigger oncely_facts_as_they_are;
         update oncely_facts set body = replace(body, 'ann', 'bob') where run = 1",
    )
}

/// A connection past oncely.
fn tampering(project: &Project) -> rusqlite::Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    oncely_vfs::open(&project.path(".oncely/ledger.db"), flags).unwrap()
}

fn tampered_with(change: &str) -> Project {
    let project = Project::new();
    let text = "[on.call]\n\n[[step]]\nid = \"ask\"\napprove = \"Go on?\"\n\n\
                [[step]]\nid = \"act\"\ncommand = \"echo done >> done.txt\"\n";
    project.write("tasks/pay.toml", text);
    project.call_task("greet", "echo hello >> hello.txt");
    project
        .run(&["call", "pay", "--key", "7"])
        .says(0, &["Go on?"]);
    tampering(&project).execute_batch(change).unwrap();
    project
}

#[test]
fn a_record_that_was_changed_leads_to_no_effect_and_its_neighbours_go_on() {
    let project = tampered();
    let found = "its facts are not those that were recorded: some were changed or lost, so that \
                 nobody knows how far it came. Nothing more is done of it\n";
    let way = "Look: oncely show 1; a backup may know more. Once more, from the start: oncely rerun 1 \
               --reason \"…\"";
    project.run(&["approve", "1"]).says(4, &[found, way]);
    project
        .run(&["call", "greet", "--key", "g"])
        .says(0, &["done greet"]);
    assert_eq!(project.text("done.txt"), "");
    assert_eq!(project.text("hello.txt"), "hello\n");
    let status = project.run(&["status"]).all();
    for words in ["Run 1 of pay is unknown: its facts are not", way] {
        assert!(status.contains(words), "{status}");
    }
    project.run(&["why", "7"]).says(0, &["unknown", found]);
}

#[test]
fn a_look_at_the_whole_ledger_says_what_is_wrong() {
    let project = tampered();
    project.run(&["call", "greet", "--key", "g"]).says(0, &[]);
    let conn = tampering(&project);
    conn.execute_batch("drop trigger oncely_keys_stay; delete from oncely_keys where run = 2")
        .unwrap();
    let said = project.session(&[&["ledger", "verify"]]);
    insta::assert_snapshot!(said, @r#"
    $ oncely ledger verify
    run 1 of pay: its facts or its event are not those that were recorded: some were changed or lost
    run 2 of greet: its key g is not known any more: should the event arrive again, it would be done again
    Looked over: 2 runs with 5 facts, each with its key, its event and its chain, and the database from end to end.
    Wrong: 2. Nothing was changed. Runs whose facts were changed or lost are not worked on. Copy the ledger, look at the disk, and compare with a backup.
    [exit 1]
    "#);
    let told = &project.json(&["ledger", "verify"])[0];
    assert_eq!((&told["wrong"], &told["runs"]), (&2.into(), &2.into()));
}

#[test]
fn a_whole_ledger_is_said_to_be_whole_in_a_file_and_in_postgresql() {
    let project = Project::new();
    let none = project.run(&["ledger", "verify"]);
    none.says(0, &["There is no ledger yet"]);
    let server = oncely_ledger::conformance::Server::start(&[]);
    let elsewhere = Project::new().variable("ONCELY_LEDGER", &server.database());
    for project in [project, elsewhere] {
        project.call_task("greet", "true");
        project
            .run(&["call", "greet", "--key", "g"])
            .says(0, &["done"]);
        let whole = project.run(&["ledger", "verify"]);
        whole.says(
            0,
            &[
                "Looked over: 1 run with ",
                "each with its key, its event and its chain",
                "Nothing is wrong.",
            ],
        );
    }
}

#[test]
fn what_was_set_aside_is_done_once_more_only_by_a_person() {
    let project = tampered();
    project.run(&["approve", "1"]).says(4, &["oncely rerun 1"]);
    project
        .run(&["rerun", "1", "--reason", "compared with the bank"])
        .says(0, &["Run 2 does run 1 once more."]);
    project.run(&["approve", "2"]).says(0, &["done"]);
    assert_eq!(project.text("done.txt"), "done\n");
    let status = project.run(&["status"]).all();
    assert!(!status.contains("unknown"), "{status}");
}

#[test]
fn what_was_set_aside_is_not_settled_and_it_says_why() {
    let project = tampered();
    project.run(&["approve", "1"]).says(4, &["oncely rerun 1"]);
    let text = project.session(&[
        &["settle", "1", "not-done", "--reason", "I looked"],
        &["settle", "1", "act", "probe"],
    ]);
    insta::assert_snapshot!(text, @r#"
    $ oncely settle 1 not-done --reason "I looked"
    oncely: run 1 cannot be settled: its facts are not those that were recorded: some were changed or lost, so that nobody knows how far it came. Nothing more is done of it, and nothing was changed.
            Look: oncely show 1; a backup may know more. Once more, from the start: oncely rerun 1 --reason "…"
    [exit 1]
    $ oncely settle 1 act probe
    oncely: run 1 cannot be settled: its facts are not those that were recorded: some were changed or lost, so that nobody knows how far it came. Nothing more is done of it, and nothing was changed.
            Look: oncely show 1; a backup may know more. Once more, from the start: oncely rerun 1 --reason "…"
    [exit 1]
    "#);
    let event = tampered_with("update oncely_admissions set event = '{\"amount\":1000}'");
    event
        .run(&["settle", "1", "done", "--reason", "I looked"])
        .says(
            1,
            &[
                "run 1 cannot be settled: its event is not the one that was admitted",
                "Look: oncely show 1",
            ],
        );
}

#[test]
fn an_event_that_was_changed_is_not_worked_on_either() {
    let project = tampered_with("update oncely_admissions set event = '{\"amount\":1000}'");
    let found = "its event is not the one that was admitted: it was changed or lost. Nothing more is done \
                 of it";
    project.run(&["approve", "1"]).says(4, &[found]);
    let refused = project.run(&["rerun", "1", "--reason", "compared"]);
    let way = "Nothing was started. A backup may know the event; what brought it can bring it again under \
               another key.";
    refused.says(
        2,
        &["run 1 cannot be done once more: its event is not", way],
    );
    assert_eq!(project.text("done.txt"), "");
}

/// A run that waits for its answer, a copy of the ledger by hand, and the run done since.
fn set_back() -> Project {
    let project = Project::new();
    let text = "[on.call]\n\n[[step]]\nid = \"ask\"\napprove = \"Go on?\"\n\n\
                [[step]]\nid = \"act\"\ncommand = \"echo done >> done.txt\"\n";
    project.write("tasks/pay.toml", text);
    project
        .run(&["call", "pay", "--key", "7"])
        .says(0, &["Go on?"]);
    let (ledger, copy) = (project.path(".oncely/ledger.db"), project.path("copy.db"));
    std::fs::copy(&ledger, &copy).unwrap();
    project.run(&["approve", "1"]).says(0, &["done pay"]);
    assert_eq!(project.text("done.txt"), "done\n");
    std::fs::copy(&copy, &ledger).unwrap();
    project
}

#[test]
fn a_ledger_that_was_set_back_by_hand_does_nothing_twice() {
    let project = set_back();
    for command in [
        &["run"][..],
        &["status"],
        &["approve", "1"],
        &["call", "pay", "--key", "8"],
        &["serve"],
    ] {
        project.run(command).says(
            2,
            &[
                "is not as far as it had come: run 1 had come further than it knows of.",
                "Nothing was run, and nothing was changed.",
                "oncely ledger repair --reason",
            ],
        );
    }
    project
        .run(&["ledger", "export"])
        .says(0, &["\"kind\":\"run\""]);
    assert_eq!(project.text("done.txt"), "done\n");
}

#[test]
fn what_may_have_gone_on_since_is_held_until_a_person_has_looked() {
    let project = set_back();
    let said = project.session(&[
        &["ledger", "repair", "--reason", "the disk came back old"],
        &["ledger", "repair", "--reason", "once more"],
    ]);
    insta::assert_snapshot!(said, @r#"
    $ oncely ledger repair --reason "the disk came back old"
    The ledger is gone on with as it is, though run 1 had come further than it knows of.
    What was admitted since is not known: it is done again when it arrives again. What people said since, such as answers and `cancel`, is gone. Which runs ended since is not known either.
    1 run is held, as nobody can tell but you. Nothing more is done before you say so:
      run 1 of pay (key 7), waiting
        step `act` may have been done, and there is nobody to ask
    Look what became of each: `oncely show RUN`. Then `oncely resume RUN` goes on with the next step that it does not know to be done, and `oncely cancel RUN` ends it. For all of a task: `oncely ledger repair --go-on TASK --reason "…"`.
    $ oncely ledger repair --reason "once more"
    The ledger is as far as it had come: there is nothing to repair. `oncely ledger verify` looks it over.
    "#);
    // An answer is an answer, and no permission to go on.
    project.run(&["approve", "1"]).says(0, &["Approved run 1."]);
    project.run(&["run"]).says(0, &[]);
    assert_eq!(project.text("done.txt"), "done\n");
    project.run(&["call", "pay", "--key", "7"]).says(0, &[]);
    assert_eq!(project.text("done.txt"), "done\n");
    project
        .run(&["cancel", "1", "--reason", "it was paid"])
        .says(0, &["Asked to end run 1."]);
    assert_eq!(project.text("done.txt"), "done\n");
    project.run(&["status"]).says(0, &[]);
}
