//! Many runs: how many act, who takes turns, how a process stops; calls, people and the pump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::Fut;
use oncely_core::event::Event;
use oncely_core::fact::Request;
use oncely_core::ids::ContentHash;
use oncely_core::ledger::{LedgerError, Op, Unit};
use oncely_core::limits;
use oncely_core::source::{Batch, Cursor, Receipt, Room, Source, SourceError, Sourced, Verdict};
use oncely_core::task::Existing;
use oncely_core::time::Timestamp;
use oncely_engine::{Notice, Pumped, Seen, pump};
use std::sync::{Arc, Mutex};
use std::time::Duration;

promises! {
    no_more_steps_act_than_may_and_the_others_are_not_announced,
    runs_of_a_lane_take_turns,
    running_is_a_bound_over_two_engines,
    a_stop_lets_end_what_can_and_leaves_what_cannot_in_doubt,
    what_waits_for_its_place_is_given_back_and_not_counted,
    a_call_starts_the_other_task_once_with_parent_and_depth,
    calls_go_only_so_deep,
    an_answer_counts_for_the_text_that_was_shown,
    nobody_in_time_is_no,
    what_is_asked_must_fit_the_state,
    a_rerun_has_a_generation_and_keys_of_its_own,
    the_pump_starts_skips_or_refuses_what_was_there_before,
    the_pump_says_a_lasting_trouble_once,
    a_cursor_stays_where_it_is_when_nothing_is_admitted,
    a_source_is_told_only_of_what_the_ledger_has,
}

const ONE: &str = "[[step]]\nid='a'\ncommand=['x','{{ event.key }}']";

async fn admitted(process: &Process, count: usize) -> Vec<RunId> {
    let mut runs = Vec::new();
    for n in 0..count {
        let key = format!("k{n}");
        runs.push(
            process
                .admit_for("t", &key, json!({ "key": key, "lane": n % 2 }))
                .await,
        );
    }
    runs
}

async fn ends(process: &Process, runs: &[RunId]) {
    for run in runs {
        process.reaches(*run, RunStatus::Done).await;
    }
    process.engine.stopper().stop();
}

async fn no_more_steps_act_than_may_and_the_others_are_not_announced(stage: Stage) {
    let kit = Kit::default();
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |_| Behaviour::Wait(wait.clone()));
    for (acting, per_task, most) in [(3, 9, 3), (9, 2, 2)] {
        let other = if stage.is_memory() {
            Stage::memory()
        } else {
            Stage::sqlite()
        };
        let gate = Gate::default();
        let wait = gate.clone();
        kit.command.does(move |_| Behaviour::Wait(wait.clone()));
        let config = EngineConfig {
            acting,
            acting_per_task: per_task,
            ..other.config()
        };
        let process = other.process_with(&[task(ONE)], &kit, config);
        let runs = admitted(&process, 8).await;
        let serving = process.serve();
        gate.come(most).await;
        while process.engine.holding() < 8 {
            tokio::task::yield_now().await;
        }
        let mut announced = 0;
        for run in &runs {
            let facts = process.facts(*run).await;
            announced += facts
                .iter()
                .filter(|f| matches!(f, Fact::Intent { .. }))
                .count();
        }
        assert_eq!((gate.count(), announced), (most, most));
        gate.open();
        ends(&process, &runs).await;
        serving.await.unwrap().unwrap();
        assert_eq!(gate.most(), most);
    }
}

async fn runs_of_a_lane_take_turns(stage: Stage) {
    let kit = Kit::default();
    let text = format!("[on.call]\n[limits]\none_at_a_time='event.lane'\n{ONE}");
    let tasks = [known("t", &text)];
    let (one, two) = (stage.process(&tasks, &kit), stage.process(&tasks, &kit));
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |_| Behaviour::Wait(wait.clone()));
    let runs = admitted(&one, 6).await;
    let (first, second) = (one.serve(), two.serve());
    gate.come(2).await;
    assert_eq!(kit.command.args(), ["k0", "k1"]);
    gate.open();
    ends(&one, &runs).await;
    two.engine.stopper().stop();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let args = kit.command.args();
    let lane = |odd: usize| {
        args.iter()
            .filter(|k| k[1..].parse::<usize>().unwrap() % 2 == odd)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (lane(0), lane(1)),
        (
            vec!["k0".into(), "k2".into(), "k4".into()],
            vec!["k1".into(), "k3".into(), "k5".into()]
        )
    );
}

