//! A person says that the step at which a run stands shall not be done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::fact::Request;
use oncely_engine::Skipping;

promises! {
    a_run_that_failed_goes_on_without_its_step,
    a_step_that_waits_for_its_next_try_or_is_held_is_skipped_at_once,
    a_condition_that_does_not_hold_is_skipped,
    what_reads_a_skipped_step_finds_nothing_there,
    an_attempt_in_flight_is_recorded_and_what_was_done_is_not_skipped,
    an_attempt_in_flight_that_fails_is_not_made_again,
    what_is_in_doubt_is_skipped_only_once_somebody_says_that_it_did_not_happen,
    what_may_be_repeated_is_not_repeated_where_it_shall_not_be_done,
    only_the_step_at_which_a_run_stands_is_skipped,
    a_question_is_never_skipped,
    a_list_that_is_held_leaves_its_other_items,
    items_in_doubt_are_not_passed_over,
    a_run_that_ended_well_or_has_not_begun_has_nothing_to_skip,
}

const TWO: &str = "[[step]]\nid='a'\ncommand=['x','a']\nretry={attempts=2,first='10s'}\n\
     [[step]]\nid='b'\ncommand=['x','b']";

/// Asks to skip, and says what was answered.
async fn skip(process: &Process, run: RunId, step: Option<&str>) -> Result<Skipping, String> {
    let asked = process.people.skip(run, step, "ann", "done by hand").await;
    asked.map_err(|error| error.to_string())
}

fn skipping(step: &str, in_doubt: bool) -> Result<Skipping, String> {
    let step = step.into();
    Ok(Skipping { step, in_doubt })
}

/// Why steps were skipped.
async fn skipped(process: &Process, run: RunId) -> Vec<(String, String)> {
    let facts = process.facts(run).await;
    let of = |fact| match fact {
        Fact::Skipped { step, why } => Some((step.to_string(), why)),
        _ => None,
    };
    facts.into_iter().filter_map(of).collect()
}

fn by_hand(step: &str) -> Vec<(String, String)> {
    vec![(step.into(), "ann said so: done by hand".into())]
}

async fn a_run_that_failed_goes_on_without_its_step(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|call| match call.site.step.as_str() {
        "a" => Behaviour::Permanent,
        _ => Behaviour::Output(json!({})),
    });
    let process = stage.process(&[task(TWO)], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    assert_eq!(skip(&process, run, Some("a")).await, skipping("a", false));
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
    assert_eq!(skipped(&process, run).await, by_hand("a"));
}

async fn a_step_that_waits_for_its_next_try_or_is_held_is_skipped_at_once(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|_| Behaviour::Retry(None));
    let held = known(
        "h",
        "[on.call]\n[[step]]\nid='h'\nhold='24h'\ncommand=['x','h']",
    );
    let process = stage.process(&[task(TWO), held], &kit);
    let run = process.admit("k").await;
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    kit.command.does(|_| Behaviour::Output(json!({})));
    assert_eq!(skip(&process, run, None).await, skipping("a", false));
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    let run = process.admit_for("h", "k", json!({})).await;
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    assert_eq!(skip(&process, run, None).await, skipping("h", false));
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
}

async fn a_condition_that_does_not_hold_is_skipped(stage: Stage) {
    let kit = Kit::default();
    let waits = "[[step]]\nid='w'\nrequire={that='event.go',else='retry'}\n\
                 [[step]]\nid='b'\ncommand=['x','b']";
    let refuses = known("r", "[on.call]\n[[step]]\nid='w'\nrequire='event.go'\n");
    let process = stage.process(&[task(waits), refuses], &kit);
    let run = process.admit_for("t", "k", json!({"go": false})).await;
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    assert_eq!(skip(&process, run, None).await, skipping("w", false));
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["b"]);
    let run = process.admit_for("r", "k", json!({"go": false})).await;
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    assert_eq!(skip(&process, run, None).await, skipping("w", false));
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
}

