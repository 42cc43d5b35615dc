//! What happens next in a run: after a failure, in doubt, and while it is paused, passed over or ended.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/scene.rs"]
mod scene;

use oncely_core::decide::Next;
use oncely_core::fact::{BY_RULE, End, Fact, Repeat, Request, Settlement};
use oncely_core::time::Timestamp;
use scene::facts::{ended, lost, probed};
use scene::{Run, failed};

const COMMAND: &str = "command = [\"x\"]\nretry = { attempts = 3, first = \"10s\" }";
const KEY: Repeat = Repeat::WithKey { window_ms: 60_000 };

#[test]
fn a_step_that_failed_is_tried_again_in_its_time_and_says_after_how_many_tries_it_gave_up() {
    let once = Run::of(COMMAND).failed(1);
    let (until, why) = once.waits();
    assert_eq!(why, "step `a` is tried again: no connection");
    let wait = until.unwrap();
    assert!((5_000..=10_000).contains(&wait), "{wait}");
    assert!(once.later(wait - 1).waits().0.is_some());
    let last = Run::of(COMMAND)
        .failed(1)
        .later(wait)
        .failed(2)
        .later(20_000)
        .failed(3);
    let reason = "step `a`: no connection (after 3 tries)".to_owned();
    assert_eq!(last.is_over(), (End::Failed, reason));
    let only = Run::of("command = [\"x\"]\nretry = { attempts = 1 }").failed(1);
    let reason = "step `a`: no connection".to_owned();
    assert_eq!(only.is_over(), (End::Failed, reason));
}

#[test]
fn who_answers_asks_for_a_wait_or_says_that_trying_again_does_not_help() {
    let begun = || Run::of(COMMAND).begins("a", 1, Repeat::AskFirst);
    let busy = begun().ends("a", 1, failed(true, Some(90_000)));
    assert_eq!(busy.waits().0, Some(90_000));
    let never = begun().ends("a", 1, failed(false, None));
    let reason = "step `a`: no connection".to_owned();
    assert_eq!(never.is_over(), (End::Failed, reason));
}

#[test]
fn a_step_that_was_told_to_go_on_starts_at_once() {
    let over = Run::of(COMMAND).failed(1).and(ended(End::Failed));
    assert_eq!(over.next(), Next::Over);
    over.asked(Request::Resume).begins("a", 2, Repeat::AskFirst);
    let paused = Run::of(COMMAND).failed(1).asked(Request::Pause);
    assert!(paused.is_paused());
    paused
        .asked(Request::Resume)
        .begins("a", 2, Repeat::AskFirst);
}

#[test]
fn a_paused_run_begins_nothing_and_a_cancelled_one_ends() {
    let reason = "ann cancelled it: because".to_owned();
    let paused = Run::of(COMMAND).asked(Request::Pause);
    assert!(paused.is_paused());
    let ended = (End::Cancelled, reason);
    assert_eq!(paused.asked(Request::Cancel).is_over(), ended);
    let failed = || Run::of(COMMAND).failed(1).later(10_000);
    assert!(failed().asked(Request::Pause).is_paused());
    assert_eq!(failed().asked(Request::Cancel).is_over(), ended);
}

#[test]
fn what_a_person_says_shall_not_be_done_is_passed_over() {
    assert!(Run::of(COMMAND).skip().is_skipped());
    assert!(Run::of(COMMAND).failed(1).skip().is_skipped());
    assert!(Run::of(COMMAND).asked(Request::Pause).skip().is_skipped());
    let waits = Run::of("require = { that = \"event.flag\", else = \"retry\" }");
    let Next::Record(judged) = waits.next() else {
        panic!("{:?}", waits.next());
    };
    assert!(waits.and(judged).skip().is_skipped());
    let asks = Run::of("approve = \"ok?\"").skip();
    assert!(
        matches!(asks.next(), Next::Record(Fact::Asked { .. })),
        "a question is answered, and not passed over"
    );
}

#[test]
fn what_is_in_doubt_is_not_passed_over_before_somebody_knows() {
    let doubt = Run::of(COMMAND).unknown(1, Repeat::Safe).skip();
    assert!(doubt.is_looked_up(), "it is not done again either");
    let crashed = Run::of(COMMAND).crashed(1, Repeat::Safe).skip();
    assert!(crashed.is_looked_up());
}

#[test]
fn after_a_crash_what_is_harmless_is_done_again_at_once() {
    let twice = Run::of(COMMAND)
        .crashed(1, Repeat::Safe)
        .crashed(2, Repeat::Safe);
    twice.begins("a", 3, Repeat::Safe);
    let keyed = Run::of(COMMAND).crashed(1, KEY).later(59_999);
    keyed.begins("a", 2, KEY);
    assert!(
        Run::of(COMMAND)
            .crashed(1, KEY)
            .later(60_000)
            .is_looked_up()
    );
    assert!(Run::of(COMMAND).crashed(1, Repeat::AskFirst).is_looked_up());
}

#[test]
fn a_stream_goes_on_after_a_crash_and_what_its_items_left_in_doubt_is_for_a_person() {
    let stream = || Run::of("for_each = \"[1]\"\ndo = [{ command = [\"x\"] }]");
    stream()
        .crashed(1, Repeat::Safe)
        .begins("a", 2, Repeat::Safe);
    assert!(stream().unknown(1, Repeat::Safe).is_looked_up());
}

#[test]
fn in_doubt_a_paused_run_waits_and_a_cancelled_one_does_nothing_again() {
    let doubt = || Run::of(COMMAND).crashed(1, Repeat::Safe);
    assert!(doubt().asked(Request::Pause).is_paused());
    assert!(doubt().asked(Request::Cancel).is_looked_up());
    let nobody = Run::of(COMMAND).crashed(1, Repeat::AskFirst);
    assert!(
        nobody.asked(Request::Pause).is_looked_up(),
        "it begins nothing"
    );
}

#[test]
fn what_was_seen_to_go_wrong_is_tried_again_like_a_failure() {
    let (until, why) = Run::of(COMMAND).unknown(1, KEY).waits();
    assert!((5_000..=10_000).contains(&until.unwrap()));
    assert_eq!(why, "step `a` is tried again: cut off");
    let one = "command = [\"x\"]\nretry = { attempts = 1 }";
    assert!(
        Run::of(one).unknown(1, KEY).is_looked_up(),
        "it is still in doubt"
    );
    assert_eq!(
        Run::of(one).unknown(1, Repeat::Safe).is_over().1,
        "step `a`: cut off"
    );
    let for_good = Run::of(COMMAND)
        .unknown(1, KEY)
        .later(10_000)
        .begins("a", 2, KEY)
        .ends("a", 2, failed(false, None));
    assert!(
        for_good.is_looked_up(),
        "nobody knows about the first attempt"
    );
}

#[test]
fn what_may_never_have_been_begun_is_not_passed_over_by_a_rule() {
    let lost = lost("", Timestamp(500));
    let run = || Run::of("command = [\"x\"]\non_unknown = \"skip\"");
    let known = run().crashed(1, Repeat::AskFirst).and(probed(1));
    let Next::Record(Fact::Settled { settlement, by, .. }) = known.next() else {
        panic!("{:?}", known.next());
    };
    assert!(matches!(settlement, Settlement::Happened { .. }));
    assert_eq!(by, BY_RULE);
    let unrecorded = run().and(lost).crashed(1, Repeat::AskFirst).and(probed(1));
    let parked = Next::Park {
        step: "a".into(),
        error: "the end of the ledger was lost: it may have been done, or not been begun".into(),
    };
    assert_eq!(unrecorded.next(), parked);
}
