//! A record that was changed outside oncely leads to no effect, and people are told.

use crate::project::Project;

/// A run that waits for an answer, and whose record somebody changes.
fn tampered() -> Project {
    tampered_with(
        "drop trigger oncely_facts_as_they_are;
         update oncely_facts set body = replace(body, 'ann', 'bob') where run = 1",
    )
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
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn = oncely_vfs::open(&project.path(".oncely/ledger.db"), flags).unwrap();
    conn.execute_batch(change).unwrap();
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
