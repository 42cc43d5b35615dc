//! What stands beside a step, and what an attempt of it, a round of it or a look keeps of that.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::fact::OnUnknown;
use oncely_core::round::Round;
use oncely_core::task::fields::outputs_of;
use oncely_core::task::{ActionKind, Pace, Rate, Step, Work, can_be_looked_up};

fn step(step: &str) -> Step {
    let task = texts::task(&format!("[[step]]\n{step}\n"));
    task.steps.into_iter().next().unwrap()
}

fn kind(step: &Step) -> ActionKind {
    match &step.work {
        Work::Action(spec) => spec.kind,
        Work::Each(_) => panic!("a for_each step"),
    }
}

#[test]
fn a_round_is_tried_like_the_step_and_is_no_rounds_itself() {
    let whole = step(
        "id = \"a\"\ncommand = \"x\"\nevery = \"1d\"\ntimes = 3\nwhen = \"event.b\"\nhold = \"1h\"\n\
         until = \"check.status == 200\"\ncheck = { http = { url = \"https://x.example/\" } }\n\
         retry = { attempts = 7 }\ntimeout = \"5s\"\non_unknown = \"skip\"\n\
         undo = { command = \"y\" }\n\
         probe = { command = { shell = \"z\", safe = true }, happened = \"output.code == 0\" }",
    );
    let round = whole.round(&Round::of(&whole.id, 2)).unwrap();
    assert_eq!(
        (round.id.as_str(), kind(&round)),
        ("a#2", ActionKind::Command)
    );
    let policy = &round.policy;
    assert!(policy.when.is_none() && policy.until.is_none() && policy.rounds.is_none());
    assert!(policy.hold_ms.is_none() && policy.undo.is_none() && policy.probe.is_some());
    assert_eq!((policy.retry.attempts, policy.timeout_ms), (7, Some(5000)));
    assert_eq!(policy.on_unknown, OnUnknown::Skip);

    let look = whole.round(&Round::look(&whole.id, 2, 1)).unwrap();
    assert_eq!(
        (look.id.as_str(), kind(&look)),
        ("a#2.check1", ActionKind::Http)
    );
    let policy = &look.policy;
    assert!(policy.when.is_none() && policy.rounds.is_none() && policy.undo.is_none());
    assert!(policy.probe.is_none(), "a look is not looked up");
    assert_eq!(
        policy.on_unknown,
        OnUnknown::Repeat,
        "to look twice does no harm"
    );
    assert_eq!(policy.retry.attempts, 7);
}

#[test]
fn later_steps_read_what_the_rounds_came_to_and_not_what_one_gave() {
    let names = |step: &Step| {
        let names: Vec<_> = outputs_of(step).iter().map(|field| field.name).collect();
        names.join(" ")
    };
    let once = step("command = \"x\"");
    assert_eq!(names(&once), "code stdout stderr json millis");
    let rounds = step("command = \"x\"\nevery = \"1d\"\ntimes = 3");
    assert_eq!(names(&rounds), "rounds held output check");
    let each = step("for_each = \"[1]\"\ndo = [{ command = [\"x\"] }]");
    assert_eq!(names(&each), "done set_aside total");
}

#[test]
fn there_are_no_rounds_and_no_looks_where_none_are_wanted() {
    let once = step("command = \"x\"");
    assert!(once.round(&Round::of(&once.id, 1)).is_none());
    let rounds = step("command = \"x\"\nevery = \"1d\"\ntimes = 3");
    assert!(rounds.round(&Round::of(&rounds.id, 1)).is_some());
    assert!(rounds.round(&Round::look(&rounds.id, 1, 1)).is_none());
}

#[test]
fn attempts_are_looked_up_by_a_probe_or_by_what_marks_its_effects() {
    let probe = "\nprobe = { http = { url = \"https://x.example/\" }, happened = \"output.status == 200\" }";
    for (text, can) in [
        ("command = \"x\"".to_owned(), false),
        (format!("command = \"x\"{probe}"), true),
        (
            "http = { url = \"https://x.example/\", json = {} }".to_owned(),
            false,
        ),
        (
            "sql = { db = \"shop\", text = \"delete from t\" }".to_owned(),
            true,
        ),
        ("put = { to = \"out/a\", text = \"\" }".to_owned(), true),
        (
            "for_each = \"[1]\"\ndo = [{ put = { to = \"out/a\", text = \"\" } }]".to_owned(),
            false,
        ),
    ] {
        assert_eq!(can_be_looked_up(&step(&text)), can, "{text}");
    }
}

#[test]
fn what_is_not_known_is_asked_unless_the_step_says_otherwise() {
    let policy = |more: &str| step(&format!("command = \"x\"{more}")).policy.on_unknown;
    assert_eq!(policy(""), OnUnknown::Ask);
    assert_eq!(policy("\non_unknown = \"ask\""), OnUnknown::Ask);
    assert_eq!(policy("\non_unknown = \"repeat\""), OnUnknown::Repeat);
    assert_eq!(policy("\non_unknown = \"skip\""), OnUnknown::Skip);
}

#[test]
fn a_pace_is_given_by_any_of_its_parts() {
    let pace = |more: &str| {
        let each = format!("for_each = \"[1]\"\ndo = [{{ command = [\"x\"] }}]\n{more}");
        match step(&each).work {
            Work::Each(each) => each.pace,
            Work::Action(_) => panic!("no for_each"),
        }
    };
    assert!(!pace("").is_given() && !Pace::default().is_given());
    for more in [
        "rate = \"5/s\"",
        "batch = 5",
        "while = { http = { url = \"https://x.example/\" } }",
    ] {
        assert!(pace(more).is_given(), "{more}");
    }
    let hour = Rate::parse("7200/h").unwrap();
    assert_eq!(
        (hour.millis(0), hour.millis(1), hour.millis(7200)),
        (0, 500, 3_600_000)
    );
    assert_eq!(pace("rate = \"30/s\"").batch(1000), 30);
    assert_eq!(pace("rate = \"30/s\"\nbatch = 7").batch(1000), 7);
}
