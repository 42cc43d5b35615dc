//! Which runs a prune takes, and what is left of a run whose data was forgotten.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/facts.rs"]
mod facts;

use oncely_core::Value;
use oncely_core::chain::{Beginning, key_hash};
use oncely_core::fact::{Fact, Outcome, Request, Settlement, Undoing};
use oncely_core::forget::{known_by, without_data, without_key};
use oncely_core::ids::{ContentHash, Environment, EventKey, Generation, RunId, TaskId};
use oncely_core::ledger::RunRow;
use oncely_core::prune::{Old, Parent, Place, RELEASE, Seen, without_gaps};
use oncely_core::question::{Answer, Identity, Question};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use serde_json::json;

const BEFORE: Timestamp = Timestamp(1_000);

fn old() -> Old {
    Old {
        environment: "production".into(),
        task: None,
        except: Vec::new(),
        before: BEFORE,
        failed: false,
    }
}

fn seen(status: RunStatus) -> Seen {
    Seen {
        id: RunId(1),
        environment: "production".into(),
        task: "tell".into(),
        trigger: "object".into(),
        status,
        changed: Timestamp(999),
        facts: 3,
        held: false,
        parent: None,
    }
}

fn done() -> Seen {
    seen(RunStatus::Done)
}

#[test]
fn a_prune_takes_what_has_ended_and_failed_runs_only_when_that_is_said() {
    let taken = |old: &Old| -> Vec<_> {
        let all = RunStatus::ALL.into_iter();
        all.filter(|status| old.takes(&seen(*status))).collect()
    };
    let ended = [
        RunStatus::Done,
        RunStatus::Cancelled,
        RunStatus::Skipped,
        RunStatus::Undone,
    ];
    assert_eq!(taken(&old()), ended);
    let failed = Old {
        failed: true,
        ..old()
    };
    let with_failed = taken(&failed);
    assert_eq!(with_failed.len(), 5);
    assert!(with_failed.contains(&RunStatus::Failed));
}

#[test]
fn a_prune_leaves_what_is_young_or_held_or_of_a_release_or_elsewhere() {
    assert!(old().takes(&done()));
    for kept in [
        Seen {
            changed: BEFORE,
            ..done()
        },
        Seen {
            changed: Timestamp(1_001),
            ..done()
        },
        Seen {
            held: true,
            ..done()
        },
        Seen {
            trigger: RELEASE.into(),
            ..done()
        },
        Seen {
            environment: "staging".into(),
            ..done()
        },
    ] {
        assert!(!old().takes(&kept), "{kept:?}");
    }
}

#[test]
fn a_prune_of_one_task_takes_no_other_and_none_of_those_that_are_left_out() {
    let of = |task: &str| Old {
        task: Some(task.into()),
        ..old()
    };
    assert!(of("tell").takes(&done()));
    assert!(!of("pay").takes(&done()));
    let but = |task: &str| Old {
        except: vec!["other".into(), task.into()],
        ..old()
    };
    assert!(but("pay").takes(&done()));
    assert!(!but("tell").takes(&done()));
}

#[test]
fn a_prune_goes_from_the_newest_run_downwards_and_then_to_what_is_left_of_them() {
    assert_eq!(Place::Newest.below(), Some(RunId(i64::MAX)));
    assert_eq!(Place::Below(RunId(7)).below(), Some(RunId(7)));
    assert_eq!(Place::Items.below(), None);
    assert_eq!(Place::Keys(3).below(), None);
    assert!(without_gaps(&[], 1).is_empty());
}

#[test]
fn what_matters_of_a_parent_is_read_from_its_row() {
    let parent = |status, trigger: &str| {
        let trigger = trigger.into();
        let parent = Parent::from(&Seen {
            trigger,
            ..seen(status)
        });
        (parent.ended, parent.of_release)
    };
    assert_eq!(parent(RunStatus::Done, "object"), (true, false));
    assert_eq!(parent(RunStatus::Waiting, "object"), (false, false));
    assert_eq!(parent(RunStatus::Done, RELEASE), (true, true));
}

fn row(status: RunStatus, key: &EventKey, event: &str, was: &str) -> RunRow {
    let row = json!({
        "id": 2, "environment": "production", "task": "tell", "key": key, "generation": 1,
        "trigger": "object", "event": event, "event_hash": ContentHash::of(was.as_bytes()),
        "status": status, "seq": 0, "admitted": 1, "changed": 1, "due": null, "holder": null,
        "fence": 0, "claims": 0, "lane": null, "depth": 0, "parent": null,
    });
    serde_json::from_value(row).unwrap()
}

