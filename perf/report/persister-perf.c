/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persister-perf.c - the benchmark: watches persisters, or reads what they did, and reports.
 *
 * Process: one of its own.  Owner: main's stack.  Concurrency: one thread.
 */
#include "config.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/program.h"
#include "perf/report/perf_run.h"
#include "perf/stop.h"

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, REPORT_BYTES = 1 << 28 };

static void
close_all(struct perf_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++)
        source_close(&sources->sources[i]);
}

static int
open_all(const struct perf_args *args, struct perf_sources *sources)
{
    struct errbuf err = {.text = ""};
    for (size_t i = 0; i < args->n_sources; i++) {
        sources->sources[i] = source_open(args->specifications[i], &args->options, &err);
        if (sources->sources[i] == NULL) {
            fprintf(stderr, "persister-perf: %s\n", err.text);
            return -1;
        }
        sources->n++;
    }
    return 0;
}

/* A first look at each; later ones tell what has happened since. */
static int
begin_all(struct perf_sources *sources)
{
    struct errbuf err = {.text = ""};
    for (size_t i = 0; i < sources->n; i++)
        if (source_poll(sources->sources[i], &err) == -1) {
            fprintf(stderr, "persister-perf: %s\n", err.text);
            return -1;
        }
    return 0;
}

/* Reads all sources, prints, draws. Returns: an exit code. */
static int
report_all(const struct perf_args *args, struct perf_sources *sources, int64_t since_ms,
           int64_t until_ms, bool finished)
{
    struct reading readings[PERF_SOURCES_MAX] = {{.n = 0}};
    const char *errors[PERF_SOURCES_MAX];
    struct perf_report report = {.since_ms = since_ms,
                                 .until_ms = until_ms,
                                 .finished = finished,
                                 .readings = readings,
                                 .errors = errors};
    struct errbuf err = {.text = ""};
    struct buf out;
    for (size_t i = 0; i < sources->n; i++) {
        if (source_read(sources->sources[i], since_ms, until_ms, &readings[report.n],
                        &sources->errors[i]) == 0)
            report.n++;
        else
            errors[report.n_errors++] = sources->errors[i].text;
    }
    buf_init(&out, REPORT_BYTES);
    perf_print(&report, args->format, &out);
    int code = report.n_errors == 0 && finished ? EXIT_GOOD : EXIT_FAILED;
    fwrite(out.data, 1, out.size, stdout);
    if (out.failed || fflush(stdout) == EOF) {
        fprintf(stderr, "persister-perf: the report is not whole\n");
        code = EXIT_FAILED;
    }
    for (size_t i = 0; i < report.n_errors; i++)
        fprintf(stderr, "persister-perf: %s\n", errors[i]);
    if (args->plot != NULL && perf_plot(&report, args->plot, &err) == -1) {
        fprintf(stderr, "persister-perf: %s\n", err.text);
        code = EXIT_FAILED;
    }
    buf_free(&out);
    for (size_t i = 0; i < sources->n; i++)
        reading_free(&readings[i]);
    return code;
}

static int
run(const struct perf_args *args, struct perf_sources *sources)
{
    if (begin_all(sources) == -1)
        return EXIT_FAILED;
    int64_t since_ms = clock_wall_ms();
    bool finished = perf_run(args, sources, since_ms, args->options.stop);
    return report_all(args, sources, since_ms, clock_wall_ms() + 1, finished);
}

static int
report(const struct perf_args *args, struct perf_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++)
        if (!source_remembers(sources->sources[i])) {
            fprintf(stderr,
                    "persister-perf: --source %s: a counter remembers nothing of before; allowed "
                    "with report: monasca, segment\n",
                    args->specifications[i]);
            return EXIT_USAGE;
        }
    return report_all(args, sources, args->since_ms, args->until_ms, true);
}

int
main(int argc, char **argv)
{
    struct perf_args args;
    struct perf_sources sources = {.n = 0};
    if (program_begin() == -1)
        return EXIT_FAILED;
    if (perf_args_parse(&args, argc, argv, clock_wall_ms()) == -1) {
        fputs("Try 'persister-perf --help'.\n", stderr);
        perf_args_free(&args);
        return EXIT_USAGE;
    }
    if (args.action == PERF_HELP || args.action == PERF_VERSION) {
        if (args.action == PERF_HELP)
            perf_args_help();
        else
            puts("persister-perf " PACKAGE_VERSION);
        perf_args_free(&args);
        return EXIT_GOOD;
    }
    args.options.stop = stop_on_signals();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = EXIT_USAGE;
    if (open_all(&args, &sources) == 0)
        code = args.action == PERF_RUN ? run(&args, &sources) : report(&args, &sources);
    close_all(&sources);
    perf_args_free(&args);
    curl_global_cleanup();
    return code;
}
