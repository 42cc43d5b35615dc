//! The PostgreSQL store keeps every promise. A server is started for each test, on a free port and
//! in a temporary folder; the tests fail where PostgreSQL is not installed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ids::RunId;
use oncely_core::ledger::{Ledger, UnitResult};
use oncely_ledger::conformance::random::sequences;
use oncely_ledger::conformance::stage::{self, run};
use oncely_ledger::conformance::{Server, Stores, TurnedClock};
use oncely_ledger::{PostgresLedger, PostgresOptions, TimeSource};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

struct Postgres<'s> {
    url: String,
    clock: Arc<TurnedClock>,
    _server: &'s Server,
}

fn stores_of(server: &Server) -> Postgres<'_> {
    Postgres {
        url: server.database(),
        clock: Arc::default(),
        _server: server,
    }
}

impl Stores for Postgres<'_> {
    type Handle = PostgresLedger;
    fn open(&self) -> PostgresLedger {
        let options = PostgresOptions {
            create: true,
            clock: self.clock.clone(),
            leases: TimeSource::Given(self.clock.clone()),
            ..PostgresOptions::new("test")
        };
        PostgresLedger::open(&self.url, options).unwrap()
    }
    fn kill(&self, handle: PostgresLedger) {
        handle.kill();
    }
    fn clock(&self) -> Arc<TurnedClock> {
        self.clock.clone()
    }
    fn export(&self, handle: &PostgresLedger) -> String {
        let mut out = Vec::new();
        handle.export(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
    fn speaks_sqlite(&self) -> bool {
        false
    }
}

macro_rules! promises {
    ($($module:ident: $($promise:ident)*;)*) => {
        $(
            #[test]
            fn $module() {
                let server = Server::start(&[]);
                $(
                    eprintln!("{}", stringify!($promise));
                    run(oncely_ledger::conformance::$module::$promise(&stores_of(&server)));
                )*
            }
        )*
    };
}

promises! {
    admission: a_key_is_admitted_once generation_environment_and_task_tell_runs_apart
        a_duplicate_changes_nothing a_guard_that_does_not_hold_refuses_the_whole_unit
        the_generation_is_raised_by_compare_and_set the_cursor_moves_by_compare_and_set
        an_admitted_run_may_be_held_from_the_start what_was_skipped_is_never_due
        units_answer_in_order;
    facts: facts_are_kept_in_order facts_that_cannot_follow_are_refused
        nothing_follows_the_end_but_the_resume_of_a_failed_run
        others_add_facts_to_a_held_run_without_moving_it
        the_holder_sees_that_others_added_facts an_ended_run_is_released
        a_unit_with_an_old_sequence_number_is_refused
        a_unit_about_nothing_is_invalid_and_others_go_on content_is_kept_once;
    claims: a_due_run_is_claimed_once runs_are_claimed_when_they_are_due_and_in_that_order
        a_cap_holds_over_all_holders tasks_left_alone_are_left_alone runs_of_a_lane_take_turns
        a_resumed_run_of_a_lane_does_not_block_it_for_ever a_suspect_is_claimed_alone
        an_intent_is_no_progress a_clean_release_is_not_counted a_late_holder_is_refused
        a_run_is_claimed_by_number_whatever_its_due waking_makes_due_unless_held
        a_name_has_one_holder_at_a_time;
    holders: what_the_dead_held_is_free_at_once a_lease_that_is_renewed_lasts
        a_stopped_holder_loses_its_lease_and_starts_anew a_clean_end_frees_everything
        who_only_reads_is_no_holder who_wants_to_be_seen_is_a_holder_of_nothing
        a_watch_ends_when_something_changes;
    items: progress_of_items_is_kept an_item_is_set_aside_once facts_of_items_are_found_by_range
        files_are_remembered the_newest_run_of_each_task_is_known runs_are_filtered;
}

/// `ONCELY_SEEDS=FROM..TO` plays other seeds: 10,000 by hand.
#[test]
fn random_sequences_agree_with_the_model() {
    let seeds = std::env::var("ONCELY_SEEDS").unwrap_or_else(|_| "0..300".into());
    let (from, to) = seeds.split_once("..").unwrap();
    let server = Server::start(&[]);
    let seeds = from.parse().unwrap()..to.parse().unwrap();
    run(sequences(
        stores::Memory::new,
        || stores_of(&server),
        seeds,
        50,
    ));
}

#[test]
fn a_server_that_acknowledges_too_early_is_refused() {
    let server = Server::start(&["synchronous_commit=off"]);
    let options = PostgresOptions {
        create: true,
        ..PostgresOptions::new("test")
    };
    let refused = PostgresLedger::open(&server.url("postgres"), options);
    let words = refused.err().unwrap().to_string();
    assert!(words.contains("synchronous_commit = off"), "{words}");
}

#[test]
fn eight_processes_admit_each_key_once_and_share_the_work() {
    let server = Server::start(&[]);
    let stores = stores_of(&server);
    let handles: Vec<_> = (0..8).map(|_| stores.open()).collect();
    let fresh: usize = std::thread::scope(|scope| {
        let admit = |ledger: &PostgresLedger| {
            let mut fresh = 0;
            run(async {
                for n in 0..50 {
                    let result = stage::one(ledger, stage::admit(&format!("k{n}"))).await;
                    fresh += usize::from(matches!(result, UnitResult::Applied(_)));
                    assert!(!matches!(result, UnitResult::Refused(_)));
                }
            });
            fresh
        };
        let threads: Vec<_> = handles
            .iter()
            .map(|h| scope.spawn(move || admit(h)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(fresh, 50);
    // Whoever finds all due runs locked by others, who take only three of them, looks again.
    let claimed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let claim = |ledger: &PostgresLedger| {
            run(async {
                while claimed.load(Ordering::SeqCst) < 50 {
                    let mut claim = stage::claim(100);
                    claim.limit = 3;
                    let held = stage::lease(ledger, claim).await.len();
                    claimed.fetch_add(held, Ordering::SeqCst);
                }
            });
        };
        for handle in &handles {
            scope.spawn(move || claim(handle));
        }
    });
    let mut rest = stage::claim(100);
    rest.limit = 3;
    run(async { assert!(stage::lease(&handles[0], rest).await.is_empty()) });
    assert_eq!(claimed.load(Ordering::SeqCst), 50);
}

#[test]
fn statements_of_tasks_keep_their_place() {
    let server = Server::start(&[]);
    let stores = stores_of(&server);
    run(async {
        let a = stores.open();
        let sql = |text: &str, given: &[(&str, serde_json::Value)]| {
            stage::unit(vec![], vec![stage::sql(text, given)])
        };
        stage::apply(
            &a,
            sql("create table t (a bigint primary key, b jsonb)", &[]),
        )
        .await;
        let before = stores.export(&a);
        for text in [
            "commit",
            "rollback",
            "begin",
            "savepoint x",
            "set statement_timeout = 0",
            "select 1; commit",
            "select * from oncely_runs",
            "delete from \"oncely_keys\"",
            "vacuum",
            "do $$ begin commit; end $$",
            "selec 1",
            "select :a",
            "select pg_sleep(60)",
        ] {
            let since = Instant::now();
            let result = stage::one(&a, sql(text, &[])).await;
            assert!(
                matches!(result, UnitResult::SqlFailed(_)),
                "{text}: {result:?}"
            );
            assert!(since.elapsed() < Duration::from_secs(9), "{text}");
        }
        assert_eq!(stores.export(&a), before);
        let text =
            "insert into t values (:a, :b::jsonb); -- :c\n insert into t values (:a + 1, ':d')";
        let wrong = stage::one(&a, sql(text, &[("a", json!(1)), ("b", json!([1]))])).await;
        assert!(matches!(wrong, UnitResult::SqlFailed(_)), "{wrong:?}");
        let text = text.replace("':d'", "'[\":d\"]'");
        stage::apply(&a, sql(&text, &[("a", json!(1)), ("b", json!([1]))])).await;
        let text = "create table child (a bigint references t (a) deferrable initially deferred)";
        stage::apply(&a, sql(text, &[])).await;
        let orphan = sql("insert into child values (9)", &[]);
        let results = a
            .commit(vec![stage::admit("k"), orphan, stage::admit("l")])
            .await
            .unwrap();
        assert!(
            matches!(&results[1], UnitResult::SqlFailed(_)),
            "{results:?}"
        );
        assert!(matches!(&results[2], UnitResult::Applied(x) if x.run == Some(RunId(2))));
    });
}

#[test]
fn a_lost_connection_is_made_again() {
    let server = Server::start(&[]);
    let stores = stores_of(&server);
    let a = stores.open();
    run(async {
        stage::admitted(&a, stage::admit("k")).await;
    });
    let others = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = 't0'";
    server.query("postgres", others).unwrap();
    run(async {
        assert_eq!(stage::admitted(&a, stage::admit("l")).await, RunId(2));
        let again = stage::one(&a, stage::admit("k")).await;
        assert_eq!(again, UnitResult::Duplicate(RunId(1)));
    });
}
