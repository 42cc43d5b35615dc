//! The list of named points and the code agree: each is passed somewhere, and none is passed that the
//! list does not have (which would not compile).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::points::{self, Point};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// The text of every file below a folder of sources, without the list itself.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|e| e == "rs")
            && !path.ends_with("core/src/points.rs")
        {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_point_of_the_list_is_passed_by_the_code() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut text = String::new();
    for room in ["engine", "ledger", "sources", "actions"] {
        sources(&crates.join(room).join("src"), &mut text);
    }
    let passed = |point: &&Point| {
        let name = format!("::{}", point.variant());
        text.split(&name)
            .skip(1)
            .any(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    };
    let missing: Vec<_> = Point::ALL.iter().filter(|point| !passed(point)).collect();
    assert!(missing.is_empty(), "no code passes {missing:?}");
}

#[test]
fn every_name_means_one_point() {
    let names: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(names.len(), Point::ALL.len());
    for point in Point::ALL {
        assert_eq!(Point::named(point.name()), Some(*point));
    }
}

static PASSED: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn who_looks_is_told_of_each_point_that_is_passed_and_of_which_step() {
    points::pass(Point::HookTaken);
    points::visit(|point, task, step| {
        let passed = format!("{} {task}/{step}", point.name());
        PASSED.lock().unwrap().push(passed);
    });
    points::pass(Point::ClaimAfter);
    points::pass_in(Point::EffectBefore, "tell", "mail");
    let passed = PASSED.lock().unwrap();
    let told: &[&str] = match points::THERE {
        true => &["claim.after /", "effect.before tell/mail"],
        false => &[],
    };
    assert_eq!(*passed, told);
}
