//! Statements of tasks on a ledger in PostgreSQL that wait for locks of other programs. A server is
//! started for each test, on a free port and in a temporary folder.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{Guard, Ledger, Op, Unit, UnitResult};
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::Server;
use oncely_ledger::conformance::stage::{self, run};
use oncely_ledger::{PostgresLedger, PostgresOptions};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// What hangs is found however slow the machine is.
const BOUND: Duration = Duration::from_secs(60);

/// A ledger with a table of a task that has rows 0 to 9, and another program in the database.
struct Place {
    ledger: Arc<PostgresLedger>,
    other: Client,
    /// Looks: inside a transaction the list of connections stays as it was.
    look: Client,
    _server: Server,
}

async fn place(server: Server, sql_budget: Duration) -> Place {
    let url = server.database();
    let options = PostgresOptions {
        create: true,
        lease: 10 * BOUND,
        sql_budget,
        ..PostgresOptions::new("test")
    };
    let ledger = PostgresLedger::open(&url, options).unwrap();
    let (other, look) = (client(&url).await, client(&url).await);
    let table = "create table t (id bigint primary key, n bigint not null default 0);
                 insert into t (id) select generate_series(0, 9)";
    other.batch_execute(table).await.unwrap();
    Place {
        ledger: Arc::new(ledger),
        other,
        look,
        _server: server,
    }
}

async fn client(url: &str) -> Client {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, carrier) = connected.unwrap();
    tokio::spawn(carrier);
    client
}

impl Place {
    /// The other program holds a row.
    async fn hold(&self, id: i64) {
        let text = format!("begin; select from t where id = {id} for update");
        self.other.batch_execute(&text).await.unwrap();
    }

    async fn let_go(&self) {
        self.other.batch_execute("commit").await.unwrap();
    }

    /// Commits beside what the test does.
    fn begin(&self, unit: Unit) -> JoinHandle<UnitResult> {
        let ledger = self.ledger.clone();
        tokio::spawn(async move { stage::one(&*ledger, unit).await })
    }

    /// Waits until so many statements wait for the other program's lock, and have nothing of the
    /// ledger locked meanwhile.
    async fn until_blocked(&self, how_many: i64) {
        let text = "select count(*) from pg_stat_activity a where a.wait_event_type = 'Lock'
                    and not exists (select from pg_locks l join pg_class c on c.oid = l.relation
                                    where l.pid = a.pid and c.relname like 'oncely%')";
        let since = Instant::now();
        while self.number(text).await < how_many {
            assert!(since.elapsed() < BOUND, "nothing waits for the lock");
            tokio::task::yield_now().await;
        }
    }

    async fn number(&self, text: &str) -> i64 {
        self.look.query_one(text, &[]).await.unwrap().get(0)
    }

    async fn rows_done(&self) -> i64 {
        self.number("select sum(n)::bigint from t").await
    }
}

fn done(id: i64) -> Op {
    let text = "update t set n = n + 1 where id = :id";
    stage::sql(text, &[("id", json!(id))])
}

fn fenced(run: RunId, fence: Fence, ops: Vec<Op>) -> Unit {
    stage::unit(vec![Guard::Fence(run, fence)], ops)
}

async fn held(ledger: &PostgresLedger, key: &str) -> (RunId, Fence) {
    stage::admitted(ledger, stage::admit(key)).await;
    let held = stage::lease_one(ledger, 9).await;
    (held.row.id, held.fence)
}

