//! Promises about what is removed of old runs, and what stays for ever.

use super::items::{aside, item_outcome, items};
use super::stage::*;
use oncely_core::fact::End;
use oncely_core::ids::{Generation, RunId};
use oncely_core::ledger::{
    Admission, Answer, Filter, Guard, Ledger, LedgerError, Op, Query, Unit, UnitResult,
};
use oncely_core::prune::{Old, Place, Prune, PruneRecord, Pruned};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;

/// What ended before this moment goes.
const CUT: i64 = 100;

/// A part that begins with the newest run.
pub fn part() -> Prune {
    Prune {
        old: Old {
            environment: environment(),
            task: None,
            except: Vec::new(),
            before: Timestamp(CUT),
            failed: false,
        },
        by: "ana".into(),
        reason: "older than we need".into(),
        at: Timestamp(500),
        number: None,
        from: Place::Newest,
        runs: 100,
        rows: 1000,
        dry: false,
    }
}

/// Does every part of a ledger that works, and adds up.
pub async fn whole<L: Ledger>(ledger: &L, part: Prune) -> Pruned {
    each(ledger, part).await.unwrap()
}

/// Does every part, and adds up, as far as that can be done.
pub async fn each<L: Ledger>(ledger: &L, mut part: Prune) -> Result<Pruned, LedgerError> {
    let mut sum = Pruned::default();
    loop {
        let done = ledger.prune(part.clone()).await?;
        sum.runs += done.runs;
        sum.facts += done.facts;
        sum.number = done.number;
        part.number = done.number;
        match done.next {
            Some(next) => part.from = next,
            None => return Ok(sum),
        }
    }
}

/// A run that ended then.
async fn ended_run<L: Ledger>(ledger: &L, a: Admission, status: RunStatus, at: i64) -> RunId {
    let id = admitted(ledger, unit(vec![], vec![Op::Admit(a)])).await;
    let end = match status {
        RunStatus::Failed => End::Failed,
        RunStatus::Cancelled => End::Cancelled,
        RunStatus::Imported => End::Imported,
        _ => End::Done,
    };
    let ops = vec![
        facts(id, at, vec![began(), ended(end)]),
        stand(id, status, None, false),
    ];
    apply(ledger, unit(vec![], ops)).await;
    id
}

async fn done<L: Ledger>(ledger: &L, key: &str, at: i64) -> RunId {
    ended_run(ledger, admission(key), RunStatus::Done, at).await
}

/// The newest run of the task, which is as old as the others and stays.
async fn newest<L: Ledger>(ledger: &L) -> RunId {
    done(ledger, "newest", 1).await
}

async fn left<L: Ledger>(ledger: &L) -> Vec<i64> {
    let rows = all(ledger, Filter::default()).await;
    rows.iter().rev().map(|row| row.id.0).collect()
}

