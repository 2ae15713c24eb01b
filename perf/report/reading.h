/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reading.h - what persister-perf reads from a source: the figures of instances and processes by
 * period, whatever the source calls them.
 *
 * A source (source.h) fills a reading; report.h sums it up and prints it.  Every source gives what
 * was counted within a period; those whose counters only grow say, too, where they stood.  What a
 * source does not say is NAN, never 0.
 *
 * Process: persister-perf.  Owner: the caller of reading_free.  Concurrency: one thread.
 */
#ifndef PERF_READING_H
#define PERF_READING_H

#include "lib/base.h"

struct reading_row {
    int64_t from_ms, to_ms;     /* wall clock, ms since 1970; from_ms < to_ms */
    double received, completed; /* requests (messages) within the period, >= 0 */
    double time_avg_ms, time_min_ms, time_max_ms, time_p99_ms; /* of a request, in the period */
    double lag;                                                /* messages behind, at its end */
    bool restarted; /* the process began anew in it: where the source has only what was counted
                       since, received and completed are that */
};

/* One instance, or one of its processes. Rows are in order of time and do not overlap. */
struct reading_track {
    char *instance;                      /* "" if the source does not know its name */
    char *process;                       /* "metrics-0"; "": the instance's own figures */
    double received_start, received_end; /* of counters that only grow; else NAN */
    double completed_start, completed_end;
    struct reading_row *rows;
    size_t n;
};

struct reading {
    char *source; /* as it was asked for: "dropwizard=http://127.0.0.1:8091" */
    struct reading_track *tracks;
    size_t n;
};

/* Returns: the track of that name, or NULL. */
struct reading_track *reading_find(const struct reading *reading, const char *instance,
                                   const char *process);

/*
 * Finds a track, or adds an empty one with all totals NAN.
 * Returns: it, valid until the next call; NULL if memory is out.
 */
struct reading_track *reading_track(struct reading *reading, const char *instance,
                                    const char *process) MUST_CHECK;

/* Adds a row at a track's end. Returns: 0, or -1 if memory is out. */
int reading_add(struct reading_track *track, const struct reading_row *row) MUST_CHECK;

/* Returns: a row of that period which says nothing (all NAN). */
struct reading_row reading_row(int64_t from_ms, int64_t to_ms);

/* Frees what it holds and empties it. */
void reading_free(struct reading *reading);

#endif
