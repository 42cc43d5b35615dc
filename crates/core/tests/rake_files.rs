//! Files of the gem after_party are read as the gem reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::task::{Bundle, Task, Trigger, Work, load, rake_name};

fn bundle(path: &str, text: &str) -> Bundle {
    Bundle {
        path: path.into(),
        text: text.into(),
        executable: false,
        files: std::collections::BTreeMap::new(),
    }
}

fn task(text: &str) -> Task {
    load(&bundle(
        "lib/tasks/deployment/20200101000000_fill.rake",
        text,
    ))
    .unwrap()
}

#[test]
fn version_and_name_are_found_where_the_gem_finds_them() {
    for (file, wanted) in [
        ("20200101000000_fill.rake", Some(("20200101000000", "fill"))),
        ("lib/tasks/1_a_b.rake", Some(("1", "a_b"))),
        ("1_2_a.rake", Some(("1", "2_a"))),
        ("a1b22_c.rake", Some(("22", "c"))),
        ("1__a.rake", Some(("1", "_a"))),
        ("1_a.rake.rake", Some(("1", "a.rake"))),
        ("1_.rake", None),
        ("_a.rake", None),
        ("helpers.rake", None),
        ("1_a.rb", None),
    ] {
        assert_eq!(rake_name(file), wanted, "{file}");
    }
}

#[test]
fn a_rake_file_is_one_step_that_is_tried_once_and_may_take_long() {
    let task = task("namespace :after_party do\n  desc 'Deployment task: fill'\nend\n");
    assert_eq!(task.id.as_str(), "20200101000000");
    assert_eq!(task.title.as_deref(), Some("Deployment task: fill"));
    let Trigger::Release(release) = &task.on else {
        panic!("{task:?}")
    };
    assert!(release.until_recorded && !release.every);
    let [step] = task.steps.as_slice() else {
        panic!("{task:?}")
    };
    let Work::Action(action) = &step.work else {
        panic!("{task:?}")
    };
    let args = format!("{:?}", action.options.get("args"));
    assert!(
        args.contains(r#"String("bin/rails"), String("after_party:fill")"#),
        "{args}"
    );
    assert_eq!(step.policy.retry.attempts, 1);
    assert_eq!(step.policy.timeout_ms, Some(24 * 3600 * 1000));
}

#[test]
fn a_header_in_comments_says_more_where_somebody_wants_that() {
    let task = task(
        "# /// oncely\n# environments = [\"production\"]\n# timeout = \"5m\"\n# on.release = { every = true }\n# ///\n",
    );
    assert_eq!(task.environments.len(), 1);
    assert_eq!(task.steps[0].policy.timeout_ms, Some(300_000));
    let Trigger::Release(release) = &task.on else {
        panic!("{task:?}")
    };
    assert!(release.every && !release.until_recorded);
    let wrong = load(&bundle(
        "lib/1_a.rake",
        "# /// oncely\n# steps = 1\n# ///\n",
    ));
    let words = format!("{:?}", wrong.unwrap_err());
    assert!(words.contains("steps"), "{words}");
}
