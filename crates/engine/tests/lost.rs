//! The end of the ledger was lost: what may have been done since is not done again unasked, and what the
//! other side recognises goes on by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::people::{Person, Roster};
use oncely_core::task::ActionKind;
use oncely_engine::EndLost;
use std::sync::Arc;

promises! {
    what_has_a_key_goes_on_by_itself_under_the_key_of_the_first_time,
    a_key_that_may_be_too_old_is_not_used_again_unasked,
    what_nobody_can_tell_is_held_until_a_person_says_so,
    what_turns_out_to_have_no_key_is_asked_about_and_not_done,
    who_says_that_it_was_not_done_says_it_of_what_follows,
    what_may_never_have_begun_is_not_passed_over_by_a_rule,
    what_can_be_looked_up_is_looked_up_and_never_sent_before,
    a_branch_that_may_have_been_another_is_held,
    what_is_called_is_in_doubt_as_well,
    what_could_undo_what_came_after_it_is_held,
    a_message_that_may_have_been_sent_is_not_sent_again,
    what_was_tried_and_failed_may_have_been_tried_again,
    what_is_held_already_and_all_of_it_on_demand,
}

const DAY: i64 = 86_400_000;
const ONE: &str = "[[step]]\nid='a'\ncommand=['x','a']";
const TWO: &str = "[[step]]\nid='a'\ncommand=['x','a']\n[[step]]\nid='b'\ncommand=['x','b']";
const KEYED: Repeat = Repeat::WithKey { window_ms: DAY };

fn another(stage: &Stage) -> Stage {
    match stage.is_memory() {
        true => Stage::memory(),
        false => Stage::sqlite(),
    }
}

async fn lose(process: &Process, run: RunId) -> EndLost {
    lose_or_hold(process, run, false).await
}

async fn lose_or_hold(process: &Process, run: RunId, all: bool) -> EndLost {
    let row = process.row(run).await;
    let lost = process
        .engine
        .lose_end(&process.people, &row, all, "ann", "an old disk");
    lost.await.unwrap()
}

fn held(became: EndLost) -> String {
    match became {
        EndLost::Held(why) => why,
        other => panic!("it is not held: {other:?}"),
    }
}

async fn is_unknown(process: &Process, run: RunId, at: &str) -> String {
    match process.drive_on(run).await {
        Rest::Unknown { step, error } => {
            assert_eq!(step.as_str(), at);
            error
        }
        rest => panic!("it is not asked about: {rest:?}"),
    }
}

async fn what_has_a_key_goes_on_by_itself_under_the_key_of_the_first_time(stage: Stage) {
    // What was done, and recorded where it is lost.
    let kit = Kit::default();
    kit.command.is(KEYED);
    let gone = another(&stage);
    let before = gone.process(&[task(TWO)], &kit);
    assert_eq!(before.play("k").await.1, Rest::Ended(RunStatus::Done));
    // The ledger as it was, in which the same key has another number.
    let process = stage.process(&[task(TWO)], &kit);
    process.admit("other").await;
    let run = process.admit("k").await;
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b", "a", "b"]);
    let keys = kit.command.keys();
    assert_eq!(keys[..2], keys[2..]);
    let attempts: Vec<u32> = kit.command.calls.lock().unwrap()[2..]
        .iter()
        .map(|call| call.attempt)
        .collect();
    assert_eq!(attempts, [2, 2], "each is a repeat of what may have been");
}

async fn a_key_that_may_be_too_old_is_not_used_again_unasked(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(KEYED);
    let process = stage.process(&[task(ONE)], &kit);
    let (run, late) = (process.admit("k").await, process.admit("late").await);
    stage.clock.advance(DAY - 1);
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    stage.clock.advance(1);
    let why = held(lose(&process, late).await);
    assert_eq!(
        why,
        "step `a` may have been done so long ago that its key is not recognised any more"
    );
    // Recognised when the ledger was repaired, and not when a server comes to it.
    is_unknown(&process, run, "a").await;
    assert_eq!(kit.command.count(), 0);
}

async fn what_nobody_can_tell_is_held_until_a_person_says_so(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(TWO)], &kit);
    let run = process.admit("k").await;
    let why = held(lose(&process, run).await);
    assert_eq!(
        why,
        "step `a` may have been done, and there is nobody to ask"
    );
    assert!(matches!(
        process.drive(run).await,
        Rest::Waiting { until: None, .. }
    ));
    assert_eq!(kit.command.count(), 0);
    let go_on = process.people.go_on_after_loss(run, "ann", "I looked");
    assert!(go_on.await.unwrap());
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
}

