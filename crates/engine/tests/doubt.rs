//! Crashes and attempts that nobody knows about: what is repeated, what is asked, what is put aside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::action::Probe;
use oncely_core::fact::Fact;
use oncely_core::ids::StepId;
use oncely_core::ledger::{Ledger as _, LedgerError, Unit};
use oncely_core::limits;
use std::time::Duration;

promises! {
    an_unkeyed_attempt_that_a_crash_left_open_is_parked_and_never_repeated,
    a_keyed_attempt_is_repeated_with_the_same_key_and_the_same_call,
    outside_its_window_a_keyed_attempt_is_parked,
    a_safe_attempt_is_repeated_at_once,
    the_rule_repeat_does_it_again_and_the_rule_skip_goes_on,
    settled_as_done_goes_on_and_settled_as_not_done_does_it_again,
    a_crash_before_the_intent_is_committed_leaves_no_doubt,
    a_crash_after_the_outcome_is_committed_repeats_nothing,
    what_a_probe_saw_happen_is_not_repeated,
    not_happened_is_believed_only_once_the_last_attempt_is_over,
    a_probe_that_panics_could_not_tell,
    a_poison_run_is_quarantined_and_its_neighbours_finish,
    a_run_that_its_last_process_may_have_died_of_waits_only_until_the_one_before_makes_progress,
    a_step_that_panics_takes_no_other_with_it,
    a_full_ledger_loses_no_outcome,
    where_there_is_no_room_an_outcome_is_recorded_and_what_follows_is_begun_later,
    a_run_that_finds_no_room_as_it_begins_is_begun_when_there_is_some,
    what_waits_for_room_is_given_back_when_the_process_is_to_stop,
    an_effect_in_the_commit_is_made_once_whenever_the_process_dies,
    a_lease_that_ran_out_does_not_end_the_server,
}

const ONE: &str = "[[step]]\nid='a'\ncommand=['x','{{ event.key }}']";
const TWO: &str = "[[step]]\nid='a'\ncommand=['x','a']\n[[step]]\nid='b'\ncommand=['x','b']";

fn is(units: &[Unit], word: &str) -> bool {
    format!("{units:?}").contains(word)
}

/// A process dies while the step acts.
async fn crashed(stage: &Stage, kit: &Kit, steps: &str) -> (RunId, Process) {
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(hang.clone()));
    let first = stage.process(&[task(steps)], kit);
    let run = first.admit_for("t", "k", json!({ "key": "k" })).await;
    tokio::select! {
        rest = first.engine.drive_one(run) => panic!("{rest:?}"),
        () = gate.come(1) => {}
    }
    kit.command.does(|_| Behaviour::Output(json!({})));
    let heir = stage.process(&[task(steps)], kit);
    first.dies(&heir).await;
    (run, heir)
}

async fn an_unkeyed_attempt_that_a_crash_left_open_is_parked_and_never_repeated(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, ONE).await;
    let Rest::Unknown { step, error } = heir.drive(run).await else {
        panic!("it is not parked")
    };
    assert_eq!(step, StepId::from("a"));
    assert!(error.contains("went away"), "{error}");
    assert_eq!(heir.status(run).await, RunStatus::Unknown);
    for _ in 0..3 {
        assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    }
    assert_eq!(heir.engine.next_due().await.unwrap(), None);
    assert_eq!(kit.command.count(), 1);
}

async fn a_keyed_attempt_is_repeated_with_the_same_key_and_the_same_call(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::WithKey { window_ms: 1000 });
    let (run, heir) = crashed(&stage, &kit, "[[step]]\nid='a'\ncommand=['x','{{ now }}']").await;
    stage.clock.advance(999);
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    let calls = kit.command.calls.lock().unwrap();
    assert_eq!((calls[0].attempt, calls[1].attempt), (1, 2));
    assert_eq!(calls[0].key, calls[1].key);
    assert_eq!(calls[0].options, calls[1].options);
}

async fn outside_its_window_a_keyed_attempt_is_parked(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::WithKey { window_ms: 1000 });
    let (run, heir) = crashed(&stage, &kit, ONE).await;
    stage.clock.advance(1000);
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(kit.command.count(), 1);
}

async fn a_safe_attempt_is_repeated_at_once(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::Safe);
    let (run, heir) = crashed(&stage, &kit, ONE).await;
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 2);
}

async fn the_rule_repeat_does_it_again_and_the_rule_skip_goes_on(stage: Stage) {
    let ruled =
        |rule: &str| format!("{ONE}\non_unknown='{rule}'\n[[step]]\nid='b'\ncommand=['x','b']");
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, &ruled("repeat")).await;
    assert_eq!(heir.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["k", "k", "b"]);
    let other = if stage.is_memory() {
        Stage::memory()
    } else {
        Stage::sqlite()
    };
    let kit = Kit::default();
    let (run, heir) = crashed(&other, &kit, &ruled("skip")).await;
    assert_eq!(heir.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["k", "b"]);
}

