//! Old runs are pruned, and what they answered is still known.

use crate::project::Project;

const PAY: &str = "[on.call]\n\n[[step]]\nid = \"pay\"\ncommand = \"echo paid\"\n";

fn called(keys: &[&str]) -> Project {
    let project = Project::new();
    project.write("tasks/pay.toml", PAY);
    for key in keys {
        let call = ["call", "pay", "--key", key];
        project.run(&call).says(0, &["done"]);
    }
    project
}

#[test]
fn what_is_pruned_is_known_when_it_comes_again_and_who_removed_it_is_told() {
    let project = called(&["a", "b", "newest"]).variable("ONCELY_USER", "ana");
    let prune = ["ledger", "prune", "--older-than", "0s"];
    let with = |more: &[&'static str]| [&prune, more].concat();
    let said = project.session(&[
        &with(&["--dry-run"]),
        &with(&["--reason", "older than we need"]),
        &prune,
        &["call", "pay", "--key", "a"],
        &["show", "1"],
        &["why", "a"],
        &["rerun", "1", "--reason", "again"],
        &["cancel", "1"],
        &["logs", "1"],
        &["runs"],
    ]);
    insta::assert_snapshot!(said);
    project.run(&["ledger", "verify"]).says(0, &[]);
    let stats = project.run(&["ledger", "stats"]);
    stats.says(
        0,
        &[
            "keys             3",
            "ana (older than we need)",
            "ENDED BEFORE",
        ],
    );
    let numbers = &project.json(&["ledger", "stats"])[0];
    assert_eq!(numbers["prunes"][0]["runs"], 2);
    assert_eq!(numbers["keys"], 3);
    let shown = &project.json(&["show", "2"])[0];
    assert_eq!(shown["pruned"]["by"], "ana");
    let again = &project.json(&["call", "pay", "--key", "b"])[0];
    assert_eq!(
        (&again["run"], &again["duplicate"]),
        (&2.into(), &true.into())
    );
    assert_eq!(again["pruned"]["reason"], "older than we need");
}

#[test]
fn release_tasks_stay_and_are_not_done_again() {
    let project = Project::new();
    project.release_task(1, "a", "echo once >> done");
    project.release_task(2, "b", "echo once >> done");
    project.run(&["run"]).says(0, &["done"]);
    let prune = ["ledger", "prune", "--older-than", "0s"];
    project.run(&prune).says(0, &["Nothing was removed"]);
    project.run(&["run"]).says(0, &[]);
    let done = std::fs::read_to_string(project.root.join("done")).unwrap();
    assert_eq!(done.lines().count(), 2);
}

#[test]
fn a_protected_environment_is_pruned_with_a_reason_only() {
    let project = called(&["a", "newest"]);
    let config = std::fs::read_to_string(project.root.join("oncely.toml")).unwrap();
    let environment = project.json(&["runs"])[0]["environment"].to_string();
    let protected = format!("{config}\n[env.{environment}]\nprotected = true\n");
    project.write("oncely.toml", protected);
    let prune = ["ledger", "prune", "--older-than", "0s"];
    project.run(&prune).says(
        2,
        &["is protected", "ledger prune --older-than 0s --reason"],
    );
    let wrong = ["ledger", "prune", "--older-than", "long ago"];
    project
        .run(&wrong)
        .says(2, &["--older-than long ago: not a length of time"]);
}
