//! The words for people of what is refused or does not answer, and how small things are shown.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::chain::Chain;
use oncely_core::effect::EffectKey;
use oncely_core::event::{EventError, checked_json};
use oncely_core::ids::{ContentHash, EventKey, Generation, RunId};
use oncely_core::ledger::LedgerError;
use oncely_core::question::{Answer, Identity, NotBy, Question, Refusal};
use oncely_core::rows::RowKey;
use oncely_core::source::SourceError;
use oncely_core::time::Timestamp;
use serde_json::json;
use std::time::Duration;

#[test]
fn small_things_are_shown_as_they_are_written() {
    assert_eq!(Generation(3).to_string(), "3");
    assert_eq!(RunId(7).to_string(), "7");
    assert_eq!(EffectKey("00ff".into()).to_string(), "00ff");
    assert_eq!(RowKey::Int(-5).to_string(), "-5");
    assert_eq!(RowKey::Text("a\"b".into()).to_string(), r#""a\"b""#);
    let hash = ContentHash::of(b"");
    let digits = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(hash.to_string(), digits);
    assert_eq!(format!("{hash:?}"), digits);
    let chain = Chain([0xa7; 16]);
    assert_eq!(
        format!("{chain} {chain:?}"),
        format!("{0} {0}", "a7".repeat(16))
    );
}

#[test]
fn a_moment_is_moved_by_a_time_and_stays_within_what_can_be_said() {
    let now = Timestamp(1_000);
    let second = Duration::from_secs(1);
    assert_eq!(
        (now + second, now - second),
        (Timestamp(2_000), Timestamp(0))
    );
    assert_eq!(now + Duration::MAX, Timestamp(i64::MAX));
    assert_eq!(Timestamp(i64::MIN) - second, Timestamp(i64::MIN));
    assert_eq!(Timestamp(0).millis_since(now), -1_000);
}

#[test]
fn why_something_offered_is_no_event_is_said_with_what_to_do() {
    insta::assert_snapshot!(EventError::NoKey, @"the event has no key, so it could not be told from others. Nothing was started. Give it a key that is the same whenever the same thing arrives again.");
    insta::assert_snapshot!(EventError::Reserved, @"keys of the form `undo:NUMBER` belong to runs that take others back. Nothing was started. Choose another key; `oncely undo` takes a run back.");
    insta::assert_snapshot!(EventError::KeyTooLong(2_000), @"the event's key has 2000 bytes; at most 1024 are allowed. Nothing was started. Use an id or a hash as the key.");
    insta::assert_snapshot!(EventError::TooLarge(2_000_000), @"the event has 2000000 bytes; at most 1048576 are allowed. Nothing was started. Put the content into a file and let the event name it.");
}

#[test]
fn the_keys_of_runs_that_take_others_back_are_no_keys_of_events() {
    let offered = |key: &str| checked_json(&EventKey::from(key), &json!({})).map(drop);
    for key in ["undo:7", "undo:0123456789"] {
        assert_eq!(offered(key), Err(EventError::Reserved), "{key}");
    }
    for key in ["undo", "undo:", "undo:a", "undo:7a", "undo: 7", "redo:7"] {
        assert_eq!(offered(key), Ok(()), "{key}");
    }
}

#[test]
fn why_a_ledger_does_not_answer_is_said_with_what_was_kept() {
    let waited = Duration::from_millis(12_345);
    let busy = |pid| LedgerError::Busy { pid, waited };
    insta::assert_snapshot!(LedgerError::Unusable("it is damaged".into()), @"it is damaged");
    insta::assert_snapshot!(LedgerError::Full("no space left".into()), @"the ledger's disk is full: no space left. What was recorded is kept and nothing was started. Free some space; work goes on by itself.");
    insta::assert_snapshot!(busy(Some(42)), @"process 42 has been writing to the ledger for 12 s and may be stopped. Let it go on (kill -CONT 42) or end it (kill 42); nothing is lost either way.");
    insta::assert_snapshot!(busy(None), @"the ledger was not free for 12 s. Nothing was changed; try again.");
    insta::assert_snapshot!(LedgerError::Closed, @"the ledger is closed: this process is ending.");
    insta::assert_snapshot!(LedgerError::LeaseLost, @"this process was stopped for longer than its lease, so others went on with its work. It gave up what it held; nothing is lost.");
}

#[test]
fn a_source_that_cannot_be_polled_says_why() {
    let error = SourceError {
        message: "the folder is gone".into(),
        again_after: Duration::from_secs(1),
    };
    assert_eq!(error.to_string(), "the folder is gone");
}

fn question() -> Question {
    let tick = vec!["sums".to_owned(), "names".to_owned()];
    Question {
        text: "ok?".into(),
        hash: Question::hash_of("ok?", &tick),
        tick,
        expires: Some(Timestamp(9_000)),
        by: vec!["lead".into(), "eve".into()],
        not_by: Some(NotBy::Starter),
        tell: Vec::new(),
        remind: None,
    }
}

fn answer(approved: bool) -> Answer {
    Answer {
        approved,
        by: "bob".into(),
        note: String::new(),
        hash: question().hash,
        ticked: question().tick,
        entitled: Some("lead".into()),
        identity: Identity::Claimed,
    }
}

#[test]
fn why_an_answer_does_not_count_is_said() {
    let judged = |answer: &Answer, starter: &str, at| {
        let judged = question().judge(answer, Some(starter), Timestamp(at));
        judged.map_err(|refusal| refusal.to_string())
    };
    let refused = |answer: Answer| judged(&answer, "ann", 8_999).unwrap_err();
    assert_eq!(judged(&answer(true), "ann", 8_999), Ok(()));
    assert_eq!(judged(&answer(false), "ann", 8_999), Ok(()));
    insta::assert_snapshot!(judged(&answer(true), "ann", 9_000).unwrap_err(), @"the question has expired, which counts as no");
    insta::assert_snapshot!(judged(&answer(true), "Bob", 8_999).unwrap_err(), @r#"bob started the run, and the task says that somebody else answers (not_by = "starter")"#);
    let other = Answer {
        hash: ContentHash::of(b"another"),
        ..answer(true)
    };
    insta::assert_snapshot!(refused(other), @"the answer is to another text than the one that is asked now");
    for entitled in [None, Some("boss".to_owned())] {
        let nobody = Answer {
            entitled,
            ..answer(false)
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused(nobody), @"bob may not answer: it is for lead or eve");
        }
    }
    let ticked = |ticked: &[&str], approved| Answer {
        ticked: ticked.iter().map(|t| (*t).to_owned()).collect(),
        ..answer(approved)
    };
    insta::assert_snapshot!(refused(ticked(&["sums"], true)), @"a yes needs everything ticked, and this is not: names");
    insta::assert_snapshot!(refused(ticked(&[], true)), @"a yes needs everything ticked, and this is not: sums; names");
    assert_eq!(
        judged(&ticked(&[], false), "ann", 1),
        Ok(()),
        "a no needs no ticks"
    );
    assert_eq!(
        question().admits("mallory", None, None),
        Err(Refusal::NotAllowed {
            by: "mallory".into(),
            allowed: question().by
        })
    );
}

#[test]
fn an_answer_says_how_they_said_who_they_are_where_that_was_a_link() {
    let link = Answer {
        identity: Identity::Link,
        ..answer(true)
    };
    let claimed = serde_json::to_value(answer(true)).unwrap();
    assert_eq!(
        claimed.get("identity"),
        None,
        "as in ledgers before there were links"
    );
    let by_link = serde_json::to_value(&link).unwrap();
    assert_eq!(by_link["identity"], "link");
    for (text, was) in [(claimed, answer(true)), (by_link, link)] {
        assert_eq!(serde_json::from_value::<Answer>(text).unwrap(), was);
    }
}
