/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_hands.c - what is a death at the same place, and what a verdict is about.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "shm/hands.h"

static struct hands *hands;
static uint32_t key;

static void
setup(void)
{
    hands = hands_new(3);
    cr_assert_not_null(hands);
    key = hands_make_key("broker:9092", "metrics", "group");
}

static void
teardown(void)
{
    hands_free(&hands);
    cr_assert_null(hands);
}

/* A worker with one partition dies there. */
static void
die(unsigned slot, int32_t partition, int64_t next)
{
    hands_set_place(hands, slot, 0, partition, next);
    hands_set_count(hands, slot, key, 1);
    hands_note_end(hands, slot, true);
}

static size_t
count_suspects(struct hands_suspect *first)
{
    struct hands_suspect suspects[4];
    size_t n = hands_list_suspects(hands, key, suspects, 4);
    if (n > 0)
        *first = suspects[0];
    return n;
}

Test(hands, three_deaths_at_one_place_whoever_dies_make_a_suspect, .init = setup, .fini = teardown)
{
    struct hands_suspect s = {0};
    die(1, 7, 100);
    die(2, 7, 100);
    cr_assert_eq(count_suspects(&s), 0);
    die(3, 7, 100);
    cr_assert_eq(count_suspects(&s), 1);
    cr_assert_eq(s.partition, 7);
    cr_assert_eq(s.next, 100);
    hands_judge(hands, s.id, NULL, 0);
    cr_assert_eq(count_suspects(&s), 0, "it is counted anew");
}

Test(hands, a_position_that_moved_and_an_orderly_end_do_not_count, .init = setup, .fini = teardown)
{
    struct hands_suspect s = {0};
    die(1, 7, 100);
    die(1, 7, 100);
    die(1, 7, 101);
    die(1, 7, 101);
    hands_set_place(hands, 1, 0, 7, 101);
    hands_set_count(hands, 1, key, 1);
    hands_note_end(hands, 1, false);
    hands_note_end(hands, 1, true); /* one that had nothing yet */
    for (int i = 0; i < 5; i++)
        die(1, 8, -1); /* it is not known where that is */
    cr_assert_eq(count_suspects(&s), 0);
    die(1, 7, 101);
    cr_assert_eq(count_suspects(&s), 1);
}

Test(hands, topics_and_groups_are_told_apart, .init = setup, .fini = teardown)
{
    struct hands_suspect s[4];
    uint32_t others[] = {hands_make_key("broker:9092", "metrics", "group2"),
                         hands_make_key("broker:9092", "metricsg", "roup"),
                         hands_make_key("broker:9093", "metrics", "group")};
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(1, 0, 5);
    cr_assert_eq(hands_list_suspects(hands, key, s, 4), 1);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_assert_eq(hands_list_suspects(hands, others[i], s, 4), 0);
}

Test(hands, a_verdict_holds_until_it_is_passed, .init = setup, .fini = teardown)
{
    struct hands_verdict v = {.first = 110, .end = 112};
    struct hands_suspect s = {0};
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(1, 7, 100);
    cr_assert_eq(count_suspects(&s), 1);
    cr_assert(!hands_find_verdict(hands, key, 7, 100, &v));
    v = (struct hands_verdict){.first = 110, .end = 112};
    hands_judge(hands, s.id, &v, 1000);
    cr_assert_eq(count_suspects(&s), 0, "nobody has to look again");
    cr_assert(hands_is_ahead(hands, key, 1000));
    die(1, 7, 110);
    cr_assert(!hands_is_ahead(hands, key, 1000), "it is reached");
    cr_assert(hands_find_verdict(hands, key, 7, 110, &v));
    cr_assert_eq(v.first, 110);
    cr_assert_eq(v.end, 112);
    cr_assert(!hands_find_verdict(hands, key, 7, 112, &v));
    cr_assert(!hands_find_verdict(hands, key, 8, 110, &v));
    hands_note_passed(hands, key, 7, 111);
    cr_assert(hands_find_verdict(hands, key, 7, 111, &v));
    hands_note_passed(hands, key, 7, 112);
    cr_assert(!hands_find_verdict(hands, key, 7, 110, &v), "forgotten");
}

/* He who passed it was killed before he could say so. */
Test(hands, deaths_behind_a_verdict_are_another_matter, .init = setup, .fini = teardown)
{
    struct hands_verdict v = {.first = 100, .end = 101};
    struct hands_suspect s = {0};
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(1, 7, 100);
    cr_assert_eq(count_suspects(&s), 1);
    hands_judge(hands, s.id, &v, 1000);
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(1, 7, 101);
    cr_assert_eq(count_suspects(&s), 1);
    cr_assert_eq(s.next, 101);
}

/* A worker with many partitions dies; one of them is why. */
static void
die_of_many(int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        hands_set_place(hands, 1, (size_t)i, i, 100 + i);
    hands_set_count(hands, 1, key, (size_t)n);
    hands_note_end(hands, 1, true);
}

Test(hands, all_places_of_a_worker_with_many_are_suspects, .init = setup, .fini = teardown)
{
    static struct hands_suspect suspects[HANDS_PLACES + 1];
    for (int i = 0; i < HANDS_DEATHS; i++)
        die_of_many(HANDS_PLACES + 5);
    cr_assert_eq(hands_list_suspects(hands, key, suspects, COUNT_OF(suspects)), HANDS_PLACES);
}

Test(hands, a_verdict_is_kept_though_workers_with_many_die, .init = setup, .fini = teardown)
{
    struct hands_verdict v = {.first = 110, .end = 112};
    struct hands_suspect s = {0};
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(1, 50000, 100);
    cr_assert_eq(count_suspects(&s), 1);
    hands_judge(hands, s.id, &v, 1000);
    for (int32_t i = 0; i < 10 * HANDS_PLACES; i++)
        die(2, i, 5);
    cr_assert(hands_find_verdict(hands, key, 50000, 100, &v));
    cr_assert_eq(v.end, 112);
}

Test(hands, a_verdict_that_nobody_passes_here_is_no_reason_to_be_careful_for_ever, .init = setup,
     .fini = teardown)
{
    struct hands_verdict v = {.first = 110, .end = 112};
    struct hands_suspect s = {0};
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(1, 7, 100);
    cr_assert_eq(count_suspects(&s), 1);
    hands_judge(hands, s.id, &v, 1000);
    cr_assert(hands_is_ahead(hands, key, 1000 + HANDS_CARE_MS - 1));
    cr_assert(!hands_is_ahead(hands, key, 1000 + HANDS_CARE_MS));
    cr_assert(hands_find_verdict(hands, key, 7, 110, &v), "it is still passed over");
}

Test(hands, more_than_there_is_room_for_does_no_harm, .init = setup, .fini = teardown)
{
    struct hands_suspect s = {0};
    for (int32_t i = 0; i < 10000; i++)
        die(1, i, 5);
    for (size_t i = 0; i < 10000; i++)
        hands_set_place(hands, 2, i, (int32_t)i, 5);
    hands_set_count(hands, 2, key, 10000);
    hands_note_end(hands, 2, true);
    for (int i = 0; i < HANDS_DEATHS; i++)
        die(3, 50000, 1);
    cr_assert_eq(count_suspects(&s), 1);
    cr_assert_eq(s.partition, 50000);
}
