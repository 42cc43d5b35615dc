//! What the `sql` action promises, on a PostgreSQL server of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::call;
use common::rig::{Expected, kind};
use oncely_actions::{Database, Sql, SqlConfig};
use oncely_core::action::{Action as _, Call, Failure};
use oncely_core::fact::Repeat;
use oncely_core::ids::Fence;
use oncely_core::items::OwnedCell;
use oncely_core::items::{Cell, Marked, Progress, Range, RowError, RowSink, Rows, SetAside};
use oncely_core::rows::{RowKey, RowSource, TableRow};
use oncely_ledger::conformance::Server;
use oncely_postgres::{Address, Login};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

struct Room {
    runtime: Runtime,
    server: Server,
    url: String,
    sql: Arc<Sql>,
}

fn sql(url: &str) -> Arc<Sql> {
    let login = Login {
        role: "oncely",
        password: None,
        secret_url: false,
    };
    let address = Address::parse(url, login).unwrap();
    let databases = [("shop".to_owned(), Database::Postgres(address))];
    Arc::new(Sql::new(SqlConfig {
        databases: databases.into(),
        sabotage_mark: false,
    }))
}

impl Room {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[&str]) -> Self {
        let server = Server::start(settings);
        let url = server.database();
        let room = Self {
            runtime: Runtime::new().unwrap(),
            sql: sql(&url),
            server,
            url,
        };
        room.execute("create table t (a bigint unique, b text)");
        room
    }

    fn name(&self) -> &str {
        let path = self.url.split('?').next().unwrap();
        path.rsplit('/').next().unwrap()
    }

    fn execute(&self, text: &str) {
        self.server.query(self.name(), text).unwrap();
    }

    fn output(&self, sql: &Sql, call: &Call) -> Value {
        self.runtime.block_on(common::output(sql, call))
    }

    fn failure(&self, sql: &Sql, call: &Call) -> Failure {
        self.runtime.block_on(common::failure(sql, call))
    }

    /// How many statements wait in `pg_sleep`.
    fn asleep(&self) -> Value {
        let text = "select count(*) n from pg_stat_activity where wait_event = 'PgSleep'";
        self.done(text, json!({}))["rows"][0]["n"].clone()
    }

    /// Another process.
    fn other(&self) -> Arc<Sql> {
        sql(&self.url)
    }

    fn done(&self, text: &str, bind: Value) -> Value {
        self.output(&self.sql, &step(text, bind))
    }

    fn fails(&self, text: &str) -> Failure {
        self.failure(&self.sql, &step(text, json!({})))
    }

    fn count(&self) -> Value {
        let rows = self.done("select count(*) n from t", json!({}));
        rows["rows"][0]["n"].clone()
    }
}

/// A step whose key differs from that of every other text.
fn step(text: &str, bind: Value) -> Call {
    let mut call = call(json!({"db": "shop", "text": text, "bind": bind}));
    let hash = oncely_core::ids::ContentHash::of(format!("{text}{bind}").as_bytes());
    call.key.0 = hash.to_string().chars().take(32).collect();
    call
}

fn said(failure: &Failure) -> String {
    format!("{:?}: {}", kind(failure), failure.error())
}

#[test]
fn a_select_gives_rows_and_others_give_what_they_changed() {
    let room = Room::new();
    let insert = "insert into t (a, b) values (1, :b), (2, null)";
    assert_eq!(room.done(insert, json!({"b": "x"})), json!({"changed": 2}));
    assert_eq!(
        room.done("select a, b from t order by a", json!({})),
        json!({"rows": [{"a": 1, "b": "x"}, {"a": 2, "b": null}], "truncated": false})
    );
    let returning = "with n as (select 3 v) insert into t (a) select v from n returning a";
    assert_eq!(
        room.done(returning, json!({})),
        json!({"rows": [{"a": 3}], "truncated": false, "changed": 1})
    );
    let several = "create table u (a int); insert into u values (1); update t set b = 'y'";
    assert_eq!(room.done(several, json!({})), json!({"changed": 4}));
    let writes = "with gone as (delete from t where a = 3 returning a) select a from gone";
    assert_eq!(room.done(writes, json!({}))["rows"], json!([{"a": 3}]));
    assert_eq!(room.count(), 2);
    let many = "select n from generate_series(1, 5000) n";
    let many = room.done(many, json!({}));
    let rows = many["rows"].as_array().unwrap().len();
    assert_eq!((rows, &many["truncated"]), (1000, &json!(true)));
}