/// A run whose steps had a key when the ledger was repaired, and have none when it goes on.
async fn without_key(stage: &Stage, kit: &Kit, steps: &str) -> (Process, RunId) {
    kit.command.is(KEYED);
    let process = stage.process(&[task(steps)], kit);
    let run = process.admit("k").await;
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    kit.command.is(Repeat::AskFirst);
    (process, run)
}

async fn what_turns_out_to_have_no_key_is_asked_about_and_not_done(stage: Stage) {
    let kit = Kit::default();
    let (process, run) = without_key(&stage, &kit, TWO).await;
    let error = is_unknown(&process, run, "a").await;
    assert_eq!(
        error,
        "the end of the ledger was lost: it may have been done, or not been begun"
    );
    let done = Some(json!({}));
    let settled = process
        .people
        .settle(run, None, done, "ann", "it was there");
    settled.await.unwrap();
    // What follows may have been done too.
    is_unknown(&process, run, "b").await;
    assert_eq!(kit.command.count(), 0);
}

async fn who_says_that_it_was_not_done_says_it_of_what_follows(stage: Stage) {
    let kit = Kit::default();
    let (process, run) = without_key(&stage, &kit, TWO).await;
    is_unknown(&process, run, "a").await;
    let settled = process
        .people
        .settle(run, None, None, "ann", "nothing there");
    settled.await.unwrap();
    assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "b"]);
}

async fn what_may_never_have_begun_is_not_passed_over_by_a_rule(stage: Stage) {
    let kit = Kit::default();
    let skip = format!("{ONE}\non_unknown='skip'");
    let (process, run) = without_key(&stage, &kit, &skip).await;
    is_unknown(&process, run, "a").await;
    // The author said that it may be done again.
    let other = another(&stage);
    let repeat = format!("{ONE}\non_unknown='repeat'");
    let process = other.process(&[task(&repeat)], &kit);
    let run = process.admit("k").await;
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a"]);
}

async fn what_can_be_looked_up_is_looked_up_and_never_sent_before(stage: Stage) {
    let steps = "[[step]]\nid='a'\ncommand=['x','a']\n\
         probe={http={url='https://x.example/'},happened='output.status == 200'}";
    for (status, args) in [(200, vec![]), (404, vec!["a"])] {
        for repeat in [Repeat::AskFirst, Repeat::Safe] {
            let http = Fake::new(Repeat::Safe);
            http.does(move |_| Behaviour::Output(json!({ "status": status })));
            let mut kit = Kit::default();
            kit.others.insert(ActionKind::Http, http.clone());
            kit.command.is(repeat);
            let other = another(&stage);
            let process = other.process(&[task(steps)], &kit);
            let run = process.admit("k").await;
            assert_eq!(lose(&process, run).await, EndLost::GoesOn);
            let rest = process.drive(run).await;
            match status {
                200 => assert_eq!(rest, Rest::Ended(RunStatus::Done)),
                // It could be on its way still, as after every crash.
                _ => assert!(matches!(rest, Rest::Waiting { until: Some(_), .. })),
            }
            assert_eq!((kit.command.count(), http.count()), (0, 1));
            if status != 200 {
                assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
            }
            assert_eq!(kit.command.args(), args);
        }
    }
}

async fn a_branch_that_may_have_been_another_is_held(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(KEYED);
    let by = |read: &str| format!("{ONE}\n[[step]]\nid='b'\nwhen='{read}'\ncommand=['x','b']");
    let tasks = [
        known("t", &format!("[on.call]\n{}", by("steps.a.code > 10"))),
        known("e", &format!("[on.call]\n{}", by("event.total > 10"))),
    ];
    let process = stage.process(&tasks, &kit);
    let run = process.admit("k").await;
    let why = held(lose(&process, run).await);
    assert_eq!(
        why,
        "whether step `b` is to be done depends on `steps.a.code`, which may have been another"
    );
    // The event is what it was.
    let run = process.admit_for("e", "k", json!({ "total": 1 })).await;
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
}

async fn what_is_called_is_in_doubt_as_well(stage: Stage) {
    let kit = Kit::default();
    let tasks = [
        task("[[step]]\nid='a'\ncall={task='child'}"),
        known("child", &format!("[on.call]\n{ONE}")),
    ];
    let process = stage.process(&tasks, &kit);
    let run = process.admit("k").await;
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    let child = process.rows().await[1].id;
    is_unknown(&process, child, "a").await;
    assert_eq!(kit.command.count(), 0);
}

