//! What a run knows of itself once the end of its ledger was lost, and until when that is in doubt.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;

use facts::{asked, begun, done, failed, lost, question, requested, skipped, unknown};
use oncely_core::fact::{BY_PROBE, BY_RULE, Fact, Repeat, Request, Settlement};
use oncely_core::ids::StepId;
use oncely_core::question::{Notice, Question, Remind, Told, Via};
use oncely_core::run::{RunState, Stage};
use oncely_core::time::Timestamp;
use serde_json::json;

/// Not before this can anything have been done without a record.
const SINCE: Timestamp = Timestamp(500);
/// When it was found that the end was lost.
const FOUND: Timestamp = Timestamp(100_000);

/// The facts of a run, each recorded at a time of its own.
#[derive(Clone)]
struct Run(RunState);

impl Run {
    fn begun() -> Self {
        Self(RunState::default()).and(SINCE, &begun())
    }

    fn and(mut self, at: Timestamp, fact: &Fact) -> Self {
        self.0.apply(at, fact).unwrap();
        self
    }

    fn now(self, fact: &Fact) -> Self {
        self.and(FOUND, fact)
    }

    /// The end is lost; the run goes on by itself.
    fn lost(self) -> Self {
        self.now(&lost("", SINCE))
    }

    fn may_have_begun(&self, step: &str) -> bool {
        self.0.may_have_begun(&step.into())
    }
}

/// An attempt that may be made again at any time.
fn intent(step: &str, attempt: u32) -> Fact {
    facts::intent(step, attempt, Repeat::Safe)
}

fn interrupted(step: &str) -> Fact {
    facts::interrupted(step, 1)
}

fn settled(by: &str, settlement: Settlement) -> Fact {
    facts::settled(1, settlement, by, "")
}

#[test]
fn the_first_attempt_after_the_loss_may_not_be_the_first_and_its_key_counts_from_before() {
    let whole = Run::begun();
    assert!(!whole.may_have_begun("a"), "nothing was lost");
    let whole = whole.now(&intent("a", 1));
    let step = &whole.0.steps[&"a".into()];
    assert_eq!((step.unrecorded, step.first_intent), (false, Some(FOUND)));

    let run = Run::begun().lost();
    assert!(run.may_have_begun("a"));
    let run = run.now(&intent("a", 1));
    let step = &run.0.steps[&"a".into()];
    assert_eq!((step.unrecorded, step.first_intent), (true, Some(SINCE)));

    let again = run.now(&failed("a"));
    assert!(!again.may_have_begun("a"), "that is known by now");
    assert!(again.may_have_begun("b"), "and nothing of the next step");
    let again = again.now(&intent("a", 2));
    let step = &again.0.steps[&"a".into()];
    assert_eq!((step.unrecorded, step.first_intent), (false, Some(SINCE)));
}

#[test]
fn what_is_in_doubt_already_is_so_for_its_own_reason() {
    let run = Run::begun().now(&intent("a", 1)).now(&unknown("a")).lost();
    assert!(!run.may_have_begun("a"));
    let run = run.now(&intent("a", 2)).now(&facts::interrupted("a", 2));
    let error = |run: &Run| match &run.0.steps[&"a".into()].stage {
        Stage::Unknown { error, .. } => error.clone(),
        other => panic!("{other:?}"),
    };
    assert!(error(&run).starts_with("the process that made the attempt went away"));
    let run = Run::begun()
        .lost()
        .now(&intent("a", 1))
        .now(&interrupted("a"));
    assert!(error(&run).starts_with("the end of the ledger was lost"));
}

#[test]
fn what_was_not_due_when_it_was_found_cannot_have_been_done() {
    let held = |until| {
        let run = Run::begun().and(SINCE, &facts::held("a", until)).lost();
        run.may_have_begun("a")
    };
    assert!(held(Timestamp(90_000)));
    assert!(held(FOUND), "it was due at that moment");
    assert!(!held(Timestamp(100_001)));
}

/// A question that is told of by mail, with a reminder each minute.
fn asks() -> Fact {
    let remind = Remind {
        every_ms: 60_000,
        times: 5,
    };
    let question = Question {
        by: vec!["ann".into()],
        tell: vec![told()],
        remind: Some(remind),
        ..question()
    };
    asked("a", question)
}

