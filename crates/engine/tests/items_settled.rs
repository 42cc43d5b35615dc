//! Items that nobody knows about are looked up when a person asks for it, and settled one by one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::fact::ItemsBecame;
use oncely_core::task::ActionKind;
use oncely_engine::{Items, Known};
use std::sync::Arc;

promises! {
    each_item_in_doubt_is_looked_up_by_its_own_call_when_a_person_asks,
    single_items_are_settled_and_of_the_others_nothing_is_done,
    what_was_said_to_have_happened_is_not_repeated_though_its_key_would_allow_it,
    what_is_not_in_doubt_is_not_settled_and_nothing_is_changed,
    a_process_that_dies_while_it_looks_leaves_no_item_undone_or_counted_twice,
    where_no_step_of_the_block_has_a_probe_that_is_said,
}

const STEPS: &str = "[[step]]\nid='s'\nfor_each=\"['a','b','c','d']\"\n\
    [[step.do]]\nid='w'\ntimeout='60s'\ncommand=['x','{{ item }}']\n\
    probe={http={url='https://x.example/{{ item }}'},happened='output.status == 200'}\n\
    [[step.do]]\nid='t'\ncommand=['x','then {{ item }}']\n\
    [[step]]\nid='after'\ncommand=['x','{{ steps.s.done }} {{ steps.s.set_aside }}']";

fn steps() -> [Known; 1] {
    [task(STEPS)]
}

/// The first attempt of b, c and d is cut off; the other side says this of each item.
fn doubting(says: fn(&str) -> Behaviour) -> (Kit, Arc<Fake>) {
    let http = Fake::new(Repeat::Safe);
    http.does(move |call| {
        let url = call.options["url"].as_str().unwrap();
        says(url.rsplit('/').next().unwrap())
    });
    let mut kit = Kit::default();
    kit.others.insert(ActionKind::Http, http.clone());
    kit.command
        .does(|call| match actions::argument(call).as_str() {
            "b" | "c" | "d" if call.attempt == 1 => Behaviour::Unknown,
            _ => Behaviour::Output(json!({})),
        });
    (kit, http)
}

fn status(status: i64) -> Behaviour {
    Behaviour::Output(json!({ "status": status }))
}

async fn in_doubt(stage: &Stage, kit: &Kit) -> (RunId, Process) {
    let process = stage.process(&steps(), kit);
    let run = process.admit("k").await;
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(doubts(&process, run).await, [1, 2, 3]);
    // What did not happen is believed only when an attempt cannot be on its way any more.
    stage.clock.advance(120_000);
    (run, process)
}

async fn doubts(process: &Process, run: RunId) -> Vec<u64> {
    process
        .people
        .items_in_doubt(run, &"s".into())
        .await
        .unwrap()
}

async fn counts(process: &Process, run: RunId) -> (u64, u64) {
    let progress = process
        .ask()
        .progress(run, "s".into())
        .await
        .unwrap()
        .unwrap();
    (progress.done, progress.set_aside)
}

async fn settle(process: &Process, run: RunId, which: &[u64], became: ItemsBecame) {
    let items = Items { which, became };
    let settled = process
        .people
        .settle_items(run, Some("s"), items, "ann", "looked");
    assert_eq!(settled.await.unwrap().step.as_str(), "s");
}

/// What was done of these items, in order.
fn done(kit: &Kit) -> Vec<String> {
    let mut args = kit.command.args();
    args.sort();
    args
}

async fn each_item_in_doubt_is_looked_up_by_its_own_call_when_a_person_asks(stage: Stage) {
    let (kit, http) = doubting(|item| match item {
        "b" => status(200),
        "c" => status(404),
        _ => Behaviour::Retry(None),
    });
    let (run, process) = in_doubt(&stage, &kit).await;
    assert_eq!(counts(&process, run).await, (1, 3));
    let asked = process
        .people
        .look_up(run, None, "ann", "they answer again");
    assert_eq!(asked.await.unwrap().as_str(), "s");
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(http.count(), 3, "one look for each");
    assert_eq!(doubts(&process, run).await, [3]);
    assert_eq!(counts(&process, run).await, (3, 1));
    let wanted = ["a", "b", "c", "c", "d", "then a", "then b", "then c"];
    assert_eq!(done(&kit), wanted);
    let calls = kit.command.calls.lock().unwrap().clone();
    let of_c: Vec<_> = calls
        .iter()
        .filter(|c| actions::argument(c) == "c")
        .collect();
    assert_eq!(of_c[0].key, of_c[1].key);
    assert_eq!((of_c[0].attempt, of_c[1].attempt), (1, 2));
    http.does(|_| status(200));
    process
        .people
        .look_up(run, Some("s"), "ann", "")
        .await
        .unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(kit.command.args().last().unwrap(), "4 0");
    assert_eq!(http.count(), 4, "what is known is not looked up again");
    assert_eq!(counts(&process, run).await, (4, 0));
}

async fn single_items_are_settled_and_of_the_others_nothing_is_done(stage: Stage) {
    let (kit, http) = doubting(|_| status(200));
    let (run, process) = in_doubt(&stage, &kit).await;
    settle(&process, run, &[1], ItemsBecame::Happened).await;
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(doubts(&process, run).await, [2, 3]);
    assert_eq!(done(&kit), ["a", "b", "c", "d", "then a", "then b"]);
    settle(&process, run, &[2], ItemsBecame::DidNotHappen).await;
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    assert_eq!(doubts(&process, run).await, [3]);
    let wanted = ["a", "b", "c", "c", "d", "then a", "then b", "then c"];
    assert_eq!(done(&kit), wanted);
    assert_eq!((counts(&process, run).await, http.count()), ((3, 1), 0));
    settle(&process, run, &[3], ItemsBecame::LookUp).await;
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(http.count(), 1);
    assert_eq!(kit.command.args().last().unwrap(), "4 0");
}

