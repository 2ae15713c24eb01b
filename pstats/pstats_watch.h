/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_watch.h - `pstats -w`: a line for every so many seconds, like vmstat; for terminals, pipes
 * and files.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_WATCH_H
#define SHM_PSTATS_WATCH_H

#include "shm/pstats_find.h"
#include "pstats/pstats_source.h"

/*
 * Prints lines to stdout and flushes each, until the reader of it is gone.  Of counters it prints
 * how many a second, of gauges the level, of timings average, least, greatest and 99th percentile;
 * all but the average are from the histogram, so within 2 %.  A master's death and a new master are
 * lines of their own.
 * Takes: seconds between two lines, 1..; how many lines, 0: without end; choice NULL: the most
 * important figures.
 * Returns: PSTATS_LIVE or PSTATS_STALE as of the last line; PSTATS_FAILED with a text.
 */
enum pstats_exit pstats_watch(struct source *source, int64_t seconds, int64_t lines,
                              const struct figures_choice *choice, struct errbuf *err) MUST_CHECK;

#endif