async fn what_could_undo_what_came_after_it_is_held(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::Safe);
    let process = stage.process(&[task(ONE)], &kit);
    let run = process.admit("k").await;
    let why = held(lose(&process, run).await);
    assert_eq!(
        why,
        "step `a` may have been done; once more, it could undo what was done after it"
    );
    // Nor is it done where that was not foreseen.
    let other = another(&stage);
    let (process, run) = without_key(&other, &kit, ONE).await;
    kit.command.is(Repeat::Safe);
    is_unknown(&process, run, "a").await;
    assert_eq!(kit.command.count(), 0);
}

async fn a_message_that_may_have_been_sent_is_not_sent_again(stage: Stage) {
    const HOUR: i64 = 3_600_000;
    let tell = Fake::new(Repeat::AskFirst);
    let mut kit = Kit::default();
    kit.others.insert(ActionKind::Approve, tell.clone());
    let person = |name: &str| {
        let lead = Person {
            email: Some(format!("{name}@example.com")),
            roles: vec!["lead".into()],
            ..Person::default()
        };
        (name.to_owned(), lead)
    };
    let people = Arc::new(Roster::new([person("anna"), person("bea")].into()).unwrap());
    let config = || EngineConfig {
        people: people.clone(),
        ..stage.config()
    };
    let steps = "[[step]]\nid='ok'\napprove={text='Send?',by='lead',tell='email',remind='1h'}";
    let first = stage.process_with(&[task(steps)], &kit, config());
    // The record ends when the first of two was about to be told.
    first
        .tap
        .fate(|units| match format!("{units:?}").contains("Outcome") {
            true => Fate::CutBefore,
            false => Fate::Pass,
        });
    let run = first.admit("k").await;
    first.drive_to_death(run).await;
    assert_eq!(tell.count(), 1);
    let process = stage.process_with(&[task(steps)], &kit, config());
    first.dies(&process).await;
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    assert_eq!(tell.count(), 1, "the second may have been told as well");
    stage.clock.advance(HOUR);
    assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
    assert_eq!(tell.count(), 3, "what was not due then is sent");
}

async fn what_was_tried_and_failed_may_have_been_tried_again(stage: Stage) {
    let kit = Kit::default();
    kit.command.does(|_| Behaviour::Retry(None));
    let steps = format!("{ONE}\nretry={{attempts=5,first='1s',max='1s'}}");
    let process = stage.process(&[task(&steps)], &kit);
    let run = process.admit("k").await;
    assert!(matches!(
        process.drive(run).await,
        Rest::Waiting { until: Some(_), .. }
    ));
    let why = held(lose(&process, run).await);
    assert_eq!(
        why,
        "step `a` may have been done, and there is nobody to ask"
    );
    assert_eq!(kit.command.count(), 1);
    // What failed with a key is sent again with it.
    let other = another(&stage);
    kit.command.is(KEYED);
    let process = other.process(&[task(&steps)], &kit);
    let run = process.admit("k").await;
    assert!(matches!(
        process.drive(run).await,
        Rest::Waiting { until: Some(_), .. }
    ));
    assert_eq!(lose(&process, run).await, EndLost::GoesOn);
    kit.command.does(|_| Behaviour::Output(json!({})));
    assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    let keys = kit.command.keys();
    assert_eq!(keys[1], keys[2]);
    let stands = process.facts(run).await;
    let doubts = stands
        .iter()
        .filter(|f| matches!(f, Fact::Interrupted { .. }));
    assert_eq!(doubts.count(), 1);
}

async fn what_is_held_already_and_all_of_it_on_demand(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(KEYED);
    let process = stage.process(&[task(ONE)], &kit);
    let (run, paused) = (process.admit("k").await, process.admit("p").await);
    let pause = oncely_core::fact::Request::Pause;
    process
        .people
        .request(paused, pause, "ann", "wait")
        .await
        .unwrap();
    assert_eq!(
        held(lose_or_hold(&process, run, true).await),
        "everything is to be held"
    );
    assert_eq!(lose(&process, paused).await, EndLost::Paused);
    // What a person held is not what the loss holds.
    let people = &process.people;
    assert!(!people.go_on_after_loss(paused, "ann", "all").await.unwrap());
    assert!(people.go_on_after_loss(run, "ann", "all").await.unwrap());
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.count(), 1);
}