async fn settled_as_done_goes_on_and_settled_as_not_done_does_it_again(stage: Stage) {
    for (settled, args) in [
        (Some(json!({"seen": 1})), vec!["a", "b"]),
        (None, vec!["a", "a", "b"]),
    ] {
        let other = if stage.is_memory() {
            Stage::memory()
        } else {
            Stage::sqlite()
        };
        let kit = Kit::default();
        let (run, heir) = crashed(&other, &kit, TWO).await;
        let early = heir
            .people
            .settle(run, None, None, "ann", "too early")
            .await;
        assert!(
            early.unwrap_err().to_string().contains("no attempt"),
            "it is not unknown yet"
        );
        assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
        let step = heir
            .people
            .settle(run, None, settled, "ann", "I looked")
            .await
            .unwrap();
        assert_eq!(step, StepId::from("a"));
        assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
        assert_eq!(kit.command.args(), args);
        let again = heir.people.settle(run, None, None, "ann", "again").await;
        assert!(again.is_err(), "nothing is unknown any more");
    }
}

async fn a_crash_before_the_intent_is_committed_leaves_no_doubt(stage: Stage) {
    let kit = Kit::default();
    let first = stage.process(&[task(ONE)], &kit);
    let run = first.admit_for("t", "k", json!({ "key": "k" })).await;
    first.tap.fate(|units| {
        if is(units, "Intent") {
            Fate::CutBefore
        } else {
            Fate::Pass
        }
    });
    first.drive_to_death(run).await;
    let heir = stage.process(&[task(ONE)], &kit);
    first.dies(&heir).await;
    assert_eq!(kit.command.count(), 0);
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 1);
}

async fn a_crash_after_the_outcome_is_committed_repeats_nothing(stage: Stage) {
    let kit = Kit::default();
    let first = stage.process(&[task(TWO)], &kit);
    let run = first.admit("k").await;
    first.tap.fate(|units| {
        if is(units, "Outcome") {
            Fate::CutAfter
        } else {
            Fate::Pass
        }
    });
    first.drive_to_death(run).await;
    let heir = stage.process(&[task(TWO)], &kit);
    first.dies(&heir).await;
    // Its outcome was committed with the intent of the next step, which was never acted on, but
    // nobody can know that.
    assert!(
        matches!(heir.drive(run).await, Rest::Unknown { step, .. } if step == StepId::from("b"))
    );
    assert_eq!(kit.command.args(), ["a"]);
}

async fn what_a_probe_saw_happen_is_not_repeated(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, TWO).await;
    kit.command.says(Probe::Happened(json!({"code": 0})));
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
}

async fn not_happened_is_believed_only_once_the_last_attempt_is_over(stage: Stage) {
    let kit = Kit::default();
    let steps = "[[step]]\nid='a'\ncommand=['x','a']\ntimeout='60s'\nretry={attempts=5,first='1s',max='1s'}";
    kit.command.does(|_| Behaviour::Retry(None));
    let first = stage.process(&[task(steps)], &kit);
    let run = first.admit("k").await;
    let Rest::Waiting { until: Some(_), .. } = first.drive(run).await else {
        panic!()
    };
    stage.clock.advance(600_000);
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(hang.clone()));
    tokio::select! {
        rest = first.engine.drive_one(run) => panic!("{rest:?}"),
        () = gate.come(1) => {}
    }
    // The second attempt began now, long after the first one's time was over.
    kit.command.does(|_| Behaviour::Output(json!({})));
    kit.command.says(Probe::DidNotHappen);
    let heir = stage.process(&[task(steps)], &kit);
    first.dies(&heir).await;
    stage.clock.advance(59_999);
    let Rest::Waiting {
        until: Some(_),
        why,
    } = heir.drive(run).await
    else {
        panic!()
    };
    assert!(why.contains("looked up again"), "{why}");
    assert_eq!(kit.command.count(), 2);
    stage.clock.advance(20_000);
    assert_eq!(heir.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 3);
}

