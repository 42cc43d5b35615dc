//! Questions to people who are not there: reminders, and answers by a link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::link::LinkKey;
use oncely_core::people::{Person, Roster};
use oncely_core::question::Identity;
use oncely_core::task::ActionKind;
use oncely_core::time::Clock as _;
use oncely_engine::{Became, LinkError, Wanted};
use std::collections::BTreeMap;
use std::sync::Arc;

promises! {
    reminders_come_at_their_times_and_come_to_an_end,
    reminders_that_nobody_was_there_to_send_come_as_one,
    nobody_is_reminded_of_what_is_answered,
    a_link_answers_its_question_once_in_the_name_of_its_person,
    a_link_that_was_altered_opens_nothing,
    a_link_opens_nothing_when_its_time_is_over,
    a_link_is_made_only_for_who_may_answer_and_opens_only_while_they_may,
}

const HOUR: i64 = 3_600_000;

fn key() -> LinkKey {
    LinkKey::of("the secret of this test, long enough").unwrap()
}

fn people(names: &[&str]) -> Arc<Roster> {
    let lead = Person {
        email: None,
        roles: vec!["lead".into()],
        ..Person::default()
    };
    let all: BTreeMap<String, Person> = names
        .iter()
        .map(|name| {
            let email = Some(format!("{name}@example.com"));
            (
                name.to_string(),
                Person {
                    email,
                    ..lead.clone()
                },
            )
        })
        .collect();
    Arc::new(Roster::new(all).unwrap())
}

/// A process that knows these people, a task that asks, and what tells them.
fn asking(stage: &Stage, names: &[&str], approve: &str) -> (Process, Arc<Fake>) {
    let tell = Fake::new(Repeat::AskFirst);
    let mut kit = Kit::default();
    kit.others.insert(ActionKind::Approve, tell.clone());
    let text = format!(
        "[[step]]\nid='ok'\napprove={{ text='Send?', by='lead', {approve} }}\n[[step]]\nid='a'\ncommand=['x','y']"
    );
    let config = EngineConfig {
        people: people(names),
        ..stage.config()
    };
    let process = stage.process_with(&[task(&text)], &kit, config);
    (process, tell)
}

fn told(tell: &Fake) -> Vec<String> {
    let calls = tell.calls.lock().unwrap();
    let one = |call: &oncely_core::action::Call| {
        let (to, nth) = (&call.options["to"], &call.options["nth"]);
        format!("{} {nth}", to.as_str().unwrap())
    };
    calls.iter().map(one).collect()
}

async fn waits_until(process: &Process, run: RunId) -> Option<i64> {
    match process.drive(run).await {
        Rest::Waiting { until, .. } => until.map(|at| at.0),
        rest => panic!("it does not wait: {rest:?}"),
    }
}

async fn reminders_come_at_their_times_and_come_to_an_end(stage: Stage) {
    let (process, tell) = asking(&stage, &["anna"], "tell='email', remind='1h', reminders=2");
    let run = process.admit("k").await;
    let asked = stage.clock.now().0;
    assert_eq!(waits_until(&process, run).await, Some(asked + HOUR));
    assert_eq!(told(&tell), ["anna 0"]);
    stage.clock.advance(HOUR);
    assert_eq!(waits_until(&process, run).await, Some(asked + 2 * HOUR));
    stage.clock.advance(HOUR);
    assert_eq!(waits_until(&process, run).await, None);
    assert_eq!(told(&tell), ["anna 0", "anna 1", "anna 2"]);
    let keys = tell.keys();
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
}

async fn reminders_that_nobody_was_there_to_send_come_as_one(stage: Stage) {
    let (process, tell) = asking(&stage, &["anna"], "tell='email', remind='1h', reminders=9");
    let run = process.admit("k").await;
    waits_until(&process, run).await;
    stage.clock.advance(5 * HOUR + HOUR / 2);
    waits_until(&process, run).await;
    assert_eq!(told(&tell), ["anna 0", "anna 5"]);
}

async fn nobody_is_reminded_of_what_is_answered(stage: Stage) {
    let (process, tell) = asking(&stage, &["anna", "bea"], "tell='email', remind='1h'");
    let run = process.admit("k").await;
    waits_until(&process, run).await;
    process.answer(run, true, "anna", "", None).await.unwrap();
    stage.clock.advance(HOUR);
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    assert_eq!(told(&tell), ["anna 0", "bea 0"]);
}

async fn link(process: &Process, run: RunId, person: &str) -> String {
    let wanted = Wanted {
        person,
        lasts_ms: HOUR,
        by: "root",
    };
    process.people.link(&key(), run, &wanted).await.unwrap().0
}

async fn waiting(process: &Process) -> RunId {
    let run = process.admit("k").await;
    waits_until(process, run).await;
    run
}

