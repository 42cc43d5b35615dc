//! Steps that are done in rounds: between them a run waits without a process, each round is an effect
//! of its own, and what it waits for is looked at before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::fact::Request;
use oncely_core::time::Clock as _;

promises! {
    a_run_waits_between_rounds_until_what_is_looked_at_says_so,
    rounds_end_after_as_many_as_there_may_be_and_the_last_is_given_its_time,
    a_month_without_a_process_brings_one_round,
    without_a_check_the_round_itself_says_when_it_is_enough,
    a_round_has_its_own_key_and_its_tries_the_same,
    a_round_that_was_cut_off_is_in_doubt_and_the_next_one_is_not,
    a_round_that_failed_for_good_is_gone_on_with,
    between_rounds_a_run_is_paused_resumed_and_cancelled,
    what_is_left_of_the_rounds_is_passed_over_when_somebody_says_so,
    rounds_are_taken_back_once_for_the_whole,
    a_step_is_held_before_its_first_round_only,
    a_look_that_fails_is_made_again_before_its_round_and_the_round_is_one,
    a_look_whose_tries_are_used_up_fails_the_run_before_anything_is_done,
    a_run_keeps_its_turn_between_rounds_until_it_ends,
    rounds_that_call_a_task_have_a_turn_for_the_time_of_a_round_only,
}

const DAY: i64 = 24 * 3600 * 1000;

const REMIND: &str = "[[step]]\nid='remind'\ncommand=['x','{{ round }}: {{ check.rows[0].due }}']\nevery='14d'\nuntil='check.rows[0].paid'\ntimes=3\n[step.check.sql]\ndb='shop'\ntext='select due, paid from invoices'\n[[step]]\nid='after'\ncommand=['x','{{ steps.remind.rounds }} {{ steps.remind.held }} {{ steps.remind.output.code }}']";

/// The shop says that this is due.
fn says(kit: &Kit, paid: bool) {
    let rows = json!([{ "due": "120 EUR", "paid": paid }]);
    kit.sql
        .does(move |_| Behaviour::Output(json!({ "rows": rows })));
}

fn reminding() -> Kit {
    let kit = Kit::default();
    says(&kit, false);
    kit.command
        .does(|_| Behaviour::Output(json!({ "code": 0 })));
    kit
}

/// Drives a run to its rest, and then lets the time pass that it waits.
async fn round(process: &Process, run: RunId, stage: &Stage) -> i64 {
    match process.drive(run).await {
        Rest::Waiting {
            until: Some(until), ..
        } => {
            let wait = until.millis_since(stage.clock.now());
            stage.clock.advance(wait);
            wait
        }
        rest => panic!("it does not wait: {rest:?}"),
    }
}

async fn a_run_waits_between_rounds_until_what_is_looked_at_says_so(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    let row = process.row(run).await;
    assert_eq!((row.status, row.holder), (RunStatus::Waiting, None));
    assert_eq!(row.due, Some(stage.clock.now()));
    assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    assert_eq!(kit.command.args(), ["1: 120 EUR", "2: 120 EUR"]);
    says(&kit, true);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args()[2], "2 true 0");
    assert_eq!((kit.command.count(), kit.sql.count()), (3, 3));
}

async fn rounds_end_after_as_many_as_there_may_be_and_the_last_is_given_its_time(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    for _ in 0..3 {
        assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    }
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args()[3], "3 false 0");
    let long = task(
        "[[step]]\nid='a'\ncommand=['x','{{ round }}']\nevery='14d'\nfor='30d'\n[[step]]\nid='b'\ncommand=['x','{{ steps.a.rounds }} {{ steps.a.held }}']",
    );
    process.tasks.replace([long]);
    assert_eq!(process.play("l").await.1, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args()[4..7], ["1", "2", "3"]);
    assert_eq!(kit.command.args()[7], "3 false");
}

async fn a_month_without_a_process_brings_one_round(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    round(&process, run, &stage).await;
    stage.clock.advance(60 * DAY);
    let heir = stage.process(&[task(REMIND)], &kit);
    process.dies(&heir).await;
    assert_eq!(round(&heir, run, &stage).await, 14 * DAY);
    assert_eq!(kit.command.count(), 2);
}

async fn without_a_check_the_round_itself_says_when_it_is_enough(stage: Stage) {
    let kit = Kit::default();
    kit.command
        .does(|call| Behaviour::Output(json!({ "code": common::actions::argument(call) })));
    let steps = "[[step]]\nid='a'\ncommand=['x','{{ round }}']\nevery='1h'\ntimes=9\nuntil=\"output.code == '3' and round == 3\"";
    let process = stage.process(&[task(steps)], &kit);
    let begun = stage.clock.now();
    let (_, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["1", "2", "3"]);
    assert_eq!(stage.clock.now().millis_since(begun), 2 * 3_600_000);
}

