/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lag.c - how far behind: what is unknown is not 0, what waits grows older.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "shm/stat.h"
#include "kafka/lag.h"

/* The wall clock is ahead of the monotonic one by that much. */
static const int64_t WALL = 1700000000000;

static struct lag lag;

static void
begin(void)
{
    lag_begin(&lag, -1001, 1000);
}

TestSuite(lag, .init = begin);

static struct lag_levels
levels(int64_t position, int64_t committed, int64_t now_ms)
{
    struct lag_levels sum;
    lag_levels_clear(&sum);
    lag_add(&lag, position, committed, now_ms, WALL + now_ms, &sum);
    return sum;
}

static void
expect(struct lag_levels got, uint64_t taken, uint64_t taken_seconds, uint64_t committed,
       uint64_t committed_seconds)
{
    cr_expect_eq(got.taken, taken, "taken: %lld", (long long)got.taken);
    cr_expect_eq(got.taken_seconds, taken_seconds, "taken, seconds: %lld",
                 (long long)got.taken_seconds);
    cr_expect_eq(got.committed, committed, "committed: %lld", (long long)got.committed);
    cr_expect_eq(got.committed_seconds, committed_seconds, "committed, seconds: %lld",
                 (long long)got.committed_seconds);
}

#define UNKNOWN STAT_UNKNOWN

Test(lag, owning_nothing_is_no_lag)
{
    struct lag_levels none;
    lag_levels_clear(&none);
    expect(none, 0, 0, 0, 0);
}

