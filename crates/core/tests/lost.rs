//! What goes on by itself after the end of the ledger was lost, and what is held for a person.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;
#[path = "world/texts.rs"]
mod texts;

use facts::{ASK, NOW, begun_and as after, intent, requested, skipped, undoing};
use oncely_core::fact::{Fact, Repeat, Request};
use oncely_core::lost::{Span, Unrecorded, unrecorded, why_hold};
use oncely_core::round::Round;
use oncely_core::task::{Task, Work};
use oncely_core::time::Timestamp;
use texts::{one, task};

const SINCE: Timestamp = NOW;
const URL: &str = "url = \"https://x.example/\"";

/// All that is recorded of a step that was done.
fn done(step: &str) -> [Fact; 2] {
    [intent(step, 1, ASK), facts::done(step)]
}

/// So long after it may have been done.
fn span(gone: i64) -> Span {
    Span {
        since: SINCE,
        at: SINCE.plus_millis(gone),
    }
}

/// Why a run is held in which nothing has happened yet, so long after.
fn held(task: &Task, repeat: Repeat, gone: i64) -> Option<String> {
    why_hold(task, &after(&[]), span(gone), &|_, _| repeat)
}

/// What becomes of the only step of a task.
fn becomes(step: &str, repeat: Repeat) -> Unrecorded {
    unrecorded(&one(step).steps[0], &after(&[]), repeat, span(5))
}

fn for_a_person(step: &str, repeat: Repeat) -> String {
    match becomes(step, repeat) {
        Unrecorded::Person(why) => why,
        other => panic!("{step}: {other:?}"),
    }
}

#[test]
fn what_looks_or_finds_its_mark_or_asks_a_person_is_done_again() {
    for step in [
        "sql = { text = \"delete from t\" }",
        "predict = { model = \"m\", record = {} }",
        "call = { task = \"other\" }",
        "approve = \"Go?\"",
        "require = \"event.a\"",
        "for_each = \"[1]\"\ndo = [{ sql = { text = \"delete from t\" } }]",
    ] {
        let again = becomes(step, Repeat::AskFirst);
        assert_eq!(again, Unrecorded::Again, "{step}");
    }
    for method in [
        "",
        ", method = \"GET\"",
        ", method = \"HEAD\"",
        ", method = \"OPTIONS\"",
    ] {
        let step = format!("http = {{ {URL}{method} }}");
        assert_eq!(becomes(&step, Repeat::Safe), Unrecorded::Again, "{step}");
    }
}

#[test]
fn what_would_be_harmless_twice_in_a_row_is_for_a_person_later() {
    for step in [
        &format!("http = {{ {URL}, method = \"PUT\", json = {{}} }}"),
        &format!("http = {{ {URL}, method = \"DELETE\" }}"),
        "command = { args = [\"x\"], safe = true }",
        "put = { to = \"out/a\", text = \"x\" }",
    ] {
        assert_eq!(
            for_a_person(step, Repeat::Safe),
            "step `a` may have been done; once more, it could undo what was done after it",
            "{step}"
        );
    }
}

#[test]
fn what_nobody_can_tell_is_for_a_person() {
    for step in [
        "command = [\"x\"]",
        "command = [\"x\"]\non_unknown = \"skip\"",
        &format!("http = {{ {URL}, json = {{}} }}"),
        "put = { to = \"out/a\", text = \"x\" }",
    ] {
        assert_eq!(
            for_a_person(step, Repeat::AskFirst),
            "step `a` may have been done, and there is nobody to ask",
            "{step}"
        );
    }
    let items =
        "for_each = \"[1]\"\ndo = [{ sql = { text = \"delete from t\" } }, { command = [\"x\"] }]";
    assert_eq!(
        for_a_person(items, Repeat::Safe),
        "items of step `a` may have been done, and nobody knows which"
    );
    let rounds = "command = [\"x\"]\nevery = \"1d\"\ntimes = 3\non_unknown = \"repeat\"";
    let nobody_knows = "is done in rounds, and nobody knows which were done";
    assert_eq!(
        for_a_person(rounds, Repeat::AskFirst),
        format!("step `a` {nobody_knows}")
    );
    let whole = &one(rounds).steps[0];
    let round = whole.round(&Round::of(&whole.id, 2)).unwrap();
    assert_eq!(
        unrecorded(&round, &after(&[]), Repeat::AskFirst, span(5)),
        Unrecorded::Person(format!("step `a`, round 2 {nobody_knows}"))
    );
}