async fn a_round_has_its_own_key_and_its_tries_the_same(stage: Stage) {
    let kit = reminding();
    kit.command.does(|call| match call.attempt {
        1 => Behaviour::Retry(None),
        _ => Behaviour::Output(json!({ "code": 0 })),
    });
    let process = stage.process(&[task(REMIND)], &kit);
    process.play("k").await;
    let keys = kit.command.keys();
    assert_eq!(keys.len(), 2 * 4, "three rounds and the step after them");
    for pair in keys.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    let all: std::collections::BTreeSet<_> = keys.into_iter().chain(kit.sql.keys()).collect();
    assert_eq!(all.len(), 4 + 4);
}

async fn a_round_that_was_cut_off_is_in_doubt_and_the_next_one_is_not(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    round(&process, run, &stage).await;
    let gate = Gate::default();
    let inside = gate.clone();
    kit.command.does(move |_| Behaviour::Hang(inside.clone()));
    let heir = stage.process(&[task(REMIND)], &kit);
    tokio::select! {
        rest = process.engine.drive_one(run) => panic!("it lived on: {rest:?}"),
        () = gate.come(1) => {}
    }
    process.dies(&heir).await;
    let Rest::Unknown { step, .. } = heir.drive(run).await else {
        panic!("it is repeated");
    };
    assert_eq!(step.as_str(), "remind#2");
    assert_eq!(kit.command.count(), 2);
    kit.command
        .does(|_| Behaviour::Output(json!({ "code": 0 })));
    heir.people
        .settle(
            run,
            None,
            Some(json!({ "code": 0 })),
            "ann",
            "it is in the box",
        )
        .await
        .unwrap();
    assert_eq!(round(&heir, run, &stage).await, 14 * DAY);
    assert_eq!(kit.command.count(), 2, "it is not done again");
    assert_eq!(heir.drive_on(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args()[2], "3: 120 EUR");
}

async fn a_round_that_failed_for_good_is_gone_on_with(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    round(&process, run, &stage).await;
    kit.command.does(|_| Behaviour::Permanent);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    assert_eq!(process.reason(run).await, "step `remind`, round 2: never");
    kit.command
        .does(|_| Behaviour::Output(json!({ "code": 0 })));
    let people = &process.people;
    people
        .request(run, Request::Resume, "ann", "")
        .await
        .unwrap();
    assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    kit.sql.does(|_| Behaviour::Permanent);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    let reason = process.reason(run).await;
    assert_eq!(reason, "step `remind`, check before round 3: never");
}

async fn between_rounds_a_run_is_paused_resumed_and_cancelled(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    round(&process, run, &stage).await;
    let ask = |what| process.people.request(run, what, "ann", "holiday");
    ask(Request::Pause).await.unwrap();
    let Rest::Waiting { until: None, .. } = process.drive(run).await else {
        panic!("it is not paused");
    };
    assert_eq!(kit.command.count(), 1);
    ask(Request::Resume).await.unwrap();
    assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    assert_eq!(kit.command.count(), 2);
    ask(Request::Cancel).await.unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Cancelled));
    assert_eq!(kit.command.count(), 2);
}

async fn what_is_left_of_the_rounds_is_passed_over_when_somebody_says_so(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[task(REMIND)], &kit);
    for fails in [false, true] {
        let before = kit.command.count();
        let run = process.admit(&format!("k{fails}")).await;
        round(&process, run, &stage).await;
        if fails {
            kit.command.does(|call| match call.site.step.as_str() {
                "after" => Behaviour::Output(json!({ "code": 0 })),
                _ => Behaviour::Permanent,
            });
            assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
        }
        let asked = process.people.skip(run, Some("remind"), "ann", "").await;
        assert!(!asked.unwrap().in_doubt);
        assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
        let args = kit.command.args();
        assert_eq!(args[before], "1: 120 EUR");
        assert_eq!(args.last().unwrap(), "1 false 0", "{args:?}");
    }
}

async fn rounds_are_taken_back_once_for_the_whole(stage: Stage) {
    let kit = reminding();
    let steps = "[[step]]\nid='a'\ncommand=['x','{{ round }}']\nevery='1h'\ntimes=3\nundo={command=['x','not {{ steps.a.rounds }}']}\n[[step]]\nid='b'\nrequire='false'";
    let process = stage.process(&[task(steps)], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    let undo = process.people.undo(run, "ann", "", false).await.unwrap();
    assert_eq!(process.drive_on(undo).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args(), ["1", "2", "3", "not 3"]);
    let steps = steps.replace("undo=", "# ");
    process.tasks.replace([task(&steps)]);
    let (run, _) = process.play("l").await;
    let refused = process.people.undo(run, "ann", "", false).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("it has no `undo`")
    );
}

async fn a_step_is_held_before_its_first_round_only(stage: Stage) {
    let kit = reminding();
    let steps = REMIND.replace("every=", "hold='30d'\nevery=");
    let process = stage.process(&[task(&steps)], &kit);
    let run = process.admit("k").await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        waits.push(round(&process, run, &stage).await / DAY);
    }
    assert_eq!(waits, [30, 14, 14, 14]);
    assert_eq!((kit.command.count(), kit.sql.count()), (3, 3));
}

