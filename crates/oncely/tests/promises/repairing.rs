//! A ledger that lost its end is gone on with: what the other side recognises goes on by itself, what
//! nobody can tell is held, and what arrives again comes under the keys that it had.

use crate::project::Project;
use serde_json::json;

/// A step that asks, so that the run stands there.
const ASK: &str = "[on.call]\n\n[[step]]\nid = \"ask\"\napprove = \"Go on?\"\n\n";

/// Another side that writes down each key that comes, and does what it has not done under it.
const RECEIVER: &str = "echo $ONCELY_KEY >> came; grep -qx $ONCELY_KEY seen || \
                        { echo $ONCELY_KEY >> seen; echo paid >> paid; }";

struct Shop {
    project: Project,
}

impl Shop {
    fn new() -> Self {
        let project = Project::new();
        let pay = format!(
            "{ASK}[[step]]\nid = \"pay\"\n\
             command = {{ shell = '{RECEIVER}', key_honoured = \"24h\" }}\n"
        );
        let pay_at_once = pay.replace(ASK, "[on.call]\n\n");
        let tell = format!("{ASK}[[step]]\nid = \"tell\"\ncommand = \"echo told >> told\"\n");
        project.write("seen", "");
        project.write("tasks/pay.toml", pay);
        project.write("tasks/pay_at_once.toml", pay_at_once);
        project.write("tasks/tell.toml", tell);
        Self { project }
    }

    fn call(&self, task: &str, key: &str, words: &str) {
        let ended = self.project.run(&["call", task, "--key", key]);
        ended.says(0, &[words]);
    }

    /// Copies the ledger by hand; nobody is at work.
    fn keep(&self) {
        let (ledger, copy) = (
            self.project.path(".oncely/ledger.db"),
            self.project.path("copy"),
        );
        std::fs::copy(ledger, copy).unwrap();
    }

    fn set_back(&self) {
        let (ledger, copy) = (
            self.project.path(".oncely/ledger.db"),
            self.project.path("copy"),
        );
        std::fs::copy(copy, ledger).unwrap();
        self.project
            .run(&["run"])
            .says(2, &["oncely ledger repair --reason"]);
    }

    /// Runs 1 and 2 wait for an answer in the ledger, and were answered and done since.
    fn done_since() -> Self {
        let shop = Self::new();
        shop.call("pay", "7", "Go on?");
        shop.call("tell", "8", "Go on?");
        shop.keep();
        for run in ["1", "2"] {
            shop.project.run(&["approve", run]).says(0, &["done"]);
        }
        shop.set_back();
        shop
    }

