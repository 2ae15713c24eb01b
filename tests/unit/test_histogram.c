/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_histogram.c - buckets meet without gaps, quantiles are within the promised 2 %.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "shm/histogram.h"

static const uint64_t us = 1000, hour = UINT64_C(3600000000000);

static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64, G. Marsaglia */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Spread over all magnitudes alike. */
static uint64_t
random_ns(uint64_t *state)
{
    uint64_t ns = next_random(state) >> next_random(state) % 40;
    return 10 * us + ns % (hour - 10 * us);
}

static double
error_of(uint64_t said, uint64_t truth)
{
    double difference = (double)said - (double)truth;
    return (difference < 0 ? -difference : difference) / (double)truth;
}

Test(histogram, buckets_meet_without_gaps)
{
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        uint64_t low = histogram_lower(b), high = histogram_lower(b + 1);
        cr_assert_lt(low, high, "bucket %u", b);
        cr_assert_eq(histogram_bucket(low), b);
        cr_assert_eq(histogram_bucket(high - 1), b == HISTOGRAM_BUCKETS ? b - 1 : b);
    }
    cr_assert_eq(histogram_bucket(0), 0u);
    cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1u);
    cr_assert_leq(histogram_lower(1), 10 * us);
    cr_assert_geq(histogram_lower(HISTOGRAM_BUCKETS - 1), hour);
}

Test(histogram, a_duration_is_told_within_2_percent)
{
    uint64_t state = 20261123;
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t counts[HISTOGRAM_BUCKETS] = {0}, ns = random_ns(&state);
        counts[histogram_bucket(ns)] = 2; /* of two, the first is not known exactly */
        double error = error_of(histogram_quantile(counts, 0.5, 0, UINT64_MAX), ns);
        worst = error > worst ? error : worst;
    }
    cr_assert_leq(worst, 0.02, "%f", worst);
    cr_assert_geq(worst, 0.015, "the samples do not reach the worst case: %f", worst);
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(histogram, quantiles_are_those_of_the_sorted_list)
{
    enum { N = 1000 };
    static const double quantiles[] = {0, 0.001, 0.5, 0.95, 0.99, 0.9991, 1};
    uint64_t state = 7, list[N];
    for (int round = 0; round < 50; round++) {
        uint64_t counts[HISTOGRAM_BUCKETS] = {0};
        for (int i = 0; i < N; i++) {
            list[i] = random_ns(&state);
            counts[histogram_bucket(list[i])]++;
        }
        qsort(list, N, sizeof(list[0]), compare);
        for (size_t q = 0; q < COUNT_OF(quantiles); q++) {
            size_t rank = (size_t)(quantiles[q] * N);
            rank += (double)rank < quantiles[q] * N;
            uint64_t truth = list[rank == 0 ? 0 : rank - 1];
            uint64_t said = histogram_quantile(counts, quantiles[q], list[0], list[N - 1]);
            cr_assert_leq(error_of(said, truth), 0.02, "q %f: %llu for %llu", quantiles[q],
                          (unsigned long long)said, (unsigned long long)truth);
        }
    }
}

Test(histogram, stays_within_min_and_max_and_knows_nothing_of_nothing)
{
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    cr_assert_eq(histogram_quantile(counts, 0.5, 0, 0), UINT64_MAX);
    counts[histogram_bucket(5 * us)] = 3; /* below the first real bucket */
    cr_assert_eq(histogram_quantile(counts, 0.5, 5 * us, 5 * us), 5 * us);
    counts[HISTOGRAM_BUCKETS - 1] = 7;
    cr_assert_eq(histogram_quantile(counts, 0.99, 5 * us, 2 * hour), 2 * hour);
}
