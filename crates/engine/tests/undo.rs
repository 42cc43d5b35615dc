//! Taking back what a run did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::fact::Request;

promises! {
    what_was_done_is_taken_back_in_reverse_order,
    a_half_done_run_takes_back_what_it_did,
    what_has_no_undo_is_said_before_anything_is_taken_back,
    doing_and_taking_back_have_keys_of_their_own_each_time_round,
    an_undo_that_fails_stops_and_goes_on_from_there,
    a_run_is_taken_back_once,
    what_is_being_taken_back_is_neither_resumed_nor_done_again,
    an_undo_that_dies_between_any_two_steps_goes_on_where_it_stopped,
    a_run_is_taken_back_as_the_text_that_it_began_with_says,
    a_called_task_is_taken_back_before_the_one_that_called_it,
    what_was_held_before_it_was_done_is_taken_back_at_once,
    a_run_that_moves_on_meanwhile_is_looked_at_again,
}

const THREE: &str = "
[[step]]
id='a'
command=['x','a']
undo={command=['x','undo-a','{{ steps.a.json.n }}']}
[[step]]
id='ask'
require='true'
[[step]]
id='b'
command=['x','b']
undo={command=['x','undo-b','{{ steps.a.json.n }}']}
[[step]]
id='c'
command=['x','c']
retry={attempts=1}
undo={command=['x','undo-c']}";

fn numbered(kit: &Kit) {
    kit.command
        .does(|_| Behaviour::Output(json!({ "json": { "n": 7 } })));
}

/// Has a run taken back and drives that to its rest.
async fn undo(process: &Process, run: RunId) -> (RunId, Rest) {
    let undo = process.people.undo(run, "ann", "", false).await.unwrap();
    (undo, process.drive_on(undo).await)
}

async fn refused(process: &Process, run: RunId) -> String {
    let answer = process.people.undo(run, "ann", "", false).await;
    answer.unwrap_err().to_string()
}

async fn what_was_done_is_taken_back_in_reverse_order(stage: Stage) {
    let kit = Kit::default();
    numbered(&kit);
    let process = stage.process(&[task(THREE)], &kit);
    let (run, _) = process.play("k").await;
    let (undo, rest) = undo(&process, run).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(
        kit.command.args(),
        ["a", "b", "c", "undo-c", "undo-b", "undo-a"]
    );
    let read = kit.command.calls.lock().unwrap()[5].options["args"][2].clone();
    assert_eq!(read, "7", "an undo reads what the step gave");
    assert_eq!(process.status(run).await, RunStatus::Undone);
    assert_eq!(process.row(undo).await.undoes(), Some(run));
    let facts = process.facts(run).await;
    let asked = Fact::Requested {
        what: Request::Undo,
        by: "ann".into(),
        reason: String::new(),
    };
    assert!(facts.contains(&asked), "{facts:?}");
    assert_eq!(facts.last(), Some(&Fact::Undone { by: undo }));
}

async fn a_half_done_run_takes_back_what_it_did(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| match actions::argument(call).as_str() {
            "c" => Behaviour::Permanent,
            _ => Behaviour::Output(json!({ "json": { "n": 1 } })),
        });
    let process = stage.process(&[task(THREE)], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    undo(&process, run).await;
    assert_eq!(kit.command.args(), ["a", "b", "c", "undo-b", "undo-a"]);
    assert_eq!(process.status(run).await, RunStatus::Undone);
}

async fn what_has_no_undo_is_said_before_anything_is_taken_back(stage: Stage) {
    let kit = Kit::default();
    let steps = "
        [[step]]\nid='a'\ncommand=['x','a']\nundo={command=['x','undo-a']}
        [[step]]\nid='log'\ncommand=['x','log']\nundo='never'
        [[step]]\nid='b'\ncommand=['x','b']";
    let process = stage.process(&[task(steps)], &kit);
    let (run, _) = process.play("k").await;
    let why = refused(&process, run).await;
    insta::allow_duplicates! { insta::assert_snapshot!(why, @"run 1 cannot be taken back whole: step `b`: it has no `undo`. Nothing was changed. --partly takes back the rest and leaves that as it is.") }
    assert_eq!(process.status(run).await, RunStatus::Done);
    let undo = process.people.undo(run, "ann", "", true).await.unwrap();
    process.drive_on(undo).await;
    assert_eq!(kit.command.args(), ["a", "log", "b", "undo-a"]);
    assert_eq!(process.status(run).await, RunStatus::Undone);
}

