//! One run: how many commits it costs, how its steps are tried, and what its conditions do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::fact::End;
use oncely_core::ids::Environment;
use oncely_core::limits;
use std::time::Duration;

promises! {
    an_event_whose_effect_shares_the_commit_is_done_in_two_commits,
    an_ordinary_event_is_done_in_two_commits_too,
    an_effect_is_made_only_after_its_intent_is_committed,
    a_failed_statement_fails_the_run_and_leaves_no_trace,
    a_step_is_tried_again_after_waits_that_grow_up_to_the_cap,
    the_same_run_waits_the_same_time_on_every_ledger,
    what_the_other_side_asks_to_wait_is_respected_up_to_a_week,
    a_permanent_failure_ends_the_run_at_once,
    until_is_tried_again_and_given_up,
    when_passes_a_step_over,
    require_fails_ends_or_waits,
    an_output_too_large_is_said_not_kept,
    a_resumed_run_goes_on_from_the_step_that_failed,
    a_run_ends_on_the_text_it_began_with,
    a_task_that_vanished_before_the_beginning_fails_in_words,
    a_run_that_begun_outlives_its_task_file,
    an_event_is_admitted_once,
    looking_at_a_waiting_run_is_no_crash,
}

async fn offered(process: &Process, key: &str) -> RunId {
    let offer = Offer::new("t".into(), key.into(), json!({}));
    let offered = process.engine.offer(vec![offer], None).await.unwrap();
    process.engine.idle().await;
    match offered.as_slice() {
        [Offered::Admitted(run)] => *run,
        other => panic!("{other:?}"),
    }
}

async fn an_event_whose_effect_shares_the_commit_is_done_in_two_commits(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task("[[step]]\nid='a'\nsql={text='x'}")], &kit);
    for key in ["first", "second"] {
        process.tap.forget_commits();
        let run = offered(&process, key).await;
        assert_eq!(process.status(run).await, RunStatus::Done);
        assert_eq!(process.tap.commits().len(), 2);
    }
    assert_eq!(kit.sql.count(), 2);
}

async fn an_ordinary_event_is_done_in_two_commits_too(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task("[[step]]\nid='a'\ncommand=['x','1']")], &kit);
    let run = offered(&process, "k").await;
    assert_eq!(process.status(run).await, RunStatus::Done);
    assert_eq!(process.tap.commits().len(), 2);
    assert_eq!(kit.command.count(), 1);
}

async fn an_effect_is_made_only_after_its_intent_is_committed(stage: Stage) {
    let kit = Kit::default();
    let steps = "[[step]]\nid='a'\ncommand=['x','a']\n[[step]]\nid='b'\ncommand=['x','b']";
    let process = stage.process(&[task(steps)], &kit);
    let run = process.admit("k").await;
    let tap = process.tap.clone();
    kit.command.does(move |call| {
        let commits = tap.commits();
        let written = format!("{commits:?}");
        let intent = format!("Intent {{ step: StepId({:?})", call.site.step.as_str());
        assert!(written.contains(&intent), "{intent} is not in {written}");
        Behaviour::Output(json!({}))
    });
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
    // Began with the first intent; the outcome of one with the intent of the next; the end.
    assert_eq!(process.tap.commits().len(), 1 + 3);
}

async fn a_failed_statement_fails_the_run_and_leaves_no_trace(stage: Stage) {
    let kit = Kit::default();
    kit.sql
        .does(|_| Behaviour::Statement("insert into nowhere values (:key)"));
    let process = stage.process(&[task("[[step]]\nid='a'\nsql={text='x'}")], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    assert!(process.reason(run).await.contains("nowhere"));
    assert_eq!(kit.sql.count(), 1);
}

const RETRIED: &str =
    "[[step]]\nid='a'\ncommand=['x','1']\nretry={attempts=6,first='10s',max='40s'}";

/// The waits between the tries of a run.
async fn waits(process: &Process, run: RunId, stage: &Stage) -> Vec<i64> {
    use oncely_core::time::Clock as _;
    let mut waits = Vec::new();
    while let Rest::Waiting { until, .. } = process.drive(run).await {
        let wait = until.unwrap().millis_since(stage.clock.now());
        waits.push(wait);
        stage.clock.advance(wait);
    }
    waits
}

async fn a_step_is_tried_again_after_waits_that_grow_up_to_the_cap(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|_| Behaviour::Retry(None));
    let process = stage.process(&[task(RETRIED)], &kit);
    let run = process.admit("k").await;
    let waits = waits(&process, run, &stage).await;
    for (wait, full) in waits.iter().zip([10_000, 20_000, 40_000, 40_000, 40_000]) {
        assert!((full / 2..=full).contains(wait), "{waits:?}");
    }
    assert_eq!((waits.len(), kit.command.count()), (5, 6));
    assert_eq!(process.status(run).await, RunStatus::Failed);
    assert!(process.reason(run).await.contains("after 6 tries"));
    let attempts: Vec<_> = kit
        .command
        .calls
        .lock()
        .unwrap()
        .iter()
        .map(|c| c.attempt)
        .collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6]);
    let keys = kit.command.keys();
    assert!(
        keys.iter().all(|key| *key == keys[0]),
        "the key is not of the attempt"
    );
}

