//! The PostgreSQL store keeps every promise. A server is started for each test, on a free port and
//! in a temporary folder; the tests fail where PostgreSQL is not installed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ids::{ContentHash, RunId};
use oncely_core::items::Progress;
use oncely_core::ledger::{Answer, Guard, Leased, Ledger, Op, Query, UnitResult, What};
use oncely_core::source::Cursor;
use oncely_ledger::conformance::random::sequences;
use oncely_ledger::conformance::stage::{self, run};
use oncely_ledger::conformance::{Server, Stores, fast_folder, items, pruning};
use oncely_ledger::{
    Options, PostgresLedger, PostgresOptions, SqliteLedger, migrate_postgres, move_to_postgres,
};
use serde_json::json;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use stores::{Postgres, client};

fn stores_of(server: &Server) -> Postgres {
    Postgres::new(server.database())
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
        a_unit_about_nothing_is_invalid_and_others_go_on content_is_kept_once
        a_failed_run_goes_on_without_a_step_and_no_other_ended_run_does
        an_ended_run_is_taken_back_once when_runs_began_is_told_for_many_at_once;
    claims: a_due_run_is_claimed_once runs_are_claimed_when_they_are_due_and_in_that_order
        a_cap_holds_over_all_holders tasks_left_alone_are_left_alone runs_of_a_lane_take_turns
        a_resumed_run_of_a_lane_does_not_block_it_for_ever a_suspect_is_claimed_alone
        an_intent_is_no_progress a_clean_release_is_not_counted a_late_holder_is_refused
        a_run_is_claimed_by_number_whatever_its_due waking_makes_due_unless_held
        a_run_asked_for_by_number_takes_its_turn_in_its_lane a_name_has_one_holder_at_a_time;
    chains: a_chain_moves_with_each_fact
        a_run_that_lost_a_fact_is_set_aside_and_its_neighbours_go_on
        runs_that_lost_a_fact_keep_nobody_waiting
        what_is_added_to_a_broken_run_does_not_mend_it;
    holders: what_the_dead_held_is_free_at_once a_lease_that_is_renewed_lasts
        a_stopped_holder_loses_its_lease_and_starts_anew a_clean_end_frees_everything
        who_only_reads_is_no_holder who_wants_to_be_seen_is_a_holder_of_nothing
        a_watch_ends_when_something_changes;
    pruning: a_pruned_run_leaves_its_key_and_who_removed_it what_has_not_ended_long_ago_stays
        each_state_that_is_an_end_goes one_task_is_pruned_and_others_are_left
        a_run_stays_as_long_as_one_that_it_called a_prune_is_one_however_many_parts_it_has
        generations_and_numbers_go_on_after_a_prune many_items_go_little_by_little
        others_work_while_old_runs_go a_unit_about_a_pruned_run_changes_nothing;
    forgetting: a_forgotten_run_keeps_its_key_and_what_was_done
        who_has_not_ended_is_not_forgotten_and_all_are_or_none
        a_forgotten_run_is_pruned_like_another children_are_found;
    items: progress_of_items_is_kept an_item_is_set_aside_once facts_of_items_are_found_by_range
        files_are_remembered the_newest_run_of_each_task_is_known runs_are_filtered;
    rows: a_row_is_what_was_admitted a_row_keeps_what_a_unit_does_not_change
        what_a_step_has_come_to_is_its_own who_holds_is_told_whole
        what_is_asked_of_one_environment_is_of_no_other;
    speaking: who_does_not_show_the_fence_speaks_for_nobody what_leads_nowhere_is_no_progress
        a_unit_admits_before_it_speaks_of_what_it_admits;
}