#[test]
fn a_statement_that_waits_for_a_lock_stalls_nothing_else() {
    let server = Server::start(&[]);
    run(async {
        let place = place(server, BOUND * 2).await;
        let ledger = &*place.ledger;
        let (id, fence) = held(ledger, "stuck").await;
        place.hold(1).await;
        let facts = stage::facts(id, 5, vec![stage::began(), stage::intent(fence)]);
        let stuck = place.begin(fenced(id, fence, vec![done(1), facts]));
        place.until_blocked(1).await;
        // Events are admitted and claimed, also several at once, and by others.
        for key in 0..20 {
            stage::admitted(ledger, stage::admit(&key.to_string())).await;
        }
        let claimed = stage::lease(ledger, stage::claim(9)).await;
        assert_eq!(claimed.len(), 20);
        // Rows are written in the commits of their records: by other statements, by the same.
        let insert = stage::sql(
            "insert into t (id, n) values (:id, 1)",
            &[("id", json!(10))],
        );
        let (first, second) = (&claimed[0], &claimed[1]);
        let unit = fenced(first.row.id, first.fence, vec![insert]);
        stage::apply(ledger, unit).await;
        let unit = fenced(second.row.id, second.fence, vec![done(2)]);
        stage::apply(ledger, unit).await;
        // The run itself is not locked: people can answer it, and it can be asked to end.
        stage::apply(
            ledger,
            stage::unit(vec![], vec![Op::Wake(id, Timestamp(3))]),
        )
        .await;
        ledger.renew().await.unwrap();
        assert!(!stuck.is_finished(), "it did not wait for the lock");
        assert_eq!(place.rows_done().await, 2);
        place.let_go().await;
        let stuck = stuck.await.unwrap();
        assert!(matches!(stuck, UnitResult::Applied(_)), "{stuck:?}");
        assert_eq!(place.rows_done().await, 3);
        assert_eq!(stage::recorded(ledger, id).await.len(), 2);
    });
}

#[test]
fn a_lock_that_is_not_let_go_fails_its_statement_clearly_and_changes_nothing() {
    let server = Server::start(&[]);
    run(async {
        let place = place(server, Duration::from_secs(1)).await;
        place.hold(1).await;
        let mut unit = stage::admit("k");
        unit.ops.push(done(1));
        let UnitResult::SqlLate(words) = place.begin(unit.clone()).await.unwrap() else {
            panic!("it went through a lock");
        };
        insta::assert_snapshot!(words);
        place.let_go().await;
        assert_eq!(place.rows_done().await, 0);
        stage::admitted(&*place.ledger, unit.clone()).await;
        let again = stage::one(&*place.ledger, unit).await;
        assert_eq!(again, UnitResult::Duplicate(RunId(1)));
        assert_eq!(place.rows_done().await, 1);
    });
}

#[test]
fn who_lost_the_run_while_its_statement_waited_writes_nothing() {
    let server = Server::start(&[]);
    run(async {
        let place = place(server, BOUND * 2).await;
        let ledger = &*place.ledger;
        let (id, fence) = held(ledger, "k").await;
        place.hold(1).await;
        let [through, cancelled] = [(); 2].map(|()| place.begin(fenced(id, fence, vec![done(1)])));
        place.until_blocked(2).await;
        let back = vec![Op::Release(id, Timestamp(9))];
        stage::apply(ledger, fenced(id, fence, back)).await;
        // What a guard refuses is refused, whether its statements end well or not.
        let cancel = "select count(pg_cancel_backend(pid)) from (select pid from pg_stat_activity
                      where wait_event_type = 'Lock' limit 1) one";
        assert_eq!(place.number(cancel).await, 1);
        place.let_go().await;
        for stuck in [through, cancelled] {
            let stuck = stuck.await.unwrap();
            let refused = matches!(stuck, UnitResult::Refused(Guard::Fence(..)));
            assert!(refused, "{stuck:?}");
        }
        assert_eq!(place.rows_done().await, 0);
    });
}

#[test]
fn many_that_wait_for_the_same_lock_are_done_once_each_when_it_is_let_go() {
    let server = Server::start(&[]);
    run(async {
        let place = place(server, BOUND * 2).await;
        let unit = |key: i64| {
            let mut unit = stage::admit(&key.to_string());
            unit.ops.push(done(1));
            unit
        };
        place.hold(1).await;
        let stuck: Vec<_> = (0..50).map(|key| place.begin(unit(key))).collect();
        place.until_blocked(4).await;
        stage::admitted(&*place.ledger, stage::admit("other")).await;
        assert!(stuck.iter().all(|one| !one.is_finished()));
        place.let_go().await;
        for one in stuck {
            let one = one.await.unwrap();
            assert!(matches!(one, UnitResult::Applied(_)), "{one:?}");
        }
        assert_eq!(place.rows_done().await, 50);
    });
}