async fn the_same_run_waits_the_same_time_on_every_ledger(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|_| Behaviour::Retry(None));
    let process = stage.process(&[task(RETRIED)], &kit);
    let run = process.admit("k").await;
    let here = waits(&process, run, &stage).await;
    let other = Stage::memory();
    let there = other.process(&[task(RETRIED)], &kit);
    let run = there.admit("k").await;
    assert_eq!(here, waits(&there, run, &other).await);
    let run = there.admit("another").await;
    assert_ne!(here, waits(&there, run, &other).await);
}

async fn what_the_other_side_asks_to_wait_is_respected_up_to_a_week(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|call| match call.attempt {
        1 => Behaviour::Retry(Some(Duration::from_secs(120))),
        2 => Behaviour::Retry(Some(Duration::from_secs(3600 * 24 * 365))),
        _ => Behaviour::Output(json!({})),
    });
    let process = stage.process(&[task(RETRIED)], &kit);
    let run = process.admit("k").await;
    let waits = waits(&process, run, &stage).await;
    assert_eq!(waits, [120_000, limits::RETRY_WAIT_MS]);
    assert_eq!(process.status(run).await, RunStatus::Done);
}

async fn a_permanent_failure_ends_the_run_at_once(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|_| Behaviour::Permanent);
    let steps = format!("{RETRIED}\n[[step]]\nid='b'\ncommand=['x','b']");
    let process = stage.process(&[task(&steps)], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    assert_eq!(process.reason(run).await, "step `a`: never");
    assert_eq!(kit.command.count(), 1);
}

async fn until_is_tried_again_and_given_up(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| Behaviour::Output(json!({ "code": call.attempt })));
    let text = |least| {
        task(&format!(
            "[[step]]\nid='a'\ncommand=['x','1']\nuntil='output.code >= {least}'\nretry={{attempts=3}}"
        ))
    };
    let process = stage.process(&[text(3)], &kit);
    assert_eq!(process.play("k").await.1, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 3);
    process.tasks.replace([text(9)]);
    let (run, rest) = process.play("l").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    let reason = process.reason(run).await;
    assert!(
        reason.contains("output.code >= 9") && reason.contains("3 tries"),
        "{reason}"
    );
}

async fn when_passes_a_step_over(stage: Stage) {
    let kit = Kit::default();
    let steps =
        "[[step]]\nid='a'\nwhen='event.go'\ncommand=['x','a']\n[[step]]\nid='b'\ncommand=['x','b']";
    let process = stage.process(&[task(steps)], &kit);
    for (key, go) in [("k", false), ("l", true)] {
        let run = process.admit_for("t", key, json!({ "go": go })).await;
        assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
        let skipped = process
            .facts(run)
            .await
            .iter()
            .any(|f| matches!(f, Fact::Skipped { .. }));
        assert_eq!(skipped, !go);
    }
    assert_eq!(kit.command.args(), ["b", "a", "b"]);
}

async fn require_fails_ends_or_waits(stage: Stage) {
    let kit = Kit::default();
    let steps = |end: &str| {
        task(&format!(
            "[[step]]\nid='a'\nrequire={{that='event.n > 1'{end}}}"
        ))
    };
    let process = stage.process(&[steps("")], &kit);
    let play = async |key: &str, n: i32| {
        let run = process.admit_for("t", key, json!({ "n": n })).await;
        (run, process.drive(run).await)
    };
    assert_eq!(play("good", 2).await.1, Rest::Ended(RunStatus::Done));
    let (run, rest) = play("bad", 1).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    assert!(process.reason(run).await.contains("event.n > 1"));
    process
        .tasks
        .replace([steps(",else='end',message='too few'")]);
    let (run, rest) = play("end", 1).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Skipped));
    assert_eq!(process.reason(run).await, "step `a`: too few");
    process
        .tasks
        .replace([steps(",else='retry',every='10s',for='25s'")]);
    let run = process.admit_for("t", "wait", json!({ "n": 1 })).await;
    assert_eq!(waits(&process, run, &stage).await, [10_000, 10_000]);
    assert_eq!(process.status(run).await, RunStatus::Failed);
}

