//! When people are told of a question, how often, and what of it goes wrong.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;
#[path = "world/texts.rs"]
mod texts;

use oncely_core::decide::{Next, Now, Subject, decide};
use oncely_core::fact::{BY_RULE, End, Fact, Outcome, Request, Settlement};
use oncely_core::ids::{Fence, StepId};
use oncely_core::limits;
use oncely_core::people::{Person, Roster};
use oncely_core::question::{Notice, Question, Told, Via};
use oncely_core::run::RunState;
use oncely_core::task::Task;
use oncely_core::time::Timestamp;
use serde_json::{Value, json};

const ASKED: Timestamp = Timestamp(1_000);
const MINUTE: i64 = 60_000;

fn people(number: usize) -> Roster {
    let person = |n| {
        let person = Person {
            email: Some(format!("p{n}@example.com")),
            roles: vec!["lead".into()],
            ..Person::default()
        };
        (format!("p{n:02}"), person)
    };
    Roster::new((0..number).map(person).collect()).unwrap()
}

/// A run that asks, as people see it over time.
struct Asking {
    task: Task,
    event: Value,
    people: Roster,
    state: RunState,
    now: Timestamp,
}

impl Asking {
    fn of(approve: &str) -> Self {
        Self::with(approve, json!({}), people(1))
    }

    fn with(approve: &str, event: Value, people: Roster) -> Self {
        let mut asking = Self {
            task: texts::one(&format!("approve = {{ {approve} }}")),
            event,
            people,
            state: RunState::default(),
            now: ASKED,
        };
        asking.record(&facts::begun());
        asking
    }

    fn record(&mut self, fact: &Fact) {
        self.state.apply(self.now, fact).unwrap();
    }

    fn next(&self) -> Next {
        let run = json!({});
        let subject = Subject {
            event: &self.event,
            run: &run,
            people: &self.people,
        };
        let now = Now {
            at: self.now,
            fence: Fence(1),
        };
        decide(&self.task, subject, &self.state, now)
    }

    /// Asks; what is asked.
    fn ask(&mut self) -> Question {
        match self.next() {
            Next::Record(fact @ Fact::Asked { .. }) => {
                self.record(&fact);
                let Fact::Asked { question, .. } = fact else {
                    panic!("a question");
                };
                question
            }
            other => panic!("{other:?}"),
        }
    }

    /// Begins what is to be begun; which message that is.
    fn sends(&mut self) -> u32 {
        let Next::Start { step, attempt } = self.next() else {
            panic!("{:?}", self.next());
        };
        self.record(&facts::intent(step.as_str(), attempt, facts::ASK));
        Notice::parse(&step).unwrap().nth
    }

    fn ends(&mut self, nth: u32, attempt: u32, outcome: Outcome) {
        let step = message(nth);
        self.record(&facts::ends(step.as_str(), attempt, outcome));
    }

    fn waits(&self) -> Option<i64> {
        match self.next() {
            Next::Wait { until, why } => {
                assert_eq!(why, "step `a` waits for a person");
                until.map(|until| until.millis_since(ASKED))
            }
            other => panic!("{other:?}"),
        }
    }

    fn passes(&mut self, millis: i64) {
        self.now = ASKED.plus_millis(millis);
    }
}

fn message(nth: u32) -> StepId {
    let told = Told {
        person: "p00".into(),
        via: Via::Email,
    };
    let step = "a".into();
    let notice = Notice {
        step,
        question: 1,
        told,
        nth,
    };
    notice.id()
}

fn sent() -> Outcome {
    facts::gave(json!({}))
}

fn failed(again: bool) -> Outcome {
    facts::failure(again, None)
}

const TOLD: &str = "text = \"ok?\", by = \"lead\", tell = \"email\"";

#[test]
fn a_message_is_sent_once_and_its_reminders_in_their_time() {
    let mut asking = Asking::of(&format!("{TOLD}, remind = \"1m\", reminders = 2"));
    asking.ask();
    for nth in 0..=2 {
        asking.passes(i64::from(nth) * MINUTE);
        assert_eq!(asking.sends(), nth);
        asking.ends(nth, 1, sent());
        let next = (nth < 2).then(|| i64::from(nth + 1) * MINUTE);
        assert_eq!(asking.waits(), next);
    }
}

#[test]
fn without_a_word_about_it_there_are_five_reminders() {
    let mut asking = Asking::of(&format!("{TOLD}, remind = \"1m\""));
    assert_eq!(asking.ask().remind.unwrap().times, 5);
}

