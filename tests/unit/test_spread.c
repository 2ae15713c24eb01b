/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_spread.c - digests that are alike do not meet in a table.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "lib/spread.h"

enum { KEYS = 4096, PLACES = 8192 };

/* Of keys that differ only in `shift` and the bits above it. */
static size_t
count_places(unsigned shift)
{
    static bool taken[PLACES];
    size_t n = 0;
    memset(taken, 0, sizeof(taken));
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t digest = i << shift | 7;
        size_t place = spread_place(&digest, PLACES);
        cr_assert_lt(place, (size_t)PLACES);
        cr_assert_eq(spread_place(&digest, PLACES), place, "the same each time");
        n += !taken[place];
        taken[place] = true;
    }
    return n;
}

/* By chance 3223 places are taken; a search that takes all of them would find one. */
Test(spread, what_is_alike_in_some_bits_is_not_together)
{
    static const unsigned shifts[] = {3, 13, 24, 40, 52};
    for (size_t i = 0; i < COUNT_OF(shifts); i++)
        cr_expect_gt(count_places(shifts[i]), (size_t)KEYS / 8, "shift %u", shifts[i]);
}

Test(spread, small_tables)
{
    for (uint64_t digest = 0; digest < 1000; digest++)
        cr_assert_lt(spread_place(&digest, 2), 2u);
}
