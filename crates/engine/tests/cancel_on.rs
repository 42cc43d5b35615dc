//! Runs that are cancelled when another task is started for the same thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_engine::Known;

promises! {
    what_waits_is_cancelled_when_the_other_task_is_started,
    what_was_admitted_later_and_what_has_another_key_is_left,
    a_process_that_dies_on_the_way_leaves_nothing_undone,
    what_is_at_work_ends_when_its_attempt_is_recorded,
    an_event_without_the_key_cancels_nothing_and_is_done,
}

fn tasks() -> [Known; 2] {
    [
        known(
            "remind",
            "[on.call]\n[cancel_on]\ntask='paid'\nkey='event.invoice'\n[[step]]\nid='a'\ncommand=['x','{{ run.key }}']\nevery='14d'\ntimes=9",
        ),
        known(
            "paid",
            "[on.call]\n[[step]]\nid='b'\ncommand=['x','thanks']",
        ),
    ]
}

async fn reminded(process: &Process, key: &str) -> RunId {
    let run = process.admit_for("remind", key, json!({})).await;
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    run
}

async fn pays(process: &Process, key: &str, invoice: &str) -> RunId {
    let event = json!({ "invoice": invoice });
    process.admit_for("paid", key, event).await
}

async fn what_waits_is_cancelled_when_the_other_task_is_started(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&tasks(), &kit);
    let run = reminded(&process, "i7").await;
    let paid = pays(&process, "p1", "i7").await;
    assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Done));
    let row = process.row(run).await;
    assert!(row.due.is_some(), "nobody would look at it: {row:?}");
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Cancelled));
    assert_eq!(
        process.reason(run).await,
        format!("task paid cancelled it: run {paid}, as cancel_on says")
    );
    assert_eq!(kit.command.args(), ["i7", "thanks"]);
}

async fn what_was_admitted_later_and_what_has_another_key_is_left(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&tasks(), &kit);
    let other = reminded(&process, "i8").await;
    let paid = pays(&process, "p1", "i7").await;
    let later = reminded(&process, "i7").await;
    assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Done));
    for run in [other, later] {
        let facts = process.facts(run).await;
        let asked = facts.iter().any(|f| matches!(f, Fact::Requested { .. }));
        assert!(!asked, "{facts:?}");
    }
}

async fn a_process_that_dies_on_the_way_leaves_nothing_undone(stage: Stage) {
    for dies_at in 0..4 {
        let kit = Kit::default();
        let process = stage.process(&tasks(), &kit);
        let key = format!("i{dies_at}");
        let runs = [
            reminded(&process, &key).await,
            reminded(&process, &format!("{key}b")).await,
        ];
        let paid = pays(&process, &key, &key).await;
        let mut commits = 0;
        process.tap.fate(move |_| {
            commits += 1;
            match commits {
                n if n <= dies_at => Fate::Pass,
                n if n % 2 == 0 => Fate::CutAfter,
                _ => Fate::CutBefore,
            }
        });
        tokio::select! {
            _ = process.engine.drive_one(paid) => {}
            () = process.tap.was_cut() => {}
        }
        let heir = stage.process(&tasks(), &kit);
        process.dies(&heir).await;
        if !heir.status(paid).await.is_ended() {
            let _ = heir.engine.drive_one(paid).await;
        }
        assert_eq!(heir.drive(runs[0]).await, Rest::Ended(RunStatus::Cancelled));
        let asked = heir.facts(runs[0]).await;
        let asked = asked.iter().filter(|f| matches!(f, Fact::Requested { .. }));
        assert_eq!(asked.count(), 1, "asking twice is asking once");
        assert_eq!(heir.status(runs[1]).await, RunStatus::Waiting);
    }
}

async fn what_is_at_work_ends_when_its_attempt_is_recorded(stage: Stage) {
    let kit = Kit::default();
    let gate = Gate::default();
    let inside = gate.clone();
    kit.command.does(move |call| match call.site.task.as_str() {
        "remind" => Behaviour::Wait(inside.clone()),
        _ => Behaviour::Output(json!({})),
    });
    let process = stage.process(&tasks(), &kit);
    let run = process.admit_for("remind", "i7", json!({})).await;
    let paid = async {
        gate.come(1).await;
        let paid = pays(&process, "p1", "i7").await;
        assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Done));
        gate.open();
    };
    let (rest, ()) = tokio::join!(process.drive(run), paid);
    assert_eq!(rest, Rest::Ended(RunStatus::Cancelled));
    let facts = process.facts(run).await;
    let done = facts.iter().any(|f| matches!(f, Fact::Outcome { .. }));
    assert!(done, "what happened is recorded: {facts:?}");
}

async fn an_event_without_the_key_cancels_nothing_and_is_done(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&tasks(), &kit);
    let run = reminded(&process, "i7").await;
    let paid = process.admit_for("paid", "p", json!({})).await;
    assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Done));
    assert_eq!(process.status(run).await, RunStatus::Waiting);
}