#[test]
fn a_message_that_was_not_sent_is_tried_again_after_a_while_and_not_for_ever() {
    let mut asking = Asking::of(TOLD);
    asking.ask();
    let mut gone = 0;
    for (attempt, wait) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
        assert!(matches!(asking.next(), Next::Start { attempt: next, .. } if next == attempt));
        asking.sends();
        asking.ends(0, attempt, failed(true));
        let due = asking.waits().unwrap();
        assert!(
            (wait / 2..=wait).contains(&(due - gone)),
            "{due} after {gone}"
        );
        gone = due;
        asking.passes(gone);
    }
    asking.sends();
    asking.ends(0, 4, failed(true));
    assert_eq!(asking.waits(), None, "there are four tries");

    let mut for_good = Asking::of(TOLD);
    for_good.ask();
    for_good.sends();
    for_good.ends(0, 1, failed(false));
    assert_eq!(for_good.waits(), None);
}

#[test]
fn a_message_that_was_not_sent_does_not_wait_for_longer_than_until_the_next_one() {
    let mut asking = Asking::of(&format!("{TOLD}, remind = \"1m\""));
    asking.ask();
    asking.passes(MINUTE - 1);
    asking.sends();
    asking.ends(0, 1, failed(true));
    assert_eq!(asking.waits(), Some(MINUTE), "the reminder comes first");
    let mut early = Asking::of(&format!("{TOLD}, remind = \"1m\""));
    early.ask();
    early.sends();
    early.ends(0, 1, failed(true));
    assert!(early.waits().unwrap() <= 1_000, "the next try comes first");
}

#[test]
fn nobody_is_told_while_the_run_is_paused_and_the_question_still_expires() {
    let mut asking = Asking::of(&format!("{TOLD}, expires = \"1h\""));
    asking.ask();
    asking.record(&facts::requested(Request::Pause));
    assert_eq!(asking.waits(), Some(60 * MINUTE));
    asking.passes(60 * MINUTE);
    match asking.next() {
        Next::Record(Fact::Ended { end, reason }) => {
            assert_eq!(end, End::Failed);
            assert_eq!(
                reason,
                "step `a`: nobody answered in time, which counts as no"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_looked_again_when_the_question_expires_or_the_next_message_is_due() {
    for (expires, until) in [("30s", 30_000), ("90s", 60_000)] {
        let mut asking = Asking::of(&format!(
            "{TOLD}, remind = \"1m\", reminders = 1, expires = \"{expires}\""
        ));
        asking.ask();
        asking.sends();
        asking.ends(0, 1, sent());
        assert_eq!(asking.waits(), Some(until), "{expires}");
    }
}

#[test]
fn a_message_that_may_have_been_sent_is_not_sent_again() {
    let mut asking = Asking::of(TOLD);
    asking.ask();
    asking.sends();
    asking.ends(0, 1, facts::cut_off());
    let Next::Record(fact) = asking.next() else {
        panic!("{:?}", asking.next());
    };
    match &fact {
        Fact::Settled {
            step,
            settlement: Settlement::Happened { .. },
            by,
            ..
        } => assert_eq!((step, by.as_str()), (&message(0), BY_RULE)),
        other => panic!("{other:?}"),
    }
    asking.record(&fact);
    assert_eq!(asking.waits(), None);
}

#[test]
fn a_question_that_nobody_could_read_is_not_asked() {
    let ends = |tick: &str, event: Value| {
        let approve = format!("text = \"{{{{ event.text }}}}\", tick = [\"b\", \"{tick}\"]");
        match Asking::with(&approve, event, people(0)).next() {
            Next::Record(Fact::Ended { end, reason }) => {
                assert_eq!(end, End::Failed);
                Some(reason)
            }
            Next::Record(Fact::Asked { .. }) => None,
            other => panic!("{other:?}"),
        }
    };
    let both = "{{ event.tick }}";
    let text = |bytes: usize| "x".repeat(bytes);
    let most = limits::QUESTION_BYTES;
    let of = |question: String, tick: String| ends(both, json!({ "text": question, "tick": tick }));
    let empty = Some("step `a`: the question, or a thing to be ticked, is empty".to_owned());
    let long = Some("step `a`: the question is too long to be read".to_owned());
    assert_eq!(of(text(1), text(1)), None);
    assert_eq!(of(" ".into(), text(1)), empty);
    assert_eq!(of(text(1), "\n".into()), empty);
    assert_eq!(of(text(most), text(most)), None);
    assert_eq!(of(text(most + 1), text(1)), long);
    assert_eq!(of(text(1), text(most + 1)), long);
}

#[test]
fn at_most_so_many_are_told() {
    let told = |number| {
        let mut asking = Asking::with(TOLD, json!({}), people(number));
        asking.ask().tell.len()
    };
    assert_eq!(told(3), 3);
    assert_eq!(told(limits::TOLD + 1), limits::TOLD);
}
