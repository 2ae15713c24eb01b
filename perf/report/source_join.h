/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_join.h - puts together what the API has of one process: a series for each figure. Pure.
 *
 * The Monasca agent sends each series once per flush, with the time of its last sample.  So what
 * belongs to one flush has times that differ, by ms or, should the packets of a big instance be
 * spread over the interval of StatsD, by seconds.  The series told first (requests.received, which
 * is in every flush) makes the grid; points of others go to the nearest time on it.  Counters that
 * meet are added up, so that no sum ever depends on the grid.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef PERF_SOURCE_JOIN_H
#define PERF_SOURCE_JOIN_H

#include "perf/report/reading.h"

enum join_field {
    JOIN_RECEIVED,
    JOIN_COMPLETED,
    JOIN_RESTARTS, /* a counter, too */
    JOIN_AVG,
    JOIN_MIN,
    JOIN_MAX,
    JOIN_P99, /* where several meet, the largest */
    JOIN_LAG, /* where several meet, the last */
    JOIN_FIELDS
};

struct join_cell {
    int64_t at_ms;
    double values[JOIN_FIELDS]; /* NAN: unknown; times in ms */
    double avg_weight;          /* what the average has been made of */
};

/* In order of time. All 0 is an empty one. */
struct join {
    struct join_cell *cells;
    size_t n, capacity;
};

void join_free(struct join *join);

/*
 * Puts a point in.
 * Takes: how far the nearest cell may be away, 0..; else a cell is made. The value in the field's
 * own unit, not NAN; the weight of an average, > 0, or 1. Returns: 0, or -1 if memory is out.
 */
int join_put(struct join *join, int64_t at_ms, int64_t tolerance_ms, enum join_field field,
             double value, double weight) MUST_CHECK;

/*
 * Folds cells into those of periods: cell k * period_ms holds what is of k * period_ms <= at_ms <
 * (k + 1) * period_ms.  Averages are weighted by JOIN_COMPLETED of their cells, where that is known
 * and not 0.
 * Takes: which fields, a bit (1 << field) each.
 * Returns: 0, or -1 if memory is out.
 */
int join_fold(const struct join *join, int64_t period_ms, unsigned fields,
              struct join *into) MUST_CHECK;

/*
 * The usual distance between two cells: the median.
 * Takes: n joins; what it is if no join has two cells.
 * Returns: it, 1..; -1 if memory is out.
 */
int64_t join_interval(const struct join *joins, size_t n, int64_t otherwise_ms) MUST_CHECK;

/*
 * Makes rows of cells that end at their times: each begins at the cell before, or, if that is
 * farther away than 1.5 intervals, an interval before its end. Only those that end in
 * (since_ms, until_ms].
 * Returns: 0, or -1 if memory is out.
 */
int join_add_rows(const struct join *join, int64_t interval_ms, int64_t since_ms, int64_t until_ms,
                  struct reading_track *track) MUST_CHECK;

/* The same of cells of periods, which begin at their times; cut to since_ms..until_ms. */
int join_add_periods(const struct join *join, int64_t period_ms, int64_t since_ms, int64_t until_ms,
                     struct reading_track *track) MUST_CHECK;

#endif
