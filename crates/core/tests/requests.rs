//! What people may ask of a run, when, and what it is told.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;

use facts::{
    ASK, NOW, after, asked, begun, done, ended, ends, failure, question, requested, undoing,
    unknown,
};
use oncely_core::fact::{End, Fact, Request, Undoing};
use oncely_core::ids::{ContentHash, RunId};
use oncely_core::question::{Answer, Identity};
use oncely_core::run::{Advice, Stage};
use serde_json::json;

fn skip() -> Fact {
    facts::skip("")
}

/// The run takes another one back, whose step `a` gave something.
fn undoes() -> Fact {
    let outputs = json!({ "a": { "code": 0 } });
    Fact::Undoes(Undoing {
        outputs: outputs.as_object().unwrap().clone(),
        ..undoing(&["a"])
    })
}

fn intent(step: &str) -> Fact {
    facts::intent(step, 1, ASK)
}

fn failed(again: bool) -> Fact {
    ends("a", 1, failure(again, Some(5)))
}

/// Why this fact cannot follow those.
fn refused(facts: &[Fact], fact: &Fact) -> String {
    after(facts).apply(NOW, fact).unwrap_err().why
}

#[test]
fn a_run_is_started_or_done_once_more_by_its_first_fact_only() {
    for what in [Request::Start, Request::Rerun] {
        let state = after(&[requested(what)]);
        assert_eq!(state.starter.as_deref(), Some("ann"), "{what:?}");
    }
    assert_eq!(after(&[begun()]).starter, None);
    assert_eq!(
        refused(&[begun()], &requested(Request::Start)),
        "the run has been started already"
    );
    assert_eq!(
        refused(&[begun()], &requested(Request::Rerun)),
        "only a new run can be a rerun"
    );
}

#[test]
fn only_a_new_run_takes_another_one_back_and_it_is_not_left_half_done() {
    let state = after(&[undoes()]);
    assert_eq!(state.undoing.as_ref().unwrap().run, RunId(7));
    assert_eq!(state.outputs["a"]["code"], 0, "templates read what it gave");
    assert_eq!(
        refused(&[begun()], &undoes()),
        "only a new run can take another one back"
    );
    assert_eq!(
        refused(&[undoes(), begun()], &requested(Request::Cancel)),
        "what was begun to be taken back is not left half done"
    );
    let paused = after(&[undoes(), begun(), requested(Request::Pause)]);
    assert!(paused.paused, "to hold it is another matter");
}

#[test]
fn only_what_has_ended_is_taken_back_and_no_undo_is() {
    let undo = requested(Request::Undo);
    assert_eq!(
        refused(&[begun()], &undo),
        "only a run that has ended can be taken back"
    );
    for end in [End::Done, End::Failed, End::Cancelled] {
        assert!(after(&[begun(), ended(end), undo.clone()]).undo_asked);
    }
    assert_eq!(
        refused(&[undoes(), begun(), ended(End::Done)], &undo),
        "the run takes another one back"
    );
}

#[test]
fn a_run_that_is_being_taken_back_does_nothing_more() {
    let asked = [begun(), ended(End::Failed), requested(Request::Undo)];
    for what in [Request::Undo, Request::Resume, Request::Cancel] {
        assert_eq!(
            refused(&asked, &requested(what)),
            "the run is being taken back, or was"
        );
    }
    assert_eq!(
        refused(&asked, &skip()),
        "the run is being taken back, or was"
    );
    let undone = Fact::Undone { by: RunId(8) };
    let twice = [&asked[..], std::slice::from_ref(&undone)].concat();
    assert_eq!(
        refused(&twice, &undone),
        "nobody asked to have the run taken back"
    );
}

