/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - see histogram.h. */
#include "shm/histogram.h"

uint64_t
histogram_lower(unsigned bucket)
{
    if (bucket == 0)
        return 0;
    if (bucket >= HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    unsigned octave = HISTOGRAM_LOW_BIT + (bucket - 1) / HISTOGRAM_PER_OCTAVE;
    uint64_t step = (bucket - 1) % HISTOGRAM_PER_OCTAVE;
    uint64_t base = (uint64_t)1 << octave;
    return base + (step * base + HISTOGRAM_PER_OCTAVE - 1) / HISTOGRAM_PER_OCTAVE;
}

uint64_t
histogram_middle(unsigned bucket)
{
    double low = (double)histogram_lower(bucket);
    if (bucket == 0)
        return (uint64_t)1 << (HISTOGRAM_LOW_BIT - 1);
    if (bucket == HISTOGRAM_BUCKETS - 1)
        return (uint64_t)low;
    double high = (double)histogram_lower(bucket + 1);
    return (uint64_t)(2 * low * high / (low + high));
}

uint64_t
histogram_quantile(const uint64_t *counts, double quantile, uint64_t min_ns, uint64_t max_ns)
{
    uint64_t n = 0, seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        n = histogram_add(n, counts[i]);
    if (n == 0)
        return UINT64_MAX;
    double wanted = quantile * (double)n;
    uint64_t rank = wanted < 0x1p64 ? (uint64_t)wanted : n;
    rank += (double)rank < wanted && rank < n; /* rounded up */
    unsigned bucket = 0;
    for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        seen = histogram_add(seen, counts[bucket]);
        if (seen >= rank && seen > 0)
            break;
    }
    uint64_t ns = histogram_middle(bucket);
    if (rank >= n) /* the last of all is known */
        ns = max_ns;
    if (ns < min_ns)
        return min_ns;
    return ns > max_ns ? max_ns : ns;
}
