//! Long work over rows: killed, paused, followed, and the example of it.

use crate::project::{Project, wait};
use crate::terminal::Terminal;
use rusqlite::Connection;
use std::hash::{BuildHasher, RandomState};

/// A shop whose rows count how often they were touched, and a task that touches each.
struct Shop {
    project: Project,
}

const ROWS: i64 = 3000;

impl Shop {
    fn new(on: &str, pace: &str) -> Self {
        let project = Project::new();
        let config = project.text("oncely.toml") + "\n[db.shop]\nsqlite = \"shop.db\"\n";
        project.write("oncely.toml", config);
        let task = format!(
            "{on}\n\n[[step]]\nid = \"touch\"\n{pace}\nfor_each = {{ db = \"shop\", \
             rows = \"select id, name from goods\", key = \"id\" }}\n\n\
             [[step.do]]\nid = \"one\"\nsql = {{ db = \"shop\", \
             text = \"update goods set touched = touched + 1 where id = :id\", \
             bind = {{ id = \"{{{{ item.id }}}}\" }} }}\n"
        );
        let name = match on {
            "[on.call]" => "tasks/touch.toml",
            _ => "tasks/20260101000000_touch.toml",
        };
        project.write(name, task);
        let shop = Self { project };
        shop.open()
            .execute_batch(&format!(
                "pragma journal_mode = wal;
                 create table goods (id integer primary key, name text, touched integer);
                 insert into goods with recursive n (i) as (select 1 union all select i + 1 from n
                 where i < {ROWS}) select i * 3, 'good ' || i, 0 from n"
            ))
            .unwrap();
        shop
    }

    fn open(&self) -> Connection {
        Connection::open(self.project.path("shop.db")).unwrap()
    }

    /// Rows that were touched, and the most often that one was.
    fn touched(&self) -> (i64, i64) {
        let text = "select count(*) filter (where touched > 0), max(touched) from goods";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.open().query_row(text, [], read).unwrap()
    }

    fn reaches(&self, rows: i64) {
        wait("rows to be touched", || self.touched().0 >= rows);
    }
}

#[test]
fn a_backfill_that_is_killed_at_any_moment_goes_on_at_the_next_row() {
    let shop = Shop::new("[on.release]", "rate = \"3000/s\"\nbatch = 50");
    let seed = RandomState::new().hash_one(0);
    let mut next = 1 + i64::try_from(seed % 300).unwrap();
    let mut kills = 0;
    while next < ROWS - 200 {
        let mut run = shop.project.start(&["run"]);
        shop.reaches(next);
        run.kill();
        kills += 1;
        assert_eq!(shop.touched().1, 1, "kill {kills}, seed {seed}");
        next = shop.touched().0 + 50 + i64::try_from(seed >> (kills * 3) & 0x3ff).unwrap();
    }
    shop.project
        .run(&["run"])
        .says(0, &["done 20260101000000_touch"]);
    assert_eq!(shop.touched(), (ROWS, 1), "{kills} kills, seed {seed}");
    shop.project
        .run(&["show", "1"])
        .says(0, &["Step `touch`: 3,000 items, 3,000 done, 0 set aside"]);
}

#[test]
fn a_backfill_is_followed_paused_at_a_row_and_resumed_at_the_next() {
    let shop = Shop::new("[on.call]", "rate = \"500/s\"\nbatch = 50");
    let server = shop.project.serve(&[]);
    shop.project
        .run(&["call", "touch", "--key", "k", "--detach"])
        .says(0, &["Admitted as run 1."]);
    let mut log = shop.project.start(&["logs", "-f", "1"]);
    shop.reaches(100);
    for look in [&["show", "1"][..], &["status"]] {
        wait("it to say how far it is", || {
            shop.project.run(look).out.contains("of 3,000 items")
        });
    }
    shop.project.run(&["pause", "1"]).says(0, &[]);
    shop.project.wait_run("waiting");
    let (held, most) = shop.touched();
    assert!(most == 1 && held % 50 == 0 && held < ROWS, "{held} {most}");
    // A row that was dealt with comes again, and one that is still to come goes.
    shop.open()
        .execute_batch(
            "delete from goods where id = 9000; update goods set name = 'new' where id = 3",
        )
        .unwrap();
    shop.project.run(&["resume", "1", "--detach"]).says(0, &[]);
    let followed = log.end();
    assert_eq!(followed.code, 0, "{}", followed.all());
    assert_eq!(shop.touched(), (ROWS - 1, 1));
    for words in [
        "`touch` ",
        " of 3,000 items (",
        "/s, ",
        " left",
        "ended: done",
    ] {
        assert!(followed.out.contains(words), "{words}: {}", followed.out);
    }
    assert_eq!(server.stop().code, 0);
}