/// As it is with a step whose `when` does not hold.
async fn what_reads_a_skipped_step_finds_nothing_there(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|call| match call.site.step.as_str() {
        "a" => Behaviour::Permanent,
        _ => Behaviour::Output(json!({})),
    });
    let steps = |when: &str| {
        format!(
            "[[step]]\nid='a'\ncommand=['x','a']\n{when}\n[[step]]\nid='b'\n\
             command=['x',\"{{{{ 'nothing' if steps.a is undefined else 'something' }}}}\"]"
        )
    };
    let passed = known("p", &format!("[on.call]\n{}", steps("when='false'")));
    let process = stage.process(&[task(&steps("")), passed], &kit);
    let (run, _) = process.play("k").await;
    skip(&process, run, None).await.unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    let run = process.admit_for("p", "k", json!({})).await;
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "nothing", "nothing"]);
}

/// The first step is at work while a person asks to skip it, and ends so.
async fn at_work(stage: Stage, first: impl Fn(Gate) -> Behaviour + Send + Sync + 'static) -> Kit {
    let kit = Kit::default();
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |call| match call.site.step.as_str() {
        "a" => first(wait.clone()),
        _ => Behaviour::Output(json!({})),
    });
    let process = stage.process(&[task(TWO)], &kit);
    let run = process.admit("k").await;
    let ask = async {
        gate.come(1).await;
        assert_eq!(skip(&process, run, None).await, skipping("a", false));
        gate.open();
    };
    let (rest, ()) = tokio::join!(process.drive(run), ask);
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    kit
}

async fn an_attempt_in_flight_is_recorded_and_what_was_done_is_not_skipped(stage: Stage) {
    let kit = at_work(stage, Behaviour::Wait).await;
    assert_eq!(kit.command.args(), ["a", "b"]);
}

async fn an_attempt_in_flight_that_fails_is_not_made_again(stage: Stage) {
    let kit = at_work(stage, Behaviour::Fail).await;
    assert_eq!(kit.command.args(), ["a", "b"]);
}

/// A process dies while the first step acts.
async fn crashed(stage: &Stage, kit: &Kit) -> (RunId, Process) {
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(hang.clone()));
    let first = stage.process(&[task(TWO)], kit);
    let run = first.admit("k").await;
    tokio::select! {
        rest = first.engine.drive_one(run) => panic!("{rest:?}"),
        () = gate.come(1) => {}
    }
    kit.command.does(|_| Behaviour::Output(json!({})));
    let heir = stage.process(&[task(TWO)], kit);
    first.dies(&heir).await;
    (run, heir)
}

async fn what_is_in_doubt_is_skipped_only_once_somebody_says_that_it_did_not_happen(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit).await;
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(skip(&heir, run, Some("a")).await, skipping("a", true));
    assert_eq!(heir.status(run).await, RunStatus::Unknown);
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(skipped(&heir, run).await, []);
    let settled = heir.people.settle(run, None, None, "ann", "I looked").await;
    settled.unwrap();
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
    assert_eq!(skipped(&heir, run).await, by_hand("a"));
}

async fn what_may_be_repeated_is_not_repeated_where_it_shall_not_be_done(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::Safe);
    let (run, heir) = crashed(&stage, &kit).await;
    // Nobody has looked at it since: its attempt counts as at work.
    assert_eq!(skip(&heir, run, None).await, skipping("a", false));
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(kit.command.args(), ["a"]);
}

async fn only_the_step_at_which_a_run_stands_is_skipped(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|call| match call.site.step.as_str() {
        "b" => Behaviour::Permanent,
        _ => Behaviour::Output(json!({})),
    });
    let steps = format!("{TWO}\n[[step]]\nid='c'\ncommand=['x','c']");
    let process = stage.process(&[task(&steps)], &kit);
    let (run, _) = process.play("k").await;
    let seq = process.facts(run).await.len();
    let mut said = String::new();
    for step in ["a", "c", "d"] {
        said += &format!("{}\n", skip(&process, run, Some(step)).await.unwrap_err());
    }
    insta::assert_snapshot!(said, @r"
    step `a` of run 1 is done, and what is done is not skipped. `oncely undo 1` takes back what a run did, once it has ended. Nothing was changed.
    run 1 stands at step `b` and not at `c`. Only the step at which a run stands is skipped. Nothing was changed.
    run 1 has no step `d`. Its steps: a, b, c. Nothing was changed.
    ");
    assert_eq!(process.facts(run).await.len(), seq);
    kit.command.does(|_| Behaviour::Permanent);
    skip(&process, run, Some("b")).await.unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    insta::assert_snapshot!(
        skip(&process, run, Some("b")).await.unwrap_err(),
        @"step `b` of run 1 was skipped already. Nothing was changed."
    );
    assert_eq!(kit.command.args(), ["a", "b", "c"]);
}

