//! A disk that is full, and one that cannot be written to. Both need a small disk of their own: these
//! tests mount one, in a mount namespace that nobody else sees, and fail where that cannot be done.

use crate::project::{ONCELY, Project};
use std::process::Command;

/// Runs a shell text with a small disk mounted on the project's folder `disk`.
fn on_small_disk(project: &Project, size: &str, script: &str) -> crate::project::Ended {
    std::fs::create_dir_all(project.path("disk")).unwrap();
    let text = format!("set -e\nmount -t tmpfs -o size={size} small disk\ncd disk\n{script}");
    let mut command: Command = project.command(&[]);
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", &text]);
    unshare.current_dir(&project.root).env_clear();
    unshare.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    unshare.env("O", ONCELY).stdin(std::process::Stdio::null());
    std::mem::swap(&mut command, &mut unshare);
    let ended = project.ended(command);
    let refused = ended.err.contains("unshare") || ended.err.contains("mount:");
    assert!(
        !refused,
        "this test mounts a small disk and needs root for it: {}",
        ended.err
    );
    ended
}

const TASK: &str =
    "printf '[on.release]\\n[[step]]\\nid = \"a\"\\ncommand = \"echo x\"\\n' > tasks/1_a.toml";

#[test]
fn a_full_disk_is_said_and_the_task_is_done_once_there_is_room() {
    let project = Project::empty();
    let script = format!(
        "$O init > /dev/null; {TASK}\n$O run\n\
         sed s/1_a/2_a/ tasks/1_a.toml > tasks/2_a.toml\n\
         dd if=/dev/zero of=fill bs=4096 2> /dev/null || true\n\
         echo --- full; $O run && exit 99 || echo code $?\n$O status\n\
         rm fill; echo --- room; $O run; $O run; $O doctor > /dev/null || true; $O status"
    );
    let ended = on_small_disk(&project, "2m", &script);
    insta::assert_snapshot!(ended.all(), @r##"
    done 1_a  [span]
    --- full
    code 1
    STATE    VERSION  TASK  LAST RUN (UTC)       TOOK
    done     1        a     [time]  [span]
    pending  2        a

    The disk of [dir]/disk/.oncely/ledger.db is full. Nothing new is begun; what was being done is recorded. Free some space: work goes on by itself.
    --- room
    done 2_a  [span]
    Nothing to do: 2 tasks already done here.
    STATE  VERSION  TASK  LAST RUN (UTC)       TOOK
    done   1        a     [time]  [span]
    done   2        a     [time]  [span]
    oncely: the ledger's disk is full: [dir]/disk/.oncely/ledger.db. What was recorded is kept and nothing was started. Free some space; work goes on by itself.
    "##);
}

#[test]
fn a_full_disk_at_the_first_run_is_said_and_nothing_is_half_written() {
    let project = Project::empty();
    let script = format!(
        "$O init > /dev/null; {TASK}\n\
         dd if=/dev/zero of=fill bs=4096 2> /dev/null || true\n\
         $O run && exit 99 || echo code $?\n\
         rm fill; echo --- room; $O run"
    );
    let ended = on_small_disk(&project, "1m", &script);
    insta::assert_snapshot!(ended.all(), @r##"
    code 2
    --- room
    done 1_a  [span]
    oncely: the ledger's disk is full: [dir]/disk/.oncely/ledger.db. What was recorded is kept and nothing was started. Free some space; work goes on by itself.
    "##);
}

#[test]
fn a_read_only_disk_is_said_and_looking_still_works() {
    let project = Project::empty();
    let script = format!(
        "$O init > /dev/null; {TASK}\n\
         mount -o remount,ro small\n\
         $O plan\n$O run && exit 99 || echo code $?\n\
         mount -o remount,rw small\n$O run\nmount -o remount,ro small\n\
         $O run && exit 99 || echo code $?"
    );
    let ended = on_small_disk(&project, "2m", &script);
    insta::assert_snapshot!(ended.all(), @r#"
    1_a
      - a: command echo x  (no undo)

    1 task would run in development. Nothing was done.
    code 2
    done 1_a  [span]
    code 2
    oncely: [dir]/disk/.oncely cannot be made: Read-only file system (os error 30). oncely keeps its ledger there; nothing was run.
    oncely: the ledger [dir]/disk/.oncely/ledger.db cannot be written to: unable to open database file. Nothing was changed. Make the file and its folder writable for this user, or choose another place with `ledger` in oncely.toml.
    "#);
}