#[test]
fn values_keep_their_type() {
    let room = Room::new();
    room.execute("create type mood as enum ('glad'); create domain short as varchar(9)");
    let bind = json!({"i": 7, "r": 1.5, "t": "x", "y": true, "l": [1, {"a": 2}], "u": null});
    let select = "select :i::bigint i, :r::float8 r, :t::text t, :y::bool y, :l::jsonb l, :u::int u, \
        '\\x01ff'::bytea blob, 12.50 price, 12345678901234567890.10 large, -0.003 small, 1e20::numeric p, \
        sum(9)::numeric s, 'NaN'::numeric nan, '2026-11-24'::date d, \
        '2026-11-24 09:00:00.25+01'::timestamptz z, '1999-12-31 23:59:59'::timestamp m, \
        '10:30'::time tm, '6f7b6a2e-0000-4000-8000-00000000002a'::uuid id, array['a', null] list, \
        'glad'::mood mood, 'abc'::short short, 2::smallint two, 0.1::real tenth, '{\"k\":1}'::json j";
    let got = room.done(select, bind)["rows"][0].clone();
    assert_eq!(
        got,
        json!({
            "i": 7, "r": 1.5, "t": "x", "y": true, "l": [1, {"a": 2}], "u": null,
            "blob": "Af8=", "price": 12.5, "large": "12345678901234567890.10", "small": -0.003,
            "p": 1e20, "s": 9, "nan": "NaN", "d": "2026-11-24",
            "z": "2026-11-24T08:00:00.25Z", "m": "1999-12-31T23:59:59",
            "tm": "10:30:00", "id": "6f7b6a2e-0000-4000-8000-00000000002a", "list": ["a", null],
            "mood": "glad", "short": "abc", "two": 2, "tenth": f64::from(0.1_f32), "j": {"k": 1},
        })
    );
    insta::assert_snapshot!(said(&room.fails("select '1 day'::interval wait")), @"Permanent: the column `wait` is of the type interval, which oncely does not read; nothing was changed. Cast it: `wait::text`");
}

#[test]
fn a_step_that_was_done_gives_its_output_again_and_executes_nothing() {
    let room = Room::new();
    let call = step(
        "insert into t (a) values (1) returning a, random() r",
        json!({}),
    );
    assert_eq!(room.sql.repeat(&call), Repeat::Safe);
    let first = room.output(&room.sql, &call);
    let mut later = call.clone();
    let mut site = (*later.site).clone();
    site.fence = Fence(9);
    site.ledger = "restored".into();
    later.site = Arc::new(site);
    assert_eq!(room.output(&room.other(), &later), first);
    assert_eq!(room.count(), 1);
    let mut other = call.clone();
    other.key.0 = "f".repeat(32);
    other.options["text"] = "insert into t (a) values (2)".into();
    room.output(&room.sql, &other);
    assert_eq!(room.count(), 2);
}

#[test]
fn of_many_at_the_same_moment_one_does_it() {
    let room = Room::new();
    let call = step(
        "insert into t (b) values ('once') returning random() r",
        json!({}),
    );
    let all = (0..8).map(|_| {
        let (sql, call) = (room.other(), call.clone());
        room.runtime
            .spawn(async move { common::output(&*sql, &call).await })
    });
    let all: Vec<_> = all.collect();
    let each = all
        .into_iter()
        .map(|one| room.runtime.block_on(one).unwrap());
    let mut outputs: Vec<Value> = each.collect();
    outputs.dedup();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    assert_eq!(room.count(), 1);
}

#[test]
fn what_was_begun_when_the_server_died_is_not_there_and_is_done_once_afterwards() {
    let mut room = Room::new();
    let text = "insert into t (b) select 'x' from pg_sleep(case when (select count(*) from slow) > 0 \
                then 60 else 0 end)";
    room.execute("create table slow as select 1");
    let (call, sql) = (step(text, json!({})), Arc::clone(&room.sql));
    let begun = call.clone();
    let begun = async move { common::failure(&*sql, &begun).await };
    let under_way = room.runtime.spawn(begun);
    while room.asleep() != 1 {}
    room.server.crash();
    let failure = room.runtime.block_on(under_way).unwrap();
    assert_eq!(kind(&failure), Expected::Retry, "{failure:?}");
    room.server.go_on();
    room.execute("delete from slow");
    let again = room.output(&room.other(), &call);
    assert_eq!(again, json!({"changed": 1}));
    assert_eq!(room.output(&room.sql, &call), again);
    assert_eq!(room.count(), 1);
}