async fn a_link_answers_its_question_once_in_the_name_of_its_person(stage: Stage) {
    let (process, _) = asking(&stage, &["anna", "bea"], "");
    let run = waiting(&process).await;
    let (first, second) = (
        link(&process, run, "anna").await,
        link(&process, run, "bea").await,
    );
    assert_eq!(process.status(run).await, RunStatus::Waiting);
    let people = &process.people;
    let opened = people.open(&key(), &first).await.unwrap();
    assert_eq!(opened.became, Became::Open);
    assert_eq!(
        (opened.person.as_str(), opened.question.text.as_str()),
        ("anna", "Send?")
    );
    people
        .answer_by_link(&opened, true, "fine", Vec::new())
        .await
        .unwrap();
    let again = people
        .answer_by_link(&opened, false, "no", Vec::new())
        .await;
    assert!(
        again
            .unwrap_err()
            .to_string()
            .contains("does not wait for a person")
    );
    for used in [&first, &second] {
        let opened = people.open(&key(), used).await.unwrap();
        let Became::Answered(answer, _) = &opened.became else {
            panic!("{:?}", opened.became);
        };
        assert_eq!(
            (answer.by.as_str(), answer.identity),
            ("anna", Identity::Link)
        );
    }
    assert_eq!(process.drive(run).await, Rest::Ended(RunStatus::Done));
    let facts = process.facts(run).await;
    let made = facts
        .iter()
        .filter(|f| matches!(f, Fact::Linked { by, .. } if by == "root"));
    assert_eq!(made.count(), 2);
    let ledger = serde_json::to_string(&facts).unwrap();
    assert!(
        !ledger.contains(&first) && !ledger.contains(&second),
        "{ledger}"
    );
}

async fn a_link_that_was_altered_opens_nothing(stage: Stage) {
    let (process, _) = asking(&stage, &["anna"], "");
    let run = waiting(&process).await;
    let text = link(&process, run, "anna").await;
    for place in 0..text.len() {
        let mut altered = text.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let opened = process.people.open(&key(), &altered).await;
        assert_eq!(opened.err(), Some(LinkError::NotOurs), "{place}");
    }
    let other = LinkKey::of("another secret, which is long enough").unwrap();
    assert_eq!(
        process.people.open(&other, &text).await.err(),
        Some(LinkError::NotOurs)
    );
    assert!(process.people.open(&key(), &text).await.is_ok());
}

async fn a_link_opens_nothing_when_its_time_is_over(stage: Stage) {
    let (process, _) = asking(&stage, &["anna"], "expires='90m'");
    let run = waiting(&process).await;
    let text = link(&process, run, "anna").await;
    stage.clock.advance(HOUR);
    let error = process.people.open(&key(), &text).await.unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"this link has expired. Nothing was changed. Who runs oncely makes a new one: `oncely link 1 --for anna`");
    let text = link(&process, run, "anna").await;
    stage.clock.advance(HOUR / 2);
    let over = process.people.open(&key(), &text).await;
    assert!(matches!(over, Err(LinkError::Expired { .. })), "{over:?}");
    process.drive(run).await;
    let opened = process.people.open(&key(), &text).await.unwrap();
    assert_eq!(opened.became, Became::Closed);
}

async fn a_link_is_made_only_for_who_may_answer_and_opens_only_while_they_may(stage: Stage) {
    let (process, _) = asking(&stage, &["anna"], "");
    let run = waiting(&process).await;
    let wanted = Wanted {
        person: "bea",
        lasts_ms: HOUR,
        by: "root",
    };
    let refused = process.people.link(&key(), run, &wanted).await.unwrap_err();
    insta::assert_snapshot!(refused.to_string(), @"`bea` is not in [people] of oncely.toml, and a link is for somebody who is known. No link was made.");
    let text = link(&process, run, "anna").await;
    let (later, _) = asking(&stage, &["bea"], "");
    let gone = later.people.open(&key(), &text).await.unwrap_err();
    insta::assert_snapshot!(gone.to_string(), @"run 1: anna may not answer: it is for those in [people] of oncely.toml. Nothing was changed");
    assert_eq!(process.facts(run).await.len(), 3);
}

/// A ledger in a file has a name of its own; one in memory is nobody else's.
#[test]
fn a_link_of_one_ledger_opens_nothing_in_another() {
    stage::run(async {
        let (here, there) = (Stage::sqlite(), Stage::sqlite());
        let (process, _) = asking(&here, &["anna"], "");
        let (twin, _) = asking(&there, &["anna"], "");
        let run = waiting(&process).await;
        assert_eq!(waiting(&twin).await, run);
        let text = link(&process, run, "anna").await;
        let opened = twin.people.open(&key(), &text).await;
        assert_eq!(opened.err(), Some(LinkError::NotOurs));
    });
}