async fn doing_and_taking_back_have_keys_of_their_own_each_time_round(stage: Stage) {
    let kit = Kit::default();
    numbered(&kit);
    let steps = "[[step]]\nid='a'\ncommand=['x','a']\nundo={command=['x','undo-a']}";
    let process = stage.process(&[task(steps)], &kit);
    let (first, _) = process.play("k").await;
    undo(&process, first).await;
    let stands = process.people.undo_plan(first).await.err().unwrap();
    assert!(
        stands
            .to_string()
            .contains("was taken back already, by run 2")
    );
    let row = process.row(first).await;
    let facts = process.ask().facts(first).await.unwrap();
    let state = oncely_core::run::RunState::fold(&facts).unwrap();
    let offer = Offer::again(&row, &state, "ann", "forward").unwrap();
    let offered = process.engine.intake().offer(vec![offer]).await.unwrap();
    let [Offered::Admitted(second)] = offered[..] else {
        panic!("{offered:?}")
    };
    process.drive_on(second).await;
    undo(&process, second).await;
    assert_eq!(kit.command.args(), ["a", "undo-a", "a", "undo-a"]);
    let keys: std::collections::BTreeSet<_> = kit.command.keys().into_iter().collect();
    assert_eq!(keys.len(), 4, "four effects have four keys");
}

async fn an_undo_that_fails_stops_and_goes_on_from_there(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| match actions::argument(call).as_str() {
            "undo-b" => Behaviour::Permanent,
            _ => Behaviour::Output(json!({ "json": { "n": 1 } })),
        });
    let process = stage.process(&[task(THREE)], &kit);
    let (run, _) = process.play("k").await;
    let (undo, rest) = undo(&process, run).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    assert_eq!(process.status(run).await, RunStatus::Done);
    let why = refused(&process, run).await;
    insta::allow_duplicates! { insta::assert_snapshot!(why, @"run 1 is being taken back by run 2, which failed. `oncely show 2` says where; `oncely resume 2` goes on from there. Nothing was changed.") }
    numbered(&kit);
    let people = &process.people;
    people
        .request(undo, Request::Resume, "ann", "")
        .await
        .unwrap();
    assert_eq!(process.drive_on(undo).await, Rest::Ended(RunStatus::Done));
    let undone = &kit.command.args()[3..];
    assert_eq!(undone, ["undo-c", "undo-b", "undo-b", "undo-a"]);
    assert_eq!(process.status(run).await, RunStatus::Undone);
}

async fn a_run_is_taken_back_once(stage: Stage) {
    let kit = Kit::default();
    numbered(&kit);
    let process = stage.process(&[task(THREE)], &kit);
    let other = stage.process(&[task(THREE)], &kit);
    let (run, _) = process.play("k").await;
    let (one, two) = tokio::join!(
        process.people.undo(run, "ann", "", false),
        other.people.undo(run, "bob", "", false),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let undo = one.or(two).unwrap();
    process.drive_on(undo).await;
    assert_eq!(kit.command.count(), 6);
    let again = refused(&process, undo).await;
    assert!(again.contains("takes another one back"), "{again}");
}

async fn what_is_being_taken_back_is_neither_resumed_nor_done_again(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| match actions::argument(call).as_str() {
            "c" | "undo-b" => Behaviour::Permanent,
            _ => Behaviour::Output(json!({ "json": { "n": 1 } })),
        });
    let process = stage.process(&[task(THREE)], &kit);
    let (run, _) = process.play("k").await;
    let (undo, _) = undo(&process, run).await;
    let people = &process.people;
    let resumed = people.request(run, Request::Resume, "ann", "").await;
    assert!(
        resumed
            .unwrap_err()
            .to_string()
            .contains("being taken back")
    );
    let cancelled = people.request(undo, Request::Cancel, "ann", "").await;
    assert!(cancelled.unwrap_err().to_string().contains("already"));
    let facts = process.ask().facts(run).await.unwrap();
    let state = oncely_core::run::RunState::fold(&facts).unwrap();
    let again = Offer::again(&process.row(run).await, &state, "ann", "x");
    assert!(again.unwrap_err().contains("being taken back"));
    let of_undo = Offer::again(&process.row(undo).await, &state, "ann", "x");
    assert!(of_undo.unwrap_err().contains("`oncely rerun 1`"));
    let forged = Offer::new("t".into(), "undo:1".into(), json!({}));
    let offered = process.engine.intake().offer(vec![forged]).await.unwrap();
    assert!(matches!(&offered[..], [Offered::Refused(why)] if why.contains("belong to runs")));
}

