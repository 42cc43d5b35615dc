//! Whom a question reaches, and what is said where it reaches nobody.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;
#[path = "world/texts.rs"]
mod texts;

use facts::{NOW, after, begun, requests};
use oncely_core::decide::{Next, Now, Subject, decide};
use oncely_core::fact::{Fact, Request};
use oncely_core::ids::{ContentHash, Fence};
use oncely_core::limits;
use oncely_core::people::{Person, Roster};
use oncely_core::question::Question;
use oncely_core::task::{Bundle, load_all};
use serde_json::json;

fn person(email: Option<&str>, slack: Option<&str>, roles: &[&str]) -> Person {
    Person {
        email: email.map(str::to_owned),
        slack: slack.map(str::to_owned),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Person::default()
    }
}

fn roster(people: &[(&str, Person)]) -> Result<Roster, String> {
    let people = people.iter().map(|(n, p)| ((*n).to_owned(), p.clone()));
    Roster::new(people.collect())
}

fn people() -> Roster {
    roster(&[
        ("ann", person(Some("ann@example.com"), None, &["lead"])),
        (
            "bob",
            person(Some("bob@example.com"), Some("U1"), &["lead"]),
        ),
        ("eve", person(None, None, &[])),
    ])
    .unwrap()
}

fn bundle(approve: &str) -> Bundle {
    texts::called(&format!(
        "[[step]]\nid = \"a\"\napprove = {{ text = \"ok?\", {approve} }}\n"
    ))
}

/// What is asked first, in a run that this person started.
fn asked(approve: &str, starter: &str) -> Question {
    let loaded = load_all(&[bundle(approve)]);
    let started = requests(Request::Start, starter, "");
    let state = after(&[started, begun()]);
    let (event, run, people) = (json!({}), json!({}), people());
    let subject = Subject {
        event: &event,
        run: &run,
        people: &people,
    };
    let now = Now {
        at: NOW,
        fence: Fence(1),
    };
    match decide(&loaded.tasks[0], subject, &state, now) {
        Next::Record(Fact::Asked { question, .. }) => question,
        other => panic!("{other:?}"),
    }
}

fn told(approve: &str, starter: &str) -> Vec<String> {
    let tell = asked(approve, starter).tell;
    tell.iter()
        .map(|told| format!("{} by {}", told.person, told.via.name()))
        .collect()
}

#[test]
fn all_who_may_answer_and_have_an_address_are_told() {
    let both = "tell = [\"email\", \"slack\"]";
    assert_eq!(
        told(&format!("by = \"lead\", {both}"), "eve"),
        ["ann by email", "bob by email", "bob by slack"]
    );
    assert_eq!(
        told(&format!("by = [\"bob\", \"eve\"], {both}"), "ann"),
        ["bob by email", "bob by slack"]
    );
    assert!(
        told("by = \"lead\"", "eve").is_empty(),
        "nobody is to be told"
    );
}

#[test]
fn who_may_not_answer_is_not_told() {
    let not = "by = \"lead\", tell = \"email\", not_by = \"starter\"";
    assert_eq!(told(not, "ann"), ["bob by email"]);
    assert_eq!(told(not, "eve"), ["ann by email", "bob by email"]);
    let may = "by = \"lead\", tell = \"email\"";
    assert_eq!(told(may, "ann"), ["ann by email", "bob by email"]);
}

#[test]
fn a_question_says_until_when_and_how_often() {
    let question = asked(
        "by = \"lead\", tell = \"email\", expires = \"4h\", remind = \"1h\", reminders = 2",
        "eve",
    );
    assert_eq!(question.expires, Some(NOW.plus_millis(4 * 3_600_000)));
    let remind = question.remind.unwrap();
    assert_eq!((remind.every_ms, remind.times), (3_600_000, 2));
    let plain = asked("by = \"lead\"", "eve");
    assert_eq!((plain.expires, plain.remind), (None, None));
}

/// What is said about those whom a task names, among these people.
fn said(approve: &str, roster: &Roster) -> String {
    let bundle = bundle(approve);
    let loaded = load_all(std::slice::from_ref(&bundle));
    assert!(loaded.diagnostics.is_empty());
    let found = loaded.answerers.iter();
    let lines: Vec<_> = found
        .filter_map(|who| who.check(roster, &bundle.text))
        .map(|diagnostic| diagnostic.to_string())
        .collect();
    lines.join("\n")
}

#[test]
fn who_cannot_be_asked_is_said_and_who_could_be_meant() {
    let people = people();
    assert_eq!(said("by = [\"lead\", \"eve\"]", &people), "");
    assert_eq!(said("by = \"lead\", tell = \"email\"", &people), "");
    insta::assert_snapshot!(said("by = \"leed\"", &people), @"tasks/t.toml:4:32: `by` names nobody: there is no `leed` in [people] (did you mean `lead`?)");
    insta::assert_snapshot!(said("by = [\"lead\", \"eve\"], tell = [\"email\", \"slack\"]", &people), @r"
tasks/t.toml:4:33: `tell` does not reach ann, who has no `slack` in [people] (say the `slack` of ann in oncely.toml)
tasks/t.toml:4:41: `tell` does not reach eve, who has no `email` in [people] (say the `email` of eve in oncely.toml)
");
    let nobody = roster(&[]).unwrap();
    insta::assert_snapshot!(said("by = \"lead\"", &nobody), @r#"tasks/t.toml:4:32: `by` names nobody: there is no `lead` in [people] (say in oncely.toml who there is: [people] with anna = { roles = ["lead"] })"#);
}

#[test]
fn an_address_is_one_that_a_message_can_go_to() {
    let email = |address: &str| roster(&[("ann", person(Some(address), None, &[]))]);
    for good in ["ann@example.com", "ä@example.com"] {
        assert!(email(good).is_ok(), "{good}");
    }
    let longest = format!("{}@x", "a".repeat(limits::NAME_BYTES - 2));
    assert!(email(&longest).is_ok());
    for bad in [
        "",
        "ann",
        "ann @example.com",
        "ann@example.com\n",
        &format!("a{longest}"),
    ] {
        assert!(email(bad).is_err(), "{bad:?}");
    }
    let slack = |address: &str| roster(&[("ann", person(None, Some(address), &[]))]);
    assert!(slack("U1").is_ok(), "an id of Slack has no @");
    assert!(slack("U 1").is_err());
}

#[test]
fn a_person_is_found_by_name_and_by_no_other() {
    let people = people();
    assert_eq!(people.get("bob").unwrap().slack.as_deref(), Some("U1"));
    assert_eq!(people.get("lead"), None, "that is a role");
    assert_eq!(people.get("mallory"), None);
}

#[test]
fn an_answer_is_bound_to_the_text_and_to_each_tick() {
    let ticks = |ticks: &[&str]| -> Vec<String> { ticks.iter().map(|t| (*t).to_owned()).collect() };
    let hash = |text: &str, tick: &[&str]| Question::hash_of(text, &ticks(tick));
    assert_eq!(hash("ok?", &[]), ContentHash::of(b"ok?"));
    assert_eq!(hash("ok?", &["a", "b"]), hash("ok?", &["a", "b"]));
    let all = [
        hash("ok?", &[]),
        hash("OK?", &[]),
        hash("ok?", &["a"]),
        hash("ok?", &["a", "b"]),
        hash("ok?", &["b", "a"]),
        hash("ok?", &["ab"]),
    ];
    for (n, one) in all.iter().enumerate() {
        assert!(!all[..n].contains(one), "{n}");
    }
}
