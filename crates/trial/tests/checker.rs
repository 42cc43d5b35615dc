//! The checker itself: it is silent about a history in order, and names what is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_trial::check::{Evidence, Export, Promise, Request, Sent, Windows, check, windows};

fn sent() -> Sent {
    Sent {
        task: "letters".into(),
        id: "a".into(),
        good: 0,
        broken: 0,
    }
}

fn request(key: &str) -> Request {
    Request {
        path: "/letters/send".into(),
        key: key.into(),
        body: r#"{"id":"a"}"#.into(),
        at_ms: 5,
    }
}

fn row(id: i64, status: &str) -> String {
    format!(
        r#"{{"kind":"run","id":{id},"task":"letters","key":"a","generation":1,"event":"{{\"id\":\"a\"}}","status":"{status}","parent":null}}"#
    )
}

fn intent(attempt: u64, fence: i64) -> String {
    format!(
        r#"{{"kind":"fact","run":1,"at":{attempt},"fact":"intent","step":"send","attempt":{attempt},"fence":{fence},"repeat":{{"is":"ask_first"}},"key":"k"}}"#
    )
}

fn interrupted() -> String {
    r#"{"kind":"fact","run":1,"at":9,"fact":"interrupted","step":"send","attempt":1}"#.into()
}

fn done(attempt: u64) -> String {
    format!(
        r#"{{"kind":"fact","run":1,"at":10,"fact":"outcome","step":"send","attempt":{attempt},"was":"done","output":{{}}}}"#
    )
}

fn broken(lines: &[String], requests: Vec<Request>) -> Vec<Promise> {
    let evidence = Evidence {
        sent: vec![sent()],
        requests,
        ..Evidence::default()
    };
    let export = Export::read(&lines.join("\n")).unwrap();
    let mut found: Vec<_> = check(&evidence, &export)
        .into_iter()
        .map(|b| b.promise)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn a_history_in_order_breaks_nothing() {
    let lines = [row(1, "done"), intent(1, 1), done(1)];
    assert_eq!(broken(&lines, vec![request("k")]), []);
    let doubt = [row(1, "unknown"), intent(1, 1), interrupted()];
    assert_eq!(broken(&doubt, vec![request("k")]), []);
    assert_eq!(broken(&doubt, vec![]), []);
}

#[test]
fn what_is_missing_is_lost() {
    assert_eq!(broken(&[], vec![]), [Promise::NothingLost]);
    let unsent = [row(1, "done"), intent(1, 1), done(1)];
    assert_eq!(broken(&unsent, vec![]), [Promise::NothingLost]);
    let stuck = [row(1, "running"), intent(1, 1)];
    assert!(broken(&stuck, vec![]).contains(&Promise::NothingLost));
}

#[test]
fn two_runs_of_one_key_are_named() {
    let lines = [row(1, "done"), row(2, "done"), intent(1, 1), done(1)];
    assert!(broken(&lines, vec![request("k")]).contains(&Promise::AdmittedOnce));
}

#[test]
fn a_repeat_that_nobody_recognises_is_named() {
    let lines = [row(1, "done"), intent(1, 1), done(1)];
    let twice = broken(&lines, vec![request("k"), request("k")]);
    assert_eq!(twice, [Promise::IntentFirst, Promise::NeverSilentlyTwice]);
    let other_key = broken(&lines, vec![request("k"), request("l")]);
    assert!(other_key.contains(&Promise::SameKeySameBytes));
}

#[test]
fn a_doubt_that_is_not_listed_is_named() {
    let lines = [
        row(1, "done"),
        intent(1, 1),
        interrupted(),
        intent(2, 2),
        done(2),
    ];
    assert_eq!(broken(&lines, vec![request("k")]), [Promise::DoubtIsListed]);
}

#[test]
fn a_superseded_claim_that_records_is_named() {
    let lines = [row(1, "unknown"), intent(1, 2), interrupted(), intent(2, 1)];
    assert!(broken(&lines, vec![request("k")]).contains(&Promise::OneHolder));
    let lines = [row(1, "unknown"), intent(1, 1), interrupted(), done(1)];
    assert!(broken(&lines, vec![request("k")]).contains(&Promise::OneHolder));
}

#[test]
fn kills_are_counted_by_the_window_they_fell_in() {
    let lines = [row(1, "unknown"), intent(1, 1), interrupted()];
    let export = Export::read(&lines.join("\n")).unwrap();
    let mut evidence = Evidence::default();
    assert_eq!(windows(&evidence, &export), Windows::default());
    // The second kill, at 5: the attempt was begun at 1 and found interrupted at 9.
    evidence.kills = vec![0, 5, 12];
    let before = windows(&evidence, &export);
    assert_eq!((before.intent_to_effect, before.effect_to_outcome), (1, 0));
    evidence.requests.push(request("k"));
    let after = windows(&evidence, &export);
    assert_eq!((after.intent_to_effect, after.effect_to_outcome), (0, 1));
    assert_eq!(after.in_flight, 1);
    // Another claim was there at 9, before any server was killed.
    evidence.kills = vec![0, 12];
    assert_eq!(windows(&evidence, &export), Windows::default());
}

#[test]
fn a_kill_counts_once_however_much_was_in_flight() {
    let other = |line: String| line.replace("\"run\":1", "\"run\":2");
    let lines = [
        row(1, "unknown"),
        intent(1, 1),
        interrupted(),
        row(2, "unknown"),
        other(intent(1, 1)),
        other(interrupted()),
    ];
    let export = Export::read(&lines.join("\n")).unwrap();
    let evidence = Evidence {
        kills: vec![5],
        ..Evidence::default()
    };
    let windows = windows(&evidence, &export);
    assert_eq!((windows.in_flight, windows.intent_to_effect), (2, 1));
}