fn hash_of(key: &EventKey) -> [u8; 16] {
    let (environment, task) = (Environment::from("production"), TaskId::from("tell"));
    key_hash(&environment, &task, key, Some(Generation::FIRST))
}

#[test]
fn the_event_of_a_run_is_the_one_that_was_admitted_or_was_removed_at_its_end() {
    let key = EventKey::from("a.csv");
    let has = |status, event: &str| row(status, &key, event, "{\"a\":1}").has_its_event();
    assert!(has(RunStatus::Running, "{\"a\":1}") && has(RunStatus::Done, "{\"a\":1}"));
    assert!(!has(RunStatus::Running, "{\"a\":2}") && !has(RunStatus::Done, "{\"a\":2}"));
    assert!(has(RunStatus::Done, ""), "it was removed");
    assert!(!has(RunStatus::Running, ""), "it was lost");
}

#[test]
fn a_run_whose_data_was_removed_is_known_by_the_key_that_it_had() {
    let key = EventKey::from("ana@example.com");
    let forgotten = without_key(hash_of(&key));
    let of = |status, key: &EventKey, event: &str| row(status, key, event, "{}");

    let whole = of(RunStatus::Done, &key, "{}");
    assert!(!whole.is_forgotten());
    assert_eq!(whole.known_by(), hash_of(&key));
    let removed = of(RunStatus::Done, &forgotten, "");
    assert!(removed.is_forgotten());
    assert_eq!(removed.known_by(), hash_of(&key));
    assert_eq!(
        Beginning::of_row(&removed).chain(),
        Beginning::of_row(&whole).chain(),
        "its chain of facts is the same"
    );

    let pruned = of(RunStatus::Done, &key, "");
    assert!(!pruned.is_forgotten(), "its key is there");
    let looks_so = of(RunStatus::Done, &forgotten, "{}");
    assert!(!looks_so.is_forgotten(), "its event is there");
    assert_eq!(
        looks_so.known_by(),
        hash_of(&forgotten),
        "it is a key like others"
    );
    assert!(!of(RunStatus::Running, &forgotten, "").is_forgotten());
}

#[test]
fn nothing_but_all_of_its_digits_stands_for_a_forgotten_key() {
    let digits = "00112233445566778899aabbccddeeff";
    let read = |digits: &str| known_by(&EventKey::from(format!("forgotten:{digits}")));
    let hash = read(digits).unwrap();
    assert_eq!((hash[1], hash[15]), (0x11, 0xff));
    assert_eq!(without_key(hash).as_str(), format!("forgotten:{digits}"));
    for other in [
        &digits[2..],
        &format!("{digits}00"),
        &format!("{}é", &digits[2..]),
        &format!("{}zz", &digits[2..]),
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}

/// What a fact is as text, before and after its data was removed.
fn texts(fact: &Fact) -> (String, Value) {
    let before = serde_json::to_string(fact).unwrap();
    (before, serde_json::to_value(without_data(fact)).unwrap())
}

#[test]
fn of_a_forgotten_run_it_is_left_what_was_done_and_nothing_of_whom() {
    let step = || "a".into();
    let secret = || "ana".to_owned();
    let data = || json!({ "name": "ana" });
    let question = Question {
        text: secret(),
        tick: vec![secret()],
        hash: ContentHash::of(b"hash"),
        ..facts::question()
    };
    let answer = Answer {
        approved: true,
        by: "bob".into(),
        note: secret(),
        hash: ContentHash::of(b"hash"),
        ticked: vec![secret()],
        entitled: None,
        identity: Identity::Claimed,
    };
    let Value::Object(outputs) = json!({ "a": data() }) else {
        panic!("a table");
    };
    let told = [
        facts::ends("a", 1, facts::gave(data())),
        facts::ends("a", 1, Outcome::Unknown { error: secret() }),
        facts::ends("a", 1, facts::failure_of("ana", true, None)),
        facts::asked("a", question),
        Fact::Answered {
            step: step(),
            answer,
        },
        facts::settled(1, Settlement::Happened { output: data() }, "bob", "ana"),
        facts::requests(Request::Cancel, "bob", "ana"),
        Fact::Undoes(Undoing {
            key: EventKey::from("ana"),
            outputs,
            calls: [(step(), data())].into(),
            left: [(step(), secret())].into(),
            by: "bob".into(),
            reason: secret(),
            ..facts::undoing(&["a"])
        }),
    ];
    for fact in &told {
        let (before, after) = texts(fact);
        assert!(before.contains("ana"), "{before}");
        assert!(!after.to_string().contains("ana"), "{after}");
        let kind = |text: &str| serde_json::from_str::<Value>(text).unwrap()["fact"].clone();
        assert_eq!(after["fact"], kind(&before), "it is the same kind of fact");
    }
}
