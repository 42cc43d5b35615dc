//! Tasks of the gem after_party run as they are, and its table goes on to say what is done.

use crate::project::Project;
use crate::rails::{configure, database, rails, rake_file, record, recorded, shop};

#[test]
fn rake_files_run_unchanged_and_a_row_means_done_for_ever() {
    let shop = shop();
    rake_file(&shop, "20200101000000", "long_ago", true);
    rake_file(&shop, "20200102000000", "refill_API_totals_id", true);
    rake_file(&shop, "20200103000000", "warm_the_cache", false);
    record(&shop, "20200101000000");
    insta::assert_snapshot!(shop.session(&[
        &["plan", "--release", "v1"],
        &["run", "--release", "v1"],
        &["run", "--release", "v1"],
    ]), @r#"
    $ oncely plan --release v1
    20200102000000_refill_API_totals_id
      Deployment task: refill_API_totals_id
      - run: command bin/rails after_party:refill_API_totals_id  (no undo)
    20200103000000_warm_the_cache
      Deployment task: warm_the_cache
      - run: command bin/rails after_party:warm_the_cache  (no undo)

    2 tasks would run in development. Nothing was done.
    $ oncely run --release v1
    done 20200102000000_refill_API_totals_id  [span]
    done 20200103000000_warm_the_cache  [span]
         it wrote no row into after_party's table, and runs at the next release again
    $ oncely run --release v1
    Nothing to do: 3 tasks already done here.
    "#);
    assert_eq!(recorded(&shop), ["20200101000000", "20200102000000"]);
    assert_eq!(shop.text("out"), "refill_API_totals_id\nwarm_the_cache\n");
    let after_party = rails(&shop, &["after_party:status"]);
    after_party.says(0, &["up", "down"]);
    assert_eq!(
        shop.run(&["status", "--style", "after_party"]).out,
        after_party.out
    );
    shop.run(&["run", "--release", "v2"])
        .says(0, &["done 20200103000000_warm_the_cache"]);
    assert_eq!(
        shop.text("out"),
        "refill_API_totals_id\nwarm_the_cache\nwarm_the_cache\n"
    );
    insta::assert_snapshot!(shop.run(&["status"]).all(), @r"
    STATE     VERSION         TASK                  LAST RUN (UTC)       TOOK
    imported  20200101000000  long_ago              [time]  [span]
    done      20200102000000  refill_API_totals_id  [time]  [span]
    done      20200103000000  warm_the_cache        [time]  [span]
    ");
}

#[test]
fn what_after_party_itself_does_meanwhile_is_not_done_again() {
    let shop = shop();
    rake_file(&shop, "20200101000000", "first", true);
    rails(&shop, &["after_party:run"]).says(0, &[]);
    let old = rails(&shop, &["after_party:status"]).out;
    // Before oncely knows of it, too.
    assert_eq!(shop.run(&["status", "--style", "after_party"]).out, old);
    shop.run(&["plan", "--release", "v1"])
        .says(0, &["Nothing would run"]);
    shop.run(&["run", "--release", "v1"])
        .says(0, &["Nothing to do: 1 task already done here."]);
    assert_eq!(shop.text("out"), "first\n");
    // The ledger knows it now, and needs the table no more.
    database(&shop)
        .execute_batch("drop table task_records")
        .unwrap();
    rake_file(&shop, "20200101000000", "first", false);
    shop.run(&["run", "--release", "v2"])
        .says(0, &["Nothing to do"]);
    assert_eq!(shop.text("out"), "first\n");
}

#[test]
fn a_rake_task_that_fails_is_tried_at_the_next_release_as_it_always_was() {
    let shop = shop();
    let broken =
        "task('after_party:broken') { File.write('out', \"tried\\n\", mode: 'a'); abort 'no' }\n";
    shop.write("lib/tasks/deployment/20200101000000_broken.rake", broken);
    rake_file(&shop, "20200102000000", "later", true);
    shop.run(&["run", "--release", "v1"]).says(1, &["failed"]);
    shop.run(&["run", "--release", "v1"]).says(1, &["failed"]);
    assert_eq!(shop.text("out"), "tried\n");
    rake_file(&shop, "20200101000000", "broken", true);
    shop.run(&["run", "--release", "v2"])
        .says(0, &["done 20200101000000_broken"]);
    assert_eq!(shop.text("out"), "tried\nbroken\nlater\n");
}

/// Nothing of these needs Ruby: all is refused before.
#[test]
fn without_the_table_nothing_is_run() {
    let shop = shop();
    rake_file(&shop, "20200101000000", "first", true);
    database(&shop)
        .execute_batch("drop table task_records")
        .unwrap();
    insta::assert_snapshot!(shop.run(&["run", "--release", "v1"]).all(), @r"
    oncely: the database [dir]/db/app.sqlite3 has no table task_records or task_record. Is it the application's database, of this environment? A table of another name: --table NAME, or `table` of [adopt.rake]. Whether a .rake file is done, after_party's table says. Nothing was run.
    [exit 2]
    ");
    for (url, words) in [
        ("postgres://u:s3cret@127.0.0.1:1/shop", "cannot be reached"),
        ("mongodb://u:s3cret@h/shop", "no database that can be read"),
        ("", "DATABASE_URL is to say where"),
    ] {
        let mut command = shop.command(&["run", "--release", "v1"]);
        command.env("DATABASE_URL", url);
        let refused = shop.ended(command);
        refused.says(2, &[words, "Nothing was run."]);
        assert!(!refused.all().contains("s3cret"), "{}", refused.all());
    }
    assert!(shop.json(&["runs"]).is_empty());
    configured(
        "dir = \"../elsewhere\"",
        "is no folder below the project's root",
    );
    configured("dir = \"lib/nothing\"", "cannot be read");
    configured("dir = \"lib\"\ntable = \"a;b\"", "is no name of a table");
    configured(
        "dir = \"lib/tasks\"\ndatabase = \"postgres://u:s3cret@h/shop\"",
        "holds a password",
    );
}

/// What a wrong `[adopt.rake]` leads to.
fn configured(lines: &str, words: &str) {
    let project = Project::new();
    project.write("lib/tasks/20200101000000_first.rake", "");
    configure(&project, &format!("[adopt.rake]\n{lines}\n"));
    let refused = project.run(&["run", "--release", "v1"]);
    refused.says(2, &[words]);
    assert!(!refused.all().contains("s3cret"), "{}", refused.all());
}

#[test]
fn files_that_rake_would_mix_up_are_errors_before_anything_runs() {
    let shop = shop();
    rake_file(&shop, "20200101000000", "first", true);
    rake_file(&shop, "20200102000000", "first", true);
    rake_file(&shop, "20200103000000", "third", true);
    shop.release_task(20_200_103_000_000, "same_version", "true");
    shop.write("lib/tasks/deployment/v20200104000000_fourth.rake", "");
    // The gem passes over a file without a version, and so does oncely.
    shop.write("lib/tasks/deployment/helpers.rake", "");
    insta::assert_snapshot!(shop.run(&["check"]).all(), @r"
    error: two rake files define after_party:first
     --> lib/tasks/deployment/20200101000000_first.rake:1:1
      |
    1 | namespace :after_party do
      | ^ the other is lib/tasks/deployment/20200102000000_first.rake
      |
      = help: Rake would run both of them each time: rename one, its file and its task

    error: two rake files define after_party:first
     --> lib/tasks/deployment/20200102000000_first.rake:1:1
      |
    1 | namespace :after_party do
      | ^ the other is lib/tasks/deployment/20200101000000_first.rake
      |
      = help: Rake would run both of them each time: rename one, its file and its task

    error: two release tasks have the version 20200103000000
     --> lib/tasks/deployment/20200103000000_third.rake:1:1
      |
    1 | namespace :after_party do
      | ^ the other is tasks/20200103000000_same_version.toml
      |
      = help: give the newer file a later time

    error: after_party reads the version 20200104000000 from the middle of this name
     --> lib/tasks/deployment/v20200104000000_fourth.rake:1:1
      |
    1 |
      | ^
      |
      = help: name the file 20200104000000_fourth.rake

    error: two release tasks have the version 20200103000000
     --> tasks/20200103000000_same_version.toml:1:1
      |
    1 | [on.release]
      | ^ the other is lib/tasks/deployment/20200103000000_third.rake
      |
      = help: give the newer file a later time

    5 errors in 5 task files.
    [exit 2]
    ");
}
