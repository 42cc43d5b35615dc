//! What a run knows of itself once the end of its ledger was lost, and until when that is in doubt.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::effect::EffectKey;
use oncely_core::fact::{BY_PROBE, BY_RULE, Fact, Outcome, Repeat, Request, Settlement};
use oncely_core::ids::{ContentHash, Fence, StepId};
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
        let began = Fact::Began {
            text: ContentHash::of(b"text"),
            models: Default::default(),
        };
        Self(RunState::default()).and(SINCE, &began)
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

fn lost(hold: &str, since: Timestamp) -> Fact {
    Fact::EndLost {
        since,
        hold: hold.into(),
        by: "ann".into(),
        reason: String::new(),
    }
}

fn intent(step: &str, attempt: u32) -> Fact {
    Fact::Intent {
        step: step.into(),
        attempt,
        fence: Fence(1),
        call: (attempt == 1).then(|| json!({})),
        repeat: Repeat::Safe,
        key: EffectKey(format!("key of {step}")),
    }
}

fn ends(step: &str, outcome: Outcome) -> Fact {
    Fact::Outcome {
        step: step.into(),
        attempt: 1,
        outcome,
    }
}

fn done(step: &str) -> Fact {
    ends(step, Outcome::Done { output: json!({}) })
}

fn failed(step: &str) -> Fact {
    ends(
        step,
        Outcome::Failed {
            error: "no".into(),
            again: true,
            after_ms: None,
        },
    )
}

fn unknown(step: &str) -> Fact {
    let error = "cut off".into();
    ends(step, Outcome::Unknown { error })
}

fn interrupted(step: &str) -> Fact {
    Fact::Interrupted {
        step: step.into(),
        attempt: 1,
    }
}

fn settled(by: &str, settlement: Settlement) -> Fact {
    Fact::Settled {
        step: "a".into(),
        attempt: 1,
        settlement,
        by: by.into(),
        reason: String::new(),
    }
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
    let run = run.now(&intent("a", 2)).now(&Fact::Interrupted {
        step: "a".into(),
        attempt: 2,
    });
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
        let held = Fact::Held {
            step: "a".into(),
            until,
        };
        let run = Run::begun().and(SINCE, &held).lost();
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
    Fact::Asked {
        step: "a".into(),
        question: Question {
            text: "ok?".into(),
            tick: Vec::new(),
            hash: Question::hash_of("ok?", &[]),
            expires: None,
            by: vec!["ann".into()],
            not_by: None,
            tell: vec![told()],
            remind: Some(remind),
        },
    }
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
    let skipped = Fact::Skipped {
        step: "b".into(),
        why: String::new(),
    };
    let run = Run::begun().now(&intent("a", 1));
    let recorded = |run: &Run, step: &str| run.0.is_recorded(&step.into());
    assert!(!recorded(&run, "a"), "it is at work");
    let run = run.now(&done("a")).now(&skipped);
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
    let resumed = held.now(&Fact::Requested {
        what: Request::Resume,
        by: "ann".into(),
        reason: String::new(),
    });
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
