//! Conditions and rounds: when they are judged, when again, and when it is over.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/scene.rs"]
mod scene;

use oncely_core::decide::Next;
use oncely_core::fact::{End, Fact, Outcome, Repeat, Request};
use scene::facts::{gave, rounds_over};
use scene::{Run, START};
use serde_json::json;

/// What is recorded of a condition that does not hold: what is said, and when it is judged again.
fn judged(run: &Run) -> (String, Option<i64>) {
    match run.next() {
        Next::Record(Fact::Judged {
            held: false,
            message,
            again_at,
            ..
        }) => (message, again_at.map(|at| at.millis_since(START))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_condition_holds_or_says_why_not() {
    let held = Run::of("require = \"event.paid\"");
    let fact = Fact::Judged {
        step: "a".into(),
        held: true,
        message: String::new(),
        again_at: None,
    };
    assert_eq!(held.next(), Next::Record(fact));
    let why = "\"event.flag\" does not hold".to_owned();
    assert_eq!(
        judged(&Run::of("require = \"event.flag\"")),
        (why.clone(), None)
    );
    let said = Run::of("require = { that = \"event.flag\", message = \"not paid\" }");
    assert_eq!(judged(&said), ("not paid".into(), None));
    let end = Run::of("require = { that = \"event.flag\", else = \"end\" }");
    let reason = format!("step `a`: {why}");
    assert_eq!(end.is_over(), (End::Skipped, reason));
}

#[test]
fn a_condition_is_judged_again_in_its_time_up_to_its_bound() {
    let retry = |more: &str| {
        Run::of(&format!(
            "require = {{ that = \"event.flag\", else = \"retry\"{more} }}"
        ))
    };
    assert_eq!(judged(&retry("")).1, Some(30_000));
    assert_eq!(
        judged(&retry(", every = \"10s\", for = \"10s\"")).1,
        Some(10_000)
    );
    assert_eq!(judged(&retry(", every = \"11s\", for = \"10s\"")).1, None);

    let run = retry(", every = \"10s\", for = \"25s\"");
    let Next::Record(fact) = run.next() else {
        panic!("{:?}", run.next());
    };
    let run = run.and(fact);
    let why = "step `a` waits for its condition".to_owned();
    assert_eq!(run.waits(), (Some(10_000), why));
    let run = run.later(10_000);
    assert_eq!(
        judged(&run).1,
        Some(20_000),
        "of 25 seconds since the first time"
    );
    let run = run.later(10_000);
    assert_eq!(judged(&run).1, None);
    let hour = retry(", every = \"61m\"");
    assert_eq!(judged(&hour).1, None, "an hour, where nothing is said");
}

fn done() -> Outcome {
    gave(json!({ "code": 0 }))
}

#[test]
fn a_round_is_done_before_its_condition_is_judged() {
    let run = Run::of("command = [\"x\"]\nevery = \"1d\"\ntimes = 3\nuntil = \"event.paid\"");
    let run = run
        .begins("a#1", 1, Repeat::AskFirst)
        .ends("a#1", 1, done());
    let over = rounds_over(1, true);
    assert_eq!(run.next(), Next::Record(over));
}

#[test]
fn rounds_go_on_as_long_as_they_may_and_not_longer() {
    let day = 24 * 3_600_000;
    let one = |bound: &str| {
        let run = Run::of(&format!("command = [\"x\"]\nevery = \"1d\"\n{bound}"));
        run.begins("a#1", 1, Repeat::AskFirst)
            .ends("a#1", 1, done())
    };
    let why = "step `a` waits for round 2".to_owned();
    for bound in ["for = \"1d\"", "for = \"30h\"", "times = 2"] {
        assert_eq!(one(bound).waits(), (Some(day), why.clone()), "{bound}");
        one(bound).later(day).begins("a#2", 1, Repeat::AskFirst);
    }
    for bound in ["for = \"23h\"", "times = 1"] {
        let over = rounds_over(1, false);
        assert_eq!(one(bound).next(), Next::Record(over), "{bound}");
    }
}

#[test]
fn between_two_rounds_it_is_paused_passed_over_or_ended_like_every_step() {
    let between = || {
        let run = Run::of("command = [\"x\"]\nevery = \"1d\"\ntimes = 3");
        run.begins("a#1", 1, Repeat::AskFirst)
            .ends("a#1", 1, done())
    };
    assert!(between().asked(Request::Pause).is_paused());
    assert!(between().skip().is_skipped());
    assert_eq!(between().asked(Request::Cancel).is_over().0, End::Cancelled);
}

#[test]
fn what_was_looked_at_is_good_for_five_minutes() {
    let run = || {
        let run = Run::of(
            "command = [\"x\"]\nevery = \"1d\"\ntimes = 3\nuntil = \"check.code == 1\"\n\
             check = { command = { args = [\"look\"], safe = true } }",
        );
        run.begins("a#1.check1", 1, Repeat::Safe)
            .ends("a#1.check1", 1, done())
    };
    run().later(299_999).begins("a#1", 1, Repeat::AskFirst);
    run().later(300_000).begins("a#1.check2", 1, Repeat::Safe);
}

const LOOKS: &str = "command = [\"x\"]\nevery = \"1d\"\ntimes = 3\n\
                     check = { command = { args = [\"look\"], safe = true } }";

#[test]
fn who_resumes_has_it_looked_at_anew() {
    let looked = Run::of(&format!("{LOOKS}\nuntil = \"check.code == 1\""))
        .begins("a#1.check1", 1, Repeat::Safe)
        .ends("a#1.check1", 1, done());
    let resumed = looked.asked(Request::Pause).asked(Request::Resume);
    resumed.begins("a#1.check2", 1, Repeat::Safe);
}

#[test]
fn after_a_look_the_condition_reads_which_round_would_come() {
    let first = Run::of(&format!("{LOOKS}\nuntil = \"round == 2\""))
        .begins("a#1.check1", 1, Repeat::Safe)
        .ends("a#1.check1", 1, done())
        .begins("a#1", 1, Repeat::AskFirst)
        .ends("a#1", 1, done());
    let looked = first
        .later(24 * 3_600_000)
        .begins("a#2.check1", 1, Repeat::Safe)
        .ends("a#2.check1", 1, done());
    let over = rounds_over(1, true);
    assert_eq!(looked.next(), Next::Record(over));
}

#[test]
fn a_round_reads_what_was_looked_at_and_a_look_does_not() {
    let run = Run::of(&format!("{LOOKS}\nuntil = \"check.code == 1\""))
        .begins("a#1.check1", 1, Repeat::Safe)
        .ends("a#1.check1", 1, done());
    let read = |step: &str, name: &str| run.read(step, name);
    assert_eq!(read("a#1", "check.code"), Some(json!(0)));
    assert_eq!(read("a#1", "round"), Some(json!(1)));
    assert_eq!(read("a#2.check1", "check.code"), None);
    assert_eq!(read("a#2.check1", "round"), Some(json!(2)));
    assert_eq!(read("a", "round"), None);
    assert_eq!(read("a", "event.paid"), Some(json!(true)));
}