async fn running_is_a_bound_over_two_engines(stage: Stage) {
    let kit = Kit::default();
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |_| Behaviour::Wait(wait.clone()));
    let tasks = [known(
        "t",
        &format!("[on.call]\n[limits]\nrunning=2\n{ONE}"),
    )];
    let (one, two) = (stage.process(&tasks, &kit), stage.process(&tasks, &kit));
    let runs = admitted(&one, 6).await;
    let (first, second) = (one.serve(), two.serve());
    gate.come(2).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        (gate.count(), one.engine.holding() + two.engine.holding()),
        (2, 2)
    );
    gate.open();
    ends(&one, &runs).await;
    two.engine.stopper().stop();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert!(gate.most() <= 2);
}

async fn a_stop_lets_end_what_can_and_leaves_what_cannot_in_doubt(stage: Stage) {
    let kit = Kit::default();
    let (ends, hangs) = (Gate::default(), Gate::default());
    let (end, hang) = (ends.clone(), hangs.clone());
    kit.command
        .does(move |call| match common::actions::argument(call).as_str() {
            "k0" => Behaviour::Wait(end.clone()),
            _ => Behaviour::Hang(hang.clone()),
        });
    let steps = format!("{ONE}\n[[step]]\nid='b'\ncommand=['x','b']");
    let process = stage.process(&[task(&steps)], &kit);
    let runs = admitted(&process, 2).await;
    let serving = process.serve();
    ends.come(1).await;
    hangs.come(1).await;
    process.engine.stopper().stop();
    ends.open();
    process.reaches(runs[0], RunStatus::Running).await;
    while process.engine.holding() > 1 {
        tokio::task::yield_now().await;
    }
    // Its grace time is over.
    process.engine.stopper().abort();
    serving.await.unwrap().unwrap();
    assert_eq!(kit.command.count(), 2, "the next step is not begun");
    assert_eq!(process.status(runs[1]).await, RunStatus::Unknown);
    let row = process.row(runs[0]).await;
    assert_eq!((row.holder, row.claims), (None, 0));
    kit.command.does(|_| Behaviour::Output(json!({})));
    let heir = stage.process(&[], &kit);
    assert_eq!(heir.drive(runs[0]).await, Rest::Ended(RunStatus::Done));
}

async fn what_waits_for_its_place_is_given_back_and_not_counted(stage: Stage) {
    let kit = Kit::default();
    let gate = Gate::default();
    let wait = gate.clone();
    kit.command.does(move |_| Behaviour::Wait(wait.clone()));
    let config = EngineConfig {
        acting: 1,
        ..stage.config()
    };
    let process = stage.process_with(&[task(ONE)], &kit, config);
    let runs = admitted(&process, 3).await;
    let serving = process.serve();
    gate.come(1).await;
    while process.engine.holding() < 3 {
        tokio::task::yield_now().await;
    }
    process.engine.stopper().stop();
    gate.open();
    serving.await.unwrap().unwrap();
    assert_eq!(kit.command.count(), 1);
    for run in &runs[1..] {
        let row = process.row(*run).await;
        assert_eq!((row.holder, row.claims), (None, 0));
        let facts = process.facts(*run).await;
        assert!(!facts.iter().any(|f| matches!(f, Fact::Intent { .. })));
    }
}

