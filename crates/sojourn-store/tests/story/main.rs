//! The contract of the storage interface, as stories that run on every engine.

mod accounts;
mod attempts;
mod audit_log;
mod clock;
mod commits;
#[path = "../common/mod.rs"]
mod common;
mod instances;
mod lists;
mod outgoing_mails;
#[path = "../support/postgres.rs"]
mod postgres;
mod sessions;
mod webhooks;

use sojourn_store::{CommitError, Store};
use sojourn_testkit::memory::{self, MemoryEngine};

/// One test per engine for each story.
macro_rules! stories {
    ($($file:ident: $($story:ident)*;)*) => {
        mod in_memory {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                $file::$story(memory::store()).await;
            })*)*
        }

        /// One of several nodes on the same rows, with its own activity in memory.
        mod on_a_node_in_memory {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                $file::$story(MemoryEngine::default().node().into()).await;
            })*)*
        }

        mod in_postgres {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                let database = postgres::Database::new().await;
                let store = Store::postgres(&database.url()).await.expect("a database");
                $file::$story(store.clone()).await;
            })*)*
        }

        mod in_sqlite {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                let folder = tempfile::tempdir().expect("a folder");
                let store = Store::sqlite(&folder.path().join("sojourn.db")).expect("a database");
                $file::$story(store.clone()).await;
            })*)*
        }
    };
}

stories! {
    accounts:
        a_row_is_written_only_if_its_version_is_the_stored_one
        an_address_or_external_id_belongs_to_one_user
        an_added_address_identifies_nobody_until_it_is_verified
        one_address_in_two_spellings_is_one_users
        a_decision_about_a_user_that_changed_is_refused
        a_deleted_user_leaves_no_open_session_and_no_address;
    sessions:
        what_is_committed_is_loaded_as_it_was
        of_two_admissions_decided_on_one_client_exactly_one_commits
        a_closed_session_stays_as_it_ended
        an_active_session_is_not_ended_for_inactivity
        activity_is_seen_at_once_by_every_load
        activity_goes_forward_only_and_never_revives;
    commits:
        a_set_is_applied_whole_or_not_at_all
        a_set_applied_twice_is_applied_once
        events_are_read_in_order_after_a_cursor
        a_reader_goes_on_where_it_was_done
        events_stay_for_a_week_and_places_go_on
        an_idempotency_key_is_taken_once_for_a_day
        the_high_water_mark_only_rises
        a_closed_store_answers_nothing;
    outgoing_mails:
        a_mail_that_is_due_is_claimed_by_one_of_eight
        mails_on_their_way_are_listed_and_purged;
    webhooks:
        webhook_endpoints_come_back_and_change_by_version
        deliveries_and_the_place_of_the_reader_go_together
        a_users_deliveries_wait_for_the_one_before
        a_delivery_is_claimed_by_one_of_eight
        deliveries_are_listed_and_purged;
    audit_log:
        an_entry_is_written_with_its_act_or_not_at_all
        the_audit_log_is_filtered_and_paged
        dat_02_the_values_go_with_the_user_and_the_entries_stay
        entries_are_purged_by_age;
    attempts:
        a_ticket_is_accepted_once_by_eight_at_a_time
        a_ticket_remembers_who_will_act_as_the_account
        what_is_over_is_purged
        mails_come_newest_first_and_go
        mails_stay_for_a_month_but_for_a_thousand
        attempts_and_handshakes_come_back;
    clock:
        a_test_clock_comes_back_and_is_moved_by_one_at_a_time
        a_reset_moves_what_is_open_and_leaves_what_is_over
        a_lease_belongs_to_one_until_its_time_is_over
        open_sessions_are_walked_through_group_by_group
        an_end_record_is_complete_until_it_is_purged
        who_acts_as_an_account_is_remembered;
    lists:
        sessions_are_filtered_and_paged
        sessions_are_walked_through_page_by_page
        users_are_filtered_searched_and_paged
        users_are_found_by_times_and_parts_of_names;
    instances:
        secret_keys_are_taken_back_one_by_one_but_for_the_last
        a_signing_key_is_withdrawn_by_one_rotation_and_sealed_anew
        of_two_that_take_back_one_of_two_keys_each_one_does
        an_instance_has_keys_and_settings
        of_eight_that_make_the_first_instance_at_once_one_does
        settings_versions_make_the_policy
        an_instance_sees_nothing_of_another;
}

pub fn is_conflict(outcome: &Result<(), CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Conflict))
}
