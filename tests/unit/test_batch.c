/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_batch.c - when a batch is due, and that a commit covers exactly what was settled, and
 * what it means in figures.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "batch/account.h"

static struct batch batch;

static void
setup(uint32_t count, size_t bytes, int64_t age_ms)
{
    struct batch_limits limits = {count, bytes, age_ms};
    batch_init(&batch, &limits);
}

static uint32_t
add(int32_t partition, int64_t offset, size_t size, int64_t now_ms)
{
    struct message m = {.payload = {"", size}, .partition = partition, .offset = offset};
    int64_t row = batch_add(&batch, &m, now_ms);
    cr_assert_geq(row, 0);
    return (uint32_t)row;
}

static int64_t told[8], told_ms[8];

/* The runs, by partition; 0 where there is none. */
static void
ask(void)
{
    memset(told, 0, sizeof(told));
    batch_find_runs(&batch);
    for (uint32_t i = 0; i < batch.n_parts; i++) {
        const struct batch_part *part = &batch.parts[i];
        cr_assert_eq(part->broken, part->run_end != part->end);
        told[part->partition] = part->run_end == -1 ? 0 : part->run_end;
        told_ms[part->partition] = part->run_ms;
    }
}

static const struct reject bad = {.reason = REJECT_NOT_JSON, .detail = "x"};

Test(batch, is_due_by_count)
{
    setup(3, 1000, 1000);
    cr_assert(!batch_due(&batch, 0));
    cr_assert_eq(batch_wait_ms(&batch, 0), INT64_MAX, "an empty batch never gets due");
    add(0, 1, 1, 0);
    add(0, 2, 1, 0);
    cr_assert(!batch_due(&batch, 0));
    cr_assert_eq(batch_room(&batch, 1), 1u);
    add(0, 3, 1, 0);
    cr_assert(batch_due(&batch, 0));
    cr_assert_eq(batch_room(&batch, 1), 0u);
    batch_free(&batch);
}

Test(batch, is_due_by_bytes)
{
    setup(100, 1000, 1000);
    add(0, 1, 999, 0);
    cr_assert(!batch_due(&batch, 0));
    add(0, 2, 1, 0);
    cr_assert(batch_due(&batch, 0));
    batch_free(&batch);
}

Test(batch, has_room_for_no_more_than_the_bytes_allow)
{
    setup(100, 1000, 1000);
    cr_assert_eq(batch_room(&batch, 1), 100u);
    cr_assert_eq(batch_room(&batch, 100), 11u, "one more than fit: else a large one never would");
    cr_assert_eq(batch_room(&batch, 1000), 2u);
    cr_assert_eq(batch_room(&batch, 5000), 1u);
    add(0, 1, 950, 0);
    cr_assert_eq(batch_room(&batch, 100), 1u);
    add(0, 2, 950, 0);
    cr_assert_eq(batch_room(&batch, 100), 1u, "it is due, but not full");
    batch_free(&batch);
}

Test(batch, is_due_by_the_age_of_its_oldest_message)
{
    setup(100, 1000, 500);
    add(0, 1, 1, 100);
    add(0, 2, 1, 590);
    cr_assert_eq(batch_wait_ms(&batch, 599), 1);
    cr_assert(batch_due(&batch, 600));
    batch_reset(&batch);
    add(0, 3, 1, 5000);
    cr_assert(!batch_due(&batch, 5400));
    batch_free(&batch);
}

Test(batch, commits_the_unbroken_run_of_each_partition)
{
    setup(100, 1000, 500);
    uint32_t a0 = add(0, 10, 1, 0), b0 = add(1, 70, 1, 0), a1 = add(0, 11, 1, 0);
    uint32_t a2 = add(0, 12, 1, 0), b1 = add(1, 75, 1, 0);
    ask();
    cr_assert_eq(told[0] + told[1], 0);
    cr_assert_eq(batch_settle(&batch, a1, NULL), 0);
    ask();
    cr_assert_eq(told[0], 0, "11 is stored, but 10 is not");
    cr_assert_eq(batch_settle(&batch, a0, NULL), 0);
    cr_assert_eq(batch_settle(&batch, b0, NULL), 0);
    ask();
    cr_assert_eq(told[0], 12);
    cr_assert_eq(told[1], 71);
    cr_assert_eq(batch_settle(&batch, a2, NULL), 0);
    cr_assert_eq(batch_settle(&batch, b1, NULL), 0);
    ask();
    cr_assert_eq(told[0], 13);
    cr_assert_eq(told[1], 76, "gaps between offsets are Kafka's, not ours");
    batch_free(&batch);
}

