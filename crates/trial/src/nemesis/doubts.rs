//! A ledger behind the proxy: each fault by itself, without chance.

use super::proxy::{Aim, Hole, Proxy};
use oncely_core::action::Statement;
use oncely_core::effect::EffectKey;
use oncely_core::fact::Repeat;
use oncely_core::ids::{Fence, Generation, RunId};
use oncely_core::ledger::{
    Admission, Answer, Guard, ItemEvent, ItemFact, Ledger, Op, Query, Unit, UnitResult,
};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::Server;
use oncely_ledger::{PostgresLedger, PostgresOptions};
use std::time::Duration;

/// What hangs is found however slow the machine is.
const BOUND: Duration = Duration::from_secs(60);

/// How far a proxy is told to let a commit wait: longer than any test.
const FOR_EVER: Duration = Duration::from_secs(600);

struct Place {
    ledger: PostgresLedger,
    proxy: Proxy,
    url: String,
    _server: Server,
}

/// A ledger behind a proxy. Its lease is long, so that no fault costs it.
async fn place(server: Server, lease: Duration) -> Place {
    let url = server.database();
    let port = url
        .split(['@', ':', '/'])
        .find_map(|part| part.parse().ok());
    let port: u16 = port.unwrap();
    let proxy = Proxy::start(port).await.unwrap();
    let behind = url.replace(&port.to_string(), &proxy.port.to_string());
    let ledger = opened(behind, lease).await;
    let table = vec![sql("create table t (a int)")];
    one(
        &ledger,
        Unit {
            guards: vec![],
            ops: table,
        },
    )
    .await;
    Place {
        ledger,
        proxy,
        url,
        _server: server,
    }
}

async fn opened(url: String, lease: Duration) -> PostgresLedger {
    let opened = tokio::task::spawn_blocking(move || {
        let options = PostgresOptions {
            create: true,
            lease,
            wait: BOUND,
            ..PostgresOptions::new("test")
        };
        PostgresLedger::open(&url, options).unwrap()
    });
    opened.await.unwrap()
}

fn sql(text: &str) -> Op {
    Op::Sql(vec![Statement {
        text: text.into(),
        bind: vec![],
    }])
}

fn admit(key: &str, claimed: bool) -> Unit {
    let admission = Admission {
        environment: "test".into(),
        task: "task".into(),
        key: key.into(),
        generation: Generation::FIRST,
        trigger: "call",
        event: "{}".into(),
        lane: None,
        depth: 0,
        parent: None,
        at: Timestamp(0),
        claimed,
        status: RunStatus::Pending,
    };
    Unit {
        guards: vec![],
        ops: vec![Op::Admit(admission)],
    }
}

/// The first run's item, about to be worked on, and a row that is written with it.
fn item(number: u64) -> Unit {
    let fact = ItemFact {
        item: number,
        sub: "row".into(),
        attempt: 1,
        at: Timestamp(1),
        what: ItemEvent::Intent {
            fence: Fence(1),
            call: serde_json::Value::Null,
            repeat: Repeat::AskFirst,
            key: EffectKey("k".into()),
        },
    };
    let facts = Op::ItemFacts {
        run: RunId(1),
        step: "each".into(),
        facts: vec![fact],
    };
    Unit {
        guards: vec![Guard::Fence(RunId(1), Fence(1))],
        ops: vec![facts, sql(&format!("insert into t values ({number})"))],
    }
}

async fn one(ledger: &PostgresLedger, unit: Unit) -> UnitResult {
    let done = tokio::time::timeout(BOUND, ledger.commit(vec![unit])).await;
    done.expect("it hangs").unwrap().pop().unwrap()
}

/// How often a row is there, by its number.
async fn rows(place: &Place, number: u64) -> i64 {
    let (client, carrier) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(carrier);
    let text = format!("select count(*) from t where a = {number}");
    client.query_one(&text, &[]).await.unwrap().get(0)
}

