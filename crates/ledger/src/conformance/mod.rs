//! One suite that every store passes: a list of promises, and random sequences of commands whose
//! every result is compared with the memory model's.
//!
//! A store's tests say `oncely_ledger::conformance!(make)`, where `make` gives fresh [`Stores`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    missing_docs
)]

pub mod admission;
mod broken;
pub mod chains;
pub mod claims;
pub mod compare;
pub mod facts;
mod follow;
pub mod forgetting;
pub mod holders;
pub mod items;
mod names;
mod pooler;
pub mod pruning;
pub mod random;
pub mod rows;
mod server;
pub mod speaking;
pub mod stage;
pub mod statements;

pub use pooler::Pooler;
pub use server::{Server, fast_folder};
pub use stage::{Stores, TurnedClock};

/// Makes a test of each promise.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance!(@of admission $make;
            a_key_is_admitted_once,
            generation_environment_and_task_tell_runs_apart,
            a_duplicate_changes_nothing,
            a_guard_that_does_not_hold_refuses_the_whole_unit,
            the_generation_is_raised_by_compare_and_set,
            the_cursor_moves_by_compare_and_set,
            an_admitted_run_may_be_held_from_the_start,
            what_was_skipped_is_never_due,
            units_answer_in_order,
        );
        $crate::conformance!(@of facts $make;
            facts_are_kept_in_order,
            facts_that_cannot_follow_are_refused,
            nothing_follows_the_end_but_the_resume_of_a_failed_run,
            a_failed_run_goes_on_without_a_step_and_no_other_ended_run_does,
            an_ended_run_is_taken_back_once,
            others_add_facts_to_a_held_run_without_moving_it,
            the_holder_sees_that_others_added_facts,
            an_ended_run_is_released,
            a_unit_with_an_old_sequence_number_is_refused,
            a_unit_about_nothing_is_invalid_and_others_go_on,
            content_is_kept_once,
            when_runs_began_is_told_for_many_at_once,
        );
        $crate::conformance!(@of claims $make;
            a_due_run_is_claimed_once,
            runs_are_claimed_when_they_are_due_and_in_that_order,
            a_cap_holds_over_all_holders,
            tasks_left_alone_are_left_alone,
            runs_of_a_lane_take_turns,
            a_resumed_run_of_a_lane_does_not_block_it_for_ever,
            a_suspect_is_claimed_alone,
            an_intent_is_no_progress,
            a_clean_release_is_not_counted,
            a_late_holder_is_refused,
            a_run_is_claimed_by_number_whatever_its_due,
            a_run_asked_for_by_number_takes_its_turn_in_its_lane,
            waking_makes_due_unless_held,
            a_name_has_one_holder_at_a_time,
        );
        $crate::conformance!(@of chains $make;
            a_chain_moves_with_each_fact,
            a_run_that_lost_a_fact_is_set_aside_and_its_neighbours_go_on,
            runs_that_lost_a_fact_keep_nobody_waiting,
            what_is_added_to_a_broken_run_does_not_mend_it,
        );
        $crate::conformance!(@of holders $make;
            what_the_dead_held_is_free_at_once,
            a_lease_that_is_renewed_lasts,
            a_stopped_holder_loses_its_lease_and_starts_anew,
            a_clean_end_frees_everything,
            who_only_reads_is_no_holder,
            who_wants_to_be_seen_is_a_holder_of_nothing,
            a_watch_ends_when_something_changes,
        );
        $crate::conformance!(@of items $make;
            progress_of_items_is_kept,
            an_item_is_set_aside_once,
            facts_of_items_are_found_by_range,
            files_are_remembered,
            the_newest_run_of_each_task_is_known,
            runs_are_filtered,
        );
        $crate::conformance!(@of rows $make;
            a_row_is_what_was_admitted,
            a_row_keeps_what_a_unit_does_not_change,
            what_a_step_has_come_to_is_its_own,
            who_holds_is_told_whole,
            what_is_asked_of_one_environment_is_of_no_other,
        );
        $crate::conformance!(@of speaking $make;
            who_does_not_show_the_fence_speaks_for_nobody,
            what_leads_nowhere_is_no_progress,
            a_unit_admits_before_it_speaks_of_what_it_admits,
        );
        $crate::conformance!(@of pruning $make;
            a_pruned_run_leaves_its_key_and_who_removed_it,
            what_has_not_ended_long_ago_stays,
            each_state_that_is_an_end_goes,
            one_task_is_pruned_and_others_are_left,
            a_run_stays_as_long_as_one_that_it_called,
            a_prune_is_one_however_many_parts_it_has,
            generations_and_numbers_go_on_after_a_prune,
            many_items_go_little_by_little,
            others_work_while_old_runs_go,
            a_unit_about_a_pruned_run_changes_nothing,
        );
        $crate::conformance!(@of forgetting $make;
            a_forgotten_run_keeps_its_key_and_what_was_done,
            who_has_not_ended_is_not_forgotten_and_all_are_or_none,
            a_forgotten_run_is_pruned_like_another,
            children_are_found,
        );
        $crate::conformance!(@of statements $make;
            statements_share_the_commit,
            a_failed_statement_leaves_no_trace,
            a_statement_that_ends_the_transaction_takes_no_other_with_it,
            statements_cannot_touch_the_ledger,
            statements_cannot_leave_their_place,
            parameters_are_bound_by_name,
            a_guard_comes_before_the_statement,
            a_constraint_that_speaks_up_at_the_end_fails_its_unit_alone,
        );
    };
    (@of $module:ident $make:expr; $($promise:ident,)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $promise() {
                    let stores = $make;
                    $crate::conformance::stage::run(
                        $crate::conformance::$module::$promise(&stores),
                    );
                }
            )*
        }
    };
}