async fn an_undo_that_dies_between_any_two_steps_goes_on_where_it_stopped(stage: Stage) {
    let kit = Kit::default();
    kit.command.is(Repeat::WithKey {
        window_ms: 3_600_000,
    });
    numbered(&kit);
    // The commits of an undo of three steps: the first intent, and three outcomes.
    for (cut, heard) in (0..4).flat_map(|cut| [(cut, false), (cut, true)]) {
        let before = kit.command.count();
        let process = stage.process(&[task(THREE)], &kit);
        let (run, _) = process.play(&format!("{cut} {heard}")).await;
        let undo = process.people.undo(run, "ann", "", false).await.unwrap();
        process.tap.fate(dies_at(cut, heard));
        process.drive_to_death(undo).await;
        let heir = stage.process(&[task(THREE)], &kit);
        process.dies(&heir).await;
        if !heir.status(undo).await.is_ended() {
            heir.drive_on(undo).await;
        }
        assert_eq!(heir.status(run).await, RunStatus::Undone);
        let keys = kit.command.keys()[before + 3..].to_vec();
        let mut once = keys.clone();
        once.dedup();
        assert_eq!(once.len(), 3, "{keys:?}");
        assert!(keys.len() <= 4, "only what was in flight is repeated");
    }
}

/// A process dies at this commit, before or after the ledger has it.
fn dies_at(cut: usize, heard: bool) -> impl FnMut(&[oncely_core::ledger::Unit]) -> Fate + Send {
    let mut seen = 0;
    move |_| {
        seen += 1;
        match (seen == cut + 1, heard) {
            (false, _) => Fate::Pass,
            (true, true) => Fate::CutAfter,
            (true, false) => Fate::CutBefore,
        }
    }
}

async fn a_run_is_taken_back_as_the_text_that_it_began_with_says(stage: Stage) {
    let kit = Kit::default();
    numbered(&kit);
    let process = stage.process(&[task(THREE)], &kit);
    let (run, _) = process.play("k").await;
    let other = "[[step]]\nid='a'\ncommand=['x','a']\nundo={command=['x','other']}";
    process.tasks.replace([task(other)]);
    undo(&process, run).await;
    assert_eq!(kit.command.args()[3..], ["undo-c", "undo-b", "undo-a"]);
    process.tasks.replace([]);
    assert_eq!(process.status(run).await, RunStatus::Undone);
}

async fn a_called_task_is_taken_back_before_the_one_that_called_it(stage: Stage) {
    let kit = Kit::default();
    numbered(&kit);
    let parent = known(
        "t",
        "[on.call]\n[[step]]\nid='go'\ncall={task='child', event={}}",
    );
    let child = known(
        "child",
        "[on.call]\n[[step]]\nid='a'\ncommand=['x','a']\nundo={command=['x','undo-a']}",
    );
    let process = stage.process(&[parent, child], &kit);
    let (run, _) = process.play("k").await;
    process.drive_on(RunId(2)).await;
    let why = refused(&process, run).await;
    assert!(why.contains("`oncely undo 2` first"), "{why}");
    undo(&process, RunId(2)).await;
    undo(&process, run).await;
    assert_eq!(process.status(run).await, RunStatus::Undone);
    assert_eq!(kit.command.args(), ["a", "undo-a"]);
}

/// `hold` waits before an effect; whoever takes it back has decided already.
async fn what_was_held_before_it_was_done_is_taken_back_at_once(stage: Stage) {
    let kit = Kit::default();
    let steps = "[[step]]\nid='a'\nhold='24h'\ncommand=['x','a']\nundo={command=['x','undo-a']}";
    let process = stage.process(&[task(steps)], &kit);
    let (run, _) = process.play("k").await;
    let undo = process.people.undo(run, "ann", "", false).await.unwrap();
    assert_eq!(process.drive(undo).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["a", "undo-a"]);
}

/// Between the plan of an undo and its admission another process goes on with the run, which then
/// does more: that is taken back too.
async fn a_run_that_moves_on_meanwhile_is_looked_at_again(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| match actions::argument(call).as_str() {
            "c" => Behaviour::Permanent,
            _ => Behaviour::Output(json!({ "json": { "n": 1 } })),
        });
    let process = stage.process(&[task(THREE)], &kit);
    let other = std::sync::Arc::new(stage.process(&[task(THREE)], &kit));
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    numbered(&kit);
    let mut first = true;
    process.tap.fate(move |_| {
        if std::mem::take(&mut first) {
            goes_on(other.clone(), run);
        }
        Fate::Pass
    });
    let (_, rest) = undo(&process, run).await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    let undone = &kit.command.args()[4..];
    assert_eq!(undone, ["undo-c", "undo-b", "undo-a"]);
}

/// Resumes a run to its end, on a thread of its own: whoever waits for it is not asynchronous.
fn goes_on(process: std::sync::Arc<Process>, run: RunId) {
    let work = async move {
        let resumed = process.people.request(run, Request::Resume, "bob", "");
        resumed.await.unwrap();
        assert_eq!(process.drive_on(run).await, Rest::Ended(RunStatus::Done));
    };
    std::thread::spawn(|| stage::run(work)).join().unwrap();
}
