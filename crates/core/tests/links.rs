//! How long a link to a question lasts, and how long one may be.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::ids::{ContentHash, RunId};
use oncely_core::limits;
use oncely_core::link::{Link, LinkKey, Place, Signed};
use oncely_core::question::{Question, Remind};
use oncely_core::run::Asked;
use oncely_core::time::Timestamp;

const ASKED: Timestamp = Timestamp(1_000);
const HOUR: i64 = 3_600_000;

fn asked(expires: Option<i64>, every_hours: Option<i64>) -> Asked {
    Asked {
        question: Question {
            text: "ok?".into(),
            tick: Vec::new(),
            hash: Question::hash_of("ok?", &[]),
            expires: expires.map(|millis| ASKED.plus_millis(millis)),
            by: Vec::new(),
            not_by: None,
            tell: Vec::new(),
            remind: every_hours.map(|hours| Remind {
                every_ms: hours * HOUR,
                times: 5,
            }),
        },
        seq: 1,
        at: ASKED,
    }
}

#[test]
fn a_link_lasts_two_weeks_from_its_message_and_no_longer_than_its_question() {
    let until = |asked: &Asked, nth| asked.link_until(nth).millis_since(ASKED);
    let weeks = limits::LINK_MS;
    assert_eq!(until(&asked(None, None), 0), weeks);
    let reminded = asked(None, Some(24));
    assert_eq!(until(&reminded, 0), weeks);
    assert_eq!(until(&reminded, 3), weeks + 72 * HOUR);
    assert_eq!(until(&asked(Some(HOUR), None), 0), HOUR);
    assert_eq!(until(&asked(Some(weeks + HOUR), Some(24)), 0), weeks);
    assert_eq!(until(&asked(Some(weeks + HOUR), Some(24)), 3), weeks + HOUR);
}

#[test]
fn a_message_is_due_when_its_time_has_come() {
    let due = |every, nth| asked(None, every).due(nth).millis_since(ASKED);
    assert_eq!((due(Some(2), 0), due(Some(2), 3)), (0, 6 * HOUR));
    assert_eq!(due(None, 3), 0, "without reminders it is the first");
}

/// What is signed for somebody with a name of so many bytes.
fn signed(name_bytes: usize) -> String {
    let key = LinkKey::of(&"k".repeat(LinkKey::FEWEST)).unwrap();
    let link = Link {
        run: RunId(7),
        question: 3,
        person: "a".repeat(name_bytes),
        expires: ASKED,
    };
    let place = Place {
        ledger: "l",
        environment: &"production".into(),
        step: &"ok".into(),
        hash: &ContentHash::of(b"ok?"),
    };
    let text = key.sign(&link, place);
    if let Some(signed) = Signed::parse(&text) {
        assert_eq!(signed.link, link);
        assert!(signed.opens(&key, place));
        let other = LinkKey::of(&"o".repeat(LinkKey::FEWEST)).unwrap();
        assert!(!signed.opens(&other, place));
    }
    text
}

#[test]
fn a_link_for_the_longest_name_is_read_and_what_is_twice_as_long_is_none() {
    let is_read = |text: &str| Signed::parse(text).is_some();
    assert!(is_read(&signed(1)) && is_read(&signed(limits::NAME_BYTES)));
    for name_bytes in limits::NAME_BYTES..3 * limits::NAME_BYTES {
        let text = signed(name_bytes);
        assert_eq!(is_read(&text), text.len() <= 514, "{} bytes", text.len());
    }
    assert!(LinkKey::of(&"k".repeat(LinkKey::FEWEST - 1)).is_none());
}
