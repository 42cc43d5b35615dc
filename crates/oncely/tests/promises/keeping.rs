//! The ledger is backed up, put back and counted.

use crate::project::Project;
use oncely_ledger::conformance::Server;

/// What was said, with sizes as a word.
fn sized(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [name @ .., _, "bytes" | "kB"] if !name.is_empty() && !line.contains("Wrote") => {
                format!("{}  [size]", name.join(" "))
            }
            _ => line.to_owned(),
        }
    });
    let mut lines: Vec<String> = lines.collect();
    // Tables of one size come in the order of their names; which is larger is nobody's promise.
    lines.retain(|line| !line.starts_with("oncely_"));
    lines.join("\n")
}

fn done(project: &Project, version: u64) {
    project.release_task(version, "a", "true");
    project.run(&["run"]).says(0, &["done"]);
}

#[test]
fn a_ledger_is_backed_up_and_put_back_with_the_old_one_beside() {
    let project = Project::new();
    done(&project, 1);
    project
        .run(&["ledger", "backup", "copy.db"])
        .says(0, &["Wrote copy.db: 1 run, ", "is whole."]);
    done(&project, 2);
    let said = project.session(&[
        &["ledger", "backup", "copy.db"],
        &["ledger", "restore", "copy.db"],
        &["run"],
        &["ledger", "repair", "--reason", "compared"],
        &["status"],
    ]);
    insta::assert_snapshot!(said, @r#"
    $ oncely ledger backup copy.db
    oncely: copy.db is there already. Nothing was written. Choose another name, or say --replace.
    [exit 1]
    $ oncely ledger restore copy.db
    Restored 1 run from copy.db.
    The ledger that was there is kept in [dir]/.oncely/ledger.db-replaced-1.
    It knows of nothing that happened after [time] UTC.
    What was done since is not known. Nothing is run before `oncely ledger repair --reason "…"`, which says what may have been done: see docs/integrity.md.
    $ oncely run
    oncely: the ledger [dir]/.oncely/ledger.db was restored from [dir]/copy.db, and what was done since that was made is not known. Nothing was run, and nothing was changed. To go on with it: `oncely ledger repair --reason "…"`, which says what that means.
    [exit 2]
    $ oncely ledger repair --reason compared
    The ledger is gone on with as it is, though it was restored from [dir]/copy.db, and what was done since that was made is not known.
    What was admitted since is not known: it is done again when it arrives again. What people said since, such as answers and `cancel`, is gone. Which runs ended since is not known either.
    $ oncely status
    STATE    VERSION  TASK  LAST RUN (UTC)       TOOK
    done     1        a     [time]  [span]
    pending  2        a
    "#);
    let kept = project.json(&["ledger", "restore", ".oncely/ledger.db-replaced-1"]);
    assert_eq!(kept[0]["runs"], 2);
}

#[test]
fn the_numbers_of_a_ledger_are_told() {
    let project = Project::new();
    let none = project.run(&["ledger", "stats"]);
    insta::assert_snapshot!(none.all(), @"There is no ledger yet; the first run makes it.");
    done(&project, 1);
    project.run(&["ledger", "backup", "copy.db"]).says(0, &[]);
    project.run(&["ledger", "restore", "copy.db"]).says(0, &[]);
    let said = project.run(&["ledger", "stats"]).all();
    let name = project.json(&["ledger", "stats"])[0]["name"].clone();
    let said = said.replace(name.as_str().unwrap(), "[name]");
    insta::assert_snapshot!(sized(&said), @r"
    [dir]/.oncely/ledger.db: ledger [name], schema 2.0
    restored on [time] UTC from [dir]/copy.db
    from [time] to [time] UTC

    WHAT             HOW MANY
    runs done        1
    keys             1
    facts            5
    facts of items   0
    items set aside  0

    TABLE               SIZE
    all  [size]
    write-ahead log  [size]
    ");
    let told = &project.json(&["ledger", "stats"])[0];
    assert_eq!(told["runs"]["done"], 1);
    assert_eq!(told["keys"], 1);
    assert!(told["facts"].as_u64().unwrap() >= 3, "{told}");
    assert!(
        told["tables"]["oncely_keys"].as_u64().unwrap() > 0,
        "{told}"
    );
    assert!(told["bytes"].as_u64().unwrap() > 0, "{told}");
}

#[test]
fn a_ledger_in_postgresql_is_counted_and_backed_up_by_its_own_tools() {
    let server = Server::start(&[]);
    let url = server.database();
    let project = Project::empty().variable("DATABASE_URL", &url);
    project.write("oncely.toml", "ledger = \"env:DATABASE_URL\"\n");
    done(&project, 1);
    let told = &project.json(&["ledger", "stats"])[0];
    assert_eq!(
        (&told["runs"]["done"], &told["keys"]),
        (&1.into(), &1.into())
    );
    assert!(
        told["tables"]["oncely_facts"].as_u64().unwrap() > 0,
        "{told}"
    );
    let said = project.session(&[
        &["ledger", "backup", "copy.db"],
        &["ledger", "restore", "copy.db"],
    ]);
    let place = told["ledger"].as_str().unwrap();
    insta::assert_snapshot!(said.replace(place, "[place]"), @r#"
    $ oncely ledger backup copy.db
    oncely: the ledger is in [place], and PostgreSQL has its own tools for this. Nothing was changed. Use them: `pg_dump --format=custom --table='oncely_*' --file=copy.db`, with that database.
    [exit 2]
    $ oncely ledger restore copy.db
    oncely: the ledger is in [place], and PostgreSQL has its own tools for this. Nothing was changed. Use them: `pg_restore --clean --if-exists --single-transaction`, with that database.
    [exit 2]
    "#);
}
