/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pool.c - the policy of supervision, with invented times.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>

#include "master/pool.h"

enum { START = 1000000 };

static struct pool_timing timing;

static struct pool *
new_pool(size_t n)
{
    timing = pool_default_timing();
    struct pool *pool = pool_new(n, &timing, 42, START);
    cr_assert_not_null(pool);
    for (size_t i = 0; i < n; i++)
        pool_add(pool, i, false, START);
    return pool;
}

static void
expect(struct pool *pool, int64_t now, enum pool_action_kind kind, size_t worker)
{
    struct pool_action action = pool_next_action(pool, now);
    cr_assert_eq(action.kind, kind, "at %lld: kind %d instead of %d", (long long)(now - START),
                 (int)action.kind, (int)kind);
    if (kind != POOL_NOTHING)
        cr_assert_eq(action.worker, worker);
}

static void
fork_all(struct pool *pool, size_t n, int64_t now)
{
    for (size_t i = 0; i < n; i++) {
        expect(pool, now, POOL_FORK, i);
        pool_note_forked(pool, i, 0, now);
    }
    expect(pool, now, POOL_NOTHING, 0);
}

/* Turns on time, heartbeats of worker i, up to `until`, with nothing to do. */
static void
let_work(struct pool *pool, size_t i, int64_t now, int64_t until)
{
    for (; now <= until; now += 500) {
        cr_assert_eq(pool_note_turn(pool, now), 0);
        pool_note_heartbeat(pool, i, now, now);
        expect(pool, now, POOL_NOTHING, 0);
        cr_assert_leq(pool_plan_wait(pool, now), timing.tick_ms);
    }
}

Test(pool, forks_all_at_once_and_then_sleeps)
{
    struct pool *pool = new_pool(3);
    cr_assert_eq(pool_plan_wait(pool, START), 0);
    fork_all(pool, 3, START);
    cr_assert_eq(pool_plan_wait(pool, START), timing.tick_ms);
    pool_free(&pool);
    cr_assert_null(pool);
}

Test(pool, respawns_within_a_second_then_slower_up_to_five)
{
    struct pool *pool = new_pool(2);
    int64_t now = START;
    uint32_t most[] = {500, 1000, 2000, 4000, 5000, 5000, 5000};
    fork_all(pool, 2, now);
    for (size_t i = 0; i < COUNT_OF(most); i++) {
        struct pool_death death = pool_note_death(pool, 1, now);
        cr_assert_eq(death.deaths, i + 1);
        cr_assert_leq(death.respawn_in_ms, most[i]);
        cr_assert_geq(death.respawn_in_ms, most[i] / 2);
        cr_assert_eq(death.in_loop, i >= 2);
        cr_assert_eq(death.entered_loop, i == 2);
        expect(pool, now + death.respawn_in_ms - 1, POOL_NOTHING, 0);
        now += death.respawn_in_ms;
        pool_note_heartbeat(pool, 0, now, now);
        expect(pool, now, POOL_FORK, 1);
        pool_note_forked(pool, 1, 0, now);
    }
    pool_free(&pool);
}

static int64_t
crash_quickly(struct pool *pool, unsigned times, int64_t now)
{
    for (unsigned i = 0; i < times; i++) {
        now += pool_note_death(pool, 0, now).respawn_in_ms;
        expect(pool, now, POOL_FORK, 0);
        pool_note_forked(pool, 0, 0, now);
        cr_assert_geq(pool_plan_wait(pool, now), 0);
    }
    return now;
}

Test(pool, ten_seconds_of_work_end_a_crash_loop_once)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    int64_t now = crash_quickly(pool, 4, START);
    let_work(pool, 0, now, now + timing.calm_ms - 500);
    now += timing.calm_ms;
    pool_note_heartbeat(pool, 0, now, now);
    expect(pool, now, POOL_RECOVERED, 0);
    expect(pool, now, POOL_NOTHING, 0);
    struct pool_death death = pool_note_death(pool, 0, now);
    cr_assert_eq(death.deaths, 1);
    cr_assert_leq(death.respawn_in_ms, 500);
    cr_assert(!death.in_loop && !death.left_loop && !death.hung && !death.asked);
    pool_free(&pool);
}

