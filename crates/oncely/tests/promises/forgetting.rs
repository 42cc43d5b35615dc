//! A person asks to be forgotten: the data goes, what was done stays.

use crate::project::Project;

const SECRET: &str = "ana@example.com";
const MAIL: &str =
    "[on.call]\n\n[[step]]\nid = \"mail\"\ncommand = [\"echo\", \"sent to {{ event.to }}\"]\n";

fn told() -> Project {
    let project = Project::new().variable("ONCELY_USER", "bo");
    project.write("tasks/mail.toml", MAIL);
    project.write("event.json", format!("{{\"to\":\"{SECRET}\"}}"));
    let call = ["call", "mail", "--key", SECRET, "--event", "event.json"];
    project.run(&call).says(0, &["done"]);
    project
}

/// Whether any file of the ledger holds it.
fn is_in_the_ledger(project: &Project) -> bool {
    let folder = std::fs::read_dir(project.path(".oncely")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("ledger.db")
        })
        .any(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes
                .windows(SECRET.len())
                .any(|part| part == SECRET.as_bytes())
        })
}

#[test]
fn what_was_given_is_gone_and_what_was_done_stays() {
    let project = told();
    assert!(is_in_the_ledger(&project));
    let forget = ["forget", SECRET, "--reason", "asked on Monday", "--rewrite"];
    let said = project.session(&[
        &["forget", SECRET],
        &["forget", "nobody", "--reason", "asked"],
        &forget,
        &["rerun", "1", "--reason", "again"],
        &["undo", "1", "--yes"],
        &["call", "mail", "--key", SECRET, "--event", "event.json"],
        &forget,
    ]);
    insta::assert_snapshot!(said);
    assert!(!is_in_the_ledger(&project));
    project.run(&["show", "1"]).says(
        0,
        &[
            "done",
            "`mail` about to act",
            "forgotten by bo (asked on Monday)",
        ],
    );
    project.run(&["ledger", "verify"]).says(0, &[]);
    let export = project.run(&["ledger", "export"]);
    export.says(0, &["\"fact\":\"forgotten\"", "\"by\":\"bo\""]);
    assert!(!export.out.contains(SECRET), "{}", export.out);
}

#[test]
fn a_run_that_has_not_ended_is_not_forgotten() {
    let project = Project::new();
    let ask = "[on.call]\n\n[[step]]\nid = \"ask\"\napprove = \"Go on?\"\n";
    project.write("tasks/ask.toml", ask);
    project
        .run(&["call", "ask", "--key", "k"])
        .says(0, &["Go on?"]);
    let forget = ["forget", "k", "--reason", "asked"];
    let words = [
        "run 1 of ask is waiting",
        "Nothing was forgotten",
        "oncely cancel 1",
    ];
    project.run(&forget).says(2, &words);
}