Test(batch, a_refused_message_holds_the_commit_until_it_is_buried)
{
    setup(100, 1000, 500);
    uint32_t first = add(3, 0, 1, 0), second = add(3, 1, 1, 0);
    cr_assert_eq(batch_settle(&batch, first, &bad), 0);
    cr_assert_eq(batch_settle(&batch, second, NULL), 0);
    ask();
    cr_assert_eq(told[3], 0);
    batch_bury(&batch);
    ask();
    cr_assert_eq(told[3], 2);
    batch_free(&batch);
}

Test(batch, advances_over_nothing_but_bad_messages)
{
    setup(10000, 1000000, 500);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(batch_settle(&batch, add(0, i, 1, 0), &bad), 0);
    cr_assert_eq(batch.in_state[ENTRY_REFUSED], 500u);
    batch_bury(&batch);
    cr_assert_eq(batch.in_state[ENTRY_BURIED], 500u);
    ask();
    cr_assert_eq(told[0], 500);
    batch_free(&batch);
}

Test(batch, a_row_that_stands_for_several_offsets_moves_past_them_all)
{
    setup(10, 1000, 1000);
    struct message m = {.partition = 1, .offset = 5, .more = 3};
    add(1, 4, 1, 0);
    cr_assert_eq(batch_add(&batch, &m, 0), 1);
    cr_assert_eq(batch_settle(&batch, 0, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 1, &bad), 0);
    ask();
    cr_assert_eq(told[1], 5);
    batch_bury(&batch);
    ask();
    cr_assert_eq(told[1], 9);
    cr_assert_eq(batch_find_part(&batch, 1)->end, 9);
    batch_free(&batch);
}

Test(batch, ends_are_those_of_the_whole_batch)
{
    setup(100, 1000, 500);
    add(0, 10, 1, 0);
    add(1, 70, 1, 0);
    cr_assert_eq(batch_settle(&batch, add(0, 11, 1, 0), &bad), 0);
    cr_assert_eq(batch_find_part(&batch, 0)->end, 12);
    cr_assert_eq(batch_find_part(&batch, 1)->end, 71);
    cr_assert_null(batch_find_part(&batch, 2));
    batch_free(&batch);
}

Test(batch, stamps_what_was_stored_since_the_last_time)
{
    setup(100, 1000, 500);
    for (int i = 0; i < 6; i++)
        add(0, i, 1, 0);
    cr_assert_eq(batch_settle(&batch, 4, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 1, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 2, &bad), 0);
    batch_stamp_stored(&batch, 100);
    cr_assert_eq(batch_settle(&batch, 0, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 5, NULL), 0);
    batch_stamp_stored(&batch, 200);
    batch_stamp_stored(&batch, 300);
    const int64_t expected[] = {200, 100, 0, 0, 100, 200};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(batch.entries[i].stored_ns, expected[i], "row %d", i);
    cr_assert_eq(batch_settle(&batch, 3, NULL), 0);
    batch_reset(&batch);
    add(0, 6, 1, 0);
    batch_stamp_stored(&batch, 400);
    cr_assert_eq(batch.entries[0].stored_ns, 0, "it is another batch");
    cr_assert_eq(batch_settle(&batch, 0, NULL), 0);
    batch_stamp_stored(&batch, 500);
    cr_assert_eq(batch.entries[0].stored_ns, 500);
    batch_free(&batch);
}

Test(batch, knows_when_its_parts_begin_and_how_long_their_runs_are)
{
    setup(100, 1000, 500);
    for (int i = 0; i < 4; i++) {
        struct message m = {
            .payload = {"", 1}, .partition = 2, .offset = i, .time_ms = 1000 + 10 * i};
        cr_assert_eq(batch_add(&batch, &m, 0), i);
    }
    cr_assert_eq(batch_settle(&batch, 0, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 1, NULL), 0);
    ask();
    cr_assert_eq(told[2], 2);
    cr_assert_eq(told_ms[2], 1010);
    cr_assert_eq(batch.parts[0].first_ms, 1000);
    cr_assert_eq(batch.parts[0].last_ms, 1030);
    batch_free(&batch);
}