async fn prune_of<L: Ledger>(ledger: &L, run: RunId) -> Option<PruneRecord> {
    match ledger.read(Query::PruneOf(run)).await.unwrap() {
        Answer::PruneOf(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn prunes<L: Ledger>(ledger: &L) -> Vec<PruneRecord> {
    match ledger.read(Query::Prunes(10)).await.unwrap() {
        Answer::Prunes(found) => found,
        other => panic!("{other:?}"),
    }
}

pub async fn a_pruned_run_leaves_its_key_and_who_removed_it<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let run = admitted(&ledger, admit("a")).await;
    let step = oncely_core::ids::StepId::from("each");
    let item_facts = Op::ItemFacts {
        run,
        step: step.clone(),
        facts: vec![item_outcome(1)],
    };
    let ops = vec![
        facts(run, 2, vec![began(), ended(End::Done)]),
        items(run, "each", 1, vec![aside(1, "torn")]),
        item_facts,
        stand(run, RunStatus::Done, None, false),
    ];
    apply(&ledger, unit(vec![], ops)).await;
    let newest = newest(&ledger).await;
    let pruned = whole(&ledger, part()).await;
    assert_eq!((pruned.number, pruned.runs, pruned.facts), (Some(1), 1, 2));
    for question in [
        Query::Run(run),
        Query::Facts(run, 0),
        Query::Progress(run, step.clone()),
        Query::SetAside(run, 0, 10),
        Query::ItemFacts(run, step.clone(), 0..10),
    ] {
        match ledger.read(question).await.unwrap() {
            Answer::Run(found) => assert_eq!(found, None),
            Answer::Facts(found) => assert_eq!(found, []),
            Answer::Progress(found) => assert_eq!(found, None),
            Answer::SetAside(found) => assert_eq!(found, []),
            Answer::ItemFacts(found) => assert_eq!(found, []),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(left(&ledger).await, [newest.0]);
    // The event that comes again is known, by whatever handle.
    let other = stores.open();
    assert_eq!(one(&other, admit("a")).await, UnitResult::Duplicate(run));
    let asked = Query::Admitted(environment(), task(TASK), "a".into());
    let known = other.read(asked).await.unwrap();
    assert_eq!(known, Answer::Admitted(vec![run]));
    let by = prune_of(&other, run).await.unwrap();
    assert_eq!((by.by.as_str(), by.at, by.runs), ("ana", Timestamp(500), 1));
    assert_eq!(by.reason, "older than we need");
    assert_eq!(prune_of(&other, newest).await, None);
    assert_eq!(prune_of(&other, RunId(99)).await, None);
    let export = stores.export(&other);
    assert!(export.contains("\"kind\":\"key\""), "{export}");
    assert!(!export.contains("input 1"), "{export}");
}

pub async fn what_has_not_ended_long_ago_stays<S: Stores>(stores: &S) {
    let ledger = stores.open();
    admitted(&ledger, admit("pending")).await;
    let unknown = admitted(&ledger, admit("unknown")).await;
    let ops = vec![stand(unknown, RunStatus::Unknown, None, false)];
    apply(&ledger, unit(vec![], ops)).await;
    ended_run(&ledger, admission("failed"), RunStatus::Failed, 3).await;
    ended_run(&ledger, admission("imported"), RunStatus::Imported, 3).await;
    done(&ledger, "young", CUT).await;
    let mut elsewhere = admission("elsewhere");
    elsewhere.environment = "other".into();
    ended_run(&ledger, elsewhere.clone(), RunStatus::Done, 3).await;
    elsewhere.key = "newest there".into();
    ended_run(&ledger, elsewhere, RunStatus::Done, 3).await;
    let mut release = admission("of a release");
    release.trigger = "release";
    ended_run(&ledger, release, RunStatus::Done, 3).await;
    newest(&ledger).await;
    let before = stores.export(&ledger);
    assert_eq!(whole(&ledger, part()).await.runs, 0);
    assert_eq!(stores.export(&ledger), before);
    assert_eq!(prunes(&ledger).await, []);
    // Failed runs go when that is said.
    let mut failed = part();
    failed.old.failed = true;
    assert_eq!(whole(&ledger, failed).await.runs, 1);
    assert_eq!(left(&ledger).await, [1, 2, 4, 5, 6, 7, 8, 9]);
}

pub async fn each_state_that_is_an_end_goes<S: Stores>(stores: &S) {
    let ledger = stores.open();
    ended_run(&ledger, admission("done"), RunStatus::Done, 3).await;
    ended_run(&ledger, admission("cancelled"), RunStatus::Cancelled, 3).await;
    ended_run(&ledger, admission("undone"), RunStatus::Undone, 3).await;
    let mut skipped = admission("skipped");
    skipped.status = RunStatus::Skipped;
    admitted(&ledger, unit(vec![], vec![Op::Admit(skipped)])).await;
    newest(&ledger).await;
    assert_eq!(whole(&ledger, part()).await.runs, 4);
}

pub async fn one_task_is_pruned_and_others_are_left<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let mut other = admission("other");
    other.task = task("other");
    done(&ledger, "a", 3).await;
    ended_run(&ledger, other.clone(), RunStatus::Done, 3).await;
    other.key = "newest of it".into();
    ended_run(&ledger, other, RunStatus::Done, 3).await;
    newest(&ledger).await;
    let mut of_one = part();
    of_one.old.task = Some(task("other"));
    assert_eq!(whole(&ledger, of_one).await.runs, 1);
    assert_eq!(left(&ledger).await, [1, 3, 4]);
    let mut but = part();
    but.old.except = vec![task(TASK)];
    assert_eq!(whole(&ledger, but).await.runs, 0);
}

pub async fn a_run_stays_as_long_as_one_that_it_called<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let child = |key: &str, parent: RunId| Admission {
        parent: Some(parent),
        depth: 1,
        ..admission(key)
    };
    // Its child is young.
    let kept = done(&ledger, "kept", 3).await;
    ended_run(&ledger, child("young", kept), RunStatus::Done, CUT).await;
    // Its parent has not ended.
    let open = admitted(&ledger, admit("open")).await;
    ended_run(&ledger, child("of open", open), RunStatus::Done, 3).await;
    // Both may go, and what takes the child back.
    let gone = done(&ledger, "gone", 3).await;
    let between = ended_run(&ledger, child("between", gone), RunStatus::Done, 3).await;
    ended_run(&ledger, child("last", between), RunStatus::Done, 3).await;
    // It takes back what a release did, which stays.
    let mut release = admission("of a release");
    release.trigger = "release";
    let release = ended_run(&ledger, release, RunStatus::Undone, 3).await;
    ended_run(&ledger, child("undo of it", release), RunStatus::Done, 3).await;
    newest(&ledger).await;
    let before = stores.export(&ledger);
    // One that changes nothing says the same, however much of a family it sees at a time.
    for runs in [1, 2, 3, 100] {
        let dry = Prune {
            dry: true,
            runs,
            ..part()
        };
        assert_eq!(whole(&ledger, dry).await.runs, 3, "{runs} at a time");
    }
    assert_eq!(stores.export(&ledger), before);
    // However small the parts are, children are looked at before their parents.
    let small = Prune { runs: 1, ..part() };
    assert_eq!(whole(&ledger, small).await.runs, 3);
    assert_eq!(left(&ledger).await, [1, 2, 3, 4, 8, 9, 10]);
}

pub async fn a_prune_is_one_however_many_parts_it_has<S: Stores>(stores: &S) {
    let ledger = stores.open();
    for n in 0..7 {
        done(&ledger, &format!("k{n}"), 3).await;
    }
    newest(&ledger).await;
    let small = Prune { runs: 2, ..part() };
    let first = ledger.prune(small.clone()).await.unwrap();
    assert_eq!((first.number, first.runs), (Some(1), 1));
    // Whoever prunes was killed here: what is left goes with the next prune.
    assert_eq!(prunes(&ledger).await[0].runs, 1);
    let again = whole(&ledger, small).await;
    assert_eq!((again.number, again.runs), (Some(2), 6));
    let runs: Vec<_> = prunes(&ledger)
        .await
        .iter()
        .map(|p| (p.number, p.runs))
        .collect();
    assert_eq!(runs, [(2, 6), (1, 1)]);
    let of = |run| prune_of(&ledger, RunId(run));
    assert_eq!(of(7).await.unwrap().number, 1);
    for run in 1..7 {
        assert_eq!(of(run).await.unwrap().number, 2);
    }
    // Nothing is left, and nothing more is recorded.
    assert_eq!(whole(&ledger, part()).await, Pruned::default());
    assert_eq!(prunes(&ledger).await.len(), 2);
}

pub async fn generations_and_numbers_go_on_after_a_prune<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let again = |key: &str, n: u32| {
        let mut a = admission(key);
        a.generation = Generation(n + 1);
        let before = Guard::Generation(environment(), task(TASK), key.into(), Some(Generation(n)));
        unit(vec![before], vec![Op::Admit(a)])
    };
    done(&ledger, "once", 3).await;
    done(&ledger, "twice", 3).await;
    let second = admitted(&ledger, again("twice", 1)).await;
    let ops = vec![
        facts(second, 3, vec![began(), ended(End::Done)]),
        stand(second, RunStatus::Done, None, false),
    ];
    apply(&ledger, unit(vec![], ops)).await;
    let last = newest(&ledger).await;
    assert_eq!(whole(&ledger, part()).await.runs, 3);
    drop(ledger);
    let ledger = stores.open();
    let known = one(&ledger, again("twice", 1)).await;
    assert!(matches!(known, UnitResult::Refused(_)), "{known:?}");
    let once = admitted(&ledger, again("once", 1)).await;
    let twice = admitted(&ledger, again("twice", 2)).await;
    assert_eq!((once.0, twice.0), (last.0 + 1, last.0 + 2));
}

pub async fn many_items_go_little_by_little<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let run = admitted(&ledger, admit("a")).await;
    let asides = (0..5).map(|n| aside(n, "torn")).collect();
    let all_facts = Op::ItemFacts {
        run,
        step: "each".into(),
        facts: (0..5).map(item_outcome).collect(),
    };
    let ops = vec![
        facts(run, 3, vec![began(), ended(End::Done)]),
        items(run, "each", 5, asides),
        all_facts,
        stand(run, RunStatus::Done, None, false),
    ];
    apply(&ledger, unit(vec![], ops)).await;
    newest(&ledger).await;
    let small = Prune { rows: 3, ..part() };
    let first = ledger.prune(small.clone()).await.unwrap();
    assert_eq!(first.runs, 1);
    // Nobody sees what is left of them, and the next prune removes it.
    let export = stores.export(&ledger);
    assert!(!export.contains("input 4"), "{export}");
    assert_eq!(whole(&ledger, small).await.runs, 0);
    assert_eq!(whole(&ledger, part()).await.runs, 0);
}