#[test]
fn a_paced_backfill_is_left_at_once_and_goes_on_in_the_next_process() {
    let shop = Shop::new("[on.release]", "rate = \"50/h\"\nbatch = 50");
    let run = shop.project.start(&["run"]);
    shop.reaches(50);
    let began = std::time::Instant::now();
    let ended = run.stop();
    assert!(began.elapsed().as_secs() < 10, "{}", ended.all());
    assert_eq!(shop.touched(), (50, 1));
    let run = shop.project.start(&["run"]);
    shop.reaches(100);
    run.stop();
    assert_eq!(shop.touched(), (100, 1));
}

#[test]
fn a_bar_shows_how_far_a_stream_is_where_somebody_looks() {
    let shop = Shop::new("[on.release]", "rate = \"1500/s\"\nbatch = 50");
    let mut terminal = Terminal::capable(&shop.project, &["run"]);
    terminal.shows(" of 3,000 items (");
    terminal.shows("/s, ");
    terminal.shows(" s left");
    assert_eq!(terminal.ends(), 0);
    let quiet = Shop::new("[on.release]", "");
    let ended = quiet.project.run(&["run"]);
    assert!(!ended.all().contains("items"), "{}", ended.all());
}

#[test]
fn rows_of_the_ledgers_own_database_are_items_and_its_own_tables_are_not() {
    let project = Project::new();
    project.write(
        "tasks/1_make.sql",
        "-- /// oncely\n-- title = \"Make\"\n-- ///\ncreate table goods (id integer primary key); \
         insert into goods values (1), (2), (3);\n",
    );
    let each = |table: &str, name: &str| {
        format!(
            "[on.release]\n\n[[step]]\nid = \"each\"\nfor_each = {{ rows = \"select {name} as id \
             from {table}\", key = \"id\" }}\ndo = [{{ command = [\"touch\", \"seen-{{{{ item.id }}}}\"] }}]\n"
        )
    };
    project.write("tasks/2_each.toml", each("goods", "id"));
    project.run(&["run"]).says(0, &["done 2_each"]);
    assert!((1..=3).all(|id| project.path(&format!("seen-{id}")).exists()));
    project.write("tasks/3_peek.toml", each("oncely_facts", "run"));
    project.run(&["run"]).says(1, &["no table of oncely's"]);
}

#[test]
fn the_example_fills_in_every_row_and_waits_while_the_shop_says_no() {
    let project = Project::empty();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/backfill");
    for file in [
        "oncely.toml",
        "tasks/20260406090000_make_customers.sql",
        "tasks/20260413090000_small_emails.toml",
    ] {
        project.write(file, std::fs::read(format!("{example}/{file}")).unwrap());
    }
    project
        .run(&["run", "--only", "20260406090000"])
        .says(0, &["done 20260406090000_make_customers"]);
    let shop = Connection::open(project.path("shop.db")).unwrap();
    let filled = || {
        let text = "select count(*) from customers where email_small = lower(email)";
        shop.query_row(text, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let set = |value: &str| {
        shop.execute("update settings set value = ?1", [value])
            .unwrap()
    };
    set("no");
    let mut run = project.start(&["run"]);
    project.wait_run("running");
    wait("the step to look", || {
        let shown = project.run(&["logs"]).out;
        shown.contains("`small` about to act")
    });
    assert_eq!(filled(), 0);
    set("yes");
    let ended = run.end();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(filled(), 20_000);
    project
        .run(&["run"])
        .says(0, &["Nothing to do: 2 tasks already done here."]);
}

#[test]
fn a_stream_that_pauses_says_so_and_why_wherever_somebody_looks() {
    let pace =
        "while = { sql = { db = \"shop\", text = \"select may from flags\" }, every = \"1s\" }";
    let shop = Shop::new("[on.call]", pace);
    let flag = "create table flags (may integer); insert into flags values (0)";
    shop.open().execute_batch(flag).unwrap();
    let project = &shop.project;
    let mut call = project.start(&["call", "touch", "--key", "k"]);
    insta::assert_snapshot!(call.hear_line("pauses"), @"running touch: step `touch` pauses since [time] UTC: its `while` does not hold, and is looked at every 1 s: the select gave 0");
    let pauses = "step `touch` pauses since 2";
    project
        .run(&["status"])
        .says(0, &["Run 1 of touch: step `touch` pauses since 2"]);
    project.run(&["show", "1"]).says(0, &["0 items", pauses]);
    let told = project.json(&["status"]);
    let paused = &told[0]["stream"]["paused"];
    assert_eq!(paused["every_millis"], 1000, "{told:?}");
    let mut follow = project.start(&["logs", "1", "--follow"]);
    insta::assert_snapshot!(follow.hear_line("pauses"), @"[time]  run 1 touch  `touch` 0 items, pauses since [time] UTC: its `while` does not hold");
    shop.open()
        .execute_batch("update flags set may = 1")
        .unwrap();
    call.end().says(0, &["done touch"]);
    follow.end().says(0, &[]);
    let status = project.run(&["status"]);
    assert!(!status.out.contains("pauses"), "{}", status.out);
    assert_eq!(shop.touched(), (ROWS, 1));
}
