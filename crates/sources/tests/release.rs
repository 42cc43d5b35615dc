//! Which release tasks are due, and the keys of calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::ids::TaskId;
use oncely_core::task::{Bundle, Phase, Task, Trigger, load};
use oncely_core::time::Timestamp;
use oncely_sources::release::{Release, answers, due, key};
use serde_json::json;
use std::collections::BTreeSet;

fn task(path: &str, text: &str) -> Task {
    let bundle = Bundle {
        path: path.into(),
        text: text.into(),
        executable: false,
        files: Default::default(),
    };
    load(&bundle).unwrap()
}

fn release_task(version: u32, more: &str) -> Task {
    let text = format!("{more}\n[[step]]\nid='a'\ncommand='true'\n");
    task(&format!("tasks/{version:04}_x.toml"), &text)
}

fn release(phase: Option<Phase>) -> Release {
    Release {
        id: "r".into(),
        environment: "production".into(),
        phase,
    }
}

#[test]
fn what_is_due_is_the_difference_in_the_order_of_versions() {
    // Every way in which five tasks may have been admitted, in any order of files.
    let tasks: Vec<Task> = [3, 1, 5, 2, 4].map(|n| release_task(n, "")).into();
    for admitted_bits in 0..32_u32 {
        let is_admitted = |n: u32| admitted_bits >> (n - 1) & 1 == 1;
        let id = |n: u32| {
            tasks
                .iter()
                .find(|t| t.path.contains(&format!("{n:04}")))
                .unwrap()
                .id
                .clone()
        };
        let admitted: BTreeSet<TaskId> = (1..=5).filter(|n| is_admitted(*n)).map(id).collect();
        let due = due(&tasks, &admitted, &release(None));
        let found: Vec<_> = due.iter().map(|d| d.task.clone()).collect();
        let wanted: Vec<_> = (1..=5).filter(|n| !is_admitted(*n)).map(id).collect();
        assert_eq!(found, wanted);
        let newest = (1..=5).rev().find(|n| is_admitted(*n)).unwrap_or(0);
        for (due, n) in due.iter().zip((1..=5).filter(|n| !is_admitted(*n))) {
            assert_eq!(due.late, n < newest, "{n} of {admitted_bits:05b}");
        }
    }
}

#[test]
fn environment_and_phase_say_what_concerns_a_release() {
    let tasks = [
        release_task(1, "environments=['staging']\n[on.release]"),
        release_task(2, "[on.release]\nphase='before'"),
        release_task(3, "environments=['production']"),
        task(
            "tasks/called.toml",
            "[on.call]\n[[step]]\nid='a'\ncommand='true'",
        ),
    ];
    let names = |phase| {
        let due = due(&tasks, &BTreeSet::new(), &release(phase));
        due.into_iter()
            .map(|d| d.task.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(None), format!("{} {}", tasks[1].id, tasks[2].id));
    assert_eq!(names(Some(Phase::Before)), tasks[1].id.to_string());
    assert_eq!(names(Some(Phase::After)), tasks[2].id.to_string());
}

#[test]
fn the_key_is_that_of_ever_or_of_the_release() {
    let once = release_task(1, "");
    let every = release_task(2, "[on.release]\nevery=true");
    let at = |task| key(task, &release(None));
    assert_eq!(at(&once).as_str(), "release");
    assert_eq!(at(&every).as_str(), "release:r");
    assert!(answers(&at(&once), "r") && answers(&at(&once), "s"));
    assert!(answers(&at(&every), "r") && !answers(&at(&every), "s"));
}

#[test]
fn a_call_brings_its_key_or_the_task_says_what_it_is() {
    let of = |text: &str, given: Option<&str>, event| {
        let task = task(
            "tasks/t.toml",
            &format!("{text}\n[[step]]\nid='a'\ncommand='true'"),
        );
        let Trigger::Call(trigger) = task.on else {
            panic!()
        };
        oncely_sources::call::key(&trigger, given, &event, Timestamp(0)).map(|k| k.to_string())
    };
    let keyed = "[on.call]\nkey='event.id'";
    assert_eq!(of(keyed, None, json!({"id": "x"})).unwrap(), "x");
    assert_eq!(of(keyed, None, json!({"id": 7})).unwrap(), "7");
    assert_eq!(of(keyed, Some("mine"), json!({})).unwrap(), "mine");
    assert!(
        of(keyed, None, json!({"id": [1]}))
            .unwrap_err()
            .contains("not a text or number")
    );
    assert!(of(keyed, None, json!({})).is_err());
    assert!(
        of("[on.call]", None, json!({}))
            .unwrap_err()
            .contains("brings no key")
    );
}