async fn an_output_too_large_is_said_not_kept(stage: Stage) {
    let kit = Kit::default();
    let large = "x".repeat(limits::OUTPUT_BYTES);
    kit.command
        .does(move |_| Behaviour::Output(json!({ "stdout": large })));
    let process = stage.process(&[task("[[step]]\nid='a'\ncommand=['x','1']")], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let facts = format!("{:?}", process.facts(run).await);
    assert!(facts.contains("too_large") && facts.len() < 4000, "{facts}");
}

async fn a_resumed_run_goes_on_from_the_step_that_failed(stage: Stage) {
    use oncely_core::fact::Request;
    let kit = Kit::default();
    kit.command.does(
        |call| match (common::actions::argument(call).as_str(), call.attempt) {
            ("b", 1) => Behaviour::Permanent,
            _ => Behaviour::Output(json!({})),
        },
    );
    let steps = "[[step]]\nid='a'\ncommand=['x','a']\n[[step]]\nid='b'\ncommand=['x','b']";
    let process = stage.process(&[task(steps)], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    process
        .people
        .request(run, Request::Resume, "ann", "fixed")
        .await
        .unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b", "b"]);
}

async fn a_run_ends_on_the_text_it_began_with(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|call| match call.attempt {
        1 => Behaviour::Retry(None),
        _ => Behaviour::Output(json!({})),
    });
    let steps = |b: &str| {
        task(&format!(
            "[[step]]\nid='a'\ncommand=['x','a']\n[[step]]\nid='b'\ncommand=['x','{b}']"
        ))
    };
    let first = stage.process(&[steps("old")], &kit);
    let run = first.admit("k").await;
    assert!(matches!(first.drive(run).await, Rest::Waiting { .. }));
    first.tasks.replace([steps("new")]);
    // Another process never saw the old file: the ledger has it.
    let second = stage.process(&[steps("new")], &kit);
    kit.command.does(|_| Behaviour::Output(json!({})));
    assert_eq!(second.drive_on(run).await, Rest::Ended(RunStatus::Done));
    let (_, rest) = first.play("l").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "a", "old", "a", "new"]);
}

async fn a_task_that_vanished_before_the_beginning_fails_in_words(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task("[[step]]\nid='a'\ncommand=['x','1']")], &kit);
    let run = process.admit("k").await;
    process.tasks.replace([]);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    let reason = process.reason(run).await;
    assert!(
        reason.contains("there is no task `t` any more. Nothing was done"),
        "{reason}"
    );
    process
        .tasks
        .replace([task("[[step]]\nid='a'\ncommand=['x','1']")]);
    let resume = oncely_core::fact::Request::Resume;
    process
        .people
        .request(run, resume, "ann", "it is back")
        .await
        .unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
}

async fn a_run_that_begun_outlives_its_task_file(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(
        &[task(
            "[[step]]\nid='a'\napprove='Go?'\n[[step]]\nid='b'\ncommand=['x','1']",
        )],
        &kit,
    );
    let run = process.admit("k").await;
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    process.tasks.replace([]);
    let hash = oncely_core::ids::ContentHash::of(b"Go?");
    process
        .answer(run, true, "ann", "", Some(hash))
        .await
        .unwrap();
    let heir = stage.process(&[], &kit);
    assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
}

async fn an_event_is_admitted_once(stage: Stage) {
    let kit = Kit::default();
    let tasks = [task("[[step]]\nid='a'\ncommand=['x','1']")];
    let (one, two) = (stage.process(&tasks, &kit), stage.process(&tasks, &kit));
    let offer = || vec![Offer::new("t".into(), "k".into(), json!({})); 3];
    let (here, there) = tokio::join!(
        one.engine.offer(offer(), None),
        two.engine.offer(offer(), None)
    );
    let all: Vec<_> = here.unwrap().into_iter().chain(there.unwrap()).collect();
    let admitted = all
        .iter()
        .filter(|o| matches!(o, Offered::Admitted(_)))
        .count();
    let known = all
        .iter()
        .filter(|o| matches!(o, Offered::Duplicate(_)))
        .count();
    assert_eq!((admitted, known), (1, 5));
    one.engine.idle().await;
    two.engine.idle().await;
    assert_eq!(kit.command.count(), 1);
    assert_eq!(one.rows().await.len(), 1);
    let row = one.rows().await.remove(0);
    assert_eq!(row.environment, Environment::from("test"));
    let ended = one.facts(row.id).await.pop().unwrap();
    assert!(matches!(ended, Fact::Ended { end: End::Done, .. }));
}

async fn looking_at_a_waiting_run_is_no_crash(stage: Stage) {
    let kit = Kit::default();
    let steps = "[[step]]\nid='a'\napprove='Go?'\n[[step]]\nid='b'\ncommand=['x','1']";
    let process = stage.process(&[task(steps)], &kit);
    let run = process.admit("k").await;
    for _ in 0..2 * limits::CLAIMS_WITHOUT_PROGRESS {
        assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    }
    let hash = oncely_core::ids::ContentHash::of(b"Go?");
    process
        .answer(run, true, "ann", "", Some(hash))
        .await
        .unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
}