fn told() -> Told {
    Told {
        person: "ann".into(),
        via: Via::Email,
    }
}

fn message(nth: u32) -> StepId {
    let notice = Notice {
        step: "a".into(),
        question: 1,
        told: told(),
        nth,
    };
    notice.id()
}

#[test]
fn a_message_that_was_due_may_have_been_sent_and_its_reminders_come() {
    let run = Run::begun().and(SINCE, &asks()).lost();
    let may = |run: &Run, nth| run.0.may_have_begun(&message(nth));
    assert!(
        may(&run, 0) && may(&run, 1),
        "due after no time, and after a minute"
    );
    assert!(!may(&run, 2), "due after two, which had not gone by");
    let run = run
        .now(&intent(message(1).as_str(), 1))
        .now(&done(message(1).as_str()));
    assert!(!may(&run, 1), "that is known by now");
    let due = Run::begun().and(Timestamp(40_000), &asks()).lost();
    assert!(may(&due, 1), "it was due at that moment");
}

#[test]
fn what_a_step_gave_counts_as_recorded_if_it_was_before_the_loss() {
    let run = Run::begun().now(&intent("a", 1));
    let recorded = |run: &Run, step: &str| run.0.is_recorded(&step.into());
    assert!(!recorded(&run, "a"), "it is at work");
    let run = run.now(&done("a")).now(&skipped("b", ""));
    assert!(recorded(&run, "a") && recorded(&run, "b") && !recorded(&run, "c"));
    let run = run.lost();
    assert!(recorded(&run, "a") && recorded(&run, "b") && !recorded(&run, "c"));
    let run = run.now(&intent("c", 1)).now(&done("c"));
    assert!(
        !recorded(&run, "c"),
        "it may have given something else then"
    );
}

#[test]
fn a_run_that_is_held_for_a_person_goes_on_when_they_say_so() {
    let by_itself = Run::begun().lost();
    assert!(!by_itself.0.paused && !by_itself.0.lost.as_ref().unwrap().held);
    let held = Run::begun().now(&lost("nobody can tell", SINCE));
    assert!(held.0.paused && held.0.lost.as_ref().unwrap().held);
    let resumed = held.now(&requested(Request::Resume));
    assert!(!resumed.0.paused);
    assert!(!resumed.may_have_begun("a"), "they have looked");
}

#[test]
fn who_loses_the_end_twice_is_in_doubt_since_the_first_time() {
    let earlier = Timestamp(200);
    let later = Timestamp(900);
    let once = Run::begun().now(&lost("nobody can tell", SINCE));
    let seen = once.now(&intent("a", 1)).now(&done("a"));
    for (again, since) in [(later, SINCE), (earlier, earlier)] {
        let twice = seen.clone().and(Timestamp(200_000), &lost("", again));
        let lost = twice.0.lost.as_ref().unwrap();
        assert_eq!((lost.since, lost.at), (since, Timestamp(200_000)));
        assert!(lost.held && twice.0.paused, "nobody has looked yet");
        assert!(lost.seen.is_empty());
    }
}

#[test]
fn who_looked_and_says_that_it_was_not_done_says_it_of_what_follows() {
    let in_doubt = Run::begun()
        .lost()
        .now(&intent("a", 1))
        .now(&interrupted("a"));
    let after = |by: &str, settlement| in_doubt.clone().now(&settled(by, settlement));
    let happened = || Settlement::Happened { output: json!({}) };
    assert!(!after("ann", Settlement::DidNotHappen).may_have_begun("b"));
    assert!(
        after("ann", happened()).may_have_begun("b"),
        "then the next may have been too"
    );
    for nobody in [BY_RULE, BY_PROBE] {
        assert!(
            after(nobody, Settlement::DidNotHappen).may_have_begun("b"),
            "{nobody}"
        );
    }
    let before = Run::begun()
        .now(&intent("a", 1))
        .now(&interrupted("a"))
        .lost();
    let settled = before.now(&settled("ann", Settlement::DidNotHappen));
    assert!(
        settled.may_have_begun("b"),
        "it was in doubt before anything was lost"
    );
}