async fn a_call_starts_the_other_task_once_with_parent_and_depth(stage: Stage) {
    // Its process dies before and after the commit that records the call.
    for after in [false, true] {
        let other = if stage.is_memory() {
            Stage::memory()
        } else {
            Stage::sqlite()
        };
        let kit = Kit::default();
        let tasks = [
            task("[[step]]\nid='c'\n[step.call]\ntask='other'\nevent={n='{{ event.n }}'}"),
            known(
                "other",
                "[on.call]\n[[step]]\nid='a'\ncommand=['x','{{ event.n }}']",
            ),
        ];
        let first = other.process(&tasks, &kit);
        let run = first.admit_for("t", "k", json!({ "n": 7 })).await;
        first.tap.fate(move |units| match (units.len() > 1, after) {
            (true, true) => Fate::CutAfter,
            (true, false) => Fate::CutBefore,
            _ => Fate::Pass,
        });
        first.drive_to_death(run).await;
        let heir = other.process(&tasks, &kit);
        first.dies(&heir).await;
        if !after {
            assert_eq!(heir.drive(run).await, Rest::Ended(RunStatus::Done));
        }
        let rows = heir.rows().await;
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[1].parent, rows[1].depth, rows[1].task.as_str()),
            (Some(run), 1, "other")
        );
        assert_eq!(heir.drive(rows[1].id).await, Rest::Ended(RunStatus::Done));
        assert_eq!(kit.command.args(), ["7"]);
    }
}

async fn calls_go_only_so_deep(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task("[[step]]\nid='c'\n[step.call]\ntask='t'")], &kit);
    process.play("k").await;
    while let Some(row) = process
        .rows()
        .await
        .into_iter()
        .find(|row| !row.status.is_ended())
    {
        process.drive(row.id).await;
    }
    let rows = process.rows().await;
    assert_eq!(rows.len() as u32, limits::CALL_DEPTH + 1);
    let last = rows.last().unwrap();
    assert_eq!(last.status, RunStatus::Failed);
    assert!(process.reason(last.id).await.contains("called one another"));
}

const ASK: &str = "[[step]]\nid='q'\napprove={text='Send {{ event.n }}?',expires='10s'}\n[[step]]\nid='a'\ncommand=['x','a']";

async fn asked(process: &Process, key: &str) -> RunId {
    let run = process.admit_for("t", key, json!({ "n": 7 })).await;
    assert!(matches!(
        process.drive(run).await,
        Rest::Waiting { until: Some(_), .. }
    ));
    run
}

async fn an_answer_counts_for_the_text_that_was_shown(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ASK)], &kit);
    let (yes, no) = (asked(&process, "yes").await, asked(&process, "no").await);
    let other = Some(ContentHash::of(b"Send 8?"));
    let error = process
        .answer(yes, true, "ann", "", other)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("has changed since it was shown"),
        "{error}"
    );
    let shown = Some(ContentHash::of(b"Send 7?"));
    process.answer(yes, true, "ann", "", shown).await.unwrap();
    assert_eq!(process.drive(yes).await, Rest::Ended(RunStatus::Done));
    process
        .answer(no, false, "bob", "too late", shown)
        .await
        .unwrap();
    assert_eq!(process.drive(no).await, Rest::Ended(RunStatus::Failed));
    assert!(
        process
            .reason(no)
            .await
            .contains("rejected by bob: too late")
    );
    assert!(process.answer(no, true, "ann", "", shown).await.is_err());
    assert_eq!(kit.command.count(), 1);
}

async fn nobody_in_time_is_no(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ASK)], &kit);
    let run = asked(&process, "k").await;
    stage.clock.advance(10_000);
    let late = process.answer(run, true, "ann", "", None).await;
    assert!(late.unwrap_err().to_string().contains("expired"));
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Failed));
    assert_eq!(kit.command.count(), 0);
}

