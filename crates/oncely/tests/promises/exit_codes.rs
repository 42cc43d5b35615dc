//! When several things are wrong, the exit code is the first of 2, 1, 4, 3.

use crate::project::Project;

const FAILS: &str = "command = \"false\"\nretry = { attempts = 1 }\n";
/// Its time is over while it does something, so that nobody knows what became of it.
const UNKNOWN: &str = "timeout = \"100ms\"\ncommand = \"sleep 60\"\n";
const WAITS: &str = "approve = \"Go?\"\n";
const BAD: &str = "comand = \"true\"\n";

/// What `run --keep-going` exits with after tasks of these steps, the first of them first. None of them
/// waits for those before it.
fn exit(steps: &[&str]) -> i32 {
    let project = Project::new();
    for (n, step) in steps.iter().enumerate() {
        let text = format!("[on.release]\nindependent = true\n[[step]]\nid = \"a\"\n{step}");
        project.write(&format!("tasks/{}_task.toml", n + 1), text);
    }
    let ended = project.run(&["run", "--keep-going", "--strict-exit"]);
    let ran = project.json(&["runs"]).len();
    let wanted = if steps.contains(&BAD) { 0 } else { steps.len() };
    assert_eq!(ran, wanted, "{}", ended.all());
    ended.code
}

#[test]
fn each_alone_has_its_code() {
    for (step, code) in [(BAD, 2), (FAILS, 1), (UNKNOWN, 4), (WAITS, 3)] {
        assert_eq!(exit(&[step]), code, "{step}");
    }
}

#[test]
fn of_two_the_first_of_2_1_4_3_counts_whichever_comes_first() {
    let by_weight = [(BAD, 2), (FAILS, 1), (UNKNOWN, 4), (WAITS, 3)];
    for (place, (worse, code)) in by_weight.iter().enumerate() {
        for (lesser, _) in &by_weight[place + 1..] {
            assert_eq!(exit(&[worse, lesser]), *code, "{worse} before {lesser}");
            assert_eq!(exit(&[lesser, worse]), *code, "{lesser} before {worse}");
        }
    }
}

#[test]
fn of_all_three_the_failure_counts() {
    for steps in [[FAILS, UNKNOWN, WAITS], [WAITS, UNKNOWN, FAILS]] {
        assert_eq!(exit(&steps), 1);
    }
}
