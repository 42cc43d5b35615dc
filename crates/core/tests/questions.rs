//! What a task file may say about asking people, and the words for what it may not.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::people::{Person, Roster};
use oncely_core::question::Via;
use oncely_core::task::{Answerer, Bundle, Work, load, load_all};
use serde_json::{Value, json};

fn bundle(options: &str) -> Bundle {
    texts::called(&format!(
        "[[step]]\n[step.approve]\ntext = \"Send it?\"\n{options}\n"
    ))
}

/// What is wrong with these options of a question; nothing where they are read.
fn told(options: &str) -> String {
    texts::words(&load(&bundle(options)).err().unwrap_or_default())
}

/// The options of a question, as it is asked.
fn asked(options: &str) -> Value {
    let task = load(&bundle(options)).unwrap();
    let Work::Action(spec) = &task.steps[0].work else {
        panic!("no action")
    };
    spec.fixed.clone()
}

#[test]
fn who_is_told_and_how_often_needs_somebody_who_may_answer() {
    assert_eq!(
        told("tell = \"email\""),
        "tasks/t.toml:5:1: `tell` needs `by`"
    );
    assert_eq!(
        told("by = \"anna\"\nremind = \"1h\""),
        "tasks/t.toml:6:1: `remind` needs `tell`"
    );
    assert_eq!(
        told("by = \"anna\"\ntell = \"email\"\nreminders = 3"),
        "tasks/t.toml:7:1: `reminders` needs `remind`"
    );
    assert_eq!(told("by = \"anna\""), "");
    assert_eq!(told("by = \"anna\"\ntell = \"slack\""), "");
    let often = |remind: &str| {
        told(&format!(
            "by = \"anna\"\ntell = \"email\"\nremind = {remind}\nreminders = 20"
        ))
    };
    assert_eq!(often("\"1m\""), "", "a minute is not too often");
    assert_eq!(
        often("\"59s\""),
        "tasks/t.toml:7:10: `remind` is at least a minute"
    );
    assert_eq!(
        told("by = \"anna\"\ntell = \"email\"\nremind = \"1h\"\nreminders = 21"),
        "tasks/t.toml:8:13: `reminders` takes an integer from 1 to 20"
    );
}

#[test]
fn people_tick_one_to_twenty_things_each_once() {
    let ticks = |things: &[String]| told(&format!("tick = {things:?}"));
    let things = |count: usize| (0..count).map(|n| format!("thing {n}")).collect::<Vec<_>>();
    assert_eq!(ticks(&things(1)), "");
    assert_eq!(ticks(&things(20)), "");
    for count in [0, 21] {
        assert_eq!(
            ticks(&things(count)),
            "tasks/t.toml:5:8: `tick` has 1 to 20 things",
            "{count} of them"
        );
    }
    assert_eq!(
        told("tick = [\"a\", \"b\", \"a\"]"),
        "tasks/t.toml:5:19: this is to be ticked twice"
    );
}

#[test]
fn people_and_ways_are_one_or_a_list_of_them_each_once() {
    assert_eq!(
        asked("by = \"anna\"\ntell = [\"slack\", \"email\"]\nnot_by = \"starter\""),
        json!({
            "text": "Send it?", "by": ["anna"], "tell": ["slack", "email"], "not_by": "starter",
        })
    );
    assert_eq!(
        asked("by = [\"lead\", \"bo@x\"]")["by"],
        json!(["lead", "bo@x"])
    );
    assert_eq!(told("by = []"), "tasks/t.toml:5:6: `by` names none");
    assert_eq!(
        told("by = [\"anna\", \"bo\", \"anna\"]"),
        "tasks/t.toml:5:21: `by` names `anna` twice"
    );
    assert_eq!(
        told("by = \"anna\"\ntell = [\"email\", \"email\"]"),
        "tasks/t.toml:6:18: `tell` names `email` twice"
    );
    assert_eq!(
        told("by = \"anna\"\ntell = \"e-mail\""),
        "tasks/t.toml:6:8: `tell` takes \"email\" or \"slack\" (did you mean \"email\"?)"
    );
    assert_eq!(
        told("by = [\"{{ event.boss }}\", 3]"),
        "tasks/t.toml:5:7: \"{{ event.boss }}\" cannot be the name of a person or a role: letters, \
         digits, `_`, `-`, `.` and `@`, at most 200 bytes\n\
         tasks/t.toml:5:27: `by` takes a text"
    );
}