#[test]
fn statements_that_wait_for_a_lock_do_not_cost_the_lease() {
    let server = Server::start(&[]);
    let url = server.database();
    let lease = Duration::from_secs(2);
    let options = |sql_budget| PostgresOptions {
        create: true,
        lease,
        sql_budget,
        ..PostgresOptions::new("test")
    };
    let a = PostgresLedger::open(&url, options(Duration::from_millis(400))).unwrap();
    let b = PostgresLedger::open(&url, options(Duration::from_secs(5))).unwrap();
    run(async {
        let table = stage::sql("create table t (a bigint primary key)", &[]);
        stage::apply(&a, stage::unit(vec![], vec![table])).await;
        for key in 0..12 {
            stage::admitted(&a, stage::admit(&key.to_string())).await;
        }
        let mut all = stage::claim(9);
        all.limit = 12;
        let held = stage::lease(&a, all).await;
        let (locker, carrier) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(carrier);
        locker.batch_execute("begin; lock table t").await.unwrap();
        let insert = |n: usize| {
            let guard = Guard::Fence(held[n].row.id, held[n].fence);
            let row = [("a", json!(n))];
            stage::unit(
                vec![guard],
                vec![stage::sql("insert into t values (:a)", &row)],
            )
        };
        let stuck = a.commit((0..12).map(insert).collect());
        let since = Instant::now();
        let mut freed = 0;
        // Both servers renew their leases and look for those who are gone, as servers do.
        let looking = async {
            let mut ticks = tokio::time::interval(oncely_core::ledger::RENEW_EVERY);
            loop {
                ticks.tick().await;
                freed += a.renew().await.unwrap();
                freed += b.renew().await.unwrap();
            }
        };
        let stuck = tokio::select! {
            stuck = stuck => stuck.unwrap(),
            () = looking => unreachable!(),
        };
        assert!(
            since.elapsed() > 2 * lease,
            "they waited too short to cost anything"
        );
        assert!(stuck.iter().all(|r| matches!(r, UnitResult::SqlLate(_))));
        assert_eq!(freed, 0, "others took over from one that was only waiting");
        locker.batch_execute("rollback").await.unwrap();
        stage::apply(&a, insert(0)).await;
    });
}

#[test]
fn processes_that_are_gone_leave_nothing_that_grows() {
    let server = Server::start(&[]);
    let stores = stores_of(&server);
    let watching = stores.open();
    run(async {
        for key in 0..9 {
            let a = stores.open();
            stage::admitted(&a, stage::admit(&key.to_string())).await;
            stage::lease(&a, stage::claim(9)).await;
            drop(a);
        }
        stage::admitted(&watching, stage::admit("last")).await;
    });
    let text = "do $$ begin
        assert (select count(*) from oncely_changes) = 2;
        assert (select count(*) from oncely_holders) = 0;
        assert (select sum(count) from oncely_changes) > 18;
    end $$";
    server.query("t0", text).unwrap();
}

/// `ONCELY_SEEDS=FROM..TO` plays other seeds: 10,000 by hand.
#[test]
fn random_sequences_agree_with_the_model() {
    let seeds = std::env::var("ONCELY_SEEDS").unwrap_or_else(|_| "0..1000".into());
    let (from, to) = seeds.split_once("..").unwrap();
    agree(from.parse().unwrap()..to.parse().unwrap());
}

#[test]
fn seeds_that_have_shown_a_difference_show_none_any_more() {
    for seed in [101_826, 104_583] {
        agree(seed..seed + 1);
    }
}

