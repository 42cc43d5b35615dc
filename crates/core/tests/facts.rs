//! Which facts may follow which, fact by fact, and the words in which a run says what it was told.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;

use facts::{
    ASK, NOW, after, asked, begun, done, ended, ends, failed, failure, requested, requests,
    rounds_over, skip, unknown,
};
use oncely_core::fact::{
    BY_OLDER_RELEASE, BY_PROBE, BY_RULE, End, Fact, Repeat, Request, Settlement,
};
use oncely_core::ids::{Fence, RunId};
use oncely_core::limits;
use oncely_core::round::Round;
use oncely_core::run::{RunState, Stage};
use oncely_core::time::Timestamp;

/// An attempt that may be made again at any time.
fn intent(step: &str, attempt: u32) -> Fact {
    facts::intent(step, attempt, Repeat::Safe)
}

fn skipped(step: &str) -> Fact {
    facts::skipped(step, "why")
}

fn question() -> Fact {
    asked("a", facts::question())
}

fn settled(attempt: u32, by: &str) -> Fact {
    facts::settled(attempt, Settlement::DidNotHappen, by, "")
}

/// Why this fact cannot follow those.
fn refused(facts: &[Fact], fact: &Fact) -> String {
    after(facts).apply(NOW, fact).unwrap_err().to_string()
}

#[test]
fn before_it_begins_a_run_is_only_asked_or_ended() {
    for fact in [intent("a", 1), skipped("a"), failed("a")] {
        assert_eq!(
            refused(&[], &fact),
            "fact 0 cannot follow the facts before it: the run has not begun"
        );
    }
    for fact in [
        requested(Request::Start),
        requested(Request::Pause),
        ended(End::Skipped),
    ] {
        after(&[fact]);
    }
    assert_eq!(
        refused(&[begun()], &begun()),
        "fact 1 cannot follow the facts before it: the run has begun already"
    );
}

#[test]
fn what_something_has_happened_to_is_passed_over_only_where_a_person_said_so() {
    let so_far = [begun(), intent("a", 1), failed("a")];
    assert!(
        refused(&so_far, &skipped("a")).ends_with("something has happened to step `a` already")
    );
    let said = skip("not needed");
    let [a, b, c] = so_far;
    let state = after(&[a, b, c, said.clone(), skipped("a")]);
    assert_eq!(state.steps[&"a".into()].stage, Stage::Skipped);
    assert_eq!(
        state.skip_asked(&"a".into()).unwrap(),
        "ann said so: not needed"
    );
    assert!(refused(&[begun(), skipped("a")], &said).ends_with("step `a` was skipped already"));
    assert!(refused(&[begun(), intent("a", 1), done("a")], &said).ends_with("step `a` is done"));
    let open = [begun(), intent("a", 1), said];
    assert!(
        refused(&open, &skipped("a")).ends_with("nobody knows yet what became of step `a`"),
        "what is at work stays so until that is known"
    );
}

#[test]
fn a_run_is_taken_back_once_and_only_when_somebody_asked() {
    let undone = Fact::Undone { by: RunId(2) };
    let over = [begun(), ended(End::Done)];
    assert!(refused(&over, &undone).ends_with("nobody asked to have the run taken back"));
    let asked = [begun(), ended(End::Done), requested(Request::Undo)];
    assert_eq!(after(&asked).undone, None);
    let [a, b, c] = asked.clone();
    let state = after(&[a, b, c, undone.clone()]);
    assert_eq!(state.undone, Some(RunId(2)));
    let [a, b, c] = asked;
    assert!(
        refused(&[a, b, c, undone.clone()], &undone)
            .ends_with("nobody asked to have the run taken back")
    );
    assert!(refused(&[begun()], &undone).ends_with("the run has not ended"));
}

#[test]
fn a_question_is_answered_and_not_passed_over() {
    let said = skip("");
    let so_far = [begun(), question()];
    assert!(refused(&so_far, &said).ends_with("step `a` asks a person"));
    let state = after(&[begun(), said]);
    assert_eq!(state.skip_asked(&"a".into()).unwrap(), "ann said so");
    assert_eq!(state.skip_asked(&"b".into()), None);
}

#[test]
fn a_link_is_to_the_question_that_is_asked_now() {
    let link = |question| Fact::Linked {
        step: "a".into(),
        question,
        person: "ann".into(),
        expires: Timestamp(9_000),
        by: "bob".into(),
    };
    let so_far = [begun(), question()];
    let before = after(&so_far);
    let mut state = before.clone();
    state.apply(NOW, &link(1)).unwrap();
    assert_eq!(state.steps, before.steps, "it changes nothing");
    for other in [0, 2] {
        assert!(refused(&so_far, &link(other)).ends_with("step `a` does not ask that"));
    }
}

#[test]
fn a_step_that_failed_for_good_has_all_its_tries_again_when_the_run_is_resumed() {
    let for_good = ends("a", 1, failure(false, Some(60_000)));
    let over = [begun(), intent("a", 1), for_good, ended(End::Failed)];
    let resumed = after(&[&over[..], &[requested(Request::Resume)]].concat());
    let known = &resumed.steps[&"a".into()];
    assert!(
        matches!(
            known.stage,
            Stage::Failed {
                again: true,
                after_ms: None,
                ..
            }
        ),
        "{:?}",
        known.stage
    );
    assert_eq!(
        (known.attempts, known.tries),
        (1, 0),
        "the attempt stays counted"
    );
    assert_eq!(resumed.ended, None);
}