Test(pool, death_right_after_enough_work_tells_that_the_loop_was_left)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    int64_t now = crash_quickly(pool, 3, START) + timing.calm_ms;
    pool_note_heartbeat(pool, 0, now, now);
    struct pool_death death = pool_note_death(pool, 0, now);
    cr_assert(death.left_loop && !death.in_loop);
    cr_assert_eq(death.deaths, 1);
    pool_free(&pool);
}

/* It waited for its predecessor's session: that is no work. */
Test(pool, what_is_held_back_does_not_count_as_work)
{
    struct pool *pool = new_pool(1);
    expect(pool, START, POOL_FORK, 0);
    pool_note_forked(pool, 0, 6000, START);
    let_work(pool, 0, START, START + 6000 + timing.calm_ms - 500);
    int64_t now = START + 6000 + timing.calm_ms - 1;
    cr_assert_eq(pool_note_death(pool, 0, now).deaths, 1);
    now += timing.respawn_first_ms;
    expect(pool, now, POOL_FORK, 0);
    pool_note_forked(pool, 0, 6000, now);
    pool_note_heartbeat(pool, 0, now + timing.calm_ms, now + timing.calm_ms);
    cr_assert_eq(pool_note_death(pool, 0, now + timing.calm_ms).deaths, 2);
    pool_free(&pool);
}

Test(pool, two_deaths_then_work_are_no_loop_and_no_news)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    int64_t now = crash_quickly(pool, 2, START);
    let_work(pool, 0, now, now + timing.calm_ms + 1000);
    cr_assert_eq(pool_note_death(pool, 0, now + timing.calm_ms + 1000).deaths, 1);
    pool_free(&pool);
}

Test(pool, failed_forks_are_tried_again_slower)
{
    struct pool *pool = new_pool(1);
    int64_t now = START;
    for (int i = 0; i < 5; i++) {
        expect(pool, now, POOL_FORK, 0);
        uint32_t wait = pool_note_fork_failed(pool, 0, now);
        expect(pool, now + wait - 1, POOL_NOTHING, 0);
        now += wait;
    }
    pool_free(&pool);
}

Test(pool, kills_the_one_without_heartbeat_once)
{
    struct pool *pool = new_pool(2);
    fork_all(pool, 2, START);
    int64_t now = START;
    let_work(pool, 1, now, now + timing.hang_ms - 500);
    now += timing.hang_ms - 1;
    cr_assert_eq(pool_note_turn(pool, now), 0);
    expect(pool, now, POOL_NOTHING, 0);
    cr_assert_eq(pool_plan_wait(pool, now), 1);
    expect(pool, ++now, POOL_KILL_HUNG, 0);
    expect(pool, now, POOL_NOTHING, 0);
    struct pool_death death = pool_note_death(pool, 0, now);
    cr_assert(death.hung && !death.asked);
    pool_free(&pool);
}

Test(pool, hanging_from_the_start_is_a_crash_loop_too)
{
    struct pool *pool = new_pool(1);
    int64_t now = START;
    bool in_loop = false;
    for (unsigned i = 0; i < timing.loop_deaths || i < 3; i++) {
        expect(pool, now, POOL_FORK, 0);
        pool_note_forked(pool, 0, 0, now);
        now += timing.hang_ms;
        expect(pool, now, POOL_KILL_HUNG, 0);
        struct pool_death death = pool_note_death(pool, 0, now);
        now += death.respawn_in_ms;
        in_loop = death.in_loop;
    }
    cr_assert(in_loop);
    pool_free(&pool);
}

Test(pool, heartbeats_from_the_future_do_not_hide_a_hang)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    pool_note_heartbeat(pool, 0, INT64_MAX, START + 10);
    expect(pool, START + 9 + timing.hang_ms, POOL_NOTHING, 0);
    expect(pool, START + 10 + timing.hang_ms, POOL_KILL_HUNG, 0);
    pool_free(&pool);
}