/// The store answers as the memory model does.
fn agree(seeds: Range<u64>) {
    let server = Server::start(&[]);
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
            let late = text.contains("pg_sleep");
            match result {
                UnitResult::SqlLate(words) if late => assert_eq!(
                    words,
                    "the statements took longer than 5 s. Nothing was changed."
                ),
                UnitResult::SqlFailed(_) if !late => {}
                other => panic!("{text}: {other:?}"),
            }
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
fn of_many_units_with_statements_only_the_bad_ones_fail() {
    let server = Server::start(&[]);
    let stores = stores_of(&server);
    run(async {
        let a = stores.open();
        let sql = |id: i64| {
            let text = "insert into t values (:a)";
            let mut unit = stage::admit(&format!("k{id}"));
            unit.ops.push(stage::sql(text, &[("a", json!(id % 100))]));
            unit
        };
        let table = stage::sql("create table t (a bigint primary key)", &[]);
        stage::apply(&a, stage::unit(vec![], vec![table])).await;
        let results = a.commit((0..103).map(sql).collect()).await.unwrap();
        for (id, result) in results.iter().enumerate() {
            match result {
                UnitResult::Applied(_) => assert!(id < 100, "{id}"),
                UnitResult::SqlFailed(words) => {
                    assert!(
                        id >= 100 && words.contains("duplicate key"),
                        "{id}: {words}"
                    );
                }
                other => panic!("{id}: {other:?}"),
            }
        }
        // A table that changes its shape does not spoil what was prepared.
        let text = "alter table t add column b bigint";
        stage::apply(&a, stage::unit(vec![], vec![stage::sql(text, &[])])).await;
        let text = "insert into t select a + 1000, 1 from t where a < 3 returning *";
        for text in [
            text,
            "select * from t",
            "alter table t drop column b",
            "select * from t",
        ] {
            stage::apply(&a, stage::unit(vec![], vec![stage::sql(text, &[])])).await;
        }
    });
    server
        .query(
            "t0",
            "do $$ begin assert (select count(*) from t) = 103; end $$",
        )
        .unwrap();
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

/// A ledger in a file with something of everything in it.
async fn full(path: &std::path::Path) -> SqliteLedger {
    let options = Options {
        create: true,
        ..Options::new("test")
    };
    let a = SqliteLedger::open(path, options).unwrap();
    for key in ["a", "b", "c"] {
        stage::admitted(&a, stage::admit(key)).await;
    }
    let held = stage::lease(&a, stage::claim(9)).await;
    let (run, fence) = (held[0].row.id, held[0].fence);
    let began = stage::facts(run, 5, vec![stage::began(), stage::intent(fence)]);
    let ops = vec![
        began,
        Op::Items {
            run,
            step: "step".into(),
            progress: Progress {
                next: 7,
                done: 6,
                set_aside: 1,
                ..Progress::default()
            },
            set_aside: vec![items::aside(3, "why")],
        },
        Op::Cursor("source".into(), Cursor("here".into())),
        Op::Store(ContentHash::of(b"content"), b"content".as_slice().into()),
    ];
    stage::apply(&a, stage::unit(vec![Guard::Fence(run, fence)], ops)).await;
    let name = a.lease(What::Named("name".into()), stage::claim(9)).await;
    assert!(matches!(name, Ok(Leased::Named(_))));
    a
}

#[test]
fn a_ledger_moves_with_nothing_lost() {
    let server = Server::start(&[]);
    let folder = fast_folder();
    let (path, copy) = (
        folder.path().join("ledger.db"),
        folder.path().join("copy.db"),
    );
    let url = server.database();
    run(async {
        let old = full(&path).await;
        let refused = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        assert!(refused.unwrap_err().to_string().contains("is at work"));
        drop(old);
        let mut before = Vec::new();
        let old = SqliteLedger::open(&path, Options::new("test")).unwrap();
        old.export(&mut before).unwrap();
        drop(old);
        std::fs::copy(&path, &copy).unwrap();
        let moved = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        assert_eq!(moved.unwrap().runs, 3);
        let new = PostgresLedger::open(&url, PostgresOptions::new("test")).unwrap();
        let mut after = Vec::new();
        new.export(&mut after).unwrap();
        assert_eq!(String::from_utf8(after), String::from_utf8(before));
        let stored = ContentHash::of(b"content");
        let stored = new.read(Query::Stored(stored)).await.unwrap();
        assert_eq!(stored, Answer::Stored(Some(b"content".as_slice().into())));
        let again = stage::one(&new, stage::admit("a")).await;
        assert_eq!(again, UnitResult::Duplicate(RunId(1)));
        let closed = SqliteLedger::open(&path, Options::new("test"))
            .err()
            .unwrap();
        assert!(closed.to_string().contains("was moved"), "{closed}");
        // A move that was cut off before it closed the file is brought to its end.
        let moved = move_to_postgres(&copy, &url, PostgresOptions::new("test")).await;
        assert_eq!(moved.unwrap().runs, 3);
        let other = folder.path().join("other.db");
        drop(full(&other).await);
        let refused = move_to_postgres(&other, &url, PostgresOptions::new("test")).await;
        let words = refused.unwrap_err().to_string();
        assert!(words.contains("already, and it is in use"), "{words}");
        assert!(SqliteLedger::open(&other, Options::new("test")).is_ok());
    });
}

#[test]
fn keys_of_pruned_runs_are_packed_and_move_along() {
    let server = Server::start(&[]);
    let folder = fast_folder();
    let path = folder.path().join("ledger.db");
    let url = server.database();
    let export = |ledger: &PostgresLedger| {
        let mut text = Vec::new();
        ledger.export(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    run(async {
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        let old = SqliteLedger::open(&path, options).unwrap();
        for key in 0..300 {
            ended(&old, &key.to_string()).await;
        }
        assert_eq!(pruning::whole(&old, pruning::part()).await.runs, 299);
        drop(old);
        let moved = move_to_postgres(&path, &url, PostgresOptions::new("test")).await;
        assert_eq!(moved.unwrap().runs, 1);
        let new = PostgresLedger::open(&url, PostgresOptions::new("test")).unwrap();
        let before = export(&new);
        assert_eq!(before.matches("\"kind\":\"key\"").count(), 299);
        // The keys that came along are packed by the next prune, and those of its own.
        for key in 300..700 {
            ended(&new, &key.to_string()).await;
        }
        assert_eq!(pruning::whole(&new, pruning::part()).await.runs, 400);
        let text = "do $$ begin
            assert (select count(*) from oncely_keys) = 1;
            assert (select sum(length(keys)) from oncely_kept) = 699 * 22;
            assert (select value from oncely_meta where name = 'pruning') = '';
        end $$";
        client(&url).await.batch_execute(text).await.unwrap();
        assert_eq!(export(&new).matches("\"kind\":\"key\"").count(), 699);
        for key in 0..699 {
            let again = stage::one(&new, stage::admit(&key.to_string())).await;
            assert_eq!(again, UnitResult::Duplicate(RunId(key + 1)));
        }
        let fresh = stage::admitted(&new, stage::admit("fresh")).await;
        assert_eq!(fresh, RunId(701));
    });
}

async fn ended<L: Ledger>(ledger: &L, key: &str) {
    let run = stage::admitted(ledger, stage::admit(key)).await;
    let end = oncely_core::fact::End::Done;
    let ops = vec![
        stage::facts(run, 3, vec![stage::began(), stage::ended(end)]),
        stage::stand(run, oncely_core::run::RunStatus::Done, None, false),
    ];
    stage::apply(ledger, stage::unit(vec![], ops)).await;
}

#[test]
fn an_older_ledger_is_migrated_in_one_transaction_while_nobody_is_at_work() {
    let server = Server::start(&[]);
    let stores = stores_of(&server);
    let options = || PostgresOptions::new("test");
    let says = |error: oncely_core::ledger::LedgerError, words: &str| {
        assert!(error.to_string().contains(words), "{error}");
    };
    run(async {
        let a = stores.open();
        let one = stage::admitted(&a, stage::admit("one")).await;
        let begun = stage::facts(one, 1, vec![stage::began()]);
        stage::apply(&a, stage::unit(vec![], vec![begun])).await;
        let chain = stage::row(&a, one).await.chain;
        drop(a);
        // What schema 1.0 had.
        let db = client(stores.url()).await;
        let older = "alter table oncely_runs drop column chain;
                     alter table oncely_admissions drop column event_hash;
                     drop table oncely_prunes, oncely_pruned, oncely_leftovers, oncely_kept;
                     drop index oncely_admissions_parent;
                     delete from oncely_meta where name = 'pruning';
                     update oncely_meta set value = '1000' where name = 'schema'";
        db.batch_execute(older).await.unwrap();
        let Err(refused) = PostgresLedger::open(stores.url(), options()) else {
            panic!("an older ledger was opened");
        };
        says(
            refused,
            "has schema 1.0; this program works on 2.0. Nothing was changed. Stop oncely \
             everywhere, take a backup with pg_dump, then run `oncely ledger migrate`.",
        );
        let holder = "insert into oncely_holders (id, pid, role, since, renewed, lease_ms) values
                      (7, 4711, 'oncely serve', 0, (extract(epoch from now()) * 1000)::bigint,
                      600000)";
        db.batch_execute(holder).await.unwrap();
        let refused = migrate_postgres(stores.url(), options()).await.unwrap_err();
        says(
            refused,
            "process 4711 (oncely serve) is at work on the ledger in ",
        );
        db.batch_execute("delete from oncely_holders")
            .await
            .unwrap();
        let migrated = migrate_postgres(stores.url(), options()).await;
        assert_eq!(migrated, Ok(Some(1000)));
        assert_eq!(migrate_postgres(stores.url(), options()).await, Ok(None));
        let a = stores.open();
        assert_eq!(stage::row(&a, one).await.chain, chain);
        assert_eq!(stage::lease(&a, stage::claim(9)).await.len(), 1);
    });
}