async fn what_was_said_to_have_happened_is_not_repeated_though_its_key_would_allow_it(
    stage: Stage,
) {
    let (kit, _) = doubting(|_| status(200));
    kit.command.is(Repeat::WithKey {
        window_ms: i64::MAX,
    });
    kit.command
        .does(|call| match actions::argument(call).as_str() {
            "b" => Behaviour::Unknown,
            _ => Behaviour::Output(json!({})),
        });
    let process = stage.process(
        &[task(&STEPS.replace("timeout='60s'", "retry={attempts=1}"))],
        &kit,
    );
    let run = process.admit("k").await;
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    settle(&process, run, &[1], ItemsBecame::Happened).await;
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    let args = kit.command.args();
    assert_eq!(args.iter().filter(|arg| *arg == "b").count(), 1, "{args:?}");
}

async fn what_is_not_in_doubt_is_not_settled_and_nothing_is_changed(stage: Stage) {
    let (kit, _) = doubting(|_| status(200));
    let (run, process) = in_doubt(&stage, &kit).await;
    let before = process.facts(run).await;
    let refused = |which: &'static [u64], named: Option<&'static str>| {
        let became = ItemsBecame::Happened;
        let items = Items { which, became };
        process.people.settle_items(run, named, items, "ann", "x")
    };
    insta::assert_snapshot!(refused(&[0], None).await.unwrap_err(), @"item 0 of step `s` of run 1 is not in doubt. In doubt: 1, 2, 3. Nothing was changed.");
    insta::assert_snapshot!(refused(&[1, 9], Some("s")).await.unwrap_err(), @"item 9 of step `s` of run 1 is not in doubt. In doubt: 1, 2, 3. Nothing was changed.");
    insta::assert_snapshot!(refused(&[1], Some("after")).await.unwrap_err(), @"it is step `s` of run 1 that nobody knows about, and not `after`. Nothing was changed.");
    assert_eq!(process.facts(run).await, before);
    let one = task("[[step]]\nid='o'\ncommand=['x','b']");
    process.tasks.replace([one]);
    let run = process.admit("l").await;
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    let items = Items {
        which: &[0],
        became: ItemsBecame::Happened,
    };
    let refused = process
        .people
        .settle_items(run, None, items, "ann", "x")
        .await;
    insta::assert_snapshot!(refused.unwrap_err(), @"step `o` of run 2 has no items. Nothing was changed.");
}

async fn a_process_that_dies_while_it_looks_leaves_no_item_undone_or_counted_twice(stage: Stage) {
    for dies_at in 0..8 {
        let (kit, _) = doubting(|item| status(if item == "c" { 404 } else { 200 }));
        let process = stage.process(&steps(), &kit);
        let run = process.admit(&format!("k{dies_at}")).await;
        assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
        process.people.look_up(run, None, "ann", "").await.unwrap();
        stage.clock.advance(120_000);
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
            _ = process.engine.drive_one(run) => {}
            () = process.tap.was_cut() => {}
        }
        stage.clock.advance(120_000);
        let heir = stage.process(&steps(), &kit);
        process.dies(&heir).await;
        if !heir.status(run).await.is_ended() {
            let mut rest = heir.drive_on(run).await;
            if matches!(rest, Rest::Unknown { .. }) {
                // It was the second effect of an item that was cut off, of which nobody can tell.
                settle(&heir, run, &[], ItemsBecame::DidNotHappen).await;
                rest = heir.drive_on(run).await;
            }
            assert_eq!(rest, Rest::Ended(RunStatus::Done), "{dies_at}");
        }
        assert_eq!(counts(&heir, run).await, (4, 0), "{dies_at}");
        let args = kit.command.args();
        let often = |what: &str| args.iter().filter(|arg| *arg == what).count();
        for item in ["a", "b", "d"] {
            assert_eq!(often(item), 1, "{dies_at}: {args:?}");
        }
        for item in ["a", "b", "c", "d"] {
            assert!(often(&format!("then {item}")) >= 1, "{dies_at}: {args:?}");
        }
        assert!(
            often("c") >= 2,
            "the other side says that it did not happen"
        );
    }
}

async fn where_no_step_of_the_block_has_a_probe_that_is_said(stage: Stage) {
    let (kit, _) = doubting(|_| status(200));
    let (before, rest) = STEPS.split_once("probe=").unwrap();
    let steps = format!("{before}{}", rest.split_once('\n').unwrap().1);
    let process = stage.process(&[task(&steps)], &kit);
    let run = process.admit("k").await;
    assert!(matches!(process.drive(run).await, Rest::Unknown { .. }));
    let refused = process.people.look_up(run, None, "ann", "").await;
    insta::assert_snapshot!(refused.unwrap_err(), @r#"
    nothing can look the items of step `s` of run 1 up: no step of its `do` block has a `probe`. Nothing was changed. Look yourself, and say what became of it:
            oncely settle 1 s done|not-done --reason "…"
    "#);
}