#[test]
fn failures_say_what_is_wrong() {
    let room = Room::new();
    let insert = "insert into t (a) values (:a)";
    insta::assert_snapshot!(said(&room.fails(insert)), @"Permanent: parameter :a is not given in bind; nothing was changed");
    let more = step(insert, json!({"a": 1, "c": 2}));
    insta::assert_snapshot!(said(&room.failure(&room.sql, &more)), @"Permanent: bind gives c, which the statement does not use; nothing was changed");
    insta::assert_snapshot!(said(&room.fails("select * from none")), @r#"Permanent: relation "none" does not exist"#);
    insta::assert_snapshot!(said(&room.fails("selec 1")), @"Permanent: a statement of a task begins with one of select, insert, update, delete, merge, with, values, create, alter, drop, truncate; `selec` is not authorized; nothing was changed");
    insta::assert_snapshot!(said(&room.fails(" -- nothing\n")), @"Permanent: the text holds no statement");
    insta::assert_snapshot!(said(&room.fails("insert into t (a) values (1), (1)")), @r#"Permanent: the database refused it: duplicate key value violates unique constraint "t_a_key""#);
    insta::assert_snapshot!(said(&room.fails("insert into t (a) values (1); commit")), @"Permanent: a statement of a task begins with one of select, insert, update, delete, merge, with, values, create, alter, drop, truncate; `commit` is not authorized; nothing was changed");
    insta::assert_snapshot!(said(&room.fails("delete from oncely_marks")), @"Permanent: access to oncely_ tables is prohibited: they are the ledger's; nothing was changed");
    room.execute("create role reader login; grant select, insert on t to reader");
    let reader = sql(&room.url.replace("oncely@", "reader@"));
    let refused = room.failure(&reader, &step("insert into t (a) values (7)", json!({})));
    let place = room
        .url
        .split('@')
        .nth(1)
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    insta::assert_snapshot!(said(&refused).replace(place, "[place]"), @"Permanent: permission denied for table oncely_marks; nothing was changed. What writes needs the right to that, and to the table `oncely_marks`");
    let looks = step("select count(*) n from t", json!({}));
    assert_eq!(room.output(&reader, &looks)["rows"][0]["n"], 0);
    let nobody = sql(&room.url.replace("oncely@", "nobody@"));
    let refused = room.failure(&nobody, &looks);
    insta::assert_snapshot!(said(&refused).replace(place, "[place]"), @r#"Permanent: PostgreSQL [place] does not let oncely in: role "nobody" does not exist; nothing was changed. Check the user, the password and the database of [db] in oncely.toml"#);
    let nowhere = sql("postgres://u@127.0.0.1:1/shop?sslmode=disable");
    insta::assert_snapshot!(said(&room.failure(&nowhere, &looks)), @"Retry: PostgreSQL 127.0.0.1:1/shop cannot be reached: error connecting to server: Connection refused (os error 111)");
    let unset = SqlConfig {
        databases: [("shop".to_owned(), Database::Unknown("it is not set".into()))].into(),
        sabotage_mark: false,
    };
    assert_eq!(
        said(&room.failure(&Sql::new(unset), &looks)),
        "Permanent: it is not set"
    );
    assert_eq!(room.count(), 0);
}

#[test]
fn a_statement_is_stopped_with_its_time_and_nothing_is_left_of_it() {
    let room = Room::new();
    let mut call = step("insert into t (a) select 1 from pg_sleep(60)", json!({}));
    call.timeout = Duration::from_millis(300);
    let failure = room.failure(&room.sql, &call);
    assert_eq!(kind(&failure), Expected::Retry, "{failure:?}");
    assert_eq!(room.count(), 0);
    while room.asleep() != 0 {}
}

#[test]
fn what_is_committed_is_on_the_disk_whatever_the_database_usually_does() {
    let room = Room::with(&["synchronous_commit=off"]);
    let text = "insert into t (b) values (current_setting('synchronous_commit')) returning b";
    assert_eq!(room.done(text, json!({}))["rows"][0]["b"], "on");
}

fn at(next: u64) -> Progress {
    Progress {
        next,
        done: next,
        ..Progress::default()
    }
}

fn rows(values: std::ops::Range<i64>) -> Rows {
    let mut rows = Rows::new(2);
    for a in values {
        rows.push(Cell::Int(a));
        rows.push(Cell::Text("ü"));
    }
    rows
}

fn write(sink: &mut dyn RowSink, from: u64, to: u64, fence: i64) -> Result<(), RowError> {
    let rows = rows(from.cast_signed()..to.cast_signed());
    write_rows(sink, from, to, fence, &rows)
}

fn write_rows(
    sink: &mut dyn RowSink,
    from: u64,
    to: u64,
    fence: i64,
    rows: &Rows,
) -> Result<(), RowError> {
    sink.commit(&Range {
        from: &at(from),
        to: &at(to),
        rows,
        set_aside: &[SetAside {
            item: from,
            line: None,
            input: "x".into(),
            reason: "y".into(),
        }],
        fence: Fence(fence),
        key: Some(&RowKey::Int(to.cast_signed())),
    })
}

const INSERT: &str = "insert into t (a, b) values (:a, :b)";

fn sink(sql: &Sql) -> Box<dyn RowSink> {
    let insert = step(INSERT, json!({"a": "", "b": ""}));
    sql.rows(&insert).unwrap().unwrap()
}

#[test]
fn ranges_are_written_with_their_mark_and_only_by_the_last_claim() {
    let room = Room::new();
    let _inside = room.runtime.enter();
    let mut first = sink(&room.sql);
    assert_eq!(first.open(Fence(1)).unwrap(), Marked::default());
    write(&mut *first, 0, 100, 1).unwrap();
    let mut second = sink(&room.other());
    let marked = second.open(Fence(2)).unwrap();
    assert_eq!(
        (marked.progress.next, marked.key),
        (100, Some(RowKey::Int(100)))
    );
    assert_eq!(marked.last_set_aside.len(), 1);
    let lost = write(&mut *first, 100, 200, 1);
    assert_eq!(lost, Err(RowError::Lost));
    write(&mut *second, 100, 250, 2).unwrap();
    assert_eq!((first.commits(), second.commits()), (2, 2));
    let late = sink(&room.sql).open(Fence(1)).unwrap_err();
    assert_eq!(kind(&late), Expected::Retry, "{late:?}");
    assert_eq!(room.count(), 250);
}

#[test]
fn rows_that_are_refused_are_named_and_the_others_go_on() {
    let room = Room::new();
    room.execute("insert into t values (3), (7)");
    let _inside = room.runtime.enter();
    let mut sink = sink(&room.sql);
    sink.open(Fence(1)).unwrap();
    let Err(RowError::Rows(refused)) = write(&mut *sink, 0, 10, 1) else {
        panic!("rows are refused");
    };
    let places: Vec<usize> = refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [3, 7], "{refused:?}");
    assert!(refused[0].1.contains("duplicate key"), "{refused:?}");
    let mut good = rows(0..10);
    good.remove(7);
    good.remove(3);
    write_rows(&mut *sink, 0, 10, 1, &good).unwrap();
    assert_eq!(room.count(), 10);
}

#[test]
fn a_text_that_would_give_rows_to_nobody_is_refused() {
    let room = Room::new();
    let text = step(
        "insert into t (a) values (:a) returning a",
        json!({"a": ""}),
    );
    let _inside = room.runtime.enter();
    let mut sink = room.sql.rows(&text).unwrap().unwrap();
    let words = sink.open(Fence(1)).unwrap_err();
    assert!(words.error().contains("leave out `returning`"), "{words:?}");
    let missing = step("insert into t (a) values (:a)", json!({"b": ""}));
    let words = room.sql.rows(&missing).unwrap().err().unwrap();
    assert!(words.error().contains("parameter :a"), "{words:?}");
}

fn source(room: &Room, rows: &str) -> Result<Box<dyn RowSource>, Failure> {
    let _inside = room.runtime.enter();
    let options = json!({ "rows": rows, "key": "id", "db": "shop", "bind": { "least": 3 } });
    room.sql.items(&options, Duration::from_secs(5)).unwrap()
}

fn keys(page: &[TableRow]) -> Vec<String> {
    page.iter().map(|row| row.key.to_string()).collect()
}

#[test]
fn rows_are_paged_by_their_key_while_others_come_and_go() {
    let room = Room::new();
    room.execute(
        "create table c (id bigint primary key, name text, since timestamptz, ok bool);
         insert into c select n, 'c' || n, '2026-01-01', n % 2 = 0 from generate_series(1, 9) n",
    );
    let mut source = source(&room, "select * from c where id >= :least -- all").unwrap();
    assert_eq!(source.columns(), ["id", "name", "since", "ok"]);
    assert_eq!(source.count(), Some(7));
    let first = source.page(None, 3).unwrap();
    assert_eq!(keys(&first), ["3", "4", "5"]);
    let cells = [
        OwnedCell::Int(4),
        OwnedCell::Text("c4".into()),
        OwnedCell::Text("2026-01-01T00:00:00Z".into()),
        OwnedCell::Int(1),
    ];
    assert_eq!(first[1].cells.as_deref(), Ok(cells.as_slice()));
    room.execute("delete from c where id in (4, 6); insert into c (id) values (12)");
    let second = source.page(Some(&first[2].key), 3).unwrap();
    assert_eq!(keys(&second), ["7", "8", "9"]);
    let last = source.page(Some(&second[2].key), 3).unwrap();
    assert_eq!(keys(&last), ["12"]);
    assert!(source.page(Some(&last[0].key), 3).unwrap().is_empty());
}

#[test]
fn keys_that_are_texts_go_by_their_bytes_and_uuids_by_theirs() {
    let room = Room::new();
    room.execute("create table c (id text primary key, u uuid); insert into c values ('b'), ('B'), ('a'), ('ä')");
    let texts = "select id from c where :least::int > 0";
    let mut texts = source(&room, texts).unwrap();
    let page = texts.page(None, 2).unwrap();
    assert_eq!(keys(&page), ["\"B\"", "\"a\""]);
    let rest = texts.page(Some(&page[1].key), 9).unwrap();
    assert_eq!(keys(&rest), ["\"b\"", "\"ä\""]);
    let all = "select ('00000000-0000-4000-8000-00000000000' || n)::uuid id from generate_series(1, :least::int) n";
    let mut uuids = source(&room, all).unwrap();
    let page = uuids.page(None, 1).unwrap();
    assert_eq!(uuids.page(Some(&page[0].key), 9).unwrap().len(), 2);
}

#[test]
fn selects_that_cannot_be_paged_are_refused() {
    let room = Room::new();
    room.execute(
        "create table c (id bigint, f float8); insert into c values (1), (2), (2), (null)",
    );
    let refused = |rows: &str| said(&source(&room, rows).err().unwrap());
    insta::assert_snapshot!(refused("select id from c"), @"Permanent: the select of `rows` is not taken: bind gives least, which the statement does not use");
    insta::assert_snapshot!(refused("select f from c where id > :least"), @"Permanent: the select of `rows` gives no column `id`, which `key` names; it gives f");
    insta::assert_snapshot!(refused("select id, f id from c where id > :least"), @"Permanent: the select of `rows` gives two columns `id`: name one of them anew with `as`");
    insta::assert_snapshot!(refused("select f id from c where id > :least"), @"Permanent: the first row has float8 as its `id`: a `key` is an integer or a text, and never null. What was done before stays done");
    insta::assert_snapshot!(refused("select id from c where id > :least; select 1"), @"Permanent: the select of `rows` is not taken: it is one statement");
    insta::assert_snapshot!(refused("select id from none where id > :least"), @r#"Permanent: the select of `rows` is not taken: relation "none" does not exist"#);
    insta::assert_snapshot!(refused("delete from c where id > :least returning id"), @r#"Permanent: the select of `rows` is not taken: syntax error at or near "from""#);
    let mut twice = source(&room, "select id from c where :least::int > 0").unwrap();
    let failure = twice.page(None, 9).unwrap_err();
    insta::assert_snapshot!(said(&failure), @"Permanent: two rows have the `id` 2: `key` names a column whose values are unique, or rows would be passed over. What was done before stays done");
    let mut null = source(
        &room,
        "select id from c where id is null and :least::int > 0",
    )
    .unwrap();
    insta::assert_snapshot!(said(&null.page(None, 9).unwrap_err()), @"Permanent: the first row has null as its `id`: a `key` is an integer or a text, and never null. What was done before stays done");
    let writes =
        "select id, set_of from (select 1 id, nextval('s') set_of) x where :least::int > 0";
    room.execute("create sequence s");
    let mut writes = source(&room, writes).unwrap();
    assert!(
        writes
            .page(None, 9)
            .unwrap_err()
            .error()
            .contains("read-only")
    );
}

#[test]
fn a_look_holds_where_the_first_value_is_true_and_changes_nothing() {
    let room = Room::new();
    room.execute("insert into t (a) values (1), (2)");
    let look = |text: &str| {
        let step = step(text, json!({"most": 5}));
        let looked = room.runtime.block_on(room.sql.look(&step));
        looked.map_err(|failure| failure.error().to_owned())
    };
    assert_eq!(look("select count(*) < :most from t"), Ok(()));
    assert_eq!(look("select count(*) from t where a < :most"), Ok(()));
    let said = |text: &str| look(text).unwrap_err();
    assert_eq!(
        said("select count(*) > :most from t"),
        "the select gave false"
    );
    assert_eq!(
        said("select count(*) from t where a > :most"),
        "the select gave 0"
    );
    assert_eq!(
        said("select max(a) from t where a > :most"),
        "the select gave null"
    );
    assert_eq!(
        said("select a from t where a > :most"),
        "the select gave no row"
    );
    assert!(said("delete from t where a < :most returning a").contains("read-only"));
    assert_eq!(room.count(), 2);
}
