//! What nobody knows about is looked up: by what the task declares, before a person is asked, and
//! when a person asks for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::task::ActionKind;
use std::sync::Arc;

promises! {
    a_declared_look_up_that_saw_it_happen_is_believed_and_gives_the_output,
    not_happened_is_believed_only_once_the_attempt_is_over_and_then_it_is_done,
    a_look_up_that_fails_says_nothing_and_a_person_may_ask_for_another,
    a_condition_that_cannot_be_read_says_nothing,
    where_nobody_can_look_that_is_said_and_nothing_is_changed,
    the_step_that_is_named_is_the_one_in_doubt,
    items_are_looked_up_one_by_one_after_a_crash,
    what_takes_back_is_not_looked_up_by_the_probe_of_what_was_done,
}

const PROBED: &str = "[[step]]\nid='a'\ncommand=['x','a']\ntimeout='60s'\n\
     probe={http={url='https://x.example/{{ event.key }}'},happened='output.status == 200'}\n\
     [[step]]\nid='b'\ncommand=['x',\"{{ steps.a.json | default('none') }}\"]";

/// Actions where `http` answers with this status.
fn answering(status: i64) -> (Kit, Arc<Fake>) {
    let http = Fake::new(Repeat::Safe);
    http.does(move |_| Behaviour::Output(json!({ "status": status, "json": status })));
    let mut kit = Kit::default();
    kit.others.insert(ActionKind::Http, http.clone());
    (kit, http)
}

/// A process dies while the first step acts.
async fn crashed(stage: &Stage, kit: &Kit, steps: &str) -> (RunId, Process) {
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(hang.clone()));
    let first = stage.process(&[task(steps)], kit);
    let run = first.admit_for("t", "k", json!({ "key": "order-7" })).await;
    tokio::select! {
        rest = first.engine.drive_one(run) => panic!("{rest:?}"),
        () = gate.come(1) => {}
    }
    kit.command.does(|_| Behaviour::Output(json!({})));
    let heir = stage.process(&[task(steps)], kit);
    first.dies(&heir).await;
    (run, heir)
}

async fn a_declared_look_up_that_saw_it_happen_is_believed_and_gives_the_output(stage: Stage) {
    let (kit, http) = answering(200);
    let (run, heir) = crashed(&stage, &kit, PROBED).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "200"]);
    assert_eq!(
        http.calls.lock().unwrap()[0].options["url"],
        "https://x.example/order-7"
    );
    let settled = heir
        .facts(run)
        .await
        .into_iter()
        .find_map(|fact| match fact {
            Fact::Settled { by, .. } => Some(by),
            _ => None,
        });
    assert_eq!(settled.as_deref(), Some("probe"));
}

async fn not_happened_is_believed_only_once_the_attempt_is_over_and_then_it_is_done(stage: Stage) {
    let (kit, http) = answering(404);
    let (run, heir) = crashed(&stage, &kit, PROBED).await;
    let Rest::Waiting {
        until: Some(until), ..
    } = heir.drive(run).await
    else {
        panic!("the request may still be on its way")
    };
    use oncely_core::time::Clock as _;
    assert_eq!(until.millis_since(stage.clock.now()), 70_000);
    assert_eq!((kit.command.count(), http.count()), (1, 1));
    assert_eq!(heir.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "a", "none"]);
    assert_eq!(kit.command.keys()[0], kit.command.keys()[1]);
}

async fn a_look_up_that_fails_says_nothing_and_a_person_may_ask_for_another(stage: Stage) {
    let (kit, http) = answering(200);
    http.does(|_| Behaviour::Permanent);
    let (run, heir) = crashed(&stage, &kit, PROBED).await;
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    let answers = heir
        .facts(run)
        .await
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::Probed { answer, .. } => Some(answer),
            _ => None,
        });
    assert_eq!(answers.collect::<Vec<_>>(), ["`probe`: never"]);
    // Nobody asks again by itself.
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(http.count(), 1);
    http.does(|_| Behaviour::Output(json!({ "status": 200, "json": 200 })));
    let asked = heir
        .people
        .look_up(run, Some("a"), "ann", "they are back")
        .await;
    assert_eq!(asked, Ok("a".into()));
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "200"]);
}

