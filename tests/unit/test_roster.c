/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_roster.c - how one crew takes over from another, with invented times.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "master/roster.h"

enum { START = 1000000, SLOTS = 8, METRICS = 0, ALARMS = 1, HELPER = 2, CREWS };

static struct roster *roster;
static struct seat seats[2 * SLOTS];
static size_t n_seats;

static void
prepare(void)
{
    roster = roster_new(SLOTS);
    cr_assert_not_null(roster);
}

static void
clean_up(void)
{
    roster_free(&roster);
}

TestSuite(roster, .init = prepare, .fini = clean_up);

static void
want(unsigned crew, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct seat *seat = &seats[n_seats++];
        *seat = (struct seat){.crew = crew, .number = i, .alone = crew == HELPER};
        snprintf(seat->name, sizeof(seat->name), "crew%u-%u", crew, i);
        snprintf(seat->topic, sizeof(seat->topic), "%s", crew == HELPER ? "" : "topic");
    }
}

static void
change(bool metrics_same, bool others_same, int64_t now)
{
    bool same[CREWS] = {metrics_same, others_same, others_same};
    roster_change(roster, seats, n_seats, same, now);
    n_seats = 0;
}

/* Everything that is to be done now, as "P1 P2 R3 E3 D4 ". */
static const char *
actions(int64_t now)
{
    static char text[256];
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; i < 40; i++) {
        struct roster_action action = roster_next(roster, now);
        if (action.kind == ROSTER_NOTHING)
            return text;
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%u ", " PRED"[action.kind],
                              action.slot);
    }
    cr_assert_fail("it never ends: %s", text);
    return text;
}

static void
all_do(unsigned first, unsigned last, enum slot_state state)
{
    for (unsigned slot = first; slot <= last; slot++)
        roster_note_state(roster, slot, state);
}

static void
expect(const char *wanted, int64_t now)
{
    cr_assert_str_eq(actions(now), wanted);
}

static void
start(unsigned metrics)
{
    want(METRICS, metrics);
    change(false, false, START);
    (void)actions(START);
    all_do(1, metrics, SLOT_CONSUMING);
    cr_assert(roster_is_ready(roster));
}

/* So many work by another configuration; newcomers by a new one are to take their places. */
static void
replace(unsigned old, unsigned newcomers)
{
    start(old);
    want(METRICS, newcomers);
    change(false, true, START);
}

/* Those in slots 1..n are to be replaced by as many: up to the newcomers' joining. */
static void
begin_to_replace(unsigned n)
{
    (void)actions(START);
    all_do(n + 1, 2 * n, SLOT_JOINING);
    expect(n == 1 ? "E1 " : "E1 E2 ", START);
}

Test(roster, places_all_and_is_ready_when_all_have_joined)
{
    want(METRICS, 2);
    want(HELPER, 1);
    change(false, false, START);
    cr_assert_not(roster_is_settled(roster));
    expect("P1 P2 P3 ", START);
    cr_assert(roster_is_settled(roster));
    cr_assert_not(roster_is_ready(roster));
    cr_assert_eq(roster_count(roster).out, 2u);
    all_do(1, 2, SLOT_IDLE);
    cr_assert(roster_is_ready(roster), "a helper joins no group");
}

Test(roster, nothing_happens_if_all_is_the_same)
{
    start(2);
    want(METRICS, 2);
    change(true, true, START);
    expect("", START);
    cr_assert(roster_is_ready(roster));
}

Test(roster, more_of_the_same_disturbs_no_one)
{
    start(1);
    want(METRICS, 3);
    change(true, true, START);
    expect("P2 P3 ", START);
    cr_assert_not(roster_is_leaving(roster, 1));
}

Test(roster, fewer_of_the_same_leave_all_at_once)
{
    start(3);
    want(METRICS, 1);
    change(true, true, START);
    expect("R2 D2 R3 D3 ", START);
    cr_assert_not(roster_is_settled(roster));
    roster_note_gone(roster, 2, true);
    roster_note_gone(roster, 3, true);
    cr_assert(roster_is_ready(roster));
}

Test(roster, the_old_are_excused_and_all_dismissed_when_the_first_begins_to_leave)
{
    replace(2, 2);
    expect("P3 P4 R1 R2 ", START);
    cr_assert(roster_takes_over(roster, 3) && roster_takes_over(roster, 4));
    cr_assert_eq(roster_heir(roster, 1), 3u);
    all_do(1, 2, SLOT_WRITING);
    all_do(3, 4, SLOT_STARTING);
    expect("", START + 50);
    roster_note_state(roster, 4, SLOT_JOINING);
    expect("E1 E2 ", START + 100);
    cr_assert(roster_takes_over(roster, 3));
    roster_note_state(roster, 2, SLOT_DRAINING);
    expect("D1 D2 ", START + 200);
    cr_assert_not(roster_takes_over(roster, 3), "the way is free");
    cr_assert_eq(roster_count(roster).leaving, 2u);
}

