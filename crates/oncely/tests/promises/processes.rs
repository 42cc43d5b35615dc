//! Several processes on one ledger.

use crate::project::{Ended, Project, Running};
use std::time::{Duration, Instant};

/// Five ordered tasks that append to one file without any lock of their own: a second process beside
/// them would lose or mix lines.
fn five(extra: &str) -> Project {
    let project = Project::new();
    for n in 1..=5 {
        let shell = format!(
            "{extra}old=$(cat out 2>/dev/null || true); printf '%s{n}\\n' \"${{old:+$old\n}}\" > out"
        );
        project.release_task(n, "append", &shell);
    }
    project
}

fn all_at_once(project: &Project, processes: usize) -> Vec<Ended> {
    let mut running: Vec<Running> = (0..processes)
        .map(|_| Running::new(project.command(&["run"])))
        .collect();
    running.iter_mut().map(Running::end).collect()
}

/// How often the races are run: `ONCELY_ROUNDS`, else a few times, since each takes its time.
fn rounds(usual: usize) -> usize {
    let said = std::env::var("ONCELY_ROUNDS").ok();
    said.map_or(usual, |text| {
        text.parse().expect("ONCELY_ROUNDS is a number")
    })
}

#[test]
fn twenty_runs_at_once_do_five_tasks_once_and_in_order() {
    let rounds = rounds(10);
    for round in 0..rounds {
        let project = five("");
        let ended = all_at_once(&project, 20);
        for one in &ended {
            assert_eq!(one.code, 0, "round {round}: {}{}", one.out, one.err);
        }
        assert_eq!(project.text("out"), "1\n2\n3\n4\n5\n", "round {round}");
        let done: usize = ended.iter().map(|e| e.out.matches("done ").count()).sum();
        let before = ended
            .iter()
            .filter(|e| e.out.contains("Nothing to do: 5 tasks"))
            .count();
        assert!(done >= 5, "round {round}: nobody said what was done");
        assert!(before >= 15, "round {round}: {before} found it done");
        assert_eq!(project.json(&["runs"]).len(), 5);
    }
    println!("{rounds} rounds of 20 processes: 1 to 5, once and in order, each time");
}

#[test]
fn a_holder_killed_in_the_middle_leaves_the_rest_to_another() {
    let rounds = rounds(1);
    let mut took: Vec<Duration> = (0..rounds).map(|_| killed_in_the_middle()).collect();
    took.sort();
    println!(
        "{rounds} holders killed: another process finished after {} ms in the middle, {} ms at most",
        took[rounds / 2].as_millis(),
        took[rounds - 1].as_millis()
    );
    assert!(took[rounds - 1] < Duration::from_secs(10), "{took:?}");
}

/// How long after the kill of the holder the rest was done by the others.
fn killed_in_the_middle() -> Duration {
    let project = five("test $ONCELY_TASK != 3 || test -e go || { echo $$ > held; sleep 60; }; ");
    // The third step is one that may be repeated; else it would wait for a person.
    for n in 1..=5 {
        let file = format!("tasks/{n}_append.toml");
        let text = project.text(&file) + "on_unknown = \"repeat\"\n";
        project.write(&file, text);
    }
    let mut first = project.start(&["run"]);
    project.wait_lines("held", 1);
    let mut others: Vec<Running> = (0..19).map(|_| project.start(&["run"])).collect();
    project.write("go", "");
    let killed = Instant::now();
    first.kill();
    for other in &mut others {
        let ended = other.end();
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    }
    let took = killed.elapsed();
    assert_eq!(project.text("out"), "1\n2\n3\n4\n5\n");
    took
}

#[test]
fn a_run_that_is_told_so_does_not_wait_for_another() {
    let project = Project::new();
    project.release_task(
        1,
        "slow",
        "echo x > held; until test -e go; do sleep 0.01; done",
    );
    let mut first = project.start(&["run"]);
    project.wait_lines("held", 1);
    project
        .run(&["run", "--on-busy", "skip"])
        .says(0, &["is running the tasks; nothing was done."]);
    project.run(&["run", "--on-busy", "fail"]).says(
        1,
        &["is running the release tasks", "Nothing was done here."],
    );
    project.write("go", "");
    assert_eq!(first.end().code, 0);
}

#[test]
fn commands_work_beside_a_server() {
    let project = Project::new();
    project.call_task("greet", "echo $ONCELY_EVENT_KEY >> out");
    project.release_task(1, "a", "true");
    let server = project.serve(&[]);
    let calls: Vec<Running> = (0..10)
        .map(|n| project.start(&["call", "greet", "--key", &format!("k{n}")]))
        .collect();
    for mut call in calls {
        let ended = call.end();
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    }
    project
        .run(&["call", "greet", "--key", "later", "--detach"])
        .says(0, &["Admitted"]);
    project.wait_lines("out", 11);
    project.run(&["run"]).says(0, &["done 1_a"]);
    for looking in [
        &["status"][..],
        &["runs"],
        &["logs"],
        &["doctor"],
        &["ledger", "export"],
    ] {
        project.run(looking).says(0, &[]);
    }
    assert_eq!(server.stop().code, 0);
    assert_eq!(project.text("out").lines().count(), 11);
}

#[test]
fn a_killed_servers_run_goes_on_in_another_process_within_a_second() {
    let project = Project::new();
    // Its lease cannot be over yet: it is the lock of the killed process that says so.
    project.write("oncely.toml", "[limits]\nlease = \"10m\"\n");
    project.write(
        "tasks/slow.toml",
        "[on.call]\n\n[[step]]\nid = \"a\"\non_unknown = \"repeat\"\ncommand = \"echo $$ >> began; test -e go || sleep 60; echo done >> out\"\n",
    );
    let mut first = project.serve(&[]);
    let second = project.serve(&[]);
    project
        .run(&["call", "slow", "--key", "1", "--detach"])
        .says(0, &[]);
    project.wait_lines("began", 1);
    // Whoever has it is killed.
    let held = project.wait_run("running");
    assert_eq!(held["run"], 1);
    project
        .run(&["doctor"])
        .says(0, &["at work", "(oncely serve)"]);
    project.write("go", "");
    let program: u32 = project.text("began").trim().parse().unwrap();
    let mut second = second;
    let (killed, left) = if is_below(program, first.child.id()) {
        (&mut first, &mut second)
    } else {
        (&mut second, &mut first)
    };
    let at = Instant::now();
    killed.kill();
    project.wait_lines("began", 2);
    let took = at.elapsed();
    println!("the run went on {} ms after SIGKILL", took.as_millis());
    project.wait_lines("out", 1);
    project.wait_run("done");
    assert!(left.child.try_wait().unwrap().is_none());
    assert_eq!(project.text("out"), "done\n");
}

/// Whether a process descends from another.
pub(crate) fn is_below(pid: u32, ancestor: u32) -> bool {
    let mut pid = pid;
    while pid > 1 {
        if pid == ancestor {
            return true;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        pid = after
            .split(' ')
            .nth(1)
            .and_then(|p| p.parse().ok())
            .unwrap_or(0);
    }
    false
}
