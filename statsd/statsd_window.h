/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_window.h - what was timed over the trailing window. Pure.
 *
 * A receiver keeps the last value of a gauge until it flushes, so minima, maxima, averages and
 * percentiles cover more than one interval.  Only whole closed periods are counted: the newest
 * ones, until the window is covered, as pstats --window does.
 *
 * A timing is `fresh` if something was timed since the last interval that was told. One that is not
 * is not told: what there was has been told already.
 *
 * Process: master, tests.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef STATSD_STATSD_WINDOW_H
#define STATSD_STATSD_WINDOW_H

#include "shm/snapshot.h"

struct statsd_window {
    struct stat_times times[STAT_TIMINGS]; /* count 0: nothing was timed */
    bool fresh[STAT_TIMINGS];
};

/* Nothing timed. */
void statsd_window_clear(struct statsd_window *window);

/*
 * Takes: the newest closed periods of the instance, the newest last; how many ms to cover.
 * Returns: the number of the first period in the window; 1 if there is none.
 */
uint64_t statsd_window_first(const struct snapshot_period *periods, size_t n, int64_t span_ms);

/*
 * Fills in the instance's window.
 * Takes: its figures over the window, with percentiles (snapshot_window); the periods, of which
 * those after `told` are fresh.
 */
void statsd_window_fill(struct statsd_window *window, const struct stat_figures *figures,
                        const struct snapshot_period *periods, size_t n, uint64_t told);

/*
 * Adds the periods of a process: those from number `first` on; those after `told` are fresh.
 * Percentiles are unknown.
 */
void statsd_window_add(struct statsd_window *window, const struct snapshot_process_period *periods,
                       size_t n, uint64_t first, uint64_t told);

/* Adds the window of another process of the same name. */
void statsd_window_merge(struct statsd_window *window, const struct statsd_window *other);

#endif
