/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_sum.h - sums over what was read: a track's totals, the sum of an instance's processes, and
 * where two accounts of the same thing disagree. Pure.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef PERF_PERF_SUM_H
#define PERF_PERF_SUM_H

#include "lib/buf.h"
#include "perf/report/reading.h"

/* What is not known is NAN. */
struct perf_totals {
    double received, completed;            /* within the rows */
    double received_start, received_end;   /* where the counters stood; start + received if only */
    double completed_start, completed_end; /* one of them is known */
    double time_avg_ms;                    /* weighted by what was completed */
    double time_min_ms, time_max_ms;
    double lag;             /* the last one known */
    int64_t from_ms, to_ms; /* from the first row with something in it to the end of the last */
    double elapsed_s;       /* between these; 0: nothing happened */
    size_t restarts;
};

/* Sums up a track's rows. */
void perf_sum(const struct reading_track *track, struct perf_totals *totals);

/* Adds the totals of one process to those of several. Takes: zero-filled totals the first time. */
void perf_add(struct perf_totals *into, const struct perf_totals *totals, bool first);

/* Returns: true if no track before that one is of the same instance: to go through instances. */
bool perf_is_first(const struct reading *reading, size_t track);

/*
 * The sum over the processes of an instance.
 * Returns: how many processes there are; 0: totals mean nothing.
 */
size_t perf_sum_processes(const struct reading *reading, const char *instance,
                          struct perf_totals *totals);

/* Returns: true if both are known and differ by more than what a double may lose. */
bool perf_differs(double a, double b);

/*
 * Writes a line for each disagreement: an instance's figures and the sum of its processes; what two
 * readings say of the same track.  Rows of different sources have different edges, so only totals
 * are compared.
 * Takes: n readings; out, to which lines are added. Returns: how many lines.
 */
size_t perf_disagreements(const struct reading *readings, size_t n, struct buf *out);

#endif