async fn what_is_asked_must_fit_the_state(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ASK)], &kit);
    let run = asked(&process, "k").await;
    let ask = async |what| process.people.request(run, what, "ann", "why").await;
    assert!(ask(Request::Resume).await.is_err());
    ask(Request::Pause).await.unwrap();
    ask(Request::Resume).await.unwrap();
    ask(Request::Cancel).await.unwrap();
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Cancelled));
    for what in [
        Request::Cancel,
        Request::Pause,
        Request::Resume,
        Request::Rerun,
    ] {
        let error = ask(what).await.unwrap_err();
        assert!(error.to_string().contains("Nothing was changed"), "{error}");
    }
    let none = process
        .people
        .request(RunId(99), Request::Cancel, "ann", "")
        .await;
    assert!(none.unwrap_err().to_string().contains("no run"));
}

async fn a_rerun_has_a_generation_and_keys_of_its_own(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task("[[step]]\nid='a'\ncommand=['x','1']")], &kit);
    let run = process.admit("k").await;
    assert!(again(&process, run).await.is_err());
    process.drive(run).await;
    let again = again(&process, run).await.unwrap();
    let offered = process
        .engine
        .intake()
        .offer(vec![again.clone(), again])
        .await
        .unwrap();
    let [Offered::Admitted(second), Offered::Duplicate(known)] = offered.as_slice() else {
        panic!("{offered:?}")
    };
    assert_eq!(second, known);
    assert_eq!(process.drive(*second).await, Rest::Ended(RunStatus::Done));
    assert_eq!(process.row(*second).await.generation.0, 2);
    let keys = kit.command.keys();
    assert!(keys.len() == 2 && keys[0] != keys[1]);
}

/// Yields batches in turn, then nothing.
struct Canned {
    batches: Vec<Result<Batch, SourceError>>,
    existing: Option<Existing>,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
}

impl Source for Canned {
    fn poll<'a>(
        &'a mut self,
        _: Option<&'a Cursor>,
        _: Room,
    ) -> Fut<'a, Result<Batch, SourceError>> {
        let next = if self.batches.is_empty() {
            Ok(Batch::default())
        } else {
            self.batches.remove(0)
        };
        Box::pin(std::future::ready(next))
    }
    fn changed(&mut self) -> Fut<'_, ()> {
        if self.batches.is_empty() {
            Box::pin(std::future::pending())
        } else {
            Box::pin(std::future::ready(()))
        }
    }
    fn acknowledge<'a>(
        &'a mut self,
        verdicts: Vec<(Receipt, Verdict)>,
    ) -> Fut<'a, Result<(), SourceError>> {
        self.verdicts
            .lock()
            .unwrap()
            .extend(verdicts.into_iter().map(|(_, v)| v));
        Box::pin(std::future::ready(Ok(())))
    }
    fn no_room(&mut self) {
        self.verdicts.lock().unwrap().push(Verdict::NoRoom);
    }
    fn existing(&self) -> Option<Existing> {
        self.existing
    }
}

fn event(key: &str, existing: bool) -> Sourced {
    let data = json!({ "key": key });
    let event = Event {
        key: key.into(),
        at: Timestamp(0),
        data,
    };
    Sourced {
        event,
        receipt: Receipt(key.into()),
        existing,
    }
}

type Outcome = (
    Result<(), oncely_core::ledger::LedgerError>,
    Vec<Notice>,
    Vec<Verdict>,
);

/// Pumps batches until nothing more comes.
async fn pumped(
    process: &Process,
    existing: Option<Existing>,
    batches: Vec<Result<Batch, SourceError>>,
) -> Outcome {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let verdicts = Arc::new(Mutex::new(Vec::new()));
    let heard = notices.clone();
    let source = Canned {
        batches,
        existing,
        verdicts: verdicts.clone(),
    };
    let hear = Arc::new(move |notice| heard.lock().unwrap().push(notice));
    let pumping = pump(
        process.engine.clone(),
        Pumped {
            task: "t".into(),
            name: "canned".into(),
            hold: None,
            source: Box::new(source),
        },
        hear,
    );
    let result = tokio::time::timeout(Duration::from_millis(400), pumping).await;
    process.engine.idle().await;
    let notices = notices.lock().unwrap().clone();
    let verdicts = verdicts.lock().unwrap().clone();
    (result.unwrap_or(Ok(())), notices, verdicts)
}

