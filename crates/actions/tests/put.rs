//! What the `put` action promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, kind};
use common::{again, call, failure, output};
use oncely_actions::{Put, PutConfig};
use oncely_core::action::{Action as _, Failure};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

struct Room {
    root: TempDir,
    other: TempDir,
    put: Put,
}

fn room() -> Room {
    let (root, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let put = Put::new(PutConfig {
        root: root.path().to_owned(),
        allowed: vec![other.path().join("out")],
        sources: vec![other.path().join("spool")],
    });
    fs::create_dir(other.path().join("out")).unwrap();
    fs::create_dir(other.path().join("spool")).unwrap();
    Room { root, other, put }
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_written_and_described() {
    let room = room();
    let done = output(
        &room.put,
        &call(json!({"to": "out/a/b.txt", "text": "hello"})),
    )
    .await;
    insta::assert_snapshot!(done, @r#"{"path":"out/a/b.txt","bytes":5,"hash":"ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f","created":true}"#);
    assert_eq!(
        fs::read_to_string(room.root.path().join("out/a/b.txt")).unwrap(),
        "hello"
    );
    assert_eq!(names(&room.root.path().join("out/a")), ["b.txt"]);
}

#[tokio::test]
async fn json_is_written_as_people_read_it() {
    let room = room();
    output(
        &room.put,
        &call(json!({"to": "a.json", "json": {"b": 1, "a": [2]}})),
    )
    .await;
    let text = fs::read_to_string(room.root.path().join("a.json")).unwrap();
    assert_eq!(text, "{\n  \"b\": 1,\n  \"a\": [\n    2\n  ]\n}\n");
}

#[tokio::test]
async fn a_file_is_copied_from_the_spool_to_an_allowed_folder() {
    let room = room();
    let (from, to) = (
        room.other.path().join("spool/x"),
        room.other.path().join("out/y"),
    );
    fs::write(&from, vec![7; 300_000]).unwrap();
    let done = output(&room.put, &call(json!({"to": to, "copy": from}))).await;
    assert_eq!(
        (&done["bytes"], &done["created"]),
        (&json!(300_000), &json!(true))
    );
    assert_eq!(fs::read(to).unwrap(), vec![7; 300_000]);
    // The spool is read from and never written to.
    let into_spool = call(json!({"to": room.other.path().join("spool/z"), "text": ""}));
    assert_eq!(
        kind(&failure(&room.put, &into_spool).await),
        Expected::Permanent
    );
}

#[tokio::test]
async fn what_is_there_is_replaced_whole() {
    let room = room();
    let path = room.root.path().join("a");
    fs::write(&path, "old").unwrap();
    let before = fs::File::open(&path).unwrap();
    let done = output(&room.put, &call(json!({"to": "a", "text": "new"}))).await;
    assert_eq!(done["created"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    // Who reads the old file reads it to its end.
    assert_eq!(std::io::read_to_string(before).unwrap(), "old");
}

#[tokio::test]
async fn a_half_written_file_of_a_killed_attempt_is_cleared_away() {
    let room = room();
    fs::write(room.root.path().join(".oncely-0123456789abcdef-1"), "hal").unwrap();
    let second = again(&call(json!({"to": "a", "text": "whole"})));
    output(&room.put, &second).await;
    assert_eq!(names(room.root.path()), ["a"]);
}

#[tokio::test]
async fn places_outside_are_refused_by_whatever_way() {
    let room = room();
    let outside = TempDir::new().unwrap();
    symlink(outside.path(), room.root.path().join("away")).unwrap();
    symlink(outside.path().join("x"), room.root.path().join("link")).unwrap();
    fs::write(outside.path().join("secret"), "hush").unwrap();
    symlink(outside.path().join("secret"), room.root.path().join("peek")).unwrap();
    for options in [
        json!({"to": "../x", "text": ""}),
        json!({"to": "a/../../x", "text": ""}),
        json!({"to": outside.path().join("x"), "text": ""}),
        json!({"to": "away/x", "text": ""}),
        json!({"to": "away/new/x", "text": ""}),
        json!({"to": "", "text": ""}),
        json!({"to": "x", "copy": "peek"}),
        json!({"to": "x", "copy": "away/secret"}),
        json!({"to": "x", "copy": outside.path().join("secret")}),
    ] {
        let got = failure(&room.put, &call(options.clone())).await;
        assert_eq!(kind(&got), Expected::Permanent, "{options}: {got:?}");
    }
    assert_eq!(names(outside.path()), ["secret"]);
    assert!(!room.root.path().join("x").exists());
}

#[tokio::test]
async fn a_link_in_the_place_of_the_file_is_not_written_through() {
    let room = room();
    let outside = TempDir::new().unwrap();
    symlink(outside.path().join("x"), room.root.path().join("link")).unwrap();
    let _ = room
        .put
        .run(&call(json!({"to": "link", "text": "x"})))
        .await;
    assert!(names(outside.path()).is_empty());
}

#[tokio::test]
async fn undo_leaves_what_others_wrote() {
    let room = room();
    let call = call(json!({"to": "a", "text": "ours"}));
    let done = output(&room.put, &call).await;
    fs::write(room.root.path().join("a"), "theirs").unwrap();
    let got = room.put.undo(&call, &done).await.unwrap_err();
    assert_eq!(kind(&got), Expected::Permanent);
    assert_eq!(
        fs::read_to_string(room.root.path().join("a")).unwrap(),
        "theirs"
    );
    fs::remove_file(room.root.path().join("a")).unwrap();
    let undone = room.put.undo(&call, &done).await.unwrap();
    assert_eq!(undone, json!({"path": "a", "removed": false}));
}

#[tokio::test]
async fn failures_say_what_is_wrong() {
    let room = room();
    fs::write(room.root.path().join("a"), "y").unwrap();
    fs::create_dir(room.root.path().join("d")).unwrap();
    let said = async |options| {
        let got: Failure = failure(&room.put, &call(options)).await;
        let root = room.root.path().to_str().unwrap();
        format!("{:?}: {}", kind(&got), got.error().replace(root, "ROOT"))
    };
    insta::assert_snapshot!(said(json!({"to": "a", "text": "x", "if_absent": true})).await, @"Permanent: ROOT/a is there already with other content, and `if_absent` leaves it as it is");
    insta::assert_snapshot!(said(json!({"to": "a/b", "text": "x"})).await, @"Permanent: cannot open ROOT/a: Not a directory (os error 20)");
    insta::assert_snapshot!(said(json!({"to": "d", "text": "x"})).await, @"Permanent: cannot read ROOT/d: is a directory");
    insta::assert_snapshot!(said(json!({"to": "x", "copy": "none"})).await, @"Permanent: cannot read ROOT/none: No such file or directory (os error 2)");
    insta::assert_snapshot!(said(json!({"to": "x", "copy": "d"})).await, @"Permanent: ROOT/d is no file that could be copied");
}

#[tokio::test]
async fn the_file_says_whether_it_was_written() {
    use oncely_core::action::Probe;
    let room = room();
    let wanted = call(json!({"to": "out/a/b.txt", "text": "hello"}));
    assert_eq!(room.put.probe(&wanted).await, Probe::DidNotHappen);
    assert!(!room.root.path().join("out").exists(), "it only looks");
    output(&room.put, &wanted).await;
    let Probe::Happened(seen) = room.put.probe(&wanted).await else {
        panic!("it is there");
    };
    insta::assert_snapshot!(seen, @r#"{"path":"out/a/b.txt","bytes":5,"hash":"ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f","created":false}"#);
    fs::write(room.root.path().join("out/a/b.txt"), "hullo").unwrap();
    let Probe::CannotTell(why) = room.put.probe(&wanted).await else {
        panic!("somebody else wrote it");
    };
    assert!(
        why.ends_with("out/a/b.txt holds something else than what was to be written"),
        "{why}"
    );
}