fn person(email: Option<&str>, roles: &[&str]) -> Person {
    Person {
        email: email.map(str::to_owned),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Person::default()
    }
}

fn roster() -> Roster {
    let people = [
        ("anna", person(Some("anna@example.com"), &["lead"])),
        ("bo", person(None, &["lead"])),
    ];
    let people = people.map(|(name, person)| (name.to_owned(), person));
    Roster::new(people.into()).unwrap()
}

/// What is wrong with whom a question is for, among these people.
fn unknown(options: &str, roster: &Roster) -> String {
    let bundle = bundle(options);
    let loaded = load_all(std::slice::from_ref(&bundle));
    assert_eq!(loaded.tasks.len(), 1, "{:?}", loaded.diagnostics);
    let found = loaded.answerers.iter();
    let lines: Vec<_> = found
        .filter_map(|answerer| answerer.check(roster, &bundle.text))
        .map(|problem| format!("{problem}\n{}", &bundle.text[problem.span.clone()]))
        .collect();
    lines.join("\n")
}

#[test]
fn whom_a_question_is_for_stands_in_what_was_read() {
    let loaded = load_all(&[bundle(
        "by = [\"anna\", \"lead\"]\ntell = [\"email\", \"slack\"]",
    )]);
    let who: Vec<_> = loaded
        .answerers
        .iter()
        .map(
            |Answerer {
                 path, name, tell, ..
             }| (path.as_str(), name.as_str(), tell.as_slice()),
        )
        .collect();
    let tell = [Via::Email, Via::Slack];
    assert_eq!(
        who,
        [
            ("tasks/t.toml", "anna", &tell[..]),
            ("tasks/t.toml", "lead", &tell[..])
        ]
    );
    assert!(load_all(&[bundle("")]).answerers.is_empty());
}

#[test]
fn a_question_for_nobody_is_told_where_the_name_stands() {
    assert_eq!(unknown("by = [\"anna\", \"lead\"]", &roster()), "");
    assert_eq!(
        unknown("by = [\"anna\", \"leda\"]", &roster()),
        "tasks/t.toml:5:15: `by` names nobody: there is no `leda` in [people] \
         (did you mean `lead`?)\n\"leda\""
    );
    assert_eq!(
        unknown("by = \"sales\"", &roster()),
        "tasks/t.toml:5:6: `by` names nobody: there is no `sales` in [people] \
         (people and roles: `anna`, `bo`, `lead`)\n\"sales\""
    );
    assert_eq!(
        unknown("by = \"anna\"", &Roster::default()),
        "tasks/t.toml:5:6: `by` names nobody: there is no `anna` in [people] (say in oncely.toml \
         who there is: [people] with anna = { roles = [\"lead\"] })\n\"anna\""
    );
}

#[test]
fn who_cannot_be_told_is_named() {
    assert_eq!(unknown("by = \"anna\"\ntell = \"email\"", &roster()), "");
    assert_eq!(
        unknown("by = \"lead\"\ntell = \"email\"", &roster()),
        "tasks/t.toml:5:6: `tell` does not reach bo, who has no `email` in [people] \
         (say the `email` of bo in oncely.toml)\n\"lead\""
    );
    assert_eq!(
        unknown("by = \"anna\"\ntell = [\"email\", \"slack\"]", &roster()),
        "tasks/t.toml:5:6: `tell` does not reach anna, who has no `slack` in [people] \
         (say the `slack` of anna in oncely.toml)\n\"anna\""
    );
}
