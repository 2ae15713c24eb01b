/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_backoff.c - delays double up to the cap, jitter stays within half, reset starts over.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "lib/backoff.h"

Test(backoff, doubles_up_to_the_cap_within_the_jitter)
{
    struct backoff b;
    for (uint64_t seed = 0; seed < 200; seed++) {
        backoff_init(&b, 100, 5000, seed);
        uint32_t full = 100;
        for (int i = 0; i < 12; i++) {
            uint32_t ms = backoff_next(&b);
            cr_assert_geq(ms, full / 2, "seed %lu try %d: %u", seed, i, ms);
            cr_assert_leq(ms, full, "seed %lu try %d: %u", seed, i, ms);
            full = full * 2 < 5000 ? full * 2 : 5000;
        }
    }
}

Test(backoff, seeds_spread_processes)
{
    struct backoff a, b;
    backoff_init(&a, 1000, 1000, 1);
    backoff_init(&b, 1000, 1000, 2);
    int equal = 0;
    for (int i = 0; i < 100; i++)
        equal += backoff_next(&a) == backoff_next(&b);
    cr_assert_lt(equal, 10);
}

Test(backoff, reset_starts_over)
{
    struct backoff b;
    backoff_init(&b, 10, 100000, 7);
    for (int i = 0; i < 10; i++)
        backoff_next(&b);
    backoff_reset(&b);
    cr_assert_leq(backoff_next(&b), 10);
}

Test(backoff, counting_tries_does_not_overflow)
{
    struct backoff b;
    backoff_init(&b, 1, UINT32_MAX, 7);
    b.tries = UINT32_MAX;
    cr_assert_geq(backoff_next(&b), UINT32_MAX / 2);
    cr_assert_eq(b.tries, UINT32_MAX);
}