async fn a_probe_that_panics_could_not_tell(stage: Stage) {
    let kit = Kit::default();
    let (run, heir) = crashed(&stage, &kit, ONE).await;
    *kit.command.rude.lock().unwrap() = true;
    assert!(matches!(heir.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(*kit.command.probed.lock().unwrap(), 1);
}

async fn a_poison_run_is_quarantined_and_its_neighbours_finish(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::Safe);
    let steps = [task(ONE)];
    let first = stage.process(&steps, &kit);
    let mut runs = Vec::new();
    for key in ["good", "poison", "fine"] {
        runs.push(first.admit_for("t", key, json!({ "key": key })).await);
    }
    let mut process = first;
    let mut deaths = 0;
    // Whoever takes up the poison dies of it; what is claimed along with it is only held up.
    while process.status(runs[1]).await != RunStatus::Failed {
        let gate = Gate::default();
        let hang = gate.clone();
        kit.command
            .does(move |call| match common::actions::argument(call).as_str() {
                "poison" => Behaviour::Hang(hang.clone()),
                _ => Behaviour::Output(json!({})),
            });
        let serving = process.serve();
        tokio::select! {
            () = gate.come(1) => {}
            () = process.reaches(runs[1], RunStatus::Failed) => continue,
        }
        deaths += 1;
        let heir = stage.process(&steps, &kit);
        process.dies(&heir).await;
        serving.abort();
        process = heir;
        assert!(deaths < 20, "it is never quarantined");
    }
    assert_eq!(deaths, limits::CLAIMS_WITHOUT_PROGRESS);
    assert!(
        process
            .reason(runs[1])
            .await
            .contains("quarantined: 5 processes")
    );
    for run in [runs[0], runs[2]] {
        process.reaches(run, RunStatus::Done).await;
    }
    process.engine.stopper().stop();
}

async fn a_run_that_its_last_process_may_have_died_of_waits_only_until_the_one_before_makes_progress(
    stage: Stage,
) {
    let kit = Kit::default();
    kit.command.is(Repeat::Safe);
    let steps = task(&format!(
        "{ONE}\n[[step]]\nid='b'\ncommand=['do', 'second']"
    ));
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(hang.clone()));
    let first = stage.process(std::slice::from_ref(&steps), &kit);
    let mut runs = Vec::new();
    for key in ["one", "two"] {
        runs.push(first.admit_for("t", key, json!({ "key": key })).await);
    }
    let serving = first.serve();
    gate.come(2).await;
    let heir = stage.process(&[steps], &kit);
    first.dies(&heir).await;
    serving.abort();
    // Both were held when the process died. Of the first of them the second step takes long.
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command
        .does(move |call| match common::actions::argument(call).as_str() {
            "one" => Behaviour::Output(json!({})),
            _ => Behaviour::Hang(hang.clone()),
        });
    let serving = heir.serve();
    gate.come(2).await;
    for run in runs {
        assert_eq!(heir.status(run).await, RunStatus::Running);
    }
    serving.abort();
}

async fn a_step_that_panics_takes_no_other_with_it(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| match common::actions::argument(call).as_str() {
            "bad" => Behaviour::Panic,
            _ => Behaviour::Output(json!({})),
        });
    let process = stage.process(&[task(ONE)], &kit);
    let offers =
        ["one", "bad", "two"].map(|k| Offer::new("t".into(), k.into(), json!({ "key": k })));
    process.engine.offer(offers.to_vec(), None).await.unwrap();
    process.engine.idle().await;
    let states: Vec<_> = process.rows().await.iter().map(|row| row.status).collect();
    assert_eq!(
        states,
        [RunStatus::Done, RunStatus::Unknown, RunStatus::Done]
    );
}

async fn a_full_ledger_loses_no_outcome(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ONE)], &kit);
    let run = process.admit_for("t", "k", json!({ "key": "k" })).await;
    let mut left = 3;
    process.tap.fate(move |units| {
        if left > 0 && is(units, "Outcome") {
            left -= 1;
            return Fate::Fail(LedgerError::Full("no space left".into()));
        }
        Fate::Pass
    });
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 1);
}

/// Commits that hold an outcome and begin nothing.
fn recorded_alone(process: &Process) -> usize {
    let commits = process.tap.commits();
    let alone = |units: &&Vec<Unit>| is(units, "Outcome") && !is(units, "Intent");
    commits.iter().filter(alone).count()
}

async fn where_there_is_no_room_an_outcome_is_recorded_and_what_follows_is_begun_later(
    stage: Stage,
) {
    let kit = Kit::default();
    let process = stage.process(&[task(TWO)], &kit);
    let run = process.admit("k").await;
    let tap = process.tap.clone();
    kit.command.does(move |call| {
        if call.site.step.as_str() == "a" {
            // At the outcome of the first step, and twice after it.
            let mut left = 3;
            tap.fate(move |units| match left > 0 && is(units, "Intent") {
                true => {
                    left -= 1;
                    Fate::Fail(LedgerError::Full("no space left".into()))
                }
                false => Fate::Pass,
            });
        }
        Behaviour::Output(json!({}))
    });
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 2);
    assert_eq!(
        recorded_alone(&process),
        2,
        "the first one's, and the last one's"
    );
}