async fn a_question_is_never_skipped(stage: Stage) {
    let kit = Kit::default();
    let asks = "[[step]]\nid='ok'\napprove='Send?'\n[[step]]\nid='b'\ncommand=['x','b']";
    let process = stage.process(&[task(asks)], &kit);
    let run = process.admit("k").await;
    process.drive(run).await;
    insta::assert_snapshot!(
        skip(&process, run, None).await.unwrap_err(),
        @"step `ok` of run 1 asks a person. A question is answered and not skipped: `oncely approve 1`, or `oncely reject 1`; `oncely cancel 1` ends the run. Nothing was changed."
    );
    let no = process.answer(run, false, "bob", "no", None).await;
    no.unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    let refused = skip(&process, run, None).await.unwrap_err();
    assert!(
        refused.contains("asks a person"),
        "a no stays one: {refused}"
    );
    assert_eq!(kit.command.count(), 0);
}

/// A list of 80 that is held after its first 32, which end so.
async fn held(stage: &Stage, kit: &Kit, third: Behaviour) -> (Process, RunId) {
    let list = (0..80).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let steps = format!(
        "[[step]]\nid='s'\nfor_each='[{list}]'\n[[step.do]]\nid='w'\n\
         command=['x','{{{{ item }}}}']\n[[step]]\nid='b'\ncommand=['x','b']"
    );
    let process = stage.process(&[task(&steps)], kit);
    let run = process.admit("k").await;
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command
        .does(move |call| match call.options["args"][1] == "3" {
            true if !matches!(third, Behaviour::Wait(_)) => third.clone(),
            _ => Behaviour::Wait(wait.clone()),
        });
    let pause = async {
        gate.come(31).await;
        let at_work = skip(&process, run, None).await.unwrap_err();
        assert!(at_work.contains("is at work on its items"), "{at_work}");
        let asked = process.people.request(run, Request::Pause, "ann", "wait");
        asked.await.unwrap();
        gate.open();
    };
    let (rest, ()) = tokio::join!(process.drive(run), pause);
    assert!(
        matches!(rest, Rest::Waiting { until: None, .. }),
        "{rest:?}"
    );
    (process, run)
}

async fn a_list_that_is_held_leaves_its_other_items(stage: Stage) {
    let kit = Kit::default();
    let (process, run) = held(&stage, &kit, Behaviour::Wait(Gate::default())).await;
    assert_eq!(skip(&process, run, None).await, skipping("s", false));
    // It is still held: the step is behind it, and the next one is not begun.
    assert!(matches!(
        process.drive(run).await,
        Rest::Waiting { until: None, .. }
    ));
    let go = process.people.request(run, Request::Resume, "ann", "go");
    go.await.unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 32 + 1);
    let undo = process.people.undo_plan(run).await.unwrap();
    assert!(
        undo.plan.missing.contains_key(&"s".into()),
        "32 items were done"
    );
}

async fn items_in_doubt_are_not_passed_over(stage: Stage) {
    let kit = Kit::default();
    let (process, run) = held(&stage, &kit, Behaviour::Unknown).await;
    insta::assert_snapshot!(
        skip(&process, run, None).await.unwrap_err(),
        @"nobody knows whether 1 of the items of step `s` of run 1 happened, and what is in doubt is not passed over. `oncely resume 1` finds out or asks. Nothing was changed."
    );
}

async fn a_run_that_ended_well_or_has_not_begun_has_nothing_to_skip(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(TWO)], &kit);
    let run = process.admit("k").await;
    let mut said = format!("{}\n", skip(&process, run, None).await.unwrap_err());
    process.drive(run).await;
    said += &format!("{}\n", skip(&process, run, None).await.unwrap_err());
    said += &skip(&process, RunId(7), None).await.unwrap_err();
    insta::assert_snapshot!(said, @r"
    run 1 has not begun, so that it stands at no step. `oncely cancel 1` ends it. Nothing was changed.
    run 1 is done already. Nothing was changed.
    there is no run 7 in this ledger. `oncely runs` lists them.
    ");
}