/// The server ends with the thread that starts it, which is the test's own.
fn run(promise: impl AsyncFnOnce(Server)) {
    let server = Server::start(&[]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(promise(server));
}

#[test]
fn a_unit_whose_commit_ended_in_doubt_is_applied_once() {
    run(async |server| {
        let place = place(server, BOUND * 2).await;
        one(&place.ledger, admit("k", true)).await;
        let late = Aim::Late(Duration::from_millis(300));
        for (number, aim) in (0..).zip([Aim::Before, Aim::After, Aim::Amid, late]) {
            let met = place.proxy.hits();
            place.proxy.aim(Some(aim));
            let done = one(&place.ledger, item(number)).await;
            assert!(matches!(done, UnitResult::Applied(_)), "{aim:?}: {done:?}");
            assert!(place.proxy.hits() > met, "{aim:?}");
            assert_eq!(rows(&place, number).await, 1, "{aim:?}");
            let facts = Query::ItemFacts(RunId(1), "each".into(), number..number + 1);
            match place.ledger.read(facts).await.unwrap() {
                Answer::ItemFacts(facts) => assert_eq!(facts.len(), 1, "{aim:?}"),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_connection_that_is_open_at_one_end_only_is_left() {
    run(async |server| {
        let place = place(server, Duration::from_secs(5)).await;
        let holes = [Hole::Both, Hole::ServerGone, Hole::ClientGone];
        for (number, hole) in (0..).zip(holes) {
            // Both connections of the ledger stand.
            place.ledger.read(Query::Files).await.unwrap();
            place.proxy.half_open(hole);
            let done = one(&place.ledger, admit(&format!("k{number}"), false)).await;
            assert!(matches!(done, UnitResult::Applied(_)), "{hole:?}: {done:?}");
            let read = tokio::time::timeout(BOUND, place.ledger.read(Query::Files)).await;
            read.expect("it hangs").unwrap();
        }
    });
}

#[test]
fn what_a_silent_process_has_locked_is_free_in_time() {
    run(async |server| {
        let place = place(server, Duration::from_secs(4)).await;
        let other = opened(place.url.clone(), Duration::from_secs(4)).await;
        // It holds the turn, and the server waits for the rest.
        place.proxy.aim(Some(Aim::Late(FOR_EVER)));
        let silent = place.ledger.commit(vec![admit("k", false)]);
        let met = async {
            while place.proxy.hits() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            one(&other, admit("l", false)).await
        };
        let (silent, done) = tokio::join!(silent, met);
        assert!(matches!(done, UnitResult::Applied(_)), "{done:?}");
        // Its own commit was taken back by the server, and was made once more.
        let again = one(&other, admit("k", false)).await;
        assert!(
            matches!(again, UnitResult::Duplicate(_)),
            "{silent:?}: {again:?}"
        );
    });
}

#[test]
fn a_ledger_is_written_out_however_slow_the_way_is() {
    run(async |server| {
        let place = place(server, Duration::from_secs(1)).await;
        one(&place.ledger, admit("k", false)).await;
        place.ledger.read(Query::Files).await.unwrap();
        // The server ends other transactions of this ledger in which nothing is asked for half a second.
        place.proxy.slow(Duration::from_millis(800));
        let written = tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            place.ledger.export(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        });
        let written = written.await.unwrap();
        assert!(written.contains(r#""kind":"run""#), "{written}");
    });
}

#[test]
fn a_server_that_takes_the_connection_and_says_nothing_is_named() {
    run(async |_| {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = format!("postgres://oncely@127.0.0.1:{port}/t?sslmode=disable");
        let opened = tokio::task::spawn_blocking(move || {
            PostgresLedger::open(&url, PostgresOptions::new("test")).err()
        });
        let said = opened.await.unwrap().unwrap().to_string();
        let place = format!("the ledger in PostgreSQL 127.0.0.1:{port}/t cannot be used: ");
        let rest = "the server takes the connection and does not answer. What was recorded before is \
                    kept. Check the server, what stands between it and this machine, and the \
                    `ledger` line of oncely.toml, then start again.";
        assert_eq!(said, place + rest);
    });
}
