/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_run.h - watches persisters while a load is worked off, as upstream's persister_perf.sh does.
 *
 * Process: persister-perf; the load, if one is started, is a child.  Owner: the caller.
 * Concurrency: one thread.
 */
#ifndef PERF_PERF_RUN_H
#define PERF_PERF_RUN_H

#include <signal.h>

#include "perf/report/perf_args.h"

/* What a run looks at. */
struct perf_sources {
    struct source *sources[PERF_SOURCES_MAX];
    struct errbuf errors[PERF_SOURCES_MAX]; /* of the last look; "" if it was good */
    size_t n;
};

/*
 * Received and completed since the sources were first looked at: each instance's by the first
 * source that knows it, so that two sources do not count it twice. Pure. Takes: n readings of the
 * same time.
 */
void perf_run_count(const struct reading *readings, size_t n, double *received, double *completed);

/*
 * Looks until as many are received and stored as are asked for.
 * Takes: arguments; sources that have been polled once; a flag that ends it early.
 * Returns: true if all are; false if it was ended, took too long, or the load failed (told on
 * standard error).
 */
bool perf_run(const struct perf_args *args, struct perf_sources *sources, int64_t since_ms,
              const volatile sig_atomic_t *stop);

#endif
