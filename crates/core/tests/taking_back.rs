//! What of a run is taken back, what is left, and what nobody said anything about.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;
#[path = "world/texts.rs"]
mod texts;

use facts::{ASK, begun_and as after, ends, failure, gave, intends, skipped, undoing, unknown};
use oncely_core::Value;
use oncely_core::decide::{Next, Now, Subject, decide};
use oncely_core::fact::{Fact, Undoing};
use oncely_core::ids::{Fence, StepId};
use oncely_core::people::NOBODY;
use oncely_core::round::Round;
use oncely_core::task::{Task, Work, can_be_looked_up};
use oncely_core::time::Timestamp;
use oncely_core::undo::{UndoPlan, plan, task};
use serde_json::json;
use texts::task as read;

fn put(more: &str) -> Task {
    texts::one(&format!("put = {{ to = \"out/a\", text = \"x\"{more} }}"))
}

fn intent(step: &str, call: Value) -> Fact {
    intends(step, 1, Fence(1), Some(call), ASK)
}

fn done(step: &str, output: Value) -> Fact {
    ends(step, 1, gave(output))
}

fn steps(plan: &UndoPlan) -> Vec<&str> {
    plan.steps.iter().map(StepId::as_str).collect()
}

#[test]
fn a_file_that_was_made_is_removed_and_one_that_was_written_over_is_not() {
    let call = json!({ "to": "out/a", "text": "x" });
    let wrote = |created: bool| {
        let facts = [
            intent("a", call.clone()),
            done("a", json!({ "created": created })),
        ];
        plan(&put(""), &after(&facts))
    };
    let made = wrote(true);
    assert_eq!(steps(&made), ["a"]);
    assert_eq!(made.calls[&"a".into()], call);
    assert!(made.missing.is_empty() && !made.is_empty());

    let over = wrote(false);
    assert!(over.steps.is_empty() && over.calls.is_empty());
    assert_eq!(
        over.missing[&"a".into()],
        "it wrote over a file that was there before, whose content is gone"
    );

    let call = json!({ "to": "out/a", "text": "x", "if_absent": true });
    let facts = [intent("a", call), done("a", json!({ "created": false }))];
    let left_alone = plan(&put(", if_absent = true"), &after(&facts));
    assert!(left_alone.is_empty(), "it did nothing: {left_alone:?}");
}

#[test]
fn what_happened_is_taken_back_the_last_first_and_the_rest_is_told_apart() {
    let all = read(
        "[[step]]\nid = \"a\"\ncommand = [\"x\"]\nundo = { command = [\"y\"] }\n\
         [[step]]\nid = \"b\"\ncommand = [\"x\"]\nundo = \"never\"\n\
         [[step]]\nid = \"c\"\ncommand = [\"x\"]\n\
         [[step]]\nid = \"d\"\nhttp = { url = \"https://x.example/\" }\n\
         [[step]]\nid = \"e\"\ncommand = [\"x\"]\nundo = { command = [\"y\"] }\n\
         [[step]]\nid = \"f\"\ncommand = [\"x\"]\nundo = { command = [\"y\"] }\n",
    );
    let happened = ["a", "b", "c", "d", "e"]
        .into_iter()
        .flat_map(|step| [intent(step, json!({})), done(step, json!({}))]);
    let facts: Vec<_> = happened.collect();
    let found = plan(&all, &after(&facts));
    assert_eq!(steps(&found), ["e", "a"]);
    assert_eq!(found.left[&"b".into()], "undo = \"never\"");
    assert_eq!(found.missing[&"c".into()], "it has no `undo`");
    assert_eq!((found.left.len(), found.missing.len()), (1, 1));
    assert_eq!(found.in_doubt, None);

    let doubt = [&facts[..], &[intent("f", json!({})), unknown("f")]].concat();
    let found = plan(&all, &after(&doubt));
    assert_eq!(found.in_doubt, Some("f".into()));
    assert_eq!(
        steps(&found),
        ["e", "a"],
        "nobody knows whether it happened"
    );
}

#[test]
fn rounds_are_taken_back_whole_once_one_of_them_was_done() {
    let step: StepId = "a".into();
    let all = |undo: &str| {
        read(&format!(
            "[[step]]\nid = \"a\"\ncommand = [\"x\"]\nevery = \"1d\"\ntimes = 3\n{undo}\n\
             [[step]]\nid = \"b\"\ncommand = [\"x\"]\nevery = \"1d\"\ntimes = 3\n"
        ))
    };
    let round = |nth| Round::of(&step, nth).id().to_string();
    let first = [intent(&round(1), json!({})), done(&round(1), json!({}))];
    let with_undo = all("undo = { command = [\"y\"] }");
    let found = plan(&with_undo, &after(&first));
    assert_eq!(steps(&found), ["a"]);
    assert!(found.missing.is_empty() && found.in_doubt.is_none());
    assert_eq!(
        plan(&all("undo = \"never\""), &after(&first)).left[&step],
        "undo = \"never\""
    );
    assert_eq!(
        plan(&all(""), &after(&first)).missing[&step],
        "it has no `undo`"
    );

    let begun = plan(&with_undo, &after(&[intent(&round(1), json!({}))]));
    assert!(begun.steps.is_empty(), "none was done");
    assert_eq!(begun.in_doubt, Some(round(1).as_str().into()));
    let second = [intent(&round(2), json!({})), unknown(&round(2))];
    let found = plan(&with_undo, &after(&[first, second].concat()));
    assert_eq!(found.in_doubt, Some(round(2).as_str().into()));
    let alone = read("[[step]]\nid = \"a\"\ncommand = [\"x\"]\nevery = \"1d\"\ntimes = 3\n");
    let found = plan(&alone, &after(&[intent(&round(1), json!({}))]));
    assert_eq!(found.in_doubt, Some(round(1).as_str().into()), "its own");
    let look = Round::look(&step, 1, 1).id().to_string();
    let found = plan(&with_undo, &after(&[intent(&look, json!({}))]));
    assert_eq!(found.in_doubt, None, "a look does nothing");
    let other = StepId::from("b");
    let other = Round::of(&other, 1).id().to_string();
    let found = plan(&with_undo, &after(&[intent(&other, json!({}))]));
    assert_eq!(found.in_doubt, Some(other.as_str().into()));
}

