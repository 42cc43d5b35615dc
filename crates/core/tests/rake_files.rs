//! Files of the gem after_party are read as the gem reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::{Task, Trigger, Work, load, load_all, rake_name};
use texts::bundle;

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

#[test]
fn the_first_description_is_the_title_unless_the_header_gives_one() {
    for (text, title) in [
        ("desc \"Fill\"\n", Some("Fill")),
        ("  desc('Fill it')\n  desc 'again'\n", Some("Fill it")),
        ("desc ''\ndesc 'Fill'\n", Some("Fill")),
        ("desc name\n", None),
        ("# desc 'Fill'\n", None),
        (
            "# /// oncely\n# title = \"Own\"\n# ///\ndesc 'Fill'\n",
            Some("Own"),
        ),
    ] {
        assert_eq!(task(text).title.as_deref(), title, "{text}");
    }
}

#[test]
fn neither_of_two_files_that_define_one_rake_task_is_taken() {
    let loaded = load_all(&[
        bundle("lib/20200101000000_fill.rake", "desc 'a'\n"),
        bundle("lib/20200102000000_clean.rake", "desc 'b'\n"),
        bundle("more/20200103000000_fill.rake", "desc 'c'\n"),
    ]);
    let tasks: Vec<_> = loaded.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(tasks, ["20200102000000"]);
    let told: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|told| (told.to_string(), told.label.clone()))
        .collect();
    let words = |path: &str, other: &str| {
        let help = "Rake would run both of them each time: rename one, its file and its task";
        (
            format!("{path}:1:1: two rake files define after_party:fill ({help})"),
            format!("the other is {other}"),
        )
    };
    let (one, other) = (
        "lib/20200101000000_fill.rake",
        "more/20200103000000_fill.rake",
    );
    assert_eq!(told, [words(one, other), words(other, one)]);
}

#[test]
fn a_name_that_the_gem_reads_otherwise_is_told() {
    let told = |path: &str| {
        let errors = load(&bundle(path, "desc 'a'\n")).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        told("lib/a1b22_c.rake"),
        [
            "lib/a1b22_c.rake:1:1: after_party reads the version 22 from the middle of this name \
             (name the file 22_c.rake)"
        ]
    );
    assert_eq!(
        told("lib/helpers.rake"),
        ["lib/helpers.rake:1:1: the name of an after_party task is YYYYMMDDHHMMSS_name.rake"]
    );
}