    fn came(&self) -> Vec<String> {
        self.project
            .text("came")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn what_is_recognised_goes_on_by_itself_and_what_nobody_can_tell_is_held() {
    let shop = Shop::done_since();
    let project = &shop.project;
    let said = project.session(&[&["ledger", "repair", "--reason", "the disk came back old"]]);
    insta::assert_snapshot!(said);
    // The answers are gone as well. One that is given again is no permission where a run is held.
    project.run(&["approve", "1"]).says(0, &["done pay"]);
    project.run(&["approve", "2"]).says(0, &["Approved run 2."]);
    project.run(&["run"]).says(0, &[]);
    let came = shop.came();
    assert_eq!((came.len(), &came[0]), (2, &came[1]));
    assert_eq!(project.text("paid"), "paid\n");
    assert_eq!(project.text("told"), "told\n");
    project
        .run(&["show", "1"])
        .says(0, &["the end of the ledger was lost"]);
    let status = project.run(&["status"]).all();
    assert!(
        status.contains("is paused: oncely resume 2 goes on"),
        "{status}"
    );
}

#[test]
fn all_that_is_held_of_a_task_goes_on_when_somebody_has_looked() {
    let shop = Shop::done_since();
    let project = &shop.project;
    let early = [
        "ledger",
        "repair",
        "--go-on",
        "tell",
        "--reason",
        "all looked at",
    ];
    project
        .run(&early)
        .says(2, &["is not repaired yet", "Nothing was changed."]);
    let repair = ["ledger", "repair", "--reason", "the disk came back old"];
    project.run(&repair).says(0, &["1 run is held"]);
    let said = project.session(&[
        &[
            "ledger",
            "repair",
            "--go-on",
            "pay",
            "--reason",
            "all looked at",
        ],
        &[
            "ledger",
            "repair",
            "--go-on",
            "tell",
            "--reason",
            "all looked at",
        ],
        &[
            "ledger",
            "repair",
            "--go-on",
            "tell",
            "--reason",
            "all looked at",
        ],
    ]);
    insta::assert_snapshot!(said);
    project.run(&["approve", "2"]).says(0, &["done tell"]);
    assert_eq!(
        project.text("told"),
        "told\ntold\n",
        "they said that it was to be done"
    );
}

#[test]
fn everything_is_held_where_that_is_asked_for() {
    let shop = Shop::done_since();
    let repair = [
        "ledger",
        "repair",
        "--hold-all",
        "--reason",
        "the disk came back old",
    ];
    let told = shop.project.json(&repair);
    let held = json!([
        { "run": 2, "task": "tell", "why": "step `tell` may have been done, and there is nobody to ask" },
        { "run": 1, "task": "pay", "why": "everything is to be held" },
    ]);
    assert_eq!((&told[0]["held"], &told[0]["goes_on"]), (&held, &json!([])));
    shop.project
        .run(&["approve", "1"])
        .says(0, &["Approved run 1."]);
    assert_eq!(shop.came().len(), 1);
}

#[test]
fn what_was_admitted_since_comes_again_under_the_key_that_it_had() {
    let shop = Shop::new();
    shop.call("tell", "1", "Go on?");
    shop.keep();
    shop.call("pay_at_once", "7", "done");
    shop.set_back();
    let repair = ["ledger", "repair", "--reason", "the disk came back old"];
    shop.project.run(&repair).says(0, &[]);
    // Its number is another now.
    shop.call("tell", "2", "Go on?");
    shop.call("pay_at_once", "7", "done pay_at_once");
    shop.project.run(&["show", "3"]).says(0, &["pay_at_once"]);
    let came = shop.came();
    assert_eq!((came.len(), &came[0]), (2, &came[1]));
    assert_eq!(shop.project.text("paid"), "paid\n");
}

#[test]
fn rows_that_were_written_since_are_found_by_their_mark() {
    let shop = Shop::new();
    let project = &shop.project;
    let config = project.text("oncely.toml") + "\n[db.shop]\nsqlite = \"shop.db\"\n";
    project.write("oncely.toml", config);
    let touch = format!(
        "{ASK}[[step]]\nid = \"touch\"\nbatch = 2\nfor_each = {{ db = \"shop\", \
         rows = \"select id from goods\", key = \"id\" }}\n\n\
         [[step.do]]\nid = \"one\"\nsql = {{ db = \"shop\", \
         text = \"update goods set touched = touched + 1 where id = :id\", \
         bind = {{ id = \"{{{{ item.id }}}}\" }} }}\n"
    );
    project.write("tasks/touch.toml", touch);
    let goods = rusqlite::Connection::open(project.path("shop.db")).unwrap();
    let made = "create table goods (id integer primary key, touched integer);
                insert into goods values (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)";
    goods.execute_batch(made).unwrap();
    shop.call("touch", "1", "Go on?");
    shop.keep();
    // Claims that the ledger will know nothing of: the mark is under a later one.
    for _ in 0..4 {
        project.run(&["pause", "1"]).says(0, &[]);
        project.run(&["resume", "1"]).says(0, &[]);
    }
    project.run(&["approve", "1"]).says(0, &["done touch"]);
    shop.set_back();
    let repair = ["ledger", "repair", "--reason", "the disk came back old"];
    project
        .run(&repair)
        .says(0, &["1 run that had not ended goes on by itself"]);
    project.run(&["approve", "1"]).says(0, &["done touch"]);
    let touched = "select min(touched), max(touched) from goods";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    assert_eq!(goods.query_row(touched, [], read), Ok((1, 1)));
}
