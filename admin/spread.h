/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread.h - how a timing is spread: what DropWizard shows of a timer, from one of our histograms.
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_SPREAD_H
#define ADMIN_SPREAD_H

#include "shm/histogram.h"
#include "shm/stat.h"

/* Seconds. All 0 if nothing was timed, which is what DropWizard shows of an empty timer. */
struct spread {
    double max, mean, min, p50, p75, p95, p98, p99, p999, stddev;
    bool percentiles; /* false: there is no histogram, so no percentiles and no stddev */
};

/*
 * Takes: count, sum, min and max; the counts of every bucket, or NULL where there is no histogram.
 * Returns: the spread. max, mean and min are exact; percentiles within 2 %, as histogram.h says;
 * stddev is the sample's, computed from the buckets' middles, and so about as exact.
 */
struct spread spread_of(const struct stat_times *times, const uint64_t *counts);

#endif
