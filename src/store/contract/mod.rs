//! What every store does: the documentation of the traits as tests.
//!
//! Called by the tests of this room, with one line for each store. A rule gets an
//! account that nobody used before and does with it what a server would; after it
//! numbers and counts must agree, and the store's own check must find nothing.
//!
//! | file | subject |
//! | --- | --- |
//! | `fixture.rs` | an account for one rule, and short words for what is done to it |
//! | `annotations.rs` | annotations |
//! | `mailboxes.rs` | create, rename, delete, subscribe, special use |
//! | `messages.rs` | UIDs, append, open, details |
//! | `flags.rs` | alter |
//! | `transfer.rs` | copy and move |
//! | `removal.rs` | expunge and remove |
//! | `changes.rs` | changes since a MODSEQ, watch |
//! | `deliveries.rs` | stage, publish, what is remembered |
//! | `history.rs` | what became of deliveries |
//! | `model.rs` | anything in any order, compared with the store in memory |

mod annotations;
mod changes;
mod deliveries;
mod fixture;
mod flags;
mod history;
mod mailboxes;
mod messages;
mod model;
mod removal;
mod transfer;

use super::{Disk, LocalStore, MemoryStore, Options};
use fixture::Fixture;

/// One test for each rule, in a module of the store's name. A rule that stands in no line
/// here is dead code to the compiler.
macro_rules! contract {
    ($store:ident, $fixture:expr) => {
        contract! {
            $store, $fixture;
            mailboxes: a_new_account_has_an_empty_inbox, created_twice_it_is_the_same, those_above_are_not_made,
                they_stand_by_name, each_has_numbers_of_its_own, made_again_it_has_a_higher_validity,
                the_list_says_what_the_status_says, one_that_is_missing_is_an_error, renamed_it_keeps_its_numbers,
                renamed_those_below_come_along, a_name_with_others_below_is_renamed_too, renamed_onto_another_it_stays,
                renamed_where_one_below_would_meet_another_it_stays, renamed_below_itself_it_stays,
                the_inbox_renamed_is_emptied, a_name_left_by_a_rename_is_free, deleted_those_below_stay,
                the_inbox_is_never_deleted, deleted_it_uses_nothing, subscriptions_outlive_mailboxes,
                a_special_use_moves, a_special_use_goes_along_and_ends, opened_again_all_is_as_it_was,
                an_upkeep_changes_no_number;
            messages: uids_ascend, a_uid_is_never_given_again, crlf_is_kept_as_lf, other_line_ends_come_back_as_they_are,
                a_large_message_comes_back, flags_and_date_are_kept, without_a_date_it_is_now,
                the_email_id_is_that_of_the_bytes, a_reply_belongs_to_the_thread, strangers_have_threads_of_their_own,
                details_say_what_entries_say, a_set_names_messages, a_missing_message_cannot_be_opened,
                a_body_is_read_from_anywhere, an_append_to_a_missing_mailbox_leaves_nothing, counts_follow,
                many_appended_at_once_keep_their_order;
            flags: are_set_added_and_taken_away, what_was_so_before_keeps_its_modseq,
                what_changes_gets_a_modseq_above_all_before, what_changed_since_is_left_alone,
                named_but_missing_they_are_passed_over, keywords_ignore_case, many_keywords_are_kept,
                ten_thousand_at_once, unseen_and_deleted_are_counted;
            transfer: a_copy_keeps_what_belongs_to_the_message, copies_ascend, the_source_of_a_copy_is_unchanged,
                a_copy_to_or_from_a_missing_mailbox_does_nothing, a_copy_of_nothing_does_nothing,
                a_copy_into_its_own_mailbox_is_a_second_message, a_copy_changes_and_stays_by_itself,
                moved_it_is_gone_there_and_here_once, a_move_keeps_what_belongs_to_the_message,
                a_move_to_a_missing_mailbox_does_nothing, moved_into_its_own_mailbox_it_is_there_once,
                moved_back_it_has_a_new_uid;
            removal: an_expunge_takes_the_deleted_ones, an_expunge_takes_only_those_named,
                a_removal_asks_for_no_flag, with_nothing_to_take_nothing_changes, what_is_gone_cannot_be_opened,
                a_body_that_is_open_stays;
            changes: since_now_there_are_none, new_and_altered_messages_are_told, gone_messages_are_told,
                both_ends_of_a_move_tell, since_the_beginning_all_are_told, what_came_and_went_is_only_gone,
                a_watch_wakes_at_each, a_watch_wakes_at_nothing_else, a_watch_wakes_who_waits,
                a_watch_ends_with_its_mailbox;
            deliveries: a_copy_lies_in_each_mailbox, the_letter_comes_back, a_message_knows_its_delivery, unpublished_it_is_nothing,
                done_before_it_is_not_done_again, gone_it_does_not_come_back,
                with_one_mailbox_missing_none_gets_it, of_a_plan_half_done_the_rest_is_done,
                a_plan_whose_steps_are_done_is_done, a_step_keeps_its_first_delivery, things_are_remembered_for_their_time,
                a_publication_remembers, editions_lie_where_they_belong, of_editions_half_done_the_rest_is_done,
                editions_count_by_their_own_size, an_edition_that_nobody_gets_is_nothing, two_at_once_make_one_copy, of_two_who_remember_one_is_first,
                many_at_once_have_numbers_of_their_own;
            annotations: each_mailbox_and_the_server_has_its_own, they_go_along_and_end_with_their_mailbox,
                a_missing_mailbox_has_none, there_is_room_for_some, of_two_who_write_both_are_heard;
            history: what_is_published_is_told_by_every_key, a_message_that_was_moved_knows_its_delivery,
                what_came_in_another_way_is_known_by_its_message_id, what_is_recorded_is_told_and_more_is_added,
                done_before_nothing_is_written_down, deferred_again_it_stands_there_once;
        }
    };
    ($store:ident, $fixture:expr; $($subject:ident: $($rule:ident),+;)+) => {
        mod $store {
            use super::*;

            #[test]
            fn any_sequence_ends_as_in_memory() {
                crate::store::contract::model::any_sequence_ends_as_in_memory(&$fixture);
            }

            $(
                mod $subject {
                    use super::*;

                    $(
                        #[test]
                        fn $rule() {
                            crate::store::contract::run(&$fixture, crate::store::contract::$subject::$rule);
                        }
                    )+
                }
            )+
        }
    };
}

fn run(fresh: &dyn Fn() -> Fixture, rule: impl FnOnce(&Fixture)) {
    let fixture = fresh();
    rule(&fixture);
    fixture.close();
}

contract!(memory, || Fixture::of(MemoryStore::new()));
contract!(local, || Fixture::of(LocalStore::new(local_options())));
contract!(local_beside_dovecot, || Fixture::of(LocalStore::new(Options {
    dovecot_uidlist: true,
    ..local_options()
})));

fn local_options() -> Options {
    Options {
        disk: Disk {
            fsync: false,
            ..Disk::default()
        },
        host: "mx.example.org".to_owned(),
        open_accounts: 4,
        ..Options::default()
    }
}