Test(pool, a_master_that_slept_blames_nobody)
{
    struct pool *pool = new_pool(2);
    fork_all(pool, 2, START);
    int64_t late = 60000, now = START + pool_plan_wait(pool, START) + late;
    cr_assert_eq(pool_note_turn(pool, now), late);
    expect(pool, now, POOL_NOTHING, 0);
    /* Forgiven, not forgotten: who stays silent from now on is killed. */
    expect(pool, now + timing.hang_ms - 1, POOL_NOTHING, 0);
    expect(pool, now + timing.hang_ms, POOL_KILL_HUNG, 0);
    pool_free(&pool);
}

Test(pool, a_little_late_is_not_late)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    int64_t planned = START + pool_plan_wait(pool, START);
    cr_assert_eq(pool_note_turn(pool, planned + timing.tick_ms), 0);
    pool_free(&pool);
}

Test(pool, stop_is_term_then_deadline_then_kill)
{
    struct pool *pool = new_pool(3);
    fork_all(pool, 3, START);
    (void)pool_note_death(pool, 2, START);
    cr_assert_eq(pool_note_stop(pool, START), 1);
    expect(pool, START, POOL_TERM, 0);
    expect(pool, START, POOL_TERM, 1);
    expect(pool, START, POOL_NOTHING, 0); /* number 2 is not forked any more */
    cr_assert(pool_note_death(pool, 0, START + 10).asked);
    cr_assert(!pool_is_over(pool, START + 10));
    expect(pool, START + timing.shutdown_ms - 1, POOL_NOTHING, 0);
    cr_assert(!pool_was_forced(pool));
    expect(pool, START + timing.shutdown_ms, POOL_KILL_LATE, 1);
    expect(pool, START + timing.shutdown_ms, POOL_NOTHING, 0);
    cr_assert(pool_note_death(pool, 1, START + timing.shutdown_ms).late);
    cr_assert(pool_is_over(pool, START + timing.shutdown_ms));
    cr_assert(pool_was_forced(pool));
    pool_free(&pool);
}

Test(pool, all_that_end_in_time_are_not_forced)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    cr_assert(!pool_is_over(pool, START));
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_TERM, 0);
    (void)pool_note_death(pool, 0, START + 100);
    cr_assert(pool_is_over(pool, START + 100));
    cr_assert(!pool_was_forced(pool));
    pool_free(&pool);
}

Test(pool, no_hang_is_found_while_stopping)
{
    struct pool *pool = new_pool(1);
    timing.hang_ms = 5000;
    pool_free(&pool);
    pool = pool_new(1, &timing, 1, START);
    pool_add(pool, 0, false, START);
    fork_all(pool, 1, START);
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_TERM, 0);
    expect(pool, START + 6000, POOL_NOTHING, 0);
    pool_free(&pool);
}

Test(pool, a_second_stop_repeats_term_and_hurries)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_TERM, 0);
    int64_t now = START + 1000;
    cr_assert_eq(pool_note_stop(pool, now), 2);
    expect(pool, now, POOL_TERM, 0);
    expect(pool, now, POOL_NOTHING, 0);
    expect(pool, now + 250, POOL_TERM, 0);
    cr_assert_eq(pool_note_stop(pool, now + 500), 2); /* a third changes nothing */
    expect(pool, now + timing.hurry_ms, POOL_KILL_LATE, 0);
    pool_free(&pool);
}

Test(pool, a_second_stop_never_gives_more_time)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_TERM, 0);
    (void)pool_note_stop(pool, START + timing.shutdown_ms - 10);
    expect(pool, START + timing.shutdown_ms, POOL_KILL_LATE, 0);
    pool_free(&pool);
}

Test(pool, sleeping_through_a_stop_does_not_eat_its_time)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_TERM, 0);
    int64_t late = 3600000, now = START + pool_plan_wait(pool, START) + late;
    cr_assert_eq(pool_note_turn(pool, now), late);
    expect(pool, now, POOL_NOTHING, 0);
    expect(pool, START + timing.shutdown_ms + late, POOL_KILL_LATE, 0);
    pool_free(&pool);
}

