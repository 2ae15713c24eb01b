/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_perf.c - persister-perf's arithmetic, its command line, and what it prints.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/report/perf_args.h"
#include "perf/report/perf_run.h"
#include "perf/report/perf_sum.h"

enum { START = 1790000000 }; /* s: 2026-09-21T14:13:20Z */

static struct reading reading;

static struct reading_row
row(int from_s, double received, double completed, double avg, double min, double max)
{
    struct reading_row r = reading_row((START + from_s) * 1000LL, (START + from_s + 10) * 1000LL);
    r.received = received;
    r.completed = completed;
    r.time_avg_ms = avg;
    r.time_min_ms = min;
    r.time_max_ms = max;
    return r;
}

static struct reading_track *
track(const char *process)
{
    struct reading_track *t = reading_track(&reading, "a", process);
    cr_assert_not_null(t);
    return t;
}

static void
add(const char *process, struct reading_row r)
{
    cr_assert_eq(reading_add(track(process), &r), 0);
}

static void
prepare(void)
{
    reading.source = strdup("segment=a");
    add("", row(0, 0, 0, NAN, NAN, NAN));
    add("", row(10, 300, 100, 10, 2, 40));
    add("", row(20, 0, 200, 40, 1.5, 99.25));
    add("metrics-0", row(10, 100, 50, 8, 2, 40));
    add("metrics-0", row(20, 0, 50, 30, 4, 50));
    add("metrics-1", row(10, 200, 50, 12, 3, 20));
    add("metrics-1", row(20, 0, 150, 43, 1.5, 99.25));
}

static void
clean_up(void)
{
    reading_free(&reading);
}

TestSuite(perf, .init = prepare, .fini = clean_up);

Test(perf, a_track_sums_up)
{
    struct perf_totals t;
    perf_sum(track(""), &t);
    cr_assert_eq(t.received, 300);
    cr_assert_eq(t.completed, 300);
    cr_assert_float_eq(t.time_avg_ms, (10 * 100 + 40 * 200) / 300.0, 1e-9);
    cr_assert_eq(t.time_min_ms, 1.5);
    cr_assert_eq(t.time_max_ms, 99.25);
    cr_assert_eq(t.elapsed_s, 20, "from the first row with something in it");
    cr_assert_eq(t.restarts, 0u);
    cr_assert(isnan(t.lag) && isnan(t.received_start));
}

Test(perf, what_is_not_known_is_left_out)
{
    struct reading_row unknown = reading_row((START + 30) * 1000LL, (START + 40) * 1000LL);
    struct perf_totals t;
    unknown.restarted = true;
    unknown.lag = 7;
    add("", unknown);
    perf_sum(track(""), &t);
    cr_assert_eq(t.received, 300);
    cr_assert_eq(t.time_min_ms, 1.5);
    cr_assert_eq(t.lag, 7);
    cr_assert_eq(t.restarts, 1u);
    cr_assert_eq(t.elapsed_s, 20);
    perf_sum(track("nothing"), &t);
    cr_assert(isnan(t.received) && isnan(t.time_avg_ms));
    cr_assert_eq(t.elapsed_s, 0);
}

Test(perf, the_processes_are_the_instance)
{
    struct perf_totals own, sum;
    struct buf out;
    perf_sum(track(""), &own);
    cr_assert_eq(perf_sum_processes(&reading, "a", &sum), 2u);
    cr_assert_eq(sum.received, own.received);
    cr_assert_eq(sum.completed, own.completed);
    cr_assert_eq(sum.time_min_ms, own.time_min_ms);
    cr_assert_eq(sum.time_max_ms, own.time_max_ms);
    cr_assert_float_eq(sum.time_avg_ms, (8. * 50 + 30 * 50 + 12 * 50 + 43 * 150) / 300, 1e-9);
    cr_assert_eq(sum.elapsed_s, 20);
    cr_assert_eq(perf_sum_processes(&reading, "b", &sum), 0u);
    buf_init(&out, 1000);
    cr_assert_eq(perf_disagreements(&reading, 1, &out), 0u);
    add("metrics-1", row(30, 1, 0, NAN, NAN, NAN));
    cr_assert_eq(perf_disagreements(&reading, 1, &out), 1u);
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.data, "a: received: 300 by segment=a, 301 by the sum of its processes "
                               "(segment=a)\n");
    buf_free(&out);
}

