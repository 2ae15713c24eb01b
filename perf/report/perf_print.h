/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_print.h - a report of what was read: for people, as JSON, as CSV, and as data for a plot.
 * Pure but for perf_plot, which runs gnuplot.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef PERF_PERF_PRINT_H
#define PERF_PERF_PRINT_H

#include "lib/buf.h"
#include "lib/errbuf.h"
#include "perf/report/reading.h"

struct perf_report {
    int64_t since_ms, until_ms; /* wall clock */
    bool finished;              /* false: it was interrupted, or took too long */
    const struct reading *readings;
    size_t n;
    const char *const *errors; /* sources that failed, one line each */
    size_t n_errors;
};

enum perf_format { PERF_TEXT, PERF_JSON, PERF_CSV };

/* Adds the report to out. */
void perf_print(const struct perf_report *report, enum perf_format format, struct buf *out);

/* The parts of perf_print, in a file each. */
void perf_print_text(const struct perf_report *report, struct buf *out);
void perf_print_json(const struct perf_report *report, struct buf *out);
void perf_print_csv(const struct perf_report *report, struct buf *out);

/*
 * Draws rates, request times and lag over the time.
 * Takes: a file whose name ends in .svg or .png.
 * Returns: 0, or -1 with a text: another name, no gnuplot, or what it said.
 */
int perf_plot(const struct perf_report *report, const char *file, struct errbuf *err) MUST_CHECK;

#endif
