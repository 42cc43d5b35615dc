//! A commit whose answer was lost is done once: whether it has happened is looked up, and it is done
//! again only where it has not. What was claimed by one is given back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::fact::Request;
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::{Guard, Ledger, LedgerError, Unit, What};
use oncely_ledger::conformance::facts::requested;
use oncely_ledger::conformance::stage::{
    admit, admitted, apply, began, claim, facts, lease_one, row, run, sql, unit,
};
use oncely_ledger::conformance::{Server, Stores};
use oncely_ledger::{PostgresLedger, PostgresOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use stores::{Postgres, client};

/// Everything goes through.
const NOTHING: u8 = 0;
/// The next commit does not reach the server.
const THE_COMMIT: u8 = 1;
/// The next commit does, and its answer is lost.
const THE_ANSWER: u8 = 2;

/// A line to the server, which breaks when it is told to.
struct Line {
    port: u16,
    loses: Arc<AtomicU8>,
}

impl Line {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let loses = Arc::new(AtomicU8::new(NOTHING));
        let theirs = loses.clone();
        std::thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                let Ok(to) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                carry(from, to, theirs.clone());
            }
        });
        Self { port, loses }
    }

    fn lose(&self, what: u8) {
        self.loses.store(what, Ordering::SeqCst);
    }

    /// Whether what was to be lost was lost.
    fn has_lost(&self) -> bool {
        self.loses.load(Ordering::SeqCst) == NOTHING
    }
}

/// Reads what comes until it ends or is not to go on, and ends both ways then.
fn each(from: &TcpStream, to: &TcpStream, mut pass: impl FnMut(&[u8]) -> bool) {
    let (mut from, mut to) = (from, to);
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(many @ 1..) = from.read(&mut bytes) {
        if !pass(&bytes[..many]) || to.write_all(&bytes[..many]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

fn carry(from: TcpStream, to: TcpStream, loses: Arc<AtomicU8>) {
    let (back_from, back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    let silent = Arc::new(AtomicBool::new(false));
    let mute = silent.clone();
    std::thread::spawn(move || {
        each(&from, &to, |bytes| {
            let commits = bytes.windows(7).any(|found| found == b"commit\0");
            let lost = if commits {
                loses.swap(NOTHING, Ordering::SeqCst)
            } else {
                NOTHING
            };
            mute.fetch_or(lost == THE_ANSWER, Ordering::SeqCst);
            lost != THE_COMMIT
        });
    });
    // The answer has come when it is lost, so that what it is to has happened.
    std::thread::spawn(move || each(&back_from, &back_to, |_| !silent.load(Ordering::SeqCst)));
}

/// A store whose line breaks, and the same past it.
fn broken(server: &Server) -> (Line, Postgres, Postgres) {
    let url = server.database();
    let (before, rest) = url.split_once("127.0.0.1:").unwrap();
    let (port, rest) = rest.split_once('/').unwrap();
    let line = Line::to(port.parse().unwrap());
    let through = format!("{before}127.0.0.1:{}/{rest}", line.port);
    (line, Postgres::new(through), Postgres::new(url))
}

#[test]
fn what_is_recorded_is_recorded_once_whichever_way_a_commit_is_lost() {
    let server = Server::start(&[]);
    let (line, stores, past) = broken(&server);
    let (a, b) = (stores.open(), past.open());
    run(async {
        let table = "create table t (n bigint); insert into t values (0)";
        apply(&a, unit(vec![], vec![sql(table, &[])])).await;
        let mut seq = 0;
        for (n, lost) in (1..).zip([THE_ANSWER, THE_COMMIT, THE_ANSWER, THE_COMMIT]) {
            line.lose(lost);
            // One that was admitted by the lost commit is no duplicate of itself.
            let id = admitted(&a, admit(&format!("k{n}"))).await;
            assert!(line.has_lost());
            assert_eq!(id, RunId(n));
            line.lose(lost);
            let paused = facts(RunId(1), n, vec![requested(Request::Pause)]);
            seq += 1;
            let applied = apply(&a, unit(vec![], vec![paused])).await;
            assert!(line.has_lost());
            assert_eq!((applied.seq, row(&b, RunId(1)).await.seq), (seq, seq));
            line.lose(lost);
            let counts = sql("update t set n = n + 1", &[]);
            apply(&a, unit(vec![], vec![counts])).await;
            assert!(line.has_lost());
            let counted = format!("do $$ begin assert (select n from t) = {n}; end $$");
            client(past.url())
                .await
                .batch_execute(&counted)
                .await
                .unwrap();
        }
    });
}

#[test]
fn what_a_lost_commit_may_have_claimed_is_given_back() {
    let server = Server::start(&[]);
    let (line, stores, past) = broken(&server);
    let (a, b) = (stores.open(), past.open());
    run(async {
        let id = admitted(&a, admit("k")).await;
        for (fence, lost) in [(1, THE_ANSWER), (2, THE_ANSWER)] {
            let who = a.holder();
            line.lose(lost);
            assert_eq!(
                a.lease(What::Runs, claim(9)).await,
                Err(LedgerError::LeaseLost)
            );
            assert!(line.has_lost());
            assert_eq!(row(&b, id).await.fence, Fence(fence));
            assert_eq!(row(&b, id).await.holder, Some(who));
            // Nothing is done in its name until it has given everything back.
            assert_eq!(
                a.lease(What::Runs, claim(9)).await,
                Err(LedgerError::LeaseLost)
            );
            assert_eq!(a.renew().await, Err(LedgerError::LeaseLost));
            assert_eq!(row(&b, id).await.holder, None);
            assert_ne!(a.holder(), who);
        }
        let held = lease_one(&a, 9).await;
        assert_eq!((held.fence, held.claims), (Fence(3), 3));
        // What a holder records is no claim: it is looked up like everything else, and so is a renewal.
        let mut seq = 0;
        for lost in [THE_ANSWER, THE_COMMIT] {
            line.lose(lost);
            assert_eq!(a.renew().await, Ok(0));
            assert!(line.has_lost());
            line.lose(lost);
            let fact = match lost {
                THE_ANSWER => began(),
                _ => requested(Request::Pause),
            };
            let own: Unit = unit(
                vec![Guard::Fence(id, held.fence)],
                vec![facts(id, 9, vec![fact])],
            );
            seq += 1;
            assert_eq!(apply(&a, own).await.seq, seq);
            assert!(line.has_lost());
        }
        assert_eq!(row(&b, id).await.holder, Some(a.holder()));
    });
}

#[test]
fn what_is_asked_while_the_server_is_away_is_answered_when_it_is_back() {
    let mut server = Server::start(&[]);
    let options = PostgresOptions {
        create: true,
        wait: Duration::from_secs(60),
        ..PostgresOptions::new("test")
    };
    let a = PostgresLedger::open(&server.database(), options).unwrap();
    let mut known = None;
    for key in ["k", "l", "m"] {
        let goes_on = known.is_some();
        std::thread::scope(|scope| {
            if goes_on {
                server.crash();
            }
            scope.spawn(|| {
                run(async {
                    if let Some(known) = &known {
                        assert_eq!(row(&a, RunId(1)).await, *known);
                    }
                    let id = admitted(&a, admit(key)).await;
                    let found = row(&a, id).await;
                    known.get_or_insert(found);
                });
            });
            if goes_on {
                server.go_on();
            }
        });
    }
}
