/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_args.h - persister-perf's command line.
 *
 * Process: persister-perf.  Owner: main's stack; texts are argv's or the environment's.
 * Concurrency: one thread.
 */
#ifndef PERF_PERF_ARGS_H
#define PERF_PERF_ARGS_H

#include "perf/report/perf_print.h"
#include "perf/report/source.h"

enum { PERF_SOURCES_MAX = 64 };

enum perf_action { PERF_RUN, PERF_REPORT, PERF_HELP, PERF_VERSION };

struct perf_args {
    enum perf_action action;
    char *specifications[PERF_SOURCES_MAX]; /* "KIND=PLACE"; freed by perf_args_free */
    size_t n_sources;
    struct source_options options;
    int64_t messages; /* run: until so many are stored; -1: what the load says */
    int64_t wait_s;   /* run: between two looks */
    int64_t timeout_s;
    int64_t since_ms, until_ms; /* report; wall clock */
    enum perf_format format;
    const char *plot; /* NULL: none */
    char **load;      /* run: arguments of persister-load, NULL at the end; NULL: none is started */
};

/*
 * Takes: main's arguments; the time now, ms since 1970.
 * Returns: 0, or -1 after a line on standard error that names the option and what is allowed.
 */
int perf_args_parse(struct perf_args *args, int argc, char **argv, int64_t now_ms) MUST_CHECK;
void perf_args_free(struct perf_args *args);

void perf_args_help(void);

/*
 * Reads a time: "now", seconds since 1970, or ISO 8601 as 2026-11-23T10:00[:00[.000]] followed by
 * Z, +HH:MM, or nothing (UTC). Returns: 0, or -1.
 */
int perf_args_time(const char *text, int64_t now_ms, int64_t *ms) MUST_CHECK;

/* Reads a length: "90s", "10m", "2h", "1d", or seconds. Returns: 0 and ms, 1.., or -1. */
int perf_args_length(const char *text, int64_t *ms) MUST_CHECK;

#endif