Test(roster, those_whose_brokers_do_not_answer_displace_no_one)
{
    replace(2, 2);
    expect("P3 P4 R1 R2 ", START);
    all_do(3, 4, SLOT_STARTING);
    expect("", START + 100 * ROSTER_LIMIT_MS);
    roster_note_gone(roster, 1, false); /* killed: that is none of their doing */
    expect("", START + 100 * ROSTER_LIMIT_MS);
    roster_note_state(roster, 3, SLOT_JOINING);
    expect("E2 ", START + 100 * ROSTER_LIMIT_MS);
    expect("", START + 101 * ROSTER_LIMIT_MS - 1);
    expect("D2 ", START + 101 * ROSTER_LIMIT_MS);
}

/* Two wrong addresses after each other; then one that is right. */
Test(roster, who_has_never_reached_a_broker_leaves_at_once)
{
    replace(1, 1);
    expect("P2 R1 ", START);
    roster_note_state(roster, 2, SLOT_STARTING);
    want(METRICS, 1);
    change(false, true, START);
    expect("P3 R2 D2 ", START);
    roster_note_gone(roster, 2, true);
    want(METRICS, 1);
    change(false, true, START);
    expect("P2 R3 D3 ", START);
    roster_note_state(roster, 2, SLOT_CONSUMING);
    expect("D1 ", START);
}

/* Nobody takes over from those of another topic, nor who was there before. */
Test(roster, only_newcomers_of_the_same_topic_take_over)
{
    want(METRICS, 1);
    want(ALARMS, 1);
    change(false, false, START);
    (void)actions(START);
    cr_assert_not(roster_takes_over(roster, 1));
    all_do(1, 2, SLOT_CONSUMING);
    want(METRICS, 1);
    want(ALARMS, 1);
    change(false, true, START);
    expect("P3 R1 ", START);
    cr_assert(roster_takes_over(roster, 3));
    cr_assert_not(roster_takes_over(roster, 2));
}

Test(roster, one_that_went_unseen_takes_the_others_along)
{
    replace(2, 2);
    begin_to_replace(2);
    roster_note_gone(roster, 1, true);
    expect("D2 ", START + 1);
}

Test(roster, the_old_leave_when_all_newcomers_have_joined)
{
    replace(2, 2);
    (void)actions(START);
    roster_note_state(roster, 3, SLOT_CONSUMING);
    expect("E1 E2 ", START + 1);
    roster_note_state(roster, 4, SLOT_IDLE);
    expect("D1 D2 ", START + 2);
}

Test(roster, newcomers_that_do_not_join_are_not_waited_for_for_ever)
{
    replace(1, 1);
    (void)actions(START);
    roster_note_state(roster, 2, SLOT_JOINING);
    expect("E1 ", START);
    expect("", START + ROSTER_LIMIT_MS - 1);
    expect("D1 ", START + ROSTER_LIMIT_MS);
}

Test(roster, as_long_as_no_newcomer_stays_alive_the_old_go_on)
{
    replace(1, 2);
    (void)actions(START);
    all_do(2, 3, SLOT_BACKOFF);
    expect("", START + 100 * ROSTER_LIMIT_MS);
    roster_note_state(roster, 2, SLOT_JOINING); /* for a moment: it is in a crash loop */
    expect("", START + 100 * ROSTER_LIMIT_MS);
    roster_note_state(roster, 2, SLOT_DEAD);
    expect("", START + 101 * ROSTER_LIMIT_MS);
    roster_note_state(roster, 2, SLOT_CONSUMING);
    expect("E1 ", START + 101 * ROSTER_LIMIT_MS);
    expect("D1 ", START + 102 * ROSTER_LIMIT_MS);
}

Test(roster, one_that_lives_from_the_start_on_is_enough_for_the_limit)
{
    replace(1, 2);
    (void)actions(START);
    roster_note_state(roster, 2, SLOT_BACKOFF);
    roster_note_state(roster, 3, SLOT_JOINING);
    expect("E1 ", START);
    expect("", START + ROSTER_LIMIT_MS - 1);
    expect("D1 ", START + ROSTER_LIMIT_MS);
}

/* It was down just then, so it has not left the group, and the group does not rebalance. */
Test(roster, an_old_one_that_is_not_there_takes_nobody_along)
{
    replace(2, 2);
    begin_to_replace(2);
    roster_note_gone(roster, 1, false);
    expect("", START + 1);
}