Test(batch, nothing_of_the_former_one_is_left_after_a_reset)
{
    setup(3, 1000, 500);
    cr_assert_eq(batch_settle(&batch, add(0, 1, 1, 0), &bad), 0);
    batch.tries = 2;
    batch.stage = BATCH_DURABLE;
    batch_reset(&batch);
    cr_assert_eq(batch.tries, 0u);
    cr_assert_eq(batch.n_rejects, 0u);
    cr_assert_eq(batch.bytes, 0u);
    cr_assert_eq(batch.stage, BATCH_FILLING);
    cr_assert_null(batch_find_part(&batch, 0));
    for (int i = 0; i < ENTRY_STATES; i++)
        cr_assert_eq(batch.in_state[i], 0u);
    batch_free(&batch);
}

/* The rule, written down a second time as slowly as possible, against random batches. */
Test(batch, commits_as_the_rule_says_for_random_batches)
{
    srand(7);
    for (int round = 0; round < 300; round++) {
        int64_t offsets[4] = {0}, expected[8] = {0};
        bool broken[4] = {false};
        setup(1000, 1000000, 500);
        for (int i = 0; i < 60; i++) {
            int32_t p = rand() % 4;
            uint32_t row = add(p, offsets[p] += 1 + rand() % 3, 1, 0);
            bool pending = rand() % 12 == 0;
            if (!pending)
                cr_assert_eq(batch_settle(&batch, row, rand() % 3 == 0 ? &bad : NULL), 0);
            broken[p] |= pending;
            if (!broken[p])
                expected[p] = offsets[p] + 1;
        }
        batch_bury(&batch);
        ask();
        cr_assert_arr_eq(told, expected, sizeof(told), "round %d", round);
        batch_free(&batch);
    }
}

/* Rows of each state: 1 pending, 2 stored, 1 refused, then 2 more of `why` each buried. */
static void
fill_mixed(void)
{
    const struct reject late = {.reason = REJECT_TOO_LARGE, .detail = "y"};
    setup(100, 1000, 1000);
    for (int64_t offset = 0; offset < 8; offset++)
        add(0, offset, 1, 0);
    cr_assert_eq(batch_settle(&batch, 2, &bad), 0);
    cr_assert_eq(batch_settle(&batch, 3, &late), 0);
    cr_assert_eq(batch_settle(&batch, 4, &late), 0);
    batch_bury(&batch);
    cr_assert_eq(batch_settle(&batch, 5, &bad), 0);
    cr_assert_eq(batch_settle(&batch, 0, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 7, NULL), 0);
    batch.stage = BATCH_READY;
}

static void
assert_account(bool all_or_nothing, uint64_t completed, uint64_t rejected, uint64_t returned,
               bool whole)
{
    struct account a = account_of(&batch, all_or_nothing);
    uint64_t reasons = 0;
    for (unsigned reason = 0; reason < REJECT_REASONS; reason++)
        reasons += a.reasons[reason];
    cr_assert_eq(a.completed, completed);
    cr_assert_eq(a.rejected, rejected);
    cr_assert_eq(a.returned, returned);
    cr_assert_eq(a.whole, whole);
    cr_assert_eq(reasons, rejected, "each rejected one has a reason");
    cr_assert_eq(completed + rejected + returned, batch.n, "each message is counted once");
}

Test(batch, what_is_given_back_counts_as_far_as_it_is_settled)
{
    fill_mixed();
    assert_account(false, 2, 3, 3, false);
    struct account a = account_of(&batch, false);
    cr_assert_eq(a.reasons[REJECT_NOT_JSON], 1u);
    cr_assert_eq(a.reasons[REJECT_TOO_LARGE], 2u);
    batch_free(&batch);
}

Test(batch, nothing_of_a_transaction_counts_before_it_is_durable)
{
    fill_mixed();
    assert_account(true, 0, 0, 8, false);
    cr_assert_eq(batch_settle(&batch, 1, NULL), 0);
    cr_assert_eq(batch_settle(&batch, 6, NULL), 0);
    batch_bury(&batch);
    batch.stage = BATCH_JUDGED;
    assert_account(true, 0, 0, 8, false);
    assert_account(false, 4, 4, 0, true);
    batch.stage = BATCH_DURABLE;
    assert_account(true, 4, 4, 0, true);
    batch_free(&batch);
}

Test(batch, an_empty_one_has_nothing_to_account_for)
{
    setup(3, 1000, 1000);
    assert_account(false, 0, 0, 0, false);
    assert_account(true, 0, 0, 0, false);
    batch_free(&batch);
}