pub async fn others_work_while_old_runs_go<S: Stores>(stores: &S) {
    let (ledger, other) = (stores.open(), stores.open());
    for n in 0..30 {
        done(&ledger, &format!("k{n}"), 3).await;
    }
    // What others admit makes it a run like another, and it is too young to go.
    done(&ledger, "newest", CUT).await;
    let pruned = whole(&ledger, Prune { runs: 3, ..part() });
    let worked = async {
        for n in 0..30 {
            let key = format!("while {n}");
            admitted(&other, admit(&key)).await;
            let old = one(&other, admit(&format!("k{n}"))).await;
            assert_eq!(old, UnitResult::Duplicate(RunId(n + 1)));
        }
    };
    let (pruned, ()) = tokio::join!(pruned, worked);
    assert_eq!(pruned.runs, 30);
    assert_eq!(left(&other).await.len(), 31);
}

pub async fn a_unit_about_a_pruned_run_changes_nothing<S: Stores>(stores: &S) {
    let ledger = stores.open();
    let run = done(&ledger, "a", 3).await;
    newest(&ledger).await;
    assert_eq!(whole(&ledger, part()).await.runs, 1);
    let guarded = unit(
        vec![Guard::RunSeq(run, 2)],
        vec![facts(run, 9, vec![began()])],
    );
    let refused = one(&ledger, guarded).await;
    assert_eq!(refused, UnitResult::Refused(Guard::RunSeq(run, 2)));
    let why = invalid(
        &ledger,
        Unit {
            guards: vec![],
            ops: vec![facts(run, 9, vec![began()])],
        },
    )
    .await;
    assert_eq!(
        why,
        "there is no run 1 in this ledger. Nothing was changed."
    );
}
