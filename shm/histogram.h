/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h - a log-linear histogram of durations: 25 buckets of equal width for each power of
 * two from 2^13 ns (8.2 us) to 2^42 ns (73 min), one below and one above.
 *
 * A bucket's bounds are at most 4 % apart, so its representative (their harmonic mean) is within
 * 1.97 % of every duration in it.  The scheme is HdrHistogram's (G. Tene), with 25 in the place of
 * a power of two, which is the fewest that stay within 2 %.
 *
 * Pure: works on arrays of counts that the caller owns.
 *
 * Process: all.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef SHM_HISTOGRAM_H
#define SHM_HISTOGRAM_H

#include "lib/base.h"

enum {
    HISTOGRAM_LOW_BIT = 13,  /* below 2^13 ns: bucket 0 */
    HISTOGRAM_HIGH_BIT = 42, /* from 2^42 ns on: the last bucket */
    HISTOGRAM_PER_OCTAVE = 25,
    HISTOGRAM_BUCKETS = (HISTOGRAM_HIGH_BIT - HISTOGRAM_LOW_BIT) * HISTOGRAM_PER_OCTAVE + 2
};

/* Returns: the bucket a duration belongs to. */
static inline unsigned
histogram_bucket(uint64_t ns)
{
    if (ns < (uint64_t)1 << HISTOGRAM_LOW_BIT)
        return 0;
    if (ns >= (uint64_t)1 << HISTOGRAM_HIGH_BIT)
        return HISTOGRAM_BUCKETS - 1;
    unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
    uint64_t rest = ns - ((uint64_t)1 << octave);
    return 1 + (octave - HISTOGRAM_LOW_BIT) * HISTOGRAM_PER_OCTAVE +
           (unsigned)(rest * HISTOGRAM_PER_OCTAVE >> octave);
}

/*
 * Takes: a bucket, 0..HISTOGRAM_BUCKETS.
 * Returns: the least duration in ns that belongs to it; for HISTOGRAM_BUCKETS, UINT64_MAX. The
 * bucket holds lower(bucket) <= ns < lower(bucket + 1).
 */
uint64_t histogram_lower(unsigned bucket);

/* Returns: what stands for all durations of a bucket, in ns: the harmonic mean of its bounds. */
uint64_t histogram_middle(unsigned bucket);

/* Returns: the sum of two counts; those of a damaged segment can be more than fits. */
static inline uint64_t
histogram_add(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

/*
 * Takes: counts of every bucket; the quantile, 0..1; the least and the greatest duration counted.
 * Returns: the duration in ns at that rank (nearest rank), within 2 % if it is within 10 us .. 1 h,
 * and within min..max; STAT_UNKNOWN (UINT64_MAX) if nothing is counted.
 */
uint64_t histogram_quantile(const uint64_t *counts, double quantile, uint64_t min_ns,
                            uint64_t max_ns);

#endif
