/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pg_sort.c - the order of a batch's rows is that of qsort, whatever they are.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "store/pg/pg_sort.h"

TestSuite(pg_sort, .timeout = 60);

static uint64_t random_state = 88172645463325252u;

static uint64_t
draw(void)
{
    random_state ^= random_state << 13; /* xorshift64, G. Marsaglia 2003 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int
compare(const void *a, const void *b)
{
    const struct pg_entry *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void
expect_sorted(struct pg_entry *entries, size_t n)
{
    struct pg_entry *expected = malloc((n + 1) * sizeof(*expected));
    if (n > 0)
        memcpy(expected, entries, n * sizeof(*entries));
    qsort(expected, n, sizeof(*expected), compare);
    pg_sort_entries(entries, n);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(compare(&entries[i], &expected[i]), 0, "%zu of %zu", i, n);
        cr_assert_eq(entries[i].text, expected[i].text, "all of a row moves");
    }
    free(expected);
}

static void
make_entries(struct pg_entry *entries, size_t n, uint64_t series, uint64_t times, int64_t first)
{
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct pg_entry){.row = (uint32_t)i,
                                       .series = first + (int64_t)(draw() % series),
                                       .time_us = (int64_t)(draw() % times) - (int64_t)times / 2,
                                       .text = i};
}

Test(pg_sort, any_number_of_rows_in_any_order)
{
    static struct pg_entry entries[3000];
    static const uint64_t ranges[] = {1, 2, 300, 70000, UINT64_C(1) << 40, UINT64_MAX / 4};
    for (size_t s = 0; s < COUNT_OF(ranges); s++)
        for (size_t t = 0; t < COUNT_OF(ranges); t++)
            for (size_t n = 0; n < COUNT_OF(entries); n = n < 130 ? n + 13 : n + 997) {
                make_entries(entries, n, ranges[s], ranges[t], 1);
                expect_sorted(entries, n);
                expect_sorted(entries, n); /* as they are now */
            }
}

/* Times before 1970 and numbers of newcomers are below zero. */
Test(pg_sort, numbers_below_zero_come_first)
{
    static struct pg_entry entries[500];
    make_entries(entries, COUNT_OF(entries), 1000, 1000000, -500);
    expect_sorted(entries, COUNT_OF(entries));
    cr_assert_lt(entries[0].series, 0);
    make_entries(entries, COUNT_OF(entries), UINT64_MAX, UINT64_MAX, 0);
    entries[7].series = INT64_MIN;
    entries[9].time_us = INT64_MAX;
    expect_sorted(entries, COUNT_OF(entries));
}

/* A write that is tried again has them sorted already, or not in the order of their numbers. */
Test(pg_sort, rows_that_are_out_of_order)
{
    static struct pg_entry entries[1000];
    make_entries(entries, COUNT_OF(entries), 3, 3, 1);
    for (size_t i = 0; i < COUNT_OF(entries); i++)
        entries[i].row = (uint32_t)(COUNT_OF(entries) - i);
    expect_sorted(entries, COUNT_OF(entries));
}