Test(perf, two_sources_that_disagree_are_told)
{
    struct reading both[2] = {reading, {.source = strdup("monasca")}};
    struct buf out;
    struct reading_row r = row(0, 300, 299, NAN, NAN, NAN);
    cr_assert_eq(reading_add(reading_track(&both[1], "a", ""), &r), 0);
    r = row(0, 7, 7, NAN, NAN, NAN);
    cr_assert_eq(reading_add(reading_track(&both[1], "another", ""), &r), 0);
    buf_init(&out, 1000);
    cr_assert_eq(perf_disagreements(both, 2, &out), 1u);
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.data, "a: completed: 300 by segment=a, 299 by monasca\n");
    buf_free(&out);
    double received, completed;
    perf_run_count(both, 2, &received, &completed);
    cr_assert_eq(received, 307, "a is counted once");
    cr_assert_eq(completed, 307);
    reading_free(&both[1]);
}

/* --- the formats --- */

static const char *
printed(enum perf_format format)
{
    static struct buf out;
    const char *const errors[] = {"monasca: no route"};
    struct perf_report report = {.since_ms = START * 1000LL,
                                 .until_ms = (START + 30) * 1000LL,
                                 .finished = true,
                                 .readings = &reading,
                                 .n = 1,
                                 .errors = errors,
                                 .n_errors = 1};
    buf_init(&out, 1 << 20);
    perf_print(&report, format, &out);
    buf_add_char(&out, '\0');
    return out.data;
}

static void
expect_in(const char *text, const char *part)
{
    cr_assert(strstr(text, part) != NULL, "\"%s\" is not in:\n%s", part, text);
}

Test(perf, text_is_for_people)
{
    const char *text = printed(PERF_TEXT);
    expect_in(text, "from 2026-09-21T14:13:20.000Z to 2026-09-21T14:13:50.000Z\n");
    expect_in(text, "== segment=a\n\ninstance a\n");
    expect_in(text, "  14:13:40.000       300       100       30       10     10.0     2.00     "
                    "40.0        -        -\n");
    expect_in(text, "process metrics-1 of a\n");
    expect_in(text,
              "received 300, completed 300; request time avg 30 ms, min 1.5 ms, max 99.25 ms");
    expect_in(text, "sum over processes");
    expect_in(text, "error: monasca: no route\n");
    cr_assert_null(strstr(text, "disagreements"));
    cr_assert_null(strstr(text, "NOT FINISHED"));
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        cr_assert_leq(end - line, 110, "%.*s", (int)(end - line), line);
}

Test(perf, json_is_for_scripts)
{
    const char *text = printed(PERF_JSON);
    expect_in(text, "\"complete\":\ttrue");
    expect_in(text, "\"request_max_ms\":\t99.25");
    expect_in(text, "\"lag\":\tnull");
    expect_in(text, "\"process\":\t\"metrics-0\"");
    expect_in(text, "\"processes_sum\":");
    expect_in(text, "\"disagreements\":\t[]");
    expect_in(text, "\"errors\":\t[\"monasca: no route\"]");
}

Test(perf, csv_has_a_line_for_each_row)
{
    track("metrics-0")->rows[1].restarted = true;
    const char *text = printed(PERF_CSV);
    size_t lines = 0;
    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    cr_assert_eq(lines, 1u + 7);
    expect_in(text, "\"segment=a\",\"a\",\"metrics-0\",2026-09-21T14:13:40.000Z,"
                    "2026-09-21T14:13:50.000Z,0,50,30,4,50,,,1\n");
}

/* --- the command line --- */

static struct perf_args args;

