//! What the `command` action promises, with real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, kind};
use common::{SECRET, call, command, failure, output};
use oncely_core::action::{Action as _, Done, Failure};
use oncely_core::fact::Repeat;
use oncely_core::limits::OUTPUT_BYTES;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn root() -> TempDir {
    TempDir::new().unwrap()
}

async fn run(options: Value) -> Value {
    let root = root();
    output(&command(root.path()), &call(options)).await
}

async fn fails(options: Value) -> Failure {
    let root = root();
    failure(&command(root.path()), &call(options)).await
}

fn fifo(path: &Path) {
    assert!(Process::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn a_list_is_a_program_and_its_arguments_whatever_is_in_them() {
    let done = run(json!({"args": ["printf", "%s|", "a b", "$(id)", "; rm -rf /", 7]})).await;
    assert_eq!(done["stdout"], "a b|$(id)|; rm -rf /|7|");
    assert_eq!(done["code"], 0);
    assert!(done["millis"].is_u64());
}

#[tokio::test]
async fn a_path_starts_at_the_root_also_from_another_folder() {
    let root = root();
    fs::create_dir_all(root.path().join("bin")).unwrap();
    fs::create_dir_all(root.path().join("data")).unwrap();
    fs::copy("/bin/pwd", root.path().join("bin/where")).unwrap();
    let options = json!({"args": ["bin/where"], "cwd": "data"});
    let done = output(&command(root.path()), &call(options)).await;
    let there = root.path().join("data").canonicalize().unwrap();
    assert_eq!(done["stdout"], format!("{}\n", there.display()));
}

#[tokio::test]
async fn a_shell_text_stops_at_its_first_error() {
    let failure = fails(json!({"shell": "echo one\nfalse\necho two >&2"})).await;
    assert_eq!(failure, Failure::retry("exited with 1"));
}

#[tokio::test]
async fn every_program_is_told_where_it_belongs() {
    let done = run(json!({"shell": "env | grep ^ONCELY_ | sort"})).await;
    insta::assert_snapshot!(done["stdout"].as_str().unwrap(), @r#"
ONCELY_ATTEMPT=1
ONCELY_ENVIRONMENT=production
ONCELY_EVENT_KEY=customer-1
ONCELY_KEY=0123456789abcdef0123456789abcdef
ONCELY_PROTOCOL=1
ONCELY_RUN=7
ONCELY_STEP=mail
ONCELY_TASK=welcome
"#);
}

#[tokio::test]
async fn a_program_reads_the_event_unless_the_task_says_otherwise() {
    let document = run(json!({"args": ["cat"]})).await;
    insta::assert_snapshot!(document["json"], @r#"{"oncely":1,"key":"0123456789abcdef0123456789abcdef","attempt":1,"event":{"id":1},"steps":{},"run":{"id":7}}"#);
    assert_eq!(
        run(json!({"args": ["cat"], "stdin": "text"})).await["stdout"],
        "text"
    );
    assert_eq!(
        run(json!({"args": ["cat"], "stdin": {"a": [1]}})).await["json"],
        json!({"a": [1]})
    );
}

#[tokio::test]
async fn a_large_input_that_nobody_reads_stops_nobody() {
    let stdin = "x".repeat(3_000_000);
    assert_eq!(
        run(json!({"args": ["true"], "stdin": stdin})).await["code"],
        0
    );
    let counted = run(json!({"args": ["wc", "-c"], "stdin": stdin})).await;
    assert_eq!(counted["stdout"].as_str().unwrap().trim(), "3000000");
}

#[tokio::test]
async fn a_script_runs_from_its_pinned_text_and_knows_its_file() {
    let text = "#!/bin/sh\necho $ONCELY_TASK_FILE; pwd; cat > /dev/null";
    let options = json!({"script": "tasks/20260101_x.sh", "script_text": text});
    let root = root();
    let done = output(&command(root.path()), &call(options)).await;
    let there = root.path().canonicalize().unwrap();
    assert_eq!(
        done["stdout"],
        format!("tasks/20260101_x.sh\n{}\n", there.display())
    );
}

#[tokio::test]
async fn a_text_that_is_no_program_says_what_is_missing() {
    let failure = fails(json!({"script": "tasks/x.sh", "script_text": "echo hello"})).await;
    insta::assert_snapshot!(failure.error(), @"tasks/x.sh is not a program: a script begins with a line such as #!/bin/sh");
}

#[tokio::test]
async fn output_is_read_as_the_task_says() {
    let json = r#"echo '{"a": 1}'"#;
    assert_eq!(run(json!({"shell": json})).await["json"], json!({"a": 1}));
    assert_eq!(
        run(json!({"shell": json, "output": "text"}))
            .await
            .get("json"),
        None
    );
    assert_eq!(run(json!({"shell": "echo a 1"})).await.get("json"), None);
}

#[tokio::test]
async fn a_program_may_decide_the_outcome_itself() {
    let says = |text: &str| json!({"shell": format!("echo '{text}'; exit 9")});
    let done = run(says(r#"{"oncely": {"status": "done"}, "id": 7}"#)).await;
    assert_eq!(
        (&done["json"], &done["code"]),
        (&json!({"id": 7}), &json!(9))
    );
    let retry = r#"{"oncely": {"status": "retry", "error": "not now", "after_ms": 1500}}"#;
    assert_eq!(
        fails(says(retry)).await,
        Failure::Retry {
            error: "not now".into(),
            after: Some(Duration::from_millis(1500)),
        }
    );
    let failed = r#"{"oncely": {"status": "failed", "error": "never"}}"#;
    assert_eq!(fails(says(failed)).await, Failure::permanent("never"));
    let unknown = r#"{"oncely": {"status": "unknown"}}"#;
    assert_eq!(kind(&fails(says(unknown)).await), Expected::Unknown);
    let nonsense = json!({"shell": r#"echo '{"oncely": {"status": "fine"}}'"#});
    insta::assert_snapshot!(fails(nonsense).await.error(), @"exited with 0, and its answer has the key `oncely`, which cannot be read: unknown variant `fine`, expected one of `done`, `retry`, `failed`, `unknown`; `status` is one of done, retry, failed, unknown");
}

#[tokio::test]
async fn failures_say_what_happened() {
    let said = |failure: Failure| format!("{:?}: {}", kind(&failure), failure.error());
    insta::assert_snapshot!(said(fails(json!({"shell": "echo bad >&2; exit 3"})).await), @"Retry: exited with 3: bad");
    insta::assert_snapshot!(said(fails(json!({"shell": "exit 75"})).await), @"Retry: exited with 75, which asks to try later");
    insta::assert_snapshot!(said(fails(json!({"shell": "kill -9 $$"})).await), @"Unknown: was ended by signal 9");
    insta::assert_snapshot!(said(fails(json!({"args": ["bin/none"]})).await), @"Permanent: bin/none was not found, or the interpreter that its first line names was not: give a path from the project's root, or a program on the PATH");
    insta::assert_snapshot!(said(fails(json!({"args": ["/etc/passwd"]})).await), @"Permanent: /etc/passwd may not be executed: chmod +x it, and see that its file system allows programs");
    let huge = "x".repeat(200_000);
    insta::assert_snapshot!(said(fails(json!({"args": ["true", huge]})).await), @"Permanent: true was not started: its arguments and environment are larger than the system allows; hand large data over by stdin");
    insta::assert_snapshot!(said(fails(json!({"args": []})).await), @"Permanent: the command names no program, or has a null character in it");
    insta::assert_snapshot!(said(fails(json!({"shell": "echo x", "output": "json"})).await), @"Unknown: exited with 0, and its output is not JSON");
    let root = root();
    let mut slow = call(json!({"shell": "echo begun >&2; while :; do read x < fifo; done"}));
    fifo(&root.path().join("fifo"));
    slow.timeout = Duration::from_millis(200);
    insta::assert_snapshot!(said(failure(&command(root.path()), &slow).await), @"Unknown: was stopped because it took longer than 200 ms: begun");
}

#[tokio::test]
async fn ten_megabytes_of_output_are_drained_and_both_ends_kept() {
    let shell = "echo first; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo last; \
                 echo oops >&2; head -c 10000000 /dev/zero | tr '\\0' y >&2; echo end >&2";
    let done = run(json!({ "shell": shell })).await;
    let (stdout, stderr) = (
        done["stdout"].as_str().unwrap(),
        done["stderr"].as_str().unwrap(),
    );
    assert!(stdout.starts_with("first\nxxx") && stdout.ends_with("xxx\nlast\n"));
    assert!(stderr.starts_with("oops\nyyy") && stderr.ends_with("yyyend\n"));
    assert!(stdout.contains(" bytes left out …"));
    let kept = done.to_string().len();
    assert!((OUTPUT_BYTES / 2..=OUTPUT_BYTES).contains(&kept), "{kept}");
}

#[tokio::test]
async fn any_output_fits_the_bound_of_an_output() {
    for shell in [
        "head -c 300000 /dev/zero",
        "head -c 300000 /dev/urandom",
        "printf '\"'; head -c 50000 /dev/zero | tr '\\0' j; printf '\"'",
        "printf '\"'; head -c 64000 /dev/zero | tr '\\0' j; printf '\"'",
    ] {
        let done = run(json!({ "shell": shell })).await;
        let kept = done.to_string().len();
        assert!(kept <= OUTPUT_BYTES, "{kept} bytes of {shell}");
    }
}

#[tokio::test]
async fn a_secret_reaches_the_program_and_nothing_that_is_kept() {
    let env = json!({"TOKEN": {"$secret": ["Bearer ", {"name": "TOKEN"}]}});
    let done = run(json!({"shell": "echo \"$TOKEN\"; echo \"$TOKEN\" >&2", "env": env})).await;
    assert_eq!(done["stdout"], "Bearer ***\n");
    assert_eq!(done["stderr"], "Bearer ***\n");
    let failure = fails(json!({"shell": "echo \"no $TOKEN\" >&2; exit 1", "env": env})).await;
    assert_eq!(failure.error(), "exited with 1: no Bearer ***");
    let answer = r#"printf '{"oncely":{"status":"failed","error":"77777 %s"}}' "${TOKEN##*/}""#;
    let failure = fails(json!({"shell": answer, "env": env})).await;
    assert!(!failure.error().contains(SECRET), "{failure:?}");
}

#[tokio::test]
async fn a_secret_across_the_cut_leaves_no_half_of_itself() {
    let env = json!({"TOKEN": {"$secret": [{"name": "TOKEN"}]}});
    // Whatever the place of the cut, a secret lies across it.
    let shell = "i=0; while [ $i -lt 9000 ]; do printf %s \"$TOKEN\"; i=$((i+1)); done";
    let done = run(json!({"shell": shell, "env": env})).await;
    let stdout = done["stdout"].as_str().unwrap();
    let (head, tail) = stdout.split_once("\n… ").unwrap();
    let tail = tail.split_once("…\n").unwrap().1;
    assert!(
        head.chars().chain(tail.chars()).all(|c| c == '*'),
        "{stdout}"
    );
}

#[tokio::test]
async fn a_missing_secret_is_named_before_anything_runs() {
    let root = root();
    let env = json!({"A": {"$secret": [{"name": "CRM_TOKEN"}]}});
    let options = json!({"shell": "touch ran", "env": env});
    let failure = failure(&command(root.path()), &call(options)).await;
    assert_eq!(kind(&failure), Expected::Permanent);
    assert!(failure.error().contains("ONCELY_SECRET_CRM_TOKEN"));
    assert!(!root.path().join("ran").exists());
}

#[tokio::test]
async fn the_step_cannot_overwrite_what_a_program_is_told() {
    let env = json!({"ONCELY_KEY": "mine", "MINE": 7});
    let done = run(json!({"shell": "echo $ONCELY_KEY $MINE", "env": env})).await;
    assert_eq!(done["stdout"], "0123456789abcdef0123456789abcdef 7\n");
}

#[test]
fn repeating_is_as_safe_as_the_task_says() {
    let root = root();
    let repeat = |options| command(root.path()).repeat(&call(options));
    assert_eq!(repeat(json!({"shell": "x"})), Repeat::AskFirst);
    assert_eq!(repeat(json!({"shell": "x", "safe": true})), Repeat::Safe);
    let keyed = json!({"shell": "x", "key_honoured": 86_400_000});
    assert_eq!(
        repeat(keyed),
        Repeat::WithKey {
            window_ms: 86_400_000
        }
    );
}

#[tokio::test]
async fn a_hundred_commands_at_once_do_not_hold_one_another_up() {
    let root = root();
    let command = std::sync::Arc::new(command(root.path()));
    let runs = (0..100).map(|i| {
        let command = std::sync::Arc::clone(&command);
        tokio::spawn(async move {
            let text = format!("#!/bin/sh\necho {}", i % 10);
            let call = call(json!({"script": "tasks/x.sh", "script_text": text}));
            command.run(&call).await
        })
    });
    for (i, run) in runs.collect::<Vec<_>>().into_iter().enumerate() {
        match run.await.unwrap() {
            Ok(Done::Output(done)) => assert_eq!(done["stdout"], format!("{}\n", i % 10)),
            other => panic!("{other:?}"),
        }
    }
}

/// A program that starts others, in the background, below a pipe and in a session of their own,
/// and ends none of them. Each holds the fifo open.
const FAMILY: &str = "exec 3> fifo; trap '' TERM; (sleep 1000) & (sh -c 'sleep 1000; :' | cat) & \
                      (setsid sh -c 'sleep 1000 & sleep 1000' &); \
                      echo up >&3; wait; sleep 1000";

/// Returns when `FAMILY` has said that it is up.
fn up(fifo: &Path) -> BufReader<fs::File> {
    let mut reader = BufReader::new(fs::File::open(fifo).unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    reader
}

/// Returns when nobody holds the fifo open any more.
fn all_gone(mut reader: BufReader<fs::File>) {
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_program_and_all_it_started_end_when_oncely_is_killed() {
    let root = root();
    let path = root.path().join("fifo");
    fifo(&path);
    let mut worker = Process::new(env!("CARGO_BIN_EXE_oncely-actions-helper"))
        .arg("work")
        .args([root.path().as_os_str(), FAMILY.as_ref()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let reader = up(&path);
    // SIGKILL: oncely itself can do nothing any more.
    worker.kill().unwrap();
    worker.wait().unwrap();
    all_gone(reader);
}

#[tokio::test]
async fn a_program_and_all_it_started_end_when_its_time_is_over() {
    let root = root();
    let path = root.path().join("fifo");
    fifo(&path);
    let mut family = call(json!({ "shell": FAMILY }));
    family.timeout = Duration::from_millis(500);
    let reading = tokio::task::spawn_blocking(move || up(&path));
    let failure = failure(&command(root.path()), &family).await;
    assert_eq!(kind(&failure), Expected::Unknown, "{failure:?}");
    all_gone(reading.await.unwrap());
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_goes_with_it() {
    let root = root();
    let path = root.path().join("fifo");
    fifo(&path);
    let shell = "exec 3> fifo; sleep 1000 & echo up >&3; exit 0";
    let reading = tokio::task::spawn_blocking(move || up(&path));
    let done = output(&command(root.path()), &call(json!({ "shell": shell }))).await;
    assert_eq!(done["code"], 0);
    all_gone(reading.await.unwrap());
}

#[tokio::test]
async fn a_step_that_is_given_up_ends_its_program() {
    let root = root();
    let path = root.path().join("fifo");
    fifo(&path);
    let command = command(root.path());
    let running = tokio::spawn(async move { command.run(&call(json!({ "shell": FAMILY }))).await });
    let reader = tokio::task::spawn_blocking(move || up(&path))
        .await
        .unwrap();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    tokio::task::spawn_blocking(move || all_gone(reader))
        .await
        .unwrap();
}

#[test]
fn secrets_of_oncely_itself_are_not_in_the_environment_of_programs() {
    let root = root();
    let path = root.path().join("fifo");
    fifo(&path);
    // Only a process of its own can be given another environment.
    let mut worker = Process::new(env!("CARGO_BIN_EXE_oncely-actions-helper"))
        .arg("work")
        .args([root.path().as_os_str(), "env > fifo; sleep 1000".as_ref()])
        .env("ONCELY_SECRET_CRM_TOKEN", "hush")
        .env("SHOWN", "shown")
        .spawn()
        .unwrap();
    let env = fs::read_to_string(&path).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert!(env.contains("SHOWN=shown"));
    assert!(
        !env.contains("hush") && !env.contains("ONCELY_SECRET"),
        "{env}"
    );
}