Test(lag, is_unknown_until_the_end_is_heard_of)
{
    expect(levels(5, 5, 1000), UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
    lag_hear(&lag, 5, 1500);
    expect(levels(5, 5, 1500), 0, 0, 0, 0);
}

Test(lag, is_unknown_without_a_position)
{
    lag_hear(&lag, 5, 1500);
    expect(levels(-1, -1, 1500), UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
    expect(levels(5, -1, 1500), 0, 0, UNKNOWN, UNKNOWN);
}

Test(lag, age_is_unknown_where_nothing_tells_it)
{
    lag_hear(&lag, 9, 1500);
    expect(levels(5, 5, 1500), 4, UNKNOWN, 4, UNKNOWN);
}

Test(lag, one_unknown_partition_makes_the_sum_unknown)
{
    struct lag_levels sum;
    struct lag other;
    lag_levels_clear(&sum);
    lag_begin(&other, -1, 1000);
    lag_hear(&lag, 9, 1500);
    lag_add(&lag, 9, 9, 1500, WALL + 1500, &sum);
    lag_add(&other, 9, 9, 1500, WALL + 1500, &sum);
    lag_add(&lag, 4, 4, 1500, WALL + 1500, &sum);
    expect(sum, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
}

Test(lag, messages_add_up_and_the_oldest_counts)
{
    struct lag_levels sum;
    struct lag other;
    lag_levels_clear(&sum);
    lag_begin(&other, -1, 1000);
    lag_hear(&lag, 10, 20000);
    lag_hear(&other, 100, 20000);
    lag_take(&lag, 6, WALL + 10000, false);
    lag_take(&other, 89, WALL + 13000, false);
    lag_add(&lag, 7, 10, 20000, WALL + 20000, &sum);
    lag_add(&other, 90, 100, 20000, WALL + 20000, &sum);
    expect(sum, 13, 10, 0, 0);
}

Test(lag, a_standing_backlog_shows_the_age_of_what_was_taken_last)
{
    lag_take(&lag, 5, WALL - 3600000, true);
    lag_hear(&lag, 1000, 2000);
    expect(levels(6, 5, 2000), 994, 3602, 995, 3602);
}

Test(lag, a_burst_after_an_idle_hour_shows_the_time_since_the_idling)
{
    lag_take(&lag, 4, WALL - 3600000, true);
    lag_note_durable(&lag, 5, WALL - 3600000);
    lag_note_committed(&lag, 5);
    lag_hear(&lag, 5, 9000);
    expect(levels(5, 5, 9000), 0, 0, 0, 0);
    lag_hear(&lag, 500, 9900);
    expect(levels(5, 5, 9900), 495, 1, 495, 1);
}

Test(lag, having_caught_up_dates_from_when_the_end_was_heard_of)
{
    lag_hear(&lag, 5, 2000);
    expect(levels(5, 5, 8000), 0, 0, 0, 0); /* what came since 2000 is not known */
    lag_hear(&lag, 6, 8500);
    expect(levels(5, 5, 8500), 1, 7, 1, 7);
}

Test(lag, age_grows_while_nothing_is_taken)
{
    lag_hear(&lag, 5, 2000);
    expect(levels(5, 5, 2000), 0, 0, 0, 0);
    for (int64_t s = 1; s <= 60; s++) {
        lag_hear(&lag, 5 + 100 * s, 2000 + 1000 * s);
        expect(levels(5, 5, 2000 + 1000 * s), (uint64_t)(100 * s), (uint64_t)s, (uint64_t)(100 * s),
               (uint64_t)s);
    }
}

Test(lag, the_oldest_in_hand_dates_what_is_not_committed)
{
    lag_take(&lag, 5, WALL + 2000, true);
    lag_take(&lag, 6, WALL + 9000, false);
    lag_hear(&lag, 7, 10000);
    expect(levels(7, 5, 10000), 0, 0, 2, 8);
}

Test(lag, a_commit_dates_by_its_last_message)
{
    lag_take(&lag, 5, WALL + 2000, true);
    lag_take(&lag, 6, WALL + 9000, false);
    lag_note_durable(&lag, 7, WALL + 9000);
    lag_take(&lag, 7, WALL + 9500, false);
    lag_note_durable(&lag, 8, WALL + 9500);
    lag_take(&lag, 8, WALL + 9600, false);
    lag_hear(&lag, 9, 10000);
    lag_note_committed(&lag, 7);
    expect(levels(9, 7, 10000), 0, 0, 2, 1);
    expect(levels(9, 7, 19000), 0, 0, 2, 10);
    lag_note_committed(&lag, 8);
    expect(levels(9, 8, 19000), 0, 0, 1, 10);
    expect(levels(9, 8, 19501), 0, 0, 1, 11);
}

Test(lag, more_commits_under_way_than_are_remembered_only_make_it_older)
{
    for (int64_t at = 0; at < 3 * LAG_MARKS; at++) {
        lag_take(&lag, at, WALL + 1000 * at, at == 0);
        lag_note_durable(&lag, at + 1, WALL + 1000 * at);
    }
    lag_hear(&lag, 100, 30000);
    lag_note_committed(&lag, 3); /* forgotten: the age stays unknown */
    expect(levels(24, 3, 30000), 76, 7, 97, UNKNOWN);
    lag_note_committed(&lag, 20);
    expect(levels(24, 20, 30000), 76, 7, 80, 11);
}

Test(lag, what_is_given_back_waits_again)
{
    lag_take(&lag, 5, WALL + 2000, true);
    lag_note_durable(&lag, 6, WALL + 2000);
    lag_note_committed(&lag, 6);
    lag_take(&lag, 6, WALL + 3000, true);
    lag_take(&lag, 7, WALL + 9000, false);
    lag_rewind(&lag);
    lag_hear(&lag, 8, 10000);
    expect(levels(6, 6, 10000), 2, 8, 2, 8);
}

Test(lag, a_cached_end_is_news_only_when_it_changes)
{
    lag_begin(&lag, 50, 1000); /* left from an earlier assignment */
    lag_look(&lag, 50, 2000);
    expect(levels(50, 50, 2000), UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
    lag_look(&lag, 60, 3000);
    expect(levels(50, 50, 3000), 10, UNKNOWN, 10, UNKNOWN);
    /* It may be from the look before. */
    cr_expect(!lag_is_stale(&lag, 2000 + LAG_STALE_MS - 1, false));
    cr_expect(lag_is_stale(&lag, 2000 + LAG_STALE_MS, false));
    cr_expect(!lag_is_stale(&lag, 2000 + LAG_STALE_HELD_MS - 1, true));
    cr_expect(lag_is_stale(&lag, 2000 + LAG_STALE_HELD_MS, true));
    lag_look(&lag, -1, 4000);
    expect(levels(50, 50, 4000), 10, UNKNOWN, 10, UNKNOWN);
}

Test(lag, an_end_heard_of_long_ago_is_unknown)
{
    lag_hear(&lag, 5, 2000);
    expect(levels(5, 5, 2000 + LAG_FORGET_MS), 0, 0, 0, 0);
    expect(levels(5, 5, 2001 + LAG_FORGET_MS), UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
    lag_hear(&lag, 5, 20000);
    expect(levels(5, 5, 20000), 0, 0, 0, 0);
}

Test(lag, an_end_behind_the_position_is_no_lag)
{
    lag_hear(&lag, 5, 2000);
    expect(levels(7, 6, 2000), 0, 0, 0, 0);
}

/* --- offsets without a message --- */

/* Takes one message at 5, makes it durable and committed. */
static void
settle_one(void)
{
    lag_take(&lag, 5, WALL + 2000, true);
    lag_note_durable(&lag, 6, WALL + 2000);
    lag_note_committed(&lag, 6);
}

Test(lag, a_marker_at_the_end_is_no_lag)
{
    settle_one();
    lag_hear(&lag, 7, 3000);
    expect(levels(6, 6, 3000), 1, 1, 1, 1);
    lag_reach(&lag, 6, 7, 3100);
    expect(levels(7, 6, 3100), 0, 0, 0, 0);
    cr_expect_eq(lag_pass_gap(&lag, 6), 7);
    cr_expect_eq(lag_pass_gap(&lag, 5), 5, "a message is there");
    cr_expect_eq(lag_pass_gap(&lag, 7), 7);
    lag_hear(&lag, 7, 100000);
    expect(levels(7, 6, 100000), 0, 0, 0, 0);
}

Test(lag, what_is_in_hand_before_a_marker_is_not_committed)
{
    lag_take(&lag, 5, WALL + 2000, true);
    lag_reach(&lag, 6, 7, 3000);
    expect(levels(7, 5, 3000), 0, 0, 2, 1);
}

Test(lag, a_partition_that_begins_with_an_aborted_batch_has_no_lag)
{
    lag_hear(&lag, 32, 1500);
    lag_reach(&lag, 0, 32, 1600);
    expect(levels(32, 0, 1600), 0, 0, 0, 0);
}

Test(lag, one_gap_goes_on_from_the_other)
{
    settle_one();
    lag_reach(&lag, 6, 7, 3000);
    lag_reach(&lag, 7, 40, 4000);
    expect(levels(40, 6, 4000), 0, 0, 0, 0);
    lag_take(&lag, 40, WALL + 4100, true);
    lag_reach(&lag, 41, 42, 4200);
    expect(levels(42, 6, 4200), 0, 0, 36, 1);
    lag_note_durable(&lag, 41, WALL + 4100);
    lag_note_committed(&lag, 41);
    expect(levels(42, 41, 4200), 0, 0, 0, 0);
}

Test(lag, a_commit_of_the_gap_dates_by_the_message_before_it)
{
    settle_one();
    lag_reach(&lag, 6, 7, 3000);
    lag_note_committed(&lag, 7);
    lag_take(&lag, 7, WALL + 8000, false);
    lag_hear(&lag, 8, 9000);
    expect(levels(8, 7, 9000), 0, 0, 1, 7);
}

Test(lag, an_end_that_is_reached_outlives_what_the_library_has_cached)
{
    lag_reach(&lag, 0, 7, 3000);
    lag_look(&lag, 9, 3500); /* of an open transaction */
    expect(levels(7, 7, 3500), 0, 0, 0, 0);
    lag_look(&lag, 9, 4500);
    lag_take(&lag, 7, WALL + 4500, true);
    lag_look(&lag, 9, 5000);
    expect(levels(8, 7, 5000), 1, 1, 2, 1);
    cr_expect(lag_is_stale(&lag, 3000 + LAG_STALE_MS, false), "it may be of soon after 3000");
}

Test(lag, an_end_behind_the_one_that_is_reached_is_asked_for)
{
    lag_hear(&lag, 9, 3000); /* of an open transaction, or news that is still on its way */
    lag_reach(&lag, 0, 7, 3100);
    expect(levels(7, 7, 3100), 2, UNKNOWN, 2, UNKNOWN);
    cr_expect(!lag_is_stale(&lag, 3100 + LAG_STALE_HELD_MS - 1, false));
    cr_expect(lag_is_stale(&lag, 3100 + LAG_STALE_HELD_MS, false));
    lag_hear(&lag, 7, 5200);
    expect(levels(7, 7, 5200), 0, 0, 0, 0);
    cr_expect(!lag_is_stale(&lag, 5200 + LAG_STALE_MS - 1, false));
}

Test(lag, reaching_an_end_makes_nothing_older_than_it_is)
{
    lag_hear(&lag, 7, 3000);
    lag_reach(&lag, 0, 7, 1500); /* said at some time since then */
    cr_expect(!lag_is_stale(&lag, 3000 + LAG_STALE_MS - 1, false));
    expect(levels(7, 7, 3000), 0, 0, 0, 0);
    lag_hear(&lag, 8, 9000);
    expect(levels(7, 7, 9000), 1, 6, 1, 6);
}

Test(lag, what_is_given_back_leaves_no_gap)
{
    lag_take(&lag, 5, WALL + 2000, true);
    lag_reach(&lag, 6, 9, 3000);
    lag_rewind(&lag);
    expect(levels(5, 5, 3000), 4, UNKNOWN, 4, UNKNOWN);
    cr_expect_eq(lag_pass_gap(&lag, 6), 6);
}

Test(lag, a_timestamp_of_the_future_shows_no_age)
{
    lag_take(&lag, 5, WALL + 99000, true);
    lag_hear(&lag, 9, 2000);
    expect(levels(6, 5, 2000), 3, 1, 4, 1);
}

Test(lag, a_message_without_timestamp_tells_nothing)
{
    lag_take(&lag, 5, -1, true);
    lag_hear(&lag, 9, 2000);
    expect(levels(6, 5, 2000), 3, UNKNOWN, 4, UNKNOWN);
}