async fn a_look_that_fails_is_made_again_before_its_round_and_the_round_is_one(stage: Stage) {
    let kit = reminding();
    // The second round's look fails, is cut off, and then says what is due.
    kit.sql.does(|call| {
        let rows = json!({ "rows": [{ "due": format!("look {}", call.attempt), "paid": false }] });
        match (call.site.step.as_str().contains("#2"), call.attempt) {
            (true, 1) => Behaviour::Retry(None),
            (true, 2) => Behaviour::Unknown,
            _ => Behaviour::Output(rows),
        }
    });
    let process = stage.process(&[task(REMIND)], &kit);
    let run = process.admit("k").await;
    assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    let mut waits = Vec::new();
    while kit.command.count() < 2 {
        waits.push(round(&process, run, &stage).await);
    }
    let last = waits.pop();
    assert_eq!(
        last,
        Some(14 * DAY),
        "from the round, not from its first look"
    );
    assert!(waits.iter().all(|wait| *wait < 60_000), "{waits:?}");
    assert_eq!(kit.command.args(), ["1: look 1", "2: look 3"]);
    let keys = kit.sql.keys();
    assert_eq!(keys.len(), 4);
    assert_eq!(
        (&keys[1], &keys[2]),
        (&keys[2], &keys[3]),
        "one look, three tries"
    );
    assert_ne!(keys[0], keys[1], "each round has a look of its own");
}

async fn a_look_whose_tries_are_used_up_fails_the_run_before_anything_is_done(stage: Stage) {
    let kit = reminding();
    kit.sql.does(|_| Behaviour::Retry(None));
    let steps = REMIND.replace("every=", "retry={attempts=3}\nevery=");
    let process = stage.process(&[task(&steps)], &kit);
    let (run, rest) = process.play("k").await;
    assert_eq!(rest, Rest::Ended(RunStatus::Failed));
    assert_eq!((kit.sql.count(), kit.command.count()), (3, 0));
    let reason = process.reason(run).await;
    assert_eq!(
        reason,
        "step `remind`, check before round 1: not now (after 3 tries)"
    );
    says(&kit, false);
    let resume = process.people.request(run, Request::Resume, "ann", "");
    resume.await.unwrap();
    assert_eq!(round(&process, run, &stage).await, 14 * DAY);
    assert_eq!(kit.command.args(), ["1: 120 EUR"]);
}

/// Of one customer, one after the other.
const TURNS: &str = "[on.call]\n[limits]\none_at_a_time='event.customer'\n";

async fn a_run_keeps_its_turn_between_rounds_until_it_ends(stage: Stage) {
    let kit = reminding();
    let process = stage.process(&[known("t", &format!("{TURNS}{REMIND}"))], &kit);
    let of = |key: &'static str, customer: &'static str| {
        process.admit_for("t", key, json!({ "customer": customer }))
    };
    let first = of("a", "ann").await;
    let second = of("b", "ann").await;
    let other = of("c", "bob").await;
    assert_eq!(round(&process, first, &stage).await, 14 * DAY);
    let claimed = process.engine.drive_one(second).await.unwrap();
    assert_eq!(claimed, None, "the first one has not ended");
    assert_eq!(round(&process, other, &stage).await, 14 * DAY);
    says(&kit, true);
    assert_eq!(process.drive(first).await, Rest::Ended(RunStatus::Done));
    says(&kit, false);
    assert_eq!(round(&process, second, &stage).await, 14 * DAY);
    assert_eq!(kit.command.args().last().unwrap(), "1: 120 EUR");
}

async fn rounds_that_call_a_task_have_a_turn_for_the_time_of_a_round_only(stage: Stage) {
    let kit = reminding();
    let looping = "[on.call]\n[[step]]\nid='r'\nevery='14d'\ntimes=2\n[step.call]\ntask='send'\nevent={ customer='{{ event.customer }}', round='{{ round }}' }";
    let send = format!(
        "{TURNS}[[step]]\nid='s'\ncommand=['x','{{{{ event.customer }}}} {{{{ event.round }}}}']"
    );
    let process = stage.process(&[known("t", looping), known("send", &send)], &kit);
    let mut runs = Vec::new();
    for key in ["a", "b"] {
        let run = process
            .admit_for("t", key, json!({ "customer": "ann" }))
            .await;
        assert!(matches!(process.drive(run).await, Rest::Waiting { .. }));
        runs.push(run);
    }
    let sent = process
        .rows()
        .await
        .into_iter()
        .filter(|row| row.task.as_str() == "send");
    let sent: Vec<RunId> = sent.map(|row| row.id).collect();
    assert_eq!(sent.len(), 2, "one round of each");
    for run in sent {
        assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    }
    assert_eq!(kit.command.args(), ["ann 1", "ann 1"]);
}
