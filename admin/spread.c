/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c - see spread.h. */
#include "admin/spread.h"

#include <math.h>

static const double ns_per_second = 1e9;

static double
quantile(const struct stat_times *t, const uint64_t *counts, double q)
{
    uint64_t ns = histogram_quantile(counts, q, t->min_ns, t->max_ns);
    return ns == STAT_UNKNOWN ? 0 : (double)ns / ns_per_second;
}

/* The middle of a bucket, kept within what was really timed. */
static double
middle_ns(const struct stat_times *t, unsigned bucket)
{
    double low = (double)histogram_lower(bucket), high = (double)histogram_lower(bucket + 1);
    low = low < (double)t->min_ns ? (double)t->min_ns : low;
    high = high > (double)t->max_ns ? (double)t->max_ns : high;
    return low < high ? (low + high) / 2 : high;
}

static double
deviation(const struct stat_times *t, const uint64_t *counts)
{
    double mean = (double)t->sum_ns / (double)t->count, squares = 0, n = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (counts[i] == 0)
            continue;
        double off = middle_ns(t, i) - mean;
        squares += off * off * (double)counts[i];
        n += (double)counts[i];
    }
    return n > 1 ? sqrt(squares / (n - 1)) / ns_per_second : 0;
}

struct spread
spread_of(const struct stat_times *times, const uint64_t *counts)
{
    struct spread s = {.percentiles = counts != NULL};
    if (times->count == 0)
        return s;
    s.max = (double)times->max_ns / ns_per_second;
    s.min = (double)times->min_ns / ns_per_second;
    s.mean = (double)times->sum_ns / (double)times->count / ns_per_second;
    if (counts == NULL)
        return s;
    s.p50 = quantile(times, counts, 0.5);
    s.p75 = quantile(times, counts, 0.75);
    s.p95 = quantile(times, counts, 0.95);
    s.p98 = quantile(times, counts, 0.98);
    s.p99 = quantile(times, counts, 0.99);
    s.p999 = quantile(times, counts, 0.999);
    s.stddev = times->count > 1 ? deviation(times, counts) : 0;
    return s;
}