#[test]
fn only_a_run_that_failed_goes_on_after_its_end() {
    for end in [End::Done, End::Cancelled, End::Skipped, End::Imported] {
        let over = [begun(), ended(end)];
        for fact in [requested(Request::Resume), skip(), intent("a"), begun()] {
            assert_eq!(refused(&over, &fact), "the run has ended", "{end:?}");
        }
    }
    let failed = [begun(), ended(End::Failed)];
    for what in [Request::Cancel, Request::Pause, Request::Rerun] {
        let why = refused(&failed, &requested(what));
        assert_eq!(why, "the run has ended", "{what:?}");
    }
    for goes_on in [requested(Request::Resume), skip()] {
        let state = after(&[begun(), ended(End::Failed), goes_on]);
        assert_eq!(state.ended, None);
    }
    let without = after(&[begun(), ended(End::Failed), skip()]);
    assert_eq!(without.skip_asked(&"a".into()).unwrap(), "ann said so");
}

#[test]
fn who_resumes_what_failed_forgets_that_it_was_to_end_or_to_wait() {
    let facts = [
        begun(),
        requested(Request::Cancel),
        requested(Request::Pause),
        ended(End::Failed),
        requested(Request::Resume),
    ];
    let state = after(&facts);
    assert!(!state.cancel && !state.paused && state.ended.is_none());
}

#[test]
fn nothing_ends_while_a_step_is_at_work() {
    assert_eq!(
        refused(&[begun(), intent("a")], &ended(End::Failed)),
        "step `a` is still open"
    );
    let over = after(&[begun(), intent("a"), failed(false), ended(End::Failed)]);
    assert_eq!(over.ended, Some((End::Failed, String::new())));
}

#[test]
fn what_a_resumed_run_asked_or_judged_is_asked_and_judged_anew() {
    let no = Fact::Answered {
        step: "r".into(),
        answer: Answer {
            approved: false,
            by: "ann".into(),
            note: "no".into(),
            hash: question().hash,
            ticked: Vec::new(),
            entitled: None,
            identity: Identity::Claimed,
        },
    };
    let judged = Fact::Judged {
        step: "j".into(),
        held: false,
        message: String::new(),
        again_at: Some(NOW),
    };
    let facts = [
        begun(),
        intent("a"),
        done("a"),
        judged,
        asked("r", question()),
        no,
        asked("q", question()),
        ended(End::Failed),
    ];
    let before = after(&facts);
    assert_eq!(before.steps.len(), 4);
    let resumed = after(&[&facts[..], &[requested(Request::Resume)]].concat());
    let left: Vec<_> = resumed.steps.keys().map(|id| id.as_str()).collect();
    assert_eq!(left, ["a"], "what is done stays done");
}

#[test]
fn what_was_given_up_in_doubt_has_all_its_tries_again_and_stays_in_doubt() {
    let facts = [
        begun(),
        intent("a"),
        unknown("a"),
        ended(End::Failed),
        requested(Request::Resume),
    ];
    let known = &after(&facts).steps[&"a".into()];
    assert!(matches!(known.stage, Stage::Unknown { .. }), "{known:?}");
    assert!(known.in_doubt);
    assert_eq!((known.attempts, known.tries), (1, 0));
    let advice = Advice {
        again: true,
        after_ms: None,
    };
    assert_eq!(known.advice, advice);
}

#[test]
fn who_resumes_a_paused_run_gives_what_failed_all_its_tries_again() {
    let tries = |again| {
        let facts = [
            begun(),
            intent("a"),
            failed(again),
            requested(Request::Pause),
            requested(Request::Resume),
        ];
        after(&facts).steps[&"a".into()].tries
    };
    assert_eq!(tries(true), 0);
    assert_eq!(tries(false), 1, "it failed for good");
}

#[test]
fn that_it_was_forgotten_is_the_last_that_is_said_of_a_run() {
    let forgotten = Fact::Forgotten {
        by: "ann".into(),
        reason: String::new(),
        kept: ContentHash::of(b"kept"),
    };
    let over = [begun(), ended(End::Done)];
    let mut state = after(&over);
    state.apply(NOW, &forgotten).unwrap();
    assert_eq!(state.seq, 3);
    assert_eq!(state.ended, after(&over).ended);
}