Test(roster, an_old_one_leaves_but_no_newcomer_lives_so_the_others_stay)
{
    replace(2, 2);
    begin_to_replace(2);
    all_do(3, 4, SLOT_BACKOFF);
    roster_note_gone(roster, 1, true);
    expect("", START + 1);
    roster_note_state(roster, 3, SLOT_IDLE);
    expect("D2 ", START + 2);
}

Test(roster, one_newcomer_at_work_is_enough_when_the_first_has_left)
{
    replace(2, 2);
    (void)actions(START);
    roster_note_state(roster, 3, SLOT_CONSUMING);
    roster_note_state(roster, 4, SLOT_BACKOFF);
    expect("E1 E2 ", START + 1);
    roster_note_gone(roster, 1, true);
    expect("D2 ", START + 2);
}

Test(roster, helpers_take_turns)
{
    want(HELPER, 1);
    change(false, false, START);
    expect("P1 ", START);
    want(HELPER, 1);
    change(true, false, START + 1);
    expect("R1 D1 ", START + 1);
    expect("", START + 2);
    roster_note_gone(roster, 1, true);
    expect("P1 ", START + 3);
}

Test(roster, one_crew_does_not_wait_for_the_other)
{
    want(METRICS, 1);
    want(ALARMS, 1);
    change(false, false, START);
    (void)actions(START);
    all_do(1, 2, SLOT_CONSUMING);
    want(METRICS, 1);
    want(ALARMS, 1);
    change(false, false, START);
    begin_to_replace(2);
    roster_note_state(roster, 1, SLOT_DRAINING);
    expect("D1 ", START + 1);
}

Test(roster, where_slots_are_short_room_is_made_first)
{
    replace(6, 6);
    expect("P7 P8 R1 D1 R2 D2 R3 D3 R4 D4 R5 D5 R6 D6 ", START);
    for (unsigned slot = 1; slot <= 6; slot++)
        roster_note_gone(roster, slot, true);
    expect("P1 P2 P3 P4 ", START + 1);
    cr_assert(roster_is_settled(roster));
}

Test(roster, a_second_change_while_the_first_is_under_way)
{
    replace(1, 1);
    begin_to_replace(1);
    want(METRICS, 1);
    change(false, true, START + 10);
    expect("P3 R2 ", START + 10);
    roster_note_state(roster, 3, SLOT_JOINING);
    expect("E2 ", START + 11);
    cr_assert_eq(roster_heir(roster, 1), 3u, "not 2, who leaves, too");
    roster_note_state(roster, 1, SLOT_DRAINING);
    expect("D1 D2 ", START + 20);
    roster_note_gone(roster, 1, true);
    roster_note_gone(roster, 2, true);
    cr_assert(roster_is_settled(roster));
    cr_assert_str_eq(roster_seat(roster, 3)->name, "crew0-0");
}

Test(roster, the_limit_counts_from_the_last_change)
{
    replace(1, 1);
    begin_to_replace(1);
    want(METRICS, 1);
    change(false, true, START + 20000);
    expect("P3 R2 ", START + 20000);
    roster_note_state(roster, 3, SLOT_JOINING);
    expect("E2 ", START + 20000);
    expect("", START + ROSTER_LIMIT_MS);
    expect("D1 D2 ", START + 20000 + ROSTER_LIMIT_MS);
}

/* Whoever left, made room for the newcomers of then; those of now have not begun. */
Test(roster, what_began_before_a_change_does_not_count_after_it)
{
    replace(2, 2);
    begin_to_replace(2);
    roster_note_state(roster, 1, SLOT_DRAINING);
    expect("D1 D2 ", START);
    want(METRICS, 2);
    change(false, true, START + 1);
    cr_assert_not(roster_is_settled(roster));
    cr_assert(roster_is_leaving(roster, 3), "at once, not only when it has been told");
    roster_note_gone(roster, 1, true);
    expect("P1 P5 R3 R4 ", START + 2);
    roster_note_state(roster, 5, SLOT_JOINING);
    expect("E3 E4 ", START + 2);
    roster_note_gone(roster, 2, true);
    expect("", START + 3);
}

Test(roster, back_to_what_it_was_before_the_newcomers_joined)
{
    start(1);
    want(METRICS, 0);
    change(true, true, START);
    expect("R1 D1 ", START);
    want(METRICS, 1);
    change(true, true, START + 1);
    expect("P2 ", START + 1);
}

Test(roster, one_that_cannot_be_placed_is_tried_again)
{
    want(METRICS, 1);
    change(false, false, START);
    expect("P1 ", START);
    roster_note_unplaced(roster, 1, START + 5000);
    expect("", START + 4999);
    cr_assert_not(roster_is_settled(roster));
    expect("P1 ", START + 5000);
}