Test(pool, gives_up_on_what_even_kill_does_not_end)
{
    struct pool *pool = new_pool(1);
    fork_all(pool, 1, START);
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_TERM, 0);
    int64_t killed = START + timing.shutdown_ms;
    expect(pool, killed, POOL_KILL_LATE, 0);
    cr_assert(!pool_is_over(pool, killed + timing.give_up_ms - 1));
    cr_assert(pool_is_over(pool, killed + timing.give_up_ms));
    pool_free(&pool);
}

Test(pool, stopping_before_anything_was_forked_is_over_at_once)
{
    struct pool *pool = new_pool(2);
    (void)pool_note_stop(pool, START);
    expect(pool, START, POOL_NOTHING, 0);
    cr_assert(pool_is_over(pool, START));
    pool_free(&pool);
}

Test(pool, one_that_leaves_is_termed_then_killed_and_not_forked_again)
{
    struct pool *pool = new_pool(2);
    fork_all(pool, 2, START);
    cr_assert(pool_note_leave(pool, 1, START + 10));
    expect(pool, START + 10, POOL_TERM, 1);
    expect(pool, START + 10, POOL_NOTHING, 0);
    cr_assert(pool_note_leave(pool, 1, START + 5000), "asking again changes nothing");
    int64_t deadline = START + 10 + timing.shutdown_ms;
    pool_note_heartbeat(pool, 0, deadline, deadline);
    expect(pool, deadline - 1, POOL_NOTHING, 0);
    expect(pool, deadline, POOL_KILL_LATE, 1);
    cr_assert(pool_note_death(pool, 1, deadline).asked);
    expect(pool, deadline + 1000, POOL_NOTHING, 0);
    cr_assert_not(pool_was_forced(pool), "nobody has asked all to stop");
    pool_add(pool, 1, false, deadline + 1000);
    expect(pool, deadline + 1000, POOL_FORK, 1);
    pool_free(&pool);
}

Test(pool, the_retired_goes_on_until_it_leaves_is_dismissed_or_hangs)
{
    struct pool *pool = new_pool(3);
    fork_all(pool, 3, START);
    for (size_t i = 0; i < 3; i++)
        cr_assert(pool_note_retired(pool, i));
    expect(pool, START + 1, POOL_NOTHING, 0);
    cr_assert(pool_note_death(pool, 0, START + 2).asked);
    cr_assert(pool_note_leave(pool, 1, START + 3));
    expect(pool, START + 3, POOL_TERM, 1);
    cr_assert(pool_note_death(pool, 1, START + 4).asked);
    expect(pool, START + timing.hang_ms, POOL_KILL_HUNG, 2);
    cr_assert(pool_note_death(pool, 2, START + timing.hang_ms).asked);
    expect(pool, START + 60000, POOL_NOTHING, 0);
    pool_free(&pool);
}

Test(pool, one_that_does_not_run_is_gone_at_once)
{
    struct pool *pool = new_pool(2);
    cr_assert_not(pool_note_leave(pool, 0, START));
    cr_assert_not(pool_note_retired(pool, 1));
    expect(pool, START, POOL_NOTHING, 0);
    pool_free(&pool);
}

Test(pool, a_helper_that_does_not_stop_is_killed_soon_and_that_is_no_failure)
{
    timing = pool_default_timing();
    struct pool *both = pool_new(2, &timing, 42, START);
    cr_assert_not_null(both);
    pool_add(both, 0, false, START);
    pool_add(both, 1, true, START);
    fork_all(both, 2, START);
    pool_note_stop(both, START);
    expect(both, START, POOL_TERM, 0);
    expect(both, START, POOL_TERM, 1);
    expect(both, START + timing.helper_ms - 1, POOL_NOTHING, 0);
    expect(both, START + timing.helper_ms, POOL_KILL_LATE, 1);
    cr_assert(pool_note_death(both, 1, START + timing.helper_ms).late);
    cr_assert_not(pool_was_forced(both));
    expect(both, START + timing.shutdown_ms, POOL_KILL_LATE, 0);
    cr_assert(pool_was_forced(both));
    pool_free(&both);
}