async fn a_condition_that_cannot_be_read_says_nothing(stage: Stage) {
    let (kit, http) = answering(200);
    http.does(|_| Behaviour::Output(json!({ "status": "many" })));
    let steps = PROBED.replace("output.status == 200", "output.status | int > 1");
    let (run, heir) = crashed(&stage, &kit, &steps).await;
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(kit.command.args(), ["a"]);
}

async fn where_nobody_can_look_that_is_said_and_nothing_is_changed(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, "[[step]]\nid='a'\ncommand=['x','a']").await;
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    let before = heir.facts(run).await;
    let said = heir.people.look_up(run, None, "ann", "").await;
    insta::assert_snapshot!(said.unwrap_err(), @r#"
    nothing can look step `a` of run 1 up: its task file has no `probe` for it. Nothing was changed. Look yourself, and say what became of it:
            oncely settle 1 a done|not-done --reason "…"
    "#);
    assert_eq!(heir.facts(run).await, before);
    assert_eq!(heir.status(run).await, RunStatus::Unknown);
}

async fn the_step_that_is_named_is_the_one_in_doubt(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, PROBED).await;
    kit.command
        .says(oncely_core::action::Probe::CannotTell("no".into()));
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    let before = heir.facts(run).await;
    let wrong = heir.people.settle(run, Some("b"), None, "ann", "x").await;
    insta::assert_snapshot!(
        wrong.unwrap_err(),
        @"it is step `a` of run 1 that nobody knows about, and not `b`. Nothing was changed."
    );
    let wrong = heir.people.look_up(run, Some("b"), "ann", "").await;
    assert!(wrong.is_err());
    assert_eq!(heir.facts(run).await, before);
    let right = heir.people.settle(run, Some("a"), None, "ann", "x").await;
    assert_eq!(right, Ok("a".into()));
}

async fn items_are_looked_up_one_by_one_after_a_crash(stage: Stage) {
    let (kit, http) = answering(200);
    let steps = "[[step]]\nid='s'\nfor_each='[0,1,2]'\n[[step.do]]\nid='w'\n\
                 command=['x','{{ item }}']\n\
                 probe={http={url='https://x.example/{{ event.key }}/{{ item }}'},happened='output.status == 200'}";
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(hang.clone()));
    let first = stage.process(&[task(steps)], &kit);
    let run = first.admit_for("t", "k", json!({ "key": "order-7" })).await;
    tokio::select! {
        rest = first.engine.drive_one(run) => panic!("{rest:?}"),
        () = gate.come(3) => {}
    }
    let heir = stage.process(&[task(steps)], &kit);
    first.dies(&heir).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 3);
    let calls = http.calls.lock().unwrap();
    let mut urls: Vec<_> = calls.iter().map(|c| c.options["url"].clone()).collect();
    urls.sort_by_key(ToString::to_string);
    assert_eq!(
        urls,
        [0, 1, 2].map(|n| json!(format!("https://x.example/order-7/{n}")))
    );
}

async fn what_takes_back_is_not_looked_up_by_the_probe_of_what_was_done(stage: Stage) {
    let (kit, http) = answering(200);
    let steps = format!(
        "{}\nundo={{command=['x','back']}}",
        PROBED.split("\n[[step]]\nid='b'").next().unwrap()
    );
    let process = stage.process(&[task(&steps)], &kit);
    let run = process
        .admit_for("t", "k", json!({ "key": "order-7" }))
        .await;
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    let undo = process.people.undo(run, "ann", "", false).await.unwrap();
    kit.command.does(|_| Behaviour::Unknown);
    assert!(matches!(process.drive(undo).await, Rest::Unknown { .. }));
    assert_eq!(http.count(), 0);
}