#[test]
fn who_ended_a_run_and_why_is_said() {
    let why = |by: &str, reason: &str| {
        after(&[begun(), requests(Request::Cancel, by, reason)]).why_cancelled()
    };
    assert_eq!(why("ann", "too late"), "ann cancelled it: too late");
    assert_eq!(why("ann", ""), "ann cancelled it");
    assert_eq!(
        why(BY_OLDER_RELEASE, "release 7 came first"),
        "release 7 came first"
    );
    assert_eq!(RunState::default().why_cancelled(), "a person cancelled it");
}

#[test]
fn a_step_between_two_rounds_stands_at_none_of_them() {
    let step = "a".into();
    let round = |nth| Round::of(&step, nth).id().to_string();
    let look = Round::look(&step, 2, 1).id().to_string();
    let one = [begun(), intent(&round(1), 1), done(&round(1))];
    let with = |more: &[Fact]| after(&[&one[..], more].concat());

    let first = after(&[begun(), intent(&round(1), 1)]);
    assert_eq!(first.between_rounds(), None, "the first is under way");

    let between = with(&[]);
    let (waits, so_far) = between.between_rounds().unwrap();
    assert_eq!((waits.as_str(), so_far.count), ("a", 1));
    assert_eq!(between.standing(&step), None);

    let open = Some(Stage::Open { fence: Fence(1) });
    let looking = with(&[intent(&look, 1)]);
    assert_eq!(looking.between_rounds(), None, "it is looked at");
    assert_eq!(looking.standing(&step).cloned(), open);

    let second = with(&[intent(&round(2), 1)]);
    assert_eq!(second.between_rounds(), None, "the second is under way");
    assert_eq!(second.standing(&step).cloned(), open);

    let no_further = rounds_over(1, true);
    let again = [intent(&round(2), 1), failed(&round(2))];
    assert!(
        refused(&[&one[..], &again].concat(), &no_further)
            .ends_with("the rounds of step `a` are not over"),
        "the second was tried, and is to be tried again"
    );
    let over = with(&[no_further]);
    assert_eq!(over.between_rounds(), None, "there is no further round");
    assert_eq!(over.standing(&step), Some(&Stage::Done));

    let ended = with(&[ended(End::Failed)]);
    assert_eq!(ended.between_rounds(), None, "the run is over");
}

#[test]
fn only_what_was_paused_or_has_failed_is_resumed() {
    let resume = requested(Request::Resume);
    assert!(refused(&[begun()], &resume).ends_with("the run is neither paused nor failed"));
    let paused = after(&[begun(), requested(Request::Pause)]);
    assert!(paused.paused);
    let resumed = after(&[begun(), requested(Request::Pause), resume]);
    assert!(!resumed.paused);
}

#[test]
fn why_a_step_is_not_tried_again_is_said() {
    let for_good = ends("a", 1, failure(false, None));
    let asks = |attempt| facts::intent("a", attempt, ASK);
    assert!(refused(&[begun(), asks(1), for_good], &asks(2)).ends_with("step `a` failed for good"));
    assert!(
        refused(&[begun(), asks(1), unknown("a")], &asks(2)).ends_with(
            "the last attempt of step `a` is unknown and repeating it is not declared safe"
        )
    );
    after(&[begun(), intent("a", 1), unknown("a"), intent("a", 2)]);
}

#[test]
fn only_the_attempt_that_nobody_knows_about_is_settled() {
    let so_far = [begun(), intent("a", 1)];
    assert!(
        refused(&so_far, &settled(1, "ann")).ends_with("attempt 1 of step `a` is not unknown"),
        "it is at work"
    );
    let so_far = [begun(), intent("a", 1), unknown("a")];
    assert!(
        refused(&so_far, &settled(2, "ann")).ends_with("attempt 2 of step `a` is not unknown"),
        "there was none"
    );
}

#[test]
fn a_person_who_settles_gives_the_step_all_its_tries_again_and_a_rule_does_not() {
    let tries = |by: &str| {
        let state = after(&[begun(), intent("a", 1), unknown("a"), settled(1, by)]);
        state.steps[&"a".into()].tries
    };
    assert_eq!(tries("ann"), 0);
    assert_eq!(tries(BY_RULE), 1);
    assert_eq!(tries(BY_PROBE), 1);
}

#[test]
fn the_step_at_work_is_the_one_whose_attempt_has_no_outcome() {
    let so_far = [begun(), intent("a", 1)];
    assert_eq!(after(&so_far).open_step(), Some(&"a".into()));
    let over = [begun(), intent("a", 1), done("a")];
    assert_eq!(after(&over).open_step(), None);
}

#[test]
fn a_step_has_at_most_a_thousand_rounds() {
    let step = "a".into();
    let id = |nth| Round::of(&step, nth).id().to_string();
    let rounds = (1..=limits::ROUNDS).flat_map(|nth| [intent(&id(nth), 1), done(&id(nth))]);
    let all: Vec<_> = std::iter::once(begun()).chain(rounds).collect();
    assert_eq!(after(&all).rounds[&step].count, 1_000);
    assert!(
        refused(&all, &intent(&id(1_001), 1))
            .ends_with("round 1001 of step `a` follows round 1000")
    );
}