async fn the_pump_starts_skips_or_refuses_what_was_there_before(stage: Stage) {
    let kit = Kit::default();
    let batch = |keys: &[(&str, bool)]| {
        let events = keys
            .iter()
            .map(|(key, existing)| event(key, *existing))
            .collect();
        vec![Ok(Batch {
            events,
            cursor: Some(Cursor("seen".into())),
            ..Batch::default()
        })]
    };
    let process = stage.process(&[task(ONE)], &kit);
    let (result, ..) = pumped(&process, None, batch(&[("old", true)])).await;
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("Say in the task file")
    );
    assert_eq!(process.rows().await.len(), 0);
    let skip = pumped(
        &process,
        Some(Existing::Skip),
        batch(&[("old", true), ("new", false)]),
    )
    .await;
    assert_eq!(skip.2, [Verdict::Admitted, Verdict::Admitted]);
    assert_eq!(kit.command.args(), ["new"]);
    let again = pumped(
        &process,
        Some(Existing::Run),
        batch(&[("old", true), ("late", true)]),
    )
    .await;
    assert_eq!(again.2, [Verdict::Duplicate, Verdict::Admitted]);
    assert_eq!(kit.command.args(), ["new", "late"]);
    let large = "x".repeat(limits::KEY_BYTES + 1);
    let refused = pumped(&process, None, batch(&[(&large, false)])).await;
    assert_eq!(refused.2, [Verdict::Refused]);
    assert!(matches!(refused.1.as_slice(), [Notice::Problem(..)]));
}

async fn the_pump_says_a_lasting_trouble_once(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ONE)], &kit);
    let gone = || {
        Err(SourceError {
            message: "the folder is gone".into(),
            again_after: Duration::ZERO,
        })
    };
    let fine = || {
        Ok(Batch {
            more: true,
            ..Batch::default()
        })
    };
    let batches = vec![gone(), gone(), gone(), fine(), gone()];
    let (result, notices, _) = pumped(&process, None, batches).await;
    assert_eq!((result, notices.len()), (Ok(()), 2));
}

/// The ledger takes nothing new in.
fn admit_nothing(process: &Process) {
    process.tap.fate(|units| {
        let admits = |unit: &Unit| matches!(unit.ops.first(), Some(Op::Admit(_)));
        match units.iter().any(admits) {
            true => Fate::Fail(LedgerError::Full("ledger.db".into())),
            false => Fate::Pass,
        }
    });
}

async fn a_cursor_stays_where_it_is_when_nothing_is_admitted(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ONE)], &kit);
    admit_nothing(&process);
    let seen = Seen {
        source: "canned".into(),
        from: None,
        to: Cursor("seen".into()),
    };
    let offer = Offer::new("t".into(), "k".into(), json!({ "key": "k" }));
    let offered = process.engine.offer(vec![offer], Some(seen)).await;
    assert!(offered.is_err());
    assert_eq!(process.ask().cursor("canned".into()).await, Ok(None));
}

async fn a_source_is_told_only_of_what_the_ledger_has(stage: Stage) {
    let kit = Kit::default();
    let process = stage.process(&[task(ONE)], &kit);
    admit_nothing(&process);
    let batch = Batch {
        events: vec![event("k", false)],
        ..Batch::default()
    };
    let (result, notices, told) = pumped(&process, None, vec![Ok(batch)]).await;
    assert_eq!(told, [Verdict::NoRoom]);
    assert_eq!(process.rows().await.len(), 0);
    // It passes by itself, and is said for all sources together.
    assert_eq!((result, notices.len()), (Ok(()), 0));
}

/// The event of a run once more.
async fn again(process: &Process, run: RunId) -> Result<Offer, String> {
    let facts = process.ask().facts(run).await.unwrap();
    let state = oncely_core::run::RunState::fold(&facts).unwrap();
    Offer::again(&process.row(run).await, &state, "ann", "why")
}
