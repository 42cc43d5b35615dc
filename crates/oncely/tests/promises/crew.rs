//! `oncely serve --workers N`: so many workers, however often one is killed, and none that outlives the
//! process that started them.

use crate::project::{Project, Running, wait};
use std::collections::BTreeSet;

/// The processes that serve, as the ledger lists them.
fn serving(project: &Project) -> BTreeSet<u64> {
    let workers = project.json(&["workers"]);
    let serving = workers.iter().filter(|w| w["role"] == "oncely serve");
    serving.map(|w| w["pid"].as_u64().unwrap()).collect()
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn crew(project: &Project, workers: usize) -> Running {
    let count = workers.to_string();
    let crew = project.start(&["serve", "--workers", &count]);
    wait("the workers to be there", || {
        serving(project).len() == workers
    });
    crew
}

#[test]
fn so_many_workers_share_the_work_and_end_when_they_are_told() {
    let project = Project::new();
    project.call_task("greet", "echo $ONCELY_EVENT_KEY >> out");
    let crew = crew(&project, 3);
    for key in 0..20 {
        project
            .run(&["call", "greet", "--key", &key.to_string(), "--detach"])
            .says(0, &[]);
    }
    project.wait_lines("out", 20);
    let ended = crew.stop();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(serving(&project).is_empty());
    let lines = project.text("out");
    assert_eq!(lines.lines().collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(lines.lines().count(), 20);
}

#[test]
fn another_worker_comes_for_one_that_was_killed() {
    let project = Project::new();
    let crew = crew(&project, 2);
    let before = serving(&project);
    let killed = *before.first().unwrap();
    kill(killed);
    let mut now = BTreeSet::new();
    wait("another worker", || {
        now = serving(&project);
        now.len() == 2 && !now.contains(&killed)
    });
    assert_eq!(now.intersection(&before).count(), 1);
    let ended = crew.stop();
    assert_eq!(ended.code, 0, "{}", ended.all());
    let gone = format!("(process {killed}) is gone. Another takes its place in 1 s");
    assert!(ended.out.contains(&gone), "{}", ended.out);
}

#[test]
fn no_worker_outlives_the_process_that_started_it() {
    let project = Project::new();
    let mut crew = crew(&project, 2);
    crew.kill();
    wait("the workers to end", || serving(&project).is_empty());
}

#[test]
fn what_is_wrong_is_said_once_and_nothing_is_served() {
    let project = Project::new();
    project.write("oncely.toml", "ledgr = \"x\"\n");
    let ended = project.run(&["serve", "--workers", "3"]);
    assert_eq!(ended.code, 2, "{}", ended.all());
    assert_eq!(
        ended.err.matches("unknown field").count(),
        1,
        "{}",
        ended.err
    );
    // What only a worker finds out ends them all.
    project.write("oncely.toml", "");
    project.write(".oncely/ledger.db", "this is no ledger");
    let ended = project.run(&["serve", "--workers", "3"]);
    assert_eq!(ended.code, 2, "{}", ended.all());
    project
        .run(&["serve", "--workers", "0"])
        .says(2, &["0 is not in 1..=64"]);
}

#[test]
fn workers_end_by_themselves_when_that_is_asked_for() {
    let project = Project::new();
    project.call_task("greet", "echo x >> out");
    project
        .run(&["call", "greet", "--key", "1", "--detach"])
        .says(0, &[]);
    let ended = project.run(&["serve", "--workers", "2", "--until-idle"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(project.text("out"), "x\n");
}
