//! A newer program beside an older one, and back again.
//!
//! No minor version has come yet. The newer program is the same one, told to be the next minor version:
//! its migration adds a table, a column, an index and triggers (`ledger/src/sqlite/rehearsal.rs`).

use crate::project::{Ended, Project, Running, wait, wait_gone};
use std::collections::BTreeMap;

const NEXT: (&str, &str) = ("ONCELY_SABOTAGE_SCHEMA", "next");

/// Which program does something.
#[derive(Clone, Copy)]
enum Program {
    Old,
    New,
}
use Program::{New, Old};

struct Upgrade {
    project: Project,
    called: usize,
}

impl Upgrade {
    fn new() -> Self {
        let project = Project::new();
        let shell = "printf '%s\\n' \"$ONCELY_EVENT_KEY\" >> out";
        project.call_task("note", shell);
        Self { project, called: 0 }
    }

    fn run(&self, program: Program, args: &[&str]) -> Ended {
        let mut command = self.project.command(args);
        if let New = program {
            command.env(NEXT.0, NEXT.1);
        }
        self.project.ended(command)
    }

    fn serve(&self, program: Program) -> Running {
        let mut command = self.project.command(&["--json", "serve"]);
        if let New = program {
            command.env(NEXT.0, NEXT.1);
        }
        let mut server = Running::new(command);
        server.hear("serving");
        server
    }

    /// Calls so many times, each program in its turn, each key twice: once by either.
    fn call(&mut self, times: usize, by: [Program; 2]) {
        for _ in 0..times {
            self.called += 1;
            let key = self.called.to_string();
            let [first, second] = match self.called.is_multiple_of(2) {
                true => by,
                false => [by[1], by[0]],
            };
            for program in [first, second] {
                self.run(program, &["call", "note", "--key", &key, "--detach"])
                    .says(0, &[]);
            }
        }
    }

    fn done(&self) -> usize {
        let args = ["runs", "--state", "done", "--limit", "1000"];
        self.project.json(&args).len()
    }

    /// Every call is done, and once.
    fn all_done_once(&self) {
        let called = self.called;
        wait("all calls to be done", || self.done() == called);
        let mut done = BTreeMap::new();
        for key in self.project.text("out").lines() {
            *done.entry(key.to_owned()).or_insert(0) += 1;
        }
        let once = (1..=called).map(|key| (key.to_string(), 1)).collect();
        assert_eq!(done, once);
    }
}

#[test]
fn an_old_and_a_new_program_work_on_one_ledger_at_once_and_back_again() {
    let mut upgrade = Upgrade::new();
    let old = upgrade.serve(Old);
    upgrade.call(10, [Old, Old]);
    upgrade.all_done_once();

    // The new program does nothing before the ledger is brought to its version, under the old server.
    upgrade
        .run(New, &["call", "note", "--key", "early", "--detach"])
        .says(
            2,
            &[
                "has schema 2.0; this program works on 2.1",
                "oncely ledger migrate",
            ],
        );
    upgrade
        .run(New, &["ledger", "migrate"])
        .says(0, &["Migrated. The ledger as it was is in"]);
    upgrade
        .run(New, &["ledger", "migrate"])
        .says(0, &["at this version already"]);
    upgrade.call(10, [Old, New]);
    upgrade.all_done_once();

    // Both serve at once.
    let new = upgrade.serve(New);
    upgrade.call(20, [Old, New]);
    upgrade.all_done_once();

    // Only the new one, and then back to the old one alone.
    assert_eq!(old.stop().code, 0);
    upgrade.call(10, [New, Old]);
    upgrade.all_done_once();
    assert_eq!(new.stop().code, 0);
    let old = upgrade.serve(Old);
    upgrade.call(10, [Old, Old]);
    upgrade.all_done_once();
    assert_eq!(old.stop().code, 0);
    assert_eq!(upgrade.called, 60);
}

#[test]
fn a_server_that_is_killed_in_an_upgrade_leaves_its_work_to_the_other_version() {
    for (first, second) in [(Old, New), (New, Old)] {
        let mut upgrade = Upgrade::new();
        let old = upgrade.serve(Old);
        upgrade.call(1, [Old, Old]);
        upgrade.all_done_once();
        assert_eq!(old.stop().code, 0);
        upgrade
            .run(New, &["ledger", "migrate"])
            .says(0, &["Migrated"]);
        let shell = "echo $$ > began; until test -e go; do sleep 0.01; done; echo done >> slow";
        let task = format!(
            "[on.call]\n\n[[step]]\nid = \"act\"\ncommand = {}\non_unknown = \"repeat\"\n",
            serde_json::Value::from(shell)
        );
        upgrade.project.write("tasks/slow.toml", task);
        let mut server = upgrade.serve(first);
        upgrade
            .run(first, &["call", "slow", "--key", "1", "--detach"])
            .says(0, &[]);
        let pid = upgrade.project.wait_lines("began", 1);
        server.kill();
        wait_gone(&pid);
        upgrade.project.write("go", "");
        let server = upgrade.serve(second);
        upgrade.called += 1;
        wait("what was begun to be done", || {
            upgrade.done() == upgrade.called
        });
        assert_eq!(upgrade.project.text("slow"), "done\n");
        assert_eq!(server.stop().code, 0);
    }
}