async fn a_run_that_finds_no_room_as_it_begins_is_begun_when_there_is_some(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(TWO)], &kit);
    let run = process.admit("k").await;
    let mut left = 2;
    process.tap.fate(move |units| {
        if left > 0 && is(units, "Began") {
            left -= 1;
            return Fate::Fail(LedgerError::Full("no space left".into()));
        }
        Fate::Pass
    });
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 2);
    let facts = process.ask().facts(run).await.unwrap();
    let begun = facts
        .iter()
        .filter(|f| matches!(f.fact, Fact::Began { .. }));
    assert_eq!(begun.count(), 1);
}

async fn what_waits_for_room_is_given_back_when_the_process_is_to_stop(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(TWO)], &kit);
    let run = process.admit("k").await;
    let tap = process.tap.clone();
    kit.command.does(move |_| {
        tap.fate(|units| match is(units, "Intent") {
            true => Fate::Fail(LedgerError::Full("no space left".into())),
            false => Fate::Pass,
        });
        Behaviour::Output(json!({}))
    });
    let engine = process.engine.clone();
    let driven = tokio::spawn(async move { engine.drive_one(run).await });
    while recorded_alone(&process) == 0 {
        tokio::task::yield_now().await;
    }
    process.engine.stopper().stop();
    let rest = driven.await.unwrap().unwrap();
    assert_eq!(rest, Some(Rest::Released));
    assert_eq!(kit.command.count(), 1);
    process.tap.fate(|_| Fate::Pass);
    let heir = stage.process(&[task(TWO)], &kit);
    kit.command.does(|_| Behaviour::Output(json!({})));
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 2);
}

async fn an_effect_in_the_commit_is_made_once_whenever_the_process_dies(stage: Stage) {
    // Dies before and after each of its commits in turn.
    for nth in 0..2 {
        for after in [false, true] {
            let other = if stage.is_memory() {
                Stage::memory()
            } else {
                Stage::sqlite()
            };
            let kit = Kit::default();
            let tasks = [task(
                "[[step]]\nid='a'\nsql={text='x'}\n[[step]]\nid='b'\nsql={text='y'}",
            )];
            kit.sql.does(|call| {
                Behaviour::Statement(match call.site.step.as_str() {
                    "a" => "create table a (k); insert into a values (:key)",
                    _ => "create table b (k); insert into b values (:key)",
                })
            });
            let first = other.process(&tasks, &kit);
            let run = first.admit("k").await;
            let mut seen = 0;
            first.tap.fate(move |units| {
                let counted = is(units, "Sql(");
                seen += usize::from(counted);
                match (counted && seen == nth + 1, after) {
                    (true, true) => Fate::CutAfter,
                    (true, false) => Fate::CutBefore,
                    _ => Fate::Pass,
                }
            });
            first.drive_to_death(run).await;
            let heir = other.process(&tasks, &kit);
            first.dies(&heir).await;
            // A second `create table` would fail.
            if heir.status(run).await != RunStatus::Done {
                assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
            }
        }
    }
}

async fn a_lease_that_ran_out_does_not_end_the_server(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::Safe);
    let gate = Gate::default();
    let hang = gate.clone();
    kit.command.does(move |call| match call.attempt {
        1 => Behaviour::Wait(hang.clone()),
        _ => Behaviour::Output(json!({})),
    });
    let (one, two) = (
        stage.process(&[task(ONE)], &kit),
        stage.process(&[task(ONE)], &kit),
    );
    let run = one.admit_for("t", "k", json!({ "key": "k" })).await;
    let claim = one.engine.clone();
    let driving = tokio::spawn(async move { claim.drive_one(run).await });
    gate.come(1).await;
    // It is stopped for longer than its lease, and another goes on with its run.
    stage.clock.advance(60_000);
    let freed = two.tap.renew().await.unwrap();
    assert_eq!(freed, 1);
    assert_eq!(two.drive(run).await, Rest::Ended(RunStatus::Done));
    gate.open();
    let late = driving.await.unwrap().unwrap();
    assert_eq!(late, Some(Rest::Lost));
    assert_eq!(
        two.facts(run)
            .await
            .iter()
            .filter(|f| matches!(f, Fact::Outcome { .. }))
            .count(),
        1
    );
    // It does not know yet that its lease is gone; its first claim is told so.
    let serving = one.serve();
    let next = two.admit_for("t", "l", json!({ "key": "l" })).await;
    tokio::time::timeout(Duration::from_secs(20), one.reaches(next, RunStatus::Done))
        .await
        .unwrap();
    assert!(!serving.is_finished(), "{:?}", serving.await);
    one.engine.stopper().stop();
    serving.await.unwrap().unwrap();
}
