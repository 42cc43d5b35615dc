//! Which attempts may follow which, and what is known of a step after each.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/step.rs"]
mod step;

use oncely_core::effect::EffectKey;
use oncely_core::fact::{Fact, Repeat, Request};
use oncely_core::ids::Fence;
use oncely_core::question::{Notice, Told, Via};
use oncely_core::run::Stage;
use oncely_core::time::Timestamp;
use serde_json::json;
use step::facts::{self, ASK, NOW, intends, requested};
use step::{done, failed, follows, intent, interrupted, known, refused, unknown};

#[test]
fn an_attempt_ends_once_and_only_the_one_that_is_at_work() {
    let begun = [intent(1, ASK)];
    for fact in [done(2), interrupted(2)] {
        assert_eq!(refused(&begun, &fact), "attempt 2 of step `a` is not open");
    }
    for fact in [done(1), interrupted(1)] {
        assert_eq!(
            refused(&[intent(1, ASK), done(1)], &fact),
            "attempt 1 of step `a` is not open"
        );
        assert_eq!(refused(&[], &fact), "step `a` was never begun");
        assert_eq!(follows(&begun, NOW, &fact), Ok(()));
    }
}

#[test]
fn attempts_are_numbered_without_a_gap_and_the_first_has_the_call() {
    assert_eq!(
        refused(&[], &intent(2, ASK)),
        "attempt 2 of step `a` follows attempt 0"
    );
    assert_eq!(
        refused(&[intent(1, ASK), failed(1)], &intent(3, ASK)),
        "attempt 3 of step `a` follows attempt 1"
    );
    assert_eq!(
        refused(&[], &intends("a", 1, Fence(1), None, ASK)),
        "the first attempt of step `a` has no call"
    );
    let again = [intent(1, ASK), failed(1), intent(2, ASK)];
    let step = known(&again);
    assert_eq!((step.attempts, step.tries), (2, 2));
    assert_eq!(step.call, Some(json!({})), "it keeps the call of the first");
}

#[test]
fn nothing_is_begun_beside_another_step_under_another_key_or_on_the_way_to_the_end() {
    let other = facts::intent("b", 1, ASK);
    assert_eq!(refused(&[intent(1, ASK)], &other), "step `a` is still open");
    let held = facts::held("b", NOW);
    assert_eq!(refused(&[intent(1, ASK)], &held), "step `a` is still open");
    let Fact::Intent { step, call, .. } = intent(1, ASK) else {
        panic!("an intent");
    };
    let another = Fact::Intent {
        step,
        attempt: 2,
        fence: Fence(1),
        call,
        repeat: ASK,
        key: EffectKey("another".into()),
    };
    assert_eq!(
        refused(&[intent(1, ASK), failed(1)], &another),
        "step `a` would be repeated under another key"
    );
    assert_eq!(
        refused(&[requested(Request::Cancel)], &intent(1, ASK)),
        "the run is being cancelled"
    );
    assert_eq!(
        refused(&[intent(1, ASK), done(1)], &intent(2, ASK)),
        "step `a` is not open to another attempt"
    );
}

#[test]
fn a_step_is_begun_when_it_is_held_no_more() {
    let held = facts::held("a", Timestamp(2_000));
    let begins = |at| follows(std::slice::from_ref(&held), Timestamp(at), &intent(1, ASK));
    assert_eq!(begins(1_999), Err("step `a` is held".into()));
    assert_eq!(begins(2_000), Ok(()));
    assert_eq!(
        refused(std::slice::from_ref(&held), &held),
        "something has happened to step `a` already"
    );
}

#[test]
fn what_is_in_doubt_is_repeated_as_it_was_declared_both_times() {
    let key = Repeat::WithKey { window_ms: 500 };
    let so_far = |first| [intent(1, first), unknown(1)];
    let at = |gone| NOW.plus_millis(gone);
    assert_eq!(follows(&so_far(key), at(499), &intent(2, key)), Ok(()));
    assert!(follows(&so_far(key), at(500), &intent(2, key)).is_err());
    assert_eq!(follows(&so_far(Repeat::Safe), NOW, &intent(2, key)), Ok(()));
    for (first, second) in [(ASK, Repeat::Safe), (Repeat::Safe, ASK), (ASK, key)] {
        let legal = follows(&so_far(first), NOW, &intent(2, second));
        assert!(legal.is_err(), "{first:?} and then {second:?}");
    }
}

#[test]
fn a_failure_says_nothing_of_an_attempt_before_it_that_is_in_doubt() {
    let key = Repeat::WithKey { window_ms: 500 };
    let twice = |repeat| [intent(1, repeat), unknown(1), intent(2, repeat), failed(2)];
    match known(&twice(key)).stage {
        Stage::Unknown { error, crashed, .. } => {
            assert_eq!(error, "no; and nobody knows about an earlier attempt");
            assert!(!crashed);
        }
        other => panic!("{other:?}"),
    }
    let safe = known(&twice(Repeat::Safe)).stage;
    assert!(matches!(safe, Stage::Failed { .. }), "{safe:?}");
    let done = known(&[intent(1, key), unknown(1), intent(2, key), done(2)]);
    assert!(!done.in_doubt);
}

#[test]
fn a_crash_is_not_a_try() {
    let crashed = known(&[intent(1, Repeat::Safe), interrupted(1)]);
    assert_eq!((crashed.attempts, crashed.tries), (1, 0));
    assert!(crashed.in_doubt);
    let unknown = known(&[intent(1, Repeat::Safe), unknown(1)]);
    assert_eq!((unknown.attempts, unknown.tries), (1, 1));
}

#[test]
fn a_message_is_sent_of_the_question_that_waits_and_of_no_other() {
    let asked = facts::asked("a", facts::question());
    let message = |question| {
        let notice = Notice {
            step: "a".into(),
            question,
            told: Told {
                person: "ann".into(),
                via: Via::Slack,
            },
            nth: 0,
        };
        notice.id()
    };
    let tells = |question| facts::intent(message(question).as_str(), 1, ASK);
    assert_eq!(
        follows(std::slice::from_ref(&asked), NOW, &tells(1)),
        Ok(())
    );
    for (facts, question) in [
        (vec![asked], 2),
        (Vec::new(), 1),
        (vec![intent(1, ASK), done(1)], 1),
    ] {
        assert_eq!(
            refused(&facts, &tells(question)),
            format!(
                "`{}` tells of a question that nobody asks",
                message(question)
            )
        );
    }
}