#[test]
fn what_takes_back_by_itself_finds_no_mark() {
    for step in [
        "sql = { text = \"delete from t\" }",
        "for_each = \"[1]\"\ndo = [{ sql = { text = \"delete from t\" } }]",
    ] {
        let mut task = one(step);
        let spec = match &mut task.steps[0].work {
            Work::Action(spec) => spec,
            Work::Each(each) => match &mut each.steps[0].work {
                Work::Action(spec) => spec,
                Work::Each(_) => panic!("an action"),
            },
        };
        spec.inverse = true;
        let becomes = unrecorded(&task.steps[0], &after(&[]), Repeat::AskFirst, span(5));
        assert!(matches!(becomes, Unrecorded::Person(_)), "{becomes:?}");
    }
}

#[test]
fn who_has_a_probe_or_a_rule_for_it_is_asked_first() {
    let probe = "command = [\"x\"]\nprobe = { command = { args = [\"z\"], safe = true }, happened = \"output.code == 0\" }";
    for step in [probe, "command = [\"x\"]\non_unknown = \"repeat\""] {
        let settled = becomes(step, Repeat::AskFirst);
        assert_eq!(settled, Unrecorded::Settled, "{step}");
        assert_eq!(held(&one(step), Repeat::AskFirst, 5), None, "{step}");
    }
}

#[test]
fn a_key_helps_as_long_as_it_is_recognised() {
    let mail = one("command = [\"x\"]");
    let key = Repeat::WithKey { window_ms: 60_000 };
    assert_eq!(held(&mail, key, 59_999), None);
    assert_eq!(
        held(&mail, key, 60_000).unwrap(),
        "step `a` may have been done so long ago that its key is not recognised any more"
    );
}

#[test]
fn a_branch_that_may_have_been_another_is_for_a_person() {
    let state = after(&done("first"));
    let becomes = |when: &str| {
        let task = task(&format!(
            "[[step]]\nid = \"first\"\ncommand = [\"x\"]\n\
             [[step]]\nid = \"second\"\ncommand = [\"x\"]\n\
             [[step]]\nid = \"a\"\nwhen = \"{when}\"\nsql = {{ text = \"delete from t\" }}\n"
        ));
        unrecorded(&task.steps[2], &state, Repeat::AskFirst, span(5))
    };
    for known in [
        "event.a",
        "event.a == 1 and run.id > 2",
        "steps.first.code == 0",
    ] {
        assert_eq!(becomes(known), Unrecorded::Again, "{known}");
    }
    for (when, name) in [
        ("steps.second.code == 0", "steps.second.code"),
        ("steps.first.code == 0 and now > 5", "now"),
    ] {
        assert_eq!(
            becomes(when),
            Unrecorded::Person(format!(
                "whether step `a` is to be done depends on `{name}`, which may have been another"
            ))
        );
    }
}

#[test]
fn a_run_is_held_for_the_first_step_that_is_left_of_it_and_for_none_that_is_behind_it() {
    let task = task(
        "[[step]]\nid = \"a\"\ncommand = [\"x\"]\n[[step]]\nid = \"b\"\ncommand = [\"x\"]\n\
         [[step]]\nid = \"c\"\nsql = { text = \"delete from t\" }\n",
    );
    let skipped = skipped("b", "");
    let why = |facts: &[Fact]| why_hold(&task, &after(facts), span(5), &|_, _| Repeat::AskFirst);
    let nobody = |step| {
        Some(format!(
            "step `{step}` may have been done, and there is nobody to ask"
        ))
    };
    assert_eq!(why(&[]), nobody("a"));
    assert_eq!(why(&done("a")), nobody("b"));
    assert_eq!(why(&[&done("a")[..], &[skipped]].concat()), None);
    let cancelled = requested(Request::Cancel);
    assert_eq!(why(&[cancelled]), None, "it only ends");
}

#[test]
fn a_run_that_takes_another_one_back_is_held() {
    let state = facts::after(&[Fact::Undoes(undoing(&["a"]))]);
    let task = one("sql = { text = \"delete from t\" }");
    let why = why_hold(&task, &state, span(5), &|_, _| Repeat::Safe);
    assert_eq!(why.unwrap(), "it takes run 7 back");
}
