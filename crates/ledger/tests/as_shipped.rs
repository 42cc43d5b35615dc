//! The PostgreSQL store keeps every promise also as it is shipped: facts are neither loaded nor folded
//! where units are applied, and only what is there of a run's row is asked for. That facts can follow
//! one another is the engine's to see to, then.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_core::ledger::{Op, RunRow};
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::stage::{self, run};
use oncely_ledger::conformance::{Server, Stores};
use stores::Postgres;

macro_rules! promises {
    ($($module:ident: $($promise:ident)*;)*) => {
        $(
            #[test]
            fn $module() {
                let server = Server::start(&[]);
                $(
                    eprintln!("{}", stringify!($promise));
                    let stores = Postgres::as_shipped(server.database());
                    run(oncely_ledger::conformance::$module::$promise(&stores));
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
    facts: facts_are_kept_in_order nothing_follows_the_end_but_the_resume_of_a_failed_run
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
        what_is_added_to_a_broken_run_does_not_mend_it;
    holders: what_the_dead_held_is_free_at_once a_lease_that_is_renewed_lasts
        a_stopped_holder_loses_its_lease_and_starts_anew a_clean_end_frees_everything
        who_only_reads_is_no_holder who_wants_to_be_seen_is_a_holder_of_nothing
        a_watch_ends_when_something_changes;
    items: progress_of_items_is_kept an_item_is_set_aside_once facts_of_items_are_found_by_range
        files_are_remembered the_newest_run_of_each_task_is_known runs_are_filtered;
    rows: a_row_is_what_was_admitted a_row_keeps_what_a_unit_does_not_change
        what_a_step_has_come_to_is_its_own who_holds_is_told_whole
        what_is_asked_of_one_environment_is_of_no_other;
    speaking: who_does_not_show_the_fence_speaks_for_nobody what_leads_nowhere_is_no_progress
        a_unit_admits_before_it_speaks_of_what_it_admits;
}

#[test]
fn what_a_unit_does_not_ask_for_stays_as_it_is() {
    let server = Server::start(&[]);
    let stores = Postgres::as_shipped(server.database());
    let ledger = stores.open();
    run(async {
        let id = stage::admitted(&ledger, stage::in_lane("k", "lane")).await;
        let before = stage::row(&ledger, id).await;
        let wake = stage::unit(vec![], vec![Op::Wake(id, Timestamp(-7))]);
        stage::apply(&ledger, wake).await;
        let expected = RunRow {
            due: Some(Timestamp(-7)),
            ..before
        };
        assert_eq!(stage::row(&ledger, id).await, expected);
    });
}