static int
parse(const char *const *words)
{
    static char *argv[32];
    int argc = 1;
    argv[0] = strdup("persister-perf");
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = strdup(words[argc - 1]);
    argv[argc] = NULL;
    return perf_args_parse(&args, argc, argv, START * 1000LL);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

Test(perf_args, upstreams_options_keep_their_meaning)
{
    cr_assert_eq(PARSE("run", "-s", "h1,h2,::1", "-p", "8095", "-n", "1000", "-w", "3"), 0);
    cr_assert_eq(args.n_sources, 3u);
    cr_assert_str_eq(args.specifications[0], "dropwizard=http://h1:8095");
    cr_assert_str_eq(args.specifications[1], "dropwizard=http://h2:8095");
    cr_assert_str_eq(args.specifications[2], "dropwizard=http://[::1]:8095");
    cr_assert_eq(args.messages, 1000);
    cr_assert_eq(args.wait_s, 3);
    cr_assert_null(args.load);
}

Test(perf_args, a_load_follows_two_dashes)
{
    cr_assert_eq(PARSE("run", "-s", "h", "--", "--brokers", "k:9092"), 0);
    cr_assert_eq(args.messages, -1);
    cr_assert_str_eq(args.load[0], "--brokers");
    cr_assert_str_eq(args.load[1], "k:9092");
    cr_assert_null(args.load[2]);
}

Test(perf_args, a_report_has_a_range)
{
    cr_assert_eq(PARSE("report", "--source", "segment=a"), 0);
    cr_assert_eq(args.until_ms, START * 1000LL);
    cr_assert_eq(args.since_ms, (START - 600) * 1000LL);
    cr_assert_eq(
        PARSE("report", "--source", "segment=a", "--last", "2h", "--until", "2026-09-21T14:00:00"),
        0);
    cr_assert_eq(args.until_ms, (START - 800) * 1000LL);
    cr_assert_eq(args.until_ms - args.since_ms, 7200000);
}

Test(perf_args, keystone_comes_from_the_environment_and_options_win)
{
    setenv("OS_USERNAME", "env", 1);
    setenv("OS_AUTH_URL", "http://k:5000", 1);
    cr_assert_eq(PARSE("report", "--source", "monasca", "--os-username", "option"), 0);
    cr_assert_str_eq(args.options.keystone.username, "option");
    cr_assert_str_eq(args.options.keystone.auth_url, "http://k:5000");
    cr_assert_null(args.options.keystone.token);
}

Test(perf_args, what_is_wrong_is_refused)
{
    const char *const cases[][8] = {
        {NULL},
        {"watch", NULL},
        {"report", NULL},
        {"run", "-s", "h", NULL},
        {"run", "-s", "h", "-n", "x", NULL},
        {"run", "-s", "h,,g", "-n", "1", NULL},
        {"run", "-s", "h", "-n", "1", "-p", "0", NULL},
        {"report", "--source", "segment=a", "--format", "xml", NULL},
        {"report", "--source", "segment=a", "--last", "10x", NULL},
        {"report", "--source", "segment=a", "--since", "yesterday", NULL},
        {"report", "--source", "segment=a", "--since", "2026-13-01", NULL},
        {"report", "--source", "segment=a", "--since", "now", NULL},
        {"report", "--source", "segment=a", "left", NULL},
    };
    freopen("/dev/null", "w", stderr);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_assert_eq(parse(cases[i]), -1, "case %zu", i);
}

Test(perf_args, times_are_read)
{
    static const struct {
        const char *text;
        int64_t ms; /* after START; -1: refused */
    } cases[] = {{"now", 5000},
                 {"1790000001", 1000},
                 {"2026-09-21T14:13:20Z", 0},
                 {"2026-09-21 14:13:20.25", 250},
                 {"2026-09-21T16:13:20+02:00", 0},
                 {"2026-09-21T09:43:20-0430", 0},
                 {"2026-09-21T14:14Z", -1},
                 {"2026-09-21", -51200000},
                 {"2026-09-21T14:13:20X", -1},
                 {"2026-09-21T25:13:20Z", -1},
                 {"2026-9-21", -1},
                 {"", -1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ms = 0;
        int result = perf_args_time(cases[i].text, START * 1000LL + 5000, &ms);
        cr_assert_eq(result, cases[i].ms == -1 ? -1 : 0, "%s", cases[i].text);
        if (result == 0)
            cr_assert_eq(ms, START * 1000LL + cases[i].ms, "%s", cases[i].text);
    }
}

Test(perf_args, lengths_are_read)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"90s", 90000}, {"10m", 600000}, {"2h", 7200000}, {"1d", 86400000}, {"5", 5000},
                 {"", -1},       {"s", -1},       {"0m", -1},      {"-1s", -1},      {"1.5h", -1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ms = -1;
        cr_assert_eq(perf_args_length(cases[i].text, &ms), cases[i].ms == -1 ? -1 : 0, "%s",
                     cases[i].text);
        cr_assert_eq(ms, cases[i].ms, "%s", cases[i].text);
    }
}
