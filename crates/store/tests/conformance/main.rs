//! What every backend of the store must do, written once and run on each.
//!
//! A conformance test is a plain function over a [`Store`](diptych_store::Store) or, where it opens
//! one itself, over a [`Place`](place::Place). `conformance!` makes two tests of it: on SQLite, which
//! needs nothing, and on a PostgreSQL server named by `DIPTYCH_TEST_POSTGRES`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod assignments;
mod backup;
mod blobs;
mod calls;
mod checks;
mod crowd;
mod exclusions;
mod fairness;
mod groups;
mod model;
mod opening;
mod pairs;
mod people;
mod place;
mod privacy;
mod prompts;
mod responses;
mod safety;
mod sample;
mod second_thoughts;
mod sprints;
mod variants;
mod writes;

macro_rules! conformance {
    ($($noun:ident: $($name:ident),+ $(,)?;)+) => {
        mod sqlite {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let place = crate::place::Place::sqlite().await;
                    crate::$noun::$name(&place).await;
                })+
            })+
        }
        mod postgres {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL: cargo xtask ci"]
                async fn $name() {
                    let place = crate::place::Place::postgres().await;
                    crate::$noun::$name(&place).await;
                })+
            })+
        }
    };
}

conformance! {
    opening:
        a_database_is_found_again_as_it_was_left,
        a_newer_database_is_refused,
        a_database_of_another_program_is_refused,
        a_start_that_was_cut_short_is_finished,
        two_programs_may_start_at_once,
        two_that_open_a_new_database_at_once_both_do,
        all_our_tables_are_known_by_name,
        a_ready_store_says_so,
        a_closed_store_refuses_changes;
    sprints:
        a_sprint_is_found_by_its_slug,
        a_stage_mark_is_replaced_by_the_next,
        so_many_proposals_wait_and_no_more,
        an_invited_author_moderates_and_stays;
    prompts:
        an_index_is_given_once,
        a_changed_text_is_to_be_cleaned_again,
        forgotten_prompts_come_back_under_their_index,
        source_drops_are_kept_until_the_next_collect,
        clean_counts_are_by_state_and_reason,
        many_prompts_keep_their_order;
    variants:
        a_variant_that_is_there_stays,
        a_failed_variant_is_replaced,
        an_image_that_is_there_stays,
        a_failed_image_is_replaced_and_both_are_paid;
    calls:
        a_call_is_kept_once,
        what_was_spent_adds_up;
    people:
        names_differ_by_more_than_case,
        a_token_stands_for_its_person,
        a_session_ends,
        other_ways_in_end_at_ones_wish,
        a_session_that_ends_elsewhere_is_over_within_a_second,
        all_who_ask_at_once_hear_of_their_own_session,
        secrets_are_not_kept_as_they_are,
        a_new_person_takes_nobodys_name,
        a_provider_knows_its_people,
        a_sign_in_ends_once,
        an_invitation_has_so_many_places,
        what_was_agreed_to_is_kept;
    pairs:
        pairs_are_added_withdrawn_and_brought_back,
        a_withdrawn_pair_takes_its_leases_along,
        a_higher_overlap_opens_pairs_again,
        a_lower_overlap_withdraws_the_leases_that_it_has_no_room_for,
        responses_beyond_a_lower_overlap_are_kept_but_do_not_count,
        a_picture_is_found_by_its_opaque_name,
        other_prompts_keep_their_pairs,
        progress_counts_what_counts;
    assignments:
        a_person_keeps_what_it_holds,
        nobody_holds_more_than_the_overlap,
        begun_pairs_come_first,
        each_picture_stands_on_its_recorded_side,
        who_is_there_keeps_what_they_hold,
        a_lease_ends_and_its_place_is_free,
        what_was_held_while_the_clock_was_ahead_is_free_again,
        what_was_skipped_while_the_clock_was_ahead_cools_down,
        another_servers_clock_may_be_some_minutes_ahead,
        a_skipped_pair_stays_away_until_it_has_cooled_down,
        who_gets_nothing_hears_when_to_come_back,
        who_has_a_part_in_what_ends_first_hears_of_what_ends_later,
        who_has_a_part_in_very_much_asks_again_when_that_ends,
        sprints_do_not_share_pairs;
    responses:
        a_choice_is_kept_as_an_answer_about_the_images,
        the_same_answer_twice_is_one_response,
        somebody_elses_assignment_is_unknown,
        a_late_answer_is_taken_where_there_is_room,
        what_comes_after_the_sprint_and_the_lease_is_gone,
        a_late_answer_to_a_filled_pair_is_gone,
        an_answer_to_a_withdrawn_pair_is_gone,
        standings_count_by_pseudonym,
        a_pseudonym_is_stable_and_tells_nothing;
    checks:
        a_repeat_comes_with_its_sides_swapped_and_counts_nowhere,
        nobody_is_measured_before_their_first_answers_of_a_day,
        a_gold_check_shows_a_picture_of_another_prompt,
        who_has_nothing_more_to_do_is_not_measured,
        a_check_of_a_withdrawn_pair_is_gone;
    safety:
        a_report_takes_the_pair_from_everybody_until_both_images_are_approved,
        a_rejected_image_takes_its_pairs_away_for_good,
        pairs_planned_before_a_setting_was_changed_are_not_taken,
        a_report_is_taken_back_with_its_answer,
        one_person_cannot_empty_a_sprint,
        who_is_often_overturned_needs_a_second_reporter,
        what_stands_of_a_log_is_everybodys_last_word,
        scores_are_kept_by_classifier_and_replaced;
    second_thoughts:
        an_answer_is_replaced_within_ten_minutes,
        an_answer_is_taken_back_and_given_again,
        a_skip_is_taken_back_where_there_is_room,
        an_answer_becomes_a_skip,
        a_surplus_answer_is_taken_back_where_there_is_room,
        there_is_nothing_to_take_back_from_an_open_hold;
    fairness:
        no_category_gets_ahead_of_the_others,
        one_more_is_asked_only_where_the_first_disagree,
        skips_count_however_they_came_and_can_be_taken_back,
        a_report_goes_with_its_answer,
        a_pair_that_others_have_filled_does_not_linger,
        what_several_people_skip_goes_to_the_moderators;
    backup:
        what_does_not_fit_leaves_nothing;
    exclusions:
        what_an_excluded_person_answered_is_kept_and_asked_of_others;
    privacy:
        a_person_sees_all_that_is_kept_of_them,
        nothing_about_a_person_is_kept_from_them,
        names_are_shown_to_who_asks_for_it,
        who_goes_leaves_answers_that_nobody_can_trace,
        answers_that_are_removed_are_asked_of_others;
    writes:
        a_failing_change_fails_alone,
        a_failed_change_leaves_nothing;
    groups:
        takes_of_one_group_share_the_places,
        takes_of_one_group_look_beyond_the_head_of_the_line,
        who_is_last_in_a_group_hears_when_to_come_back,
        answers_of_one_group_end_as_they_would_alone,
        checks_of_one_group_end_as_they_would_alone;
    crowd:
        a_crowd_fills_every_pair_exactly,
        two_programs_fill_every_pair_exactly;
}
