//! `oncely status` knows unchanged files at a glance, and says the same as if it had read them all.

use crate::project::{Project, clean};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

/// What is kept of the task files.
const KEPT: &str = ".oncely/overview.json";

/// Two tasks that are done, one that was never done, and one for the clock.
fn shop() -> Project {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.release_task(2, "b", "true");
    project.run(&["run"]).says(0, &["done"]);
    project.call_task("greet", "true");
    let clock =
        "[on.schedule]\ncron = \"30 9 24 12 *\"\n[[step]]\nid = \"a\"\ncommand = \"true\"\n";
    project.write("tasks/gifts.toml", clock);
    settle(&project, &["1_a", "2_b", "greet", "gifts"]);
    project
}

/// Lets the files look as if they had not been touched for an hour, which is when their looks are
/// believed.
fn settle(project: &Project, tasks: &[&str]) {
    for task in tasks {
        settle_file(project, &format!("tasks/{task}.toml"));
    }
}

fn settle_file(project: &Project, name: &str) {
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let file = File::options().append(true).open(project.path(name));
    file.unwrap().set_modified(hour_ago).unwrap();
}

/// What `status` says of the files as they are, read anew and known from before.
fn said(project: &Project) -> String {
    let mut text = String::new();
    for args in [&["status"][..], &["--json", "status"]] {
        let _ = fs::remove_file(project.path(KEPT));
        let fresh = project.run(args);
        let again = project.run(args);
        assert_eq!(fresh.out, again.out);
        assert_eq!((fresh.code, &fresh.err), (again.code, &again.err));
        text.push_str(if args.len() == 1 { &again.out } else { "" });
    }
    // How wide a column is depends on how long things took.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = clean(&text).lines().map(words).collect();
    lines.join("\n")
}

#[test]
fn status_says_the_same_whether_it_reads_the_files_or_knows_them() {
    let project = shop();
    insta::assert_snapshot!(said(&project), @r"
    STATE VERSION TASK LAST RUN (UTC) TOOK NEXT (UTC)
    done 1 a [time] [span]
    done 2 b [time] [span]
    ready schedule gifts [time]
    ready call greet
    ");
    assert!(project.path(KEPT).is_file());
}

#[test]
fn status_does_not_read_files_again_that_look_as_they_did() {
    let project = shop();
    project.run(&["status"]).says(0, &["done   1         a"]);
    // Only what is kept can say this.
    let kept = project
        .text(KEPT)
        .replace("tasks/1_a.toml", "tasks/1_known.toml");
    project.write(KEPT, kept);
    project
        .run(&["status"])
        .says(0, &["done   1         known"]);
}

#[test]
fn what_happens_to_the_files_is_seen_by_the_next_status() {
    let project = shop();
    let status = || project.run(&["status"]);
    status().says(0, &["a", "b", "greet", "gifts"]);
    // Edited: as long as before, and never touched since, as far as its time says.
    let text = project
        .text("tasks/greet.toml")
        .replace("on.call", "on.cell");
    project.write("tasks/greet.toml", text);
    settle(&project, &["greet"]);
    status().says(2, &["tasks/greet.toml:1", "cell"]);
    project.call_task("greet", "true");
    settle(&project, &["greet"]);
    // Renamed, gone, and late.
    fs::rename(
        project.path("tasks/1_a.toml"),
        project.path("tasks/1_z.toml"),
    )
    .unwrap();
    fs::remove_file(project.path("tasks/2_b.toml")).unwrap();
    project.release_task(0, "late", "true");
    settle(&project, &["0_late"]);
    status().says(
        0,
        &[
            "pending  0         late",
            "done     1         z",
            "(no file)",
        ],
    );
    insta::assert_snapshot!(said(&project), @r"
    STATE VERSION TASK LAST RUN (UTC) TOOK NEXT (UTC)
    pending 0 late
    done 1 z [time] [span]
    ready schedule gifts [time]
    ready call greet
    done 2 (no file) [time]

    tasks/1_z.toml was called tasks/1_a.toml when run 1 began, which is done and stays so: the version is the same.
    ");
}

#[test]
fn a_file_that_a_task_names_is_looked_at_too() {
    let project = Project::new();
    project.write("mails/hello.txt", "Hello\n");
    let mail = "[on.call]\n[[step]]\nid = \"a\"\nemail = { to = \"a@example.com\", subject = \"x\", template = \"mails/hello.txt\" }\n";
    project.write("tasks/tell.toml", mail);
    settle(&project, &["tell"]);
    settle_file(&project, "mails/hello.txt");
    project.run(&["run"]).says(0, &["Nothing to do"]);
    for _ in 0..2 {
        project.run(&["status"]).says(0, &["ready"]);
        assert!(project.path(KEPT).is_file());
    }
    fs::remove_file(project.path("mails/hello.txt")).unwrap();
    project.run(&["status"]).says(2, &["mails/hello.txt"]);
    project.write("mails/hello.txt", "Hello {{ nobody\n");
    project.run(&["status"]).says(2, &["mails/hello.txt:1"]);
}

#[test]
fn what_is_kept_may_be_damaged_missing_or_out_of_reach() {
    let project = shop();
    let before = project.run(&["status"]).out;
    for damaged in ["", "{", "[]", "{\"from\":1}"] {
        project.write(KEPT, damaged);
        assert_eq!(project.run(&["status"]).out, before, "{damaged}");
    }
    fs::remove_file(project.path(KEPT)).unwrap();
    fs::create_dir(project.path(KEPT)).unwrap();
    assert_eq!(project.run(&["status"]).out, before);
}

#[test]
fn what_was_changed_just_now_is_not_believed_by_its_looks() {
    let project = shop();
    // A file of the future stands for one that was written while it was read.
    let soon = SystemTime::now() + Duration::from_secs(3600);
    let file = File::options()
        .append(true)
        .open(project.path("tasks/1_a.toml"));
    file.unwrap().set_modified(soon).unwrap();
    project.run(&["status"]).says(0, &["a"]);
    assert!(!project.path(KEPT).exists());
}

#[test]
fn a_project_whose_files_are_all_wrong_is_not_called_empty() {
    let project = Project::new();
    project
        .run(&["status"])
        .says(0, &["There are no tasks yet."]);
    project.write("tasks/1_wrong.toml", "[on.releese]\n");
    let status = project.run(&["status"]);
    status.says(2, &["did you mean `release`?"]);
    assert!(!status.all().contains("no tasks yet"), "{}", status.all());
}