#[test]
fn a_stream_is_taken_back_whole_once_it_was_begun_however_it_ended() {
    let stream = |undo: &str| {
        read(&format!(
            "[[step]]\nid = \"a\"\nfor_each = \"[1]\"\n{undo}\n\
             do = [{{ command = [\"x\"] }}, {{ sql = {{ text = \"select 1\" }} }}]\n"
        ))
    };
    let failed = ends("a", 1, failure(false, None));
    let begun = [intent("a", json!({})), failed];
    let declared = stream("undo = { command = [\"y\"] }");
    assert_eq!(steps(&plan(&declared, &after(&begun))), ["a"]);
    assert!(plan(&declared, &after(&[skipped("a", "")])).is_empty());
    assert_eq!(
        plan(&stream(""), &after(&begun)).missing[&"a".into()],
        "it has no `undo`"
    );
    let never = read(
        "[[step]]\nid = \"a\"\nfor_each = \"[1]\"\n\
         do = [{ command = [\"x\"], undo = \"never\" }, { sql = { text = \"select 1\" } }]\n",
    );
    assert_eq!(
        plan(&never, &after(&begun)).left[&"a".into()],
        "undo = \"never\""
    );
}

#[test]
fn a_step_that_was_done_in_rounds_is_taken_back_at_once() {
    let base = read(
        "[[step]]\nid = \"a\"\ncommand = [\"x\"]\nevery = \"1d\"\ntimes = 3\n\
         undo = { command = [\"y\"] }\n",
    );
    assert!(base.steps[0].policy.rounds.is_some());
    let undo = task(&base, &undoing(&["a"]));
    assert!(undo.steps[0].policy.rounds.is_none());
}

#[test]
fn the_task_of_an_undo_has_the_inverse_of_each_step_and_nothing_else_of_it() {
    let base = read(
        "[limits]\none_at_a_time = \"event.a\"\n\
         [[step]]\nid = \"a\"\nput = { to = \"out/a\", text = \"x\" }\nwhen = \"event.a\"\nhold = \"1h\"\n\
         [[step]]\nid = \"b\"\ncommand = [\"x\"]\nprobe = { command = { args = [\"z\"], safe = true }, happened = \"output.code == 0\" }\n\
         undo = { command = [\"y\"] }\nretry = { attempts = 7 }\nuntil = \"output.code == 0\"\n",
    );
    assert!(base.steps.iter().all(can_be_looked_up));
    let call = json!({ "to": "out/a", "text": "x" });
    let undoing = Undoing {
        calls: [("a".into(), call)].into(),
        ..undoing(&["b", "a"])
    };
    let undo = task(&base, &undoing);
    let ids: Vec<_> = undo.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["b", "a"]);
    assert!(base.limits.one_at_a_time.is_some() && undo.limits.one_at_a_time.is_none());
    for step in &undo.steps {
        let policy = &step.policy;
        assert!(policy.when.is_none() && policy.until.is_none() && policy.undo.is_none());
        assert!(policy.probe.is_none() && policy.rounds.is_none() && policy.hold_ms.is_none());
        assert!(
            !can_be_looked_up(step),
            "{}: what is looked for is what was done",
            step.id
        );
    }
    assert_eq!(undo.steps[0].policy.retry.attempts, 7);
    assert!(matches!(&undo.steps[1].work, Work::Action(spec) if spec.inverse));
}

#[test]
fn a_step_that_is_not_wanted_is_passed_over_with_the_reason() {
    let wanted = read("[[step]]\nid = \"a\"\ncommand = [\"x\"]\nwhen = \"event.a > 1\"\n");
    let next = |a: i64| {
        let (event, run) = (json!({ "a": a }), json!({}));
        let subject = Subject {
            event: &event,
            run: &run,
            people: &NOBODY,
        };
        let now = Now {
            at: Timestamp(2_000),
            fence: Fence(1),
        };
        decide(&wanted, subject, &after(&[]), now)
    };
    let step: StepId = "a".into();
    let passed_over = skipped("a", "when = \"event.a > 1\" does not hold");
    assert_eq!(next(1), Next::Record(passed_over));
    assert_eq!(next(2), Next::Start { step, attempt: 1 });
}
