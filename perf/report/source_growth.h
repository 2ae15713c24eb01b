/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_growth.h - from counters that only grow, looked at now and then, to what was counted in
 * between. Pure.
 *
 * Each poll tells the counters of an instance and its processes as they stand.  A row is what lies
 * between a poll and the one before.  A counter that fell, or a new identity of the instance (its
 * master was started anew), means a restart: then all that it shows was counted since, and that is
 * what the row says.  A process that was not there at the poll before has counted all it shows in
 * between, too; of the first poll nothing can be told but where the counters stand.
 *
 * Process: persister-perf.  Owner: the caller of growth_new.  Concurrency: one thread.
 */
#ifndef PERF_SOURCE_GROWTH_H
#define PERF_SOURCE_GROWTH_H

#include "perf/report/reading.h"

/* Counters since the process began, NAN where the source does not say. */
struct growth_figures {
    double received, completed;
    double restarts;                              /* of this process, by its master; NAN: unknown */
    double time_count, time_sum_ms;               /* requests timed, and for how long together */
    double time_min_ms, time_max_ms, time_p99_ms; /* since it began */
    double lag;                                   /* now */
};

struct growth;

struct growth *growth_new(void) MUST_CHECK;

/* Ends it and nulls the pointer. NULL is fine. */
void growth_free(struct growth **growth);

/* Returns: figures that say nothing. */
struct growth_figures growth_figures(void);

/*
 * Begins a poll.
 * Takes: when it was answered (wall clock; should the clock have been set back, it is 1 ms after
 * the poll before); what tells one run of the instance from the next, "" if nothing does. Returns:
 * 0, or -1 if memory is out.
 */
int growth_begin(struct growth *growth, int64_t now_ms, const char *identity) MUST_CHECK;

/*
 * Adds the counters of a process, or of an instance (process ""), to the poll begun last.
 * Takes: what tells two processes of one name apart, as there are during a reload; what each counts
 * is added up.
 * Returns: 0, or -1 if memory is out.
 */
int growth_add(struct growth *growth, const char *instance, const char *process, unsigned slot,
               const struct growth_figures *figures) MUST_CHECK;

/*
 * Fills in the rows that end in (since_ms, until_ms], by track, and where the counters stood at the
 * start of the first row and at the end of the last.  An instance that has no counters of its own
 * is the sum of its processes. Returns: 0, or -1 if memory is out.
 */
int growth_read(const struct growth *growth, int64_t since_ms, int64_t until_ms,
                struct reading *reading) MUST_CHECK;

#endif
