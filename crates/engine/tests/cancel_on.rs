//! Runs that are cancelled when another task is started for the same thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::fact::Request;
use oncely_engine::Known;

promises! {
    what_waits_is_cancelled_when_the_other_task_is_started,
    what_was_admitted_later_and_what_has_another_key_is_left,
    a_process_that_dies_on_the_way_leaves_nothing_undone,
    what_is_at_work_ends_when_its_attempt_is_recorded,
    an_event_without_the_key_cancels_nothing_and_is_done,
    what_an_event_holds_names_the_runs_that_files_and_the_clock_have_started,
    every_run_under_way_is_meant_where_both_say_the_same_always,
    a_run_that_was_cancelled_before_it_began_cancels_nobody,
    a_run_that_could_begin_as_it_is_admitted_asks_the_others_first,
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

/// Runs of a folder, whose keys hold the hash of what was in the file, and of a clock.
fn with_equals(on: &str, equals: &str) -> [Known; 2] {
    let text = format!(
        "{on}\n[cancel_on]\ntask='paid'\nkey='event.invoice'\nequals=\"{equals}\"\n[[step]]\nid='a'\ncommand=['x','{{{{ run.key }}}}']\nevery='14d'\ntimes=9"
    );
    let [_, paid] = tasks();
    [known("remind", &text), paid]
}

const FILES: &str = "[on.object]\nsource='folder:in'\nmatch='*.pdf'\nexisting='run'";

async fn waits(process: &Process, key: &str, event: Value) -> RunId {
    let run = process.admit_for("remind", key, event).await;
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    run
}

async fn is_asked(process: &Process, run: RunId) -> bool {
    let facts = process.facts(run).await;
    facts.iter().any(|f| matches!(f, Fact::Requested { .. }))
}

async fn what_an_event_holds_names_the_runs_that_files_and_the_clock_have_started(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(
        &with_equals(FILES, "event.name | replace('.pdf', '')"),
        &kit,
    );
    let mut runs = Vec::new();
    for (key, name) in [
        ("i7.pdf 1", "i7.pdf"),
        ("i7.pdf 2", "i7.pdf"),
        ("i8.pdf 1", "i8.pdf"),
    ] {
        runs.push(waits(&process, key, json!({ "name": name })).await);
    }
    let nameless = waits(&process, "no name", json!({})).await;
    let paid = pays(&process, "p1", "i7").await;
    let later = waits(&process, "i7.pdf 3", json!({ "name": "i7.pdf" })).await;
    assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Done));
    for run in &runs[..2] {
        assert_eq!(process.drive(*run).await, Rest::Ended(RunStatus::Cancelled));
    }
    for run in [runs[2], nameless, later] {
        assert!(!is_asked(&process, run).await, "{run}");
    }
}

async fn every_run_under_way_is_meant_where_both_say_the_same_always(stage: Stage) {
    let kit = Kit::default();
    let mut both = with_equals("[on.schedule]\nevery='1h'", "true");
    both[0] = known(
        "remind",
        &both[0]
            .bundle
            .text
            .replace("key='event.invoice'", "key='true'"),
    );
    let process = stage.process(&both, &kit);
    let first = waits(&process, "2026-01-01T00:00:00Z", json!({})).await;
    let second = waits(&process, "2026-01-01T01:00:00Z", json!({})).await;
    let paid = pays(&process, "p1", "whatever").await;
    assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Done));
    for run in [first, second] {
        assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Cancelled));
    }
}

async fn a_run_that_was_cancelled_before_it_began_cancels_nobody(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&tasks(), &kit);
    let run = reminded(&process, "i7").await;
    let paid = pays(&process, "p1", "i7").await;
    let cancel = process
        .people
        .request(paid, Request::Cancel, "ann", "a mistake");
    cancel.await.unwrap();
    assert_eq!(process.drive(paid).await, Rest::Ended(RunStatus::Cancelled));
    assert!(!is_asked(&process, run).await, "it was never started");
    assert_eq!(process.status(run).await, RunStatus::Waiting);
}

async fn a_run_that_could_begin_as_it_is_admitted_asks_the_others_first(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&tasks(), &kit);
    let run = reminded(&process, "i7").await;
    let offer = Offer::new("paid".into(), "p1".into(), json!({ "invoice": "i7" }));
    let offered = process.engine.offer(vec![offer], None).await.unwrap();
    let [Offered::Admitted(paid)] = offered.as_slice() else {
        panic!("not admitted: {offered:?}");
    };
    process.engine.idle().await;
    if !process.status(*paid).await.is_ended() {
        process.drive(*paid).await;
    }
    assert_eq!(process.status(*paid).await, RunStatus::Done);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Cancelled));
}
