/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source.c - what persister-perf makes of the API's answers (tests/api: recorded on the real
 * one), and of counters that grow and fall.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/report/source_api.h"
#include "perf/report/source_growth.h"
#include "perf/report/source_json.h"
#include "perf/report/source_time.h"

static struct errbuf err;

/* A recorded answer. */
static struct slice
recorded(const char *name)
{
    static char bytes[1 << 16];
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/api/%s", SRCDIR, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    cr_assert_lt(n, sizeof(bytes));
    return (struct slice){bytes, n};
}

/* --- the API --- */

Test(source_api, series_are_listed_over_pages)
{
    struct api_list list = {.n = 0};
    struct api_page page;
    cr_assert_eq(api_read_series(recorded("metrics-page-1.json"), &list, &page, &err), 0);
    cr_assert(page.more);
    cr_assert_str_eq(page.offset, "1");
    cr_assert_eq(page.n, 2u);
    cr_assert_eq(api_read_series(recorded("metrics-page-2.json"), &list, &page, &err), 0);
    cr_assert_not(page.more);
    cr_assert_eq(list.n, 3u);
    cr_assert_str_eq(list.series[0].process, "metrics-0");
    cr_assert_str_eq(list.series[2].process, "", "the instance's own");
    cr_assert_str_eq(list.series[2].instance, "a");
    cr_assert_str_eq(list.series[0].dimensions,
                     "hostname:h1,instance:a,process:metrics-0,scope:process");
    api_list_free(&list);
}

Test(source_api, a_name_that_nobody_has_is_an_empty_list)
{
    struct api_list list = {.n = 0};
    struct api_page page;
    cr_assert_eq(api_read_series(recorded("metrics-none.json"), &list, &page, &err), 0);
    cr_assert_eq(list.n, 0u);
    cr_assert_not(page.more);
}

static struct {
    int64_t at_ms[16];
    double values[16];
    size_t n;
} taken;

static int
take(void *arg, int64_t at_ms, double value, struct errbuf *e)
{
    (void)arg;
    (void)e;
    cr_assert_lt(taken.n, 16u);
    taken.at_ms[taken.n] = at_ms;
    taken.values[taken.n++] = value;
    return 0;
}

static struct api_points points = {.elements = "measurements", .column = "value", .take = take};

Test(source_api, measurements_come_over_pages_and_are_those_of_the_whole)
{
    struct api_page page;
    cr_assert_eq(api_read_points(recorded("measurements-page-1.json"), &points, &page, &err), 0);
    cr_assert(page.more);
    cr_assert_str_eq(page.offset, "0_2026-09-21T14%3A13%3A40.250Z", "as it is quoted");
    cr_assert_eq(page.n, 2u);
    cr_assert_eq(page.last_ms, 1790000020250);
    cr_assert_eq(api_read_points(recorded("measurements-page-2.json"), &points, &page, &err), 0);
    cr_assert_not(page.more);
    cr_assert_eq(taken.n, 5u);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(taken.at_ms[i], 1790000000000 + 20250 * i);
        cr_assert_eq(taken.values[i], 100 * i + 7);
    }
    taken.n = 0;
    cr_assert_eq(api_read_points(recorded("measurements-whole.json"), &points, &page, &err), 0);
    cr_assert_eq(taken.n, 5u);
}

Test(source_api, statistics_have_a_column_for_each)
{
    struct api_page page;
    points.elements = "statistics";
    points.column = "sum";
    cr_assert_eq(api_read_points(recorded("statistics.json"), &points, &page, &err), 0);
    points.column = "max";
    cr_assert_eq(api_read_points(recorded("statistics.json"), &points, &page, &err), 0);
    cr_assert_eq(taken.n, 2u);
    cr_assert_eq(taken.at_ms[0], 1789999200000);
    cr_assert_eq(taken.values[0], 1035);
    cr_assert_eq(taken.values[1], 407);
    points.column = "median";
    cr_assert_eq(api_read_points(recorded("statistics.json"), &points, &page, &err), -1);
}

Test(source_api, what_is_no_answer_is_an_error_and_never_a_crash)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"elements\": 3}",
        "{\"elements\": [7]}",
        "{\"elements\": [{\"measurements\": 1}]}",
        "{\"elements\": [{\"dimensions\": {\"a\": 1}}]}",
        "{\"elements\": [{\"columns\": [\"timestamp\", \"value\"], \"measurements\": [[1, 2]]}]}",
        "{\"elements\": [{\"columns\": [\"timestamp\", \"value\"], \"measurements\": "
        "[[\"2026-01-01T00:00:00Z\", \"x\"]]}]}"};
    struct api_page page;
    struct api_list list = {.n = 0};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct slice body = {bodies[i], strlen(bodies[i])};
        bool points_refused = api_read_points(body, &points, &page, &err) == -1;
        bool series_refused = api_read_series(body, &list, &page, &err) == -1;
        cr_assert(points_refused || series_refused, "%s", bodies[i]);
    }
    /* Cut off anywhere. */
    struct slice whole = recorded("measurements-whole.json");
    for (size_t n = 0; n < whole.n - 2; n++)
        cr_assert_eq(api_read_points((struct slice){whole.p, n}, &points, &page, &err), -1);
    api_list_free(&list);
}

/* --- times --- */

Test(source_time, is_read_as_the_api_writes_it)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {{"2026-09-21T14:13:20.000Z", 1790000000000},
                 {"2026-09-21T14:13:20Z", 1790000000000},
                 {"2026-09-21T14:13:20.25Z", 1790000000250},
                 {"2026-09-21T14:13:20.123456Z", 1790000000123},
                 {"2026-09-21T16:13:20+02:00", 1790000000000},
                 {"1970-01-01T00:00:00Z", 0},
                 {"2024-02-29T00:00:00Z", 1709164800000},
                 {"2026-02-29T00:00:00Z", -1},
                 {"2026-09-21T14:13:20", -1},
                 {"2026-09-21T24:00:00Z", -1},
                 {"2026-09-21", -1},
                 {"", -1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ms = -1;
        int result = source_time_parse((struct slice){cases[i].text, strlen(cases[i].text)}, &ms);
        cr_assert_eq(result, cases[i].ms == -1 ? -1 : 0, "%s", cases[i].text);
        if (result == 0)
            cr_assert_eq(ms, cases[i].ms, "%s: %lld", cases[i].text, (long long)ms);
    }
}

/* --- counters --- */

static struct growth *growth;

static void
poll_at(int64_t ms, const char *identity)
{
    if (growth == NULL)
        growth = growth_new();
    cr_assert_eq(growth_begin(growth, ms, identity), 0);
}

static void
stands(const char *process, double received, double completed)
{
    struct growth_figures f = growth_figures();
    f.received = received;
    f.completed = completed;
    cr_assert_eq(growth_add(growth, "a", process, 0, &f), 0);
}

static const struct reading_track *
track(struct reading *reading, const char *process)
{
    for (size_t i = 0; i < reading->n; i++)
        if (strcmp(reading->tracks[i].process, process) == 0)
            return &reading->tracks[i];
    cr_assert_fail("no track %s", process);
    return NULL;
}

static double
sum_completed(const struct reading_track *t)
{
    double sum = 0;
    for (size_t i = 0; i < t->n; i++)
        sum += t->rows[i].completed;
    return sum;
}

Test(source_growth, rows_are_what_lies_between_two_polls)
{
    struct reading r = {.n = 0};
    poll_at(1000, "x");
    stands("metrics-0", 100, 90);
    poll_at(2000, "x");
    stands("metrics-0", 150, 100);
    poll_at(3000, "x");
    stands("metrics-0", 150, 150);
    cr_assert_eq(growth_read(growth, 1000, 3000, &r), 0);
    const struct reading_track *t = track(&r, "metrics-0");
    cr_assert_eq(t->n, 2u);
    cr_assert_eq(t->rows[0].from_ms, 1000);
    cr_assert_eq(t->rows[0].to_ms, 2000);
    cr_assert_eq(t->rows[0].received, 50);
    cr_assert_eq(t->rows[1].received, 0);
    cr_assert_eq(t->rows[1].completed, 50);
    cr_assert_eq(t->received_start, 100);
    cr_assert_eq(t->received_end, 150);
    cr_assert_not(t->rows[0].restarted);
    /* The instance, which has no counters of its own here, is the sum. */
    cr_assert_eq(sum_completed(track(&r, "")), 60);
    reading_free(&r);
    growth_free(&growth);
}

Test(source_growth, a_counter_that_fell_began_anew)
{
    struct reading r = {.n = 0};
    poll_at(1000, "");
    stands("metrics-0", 1000, 1000);
    stands("metrics-1", 10, 10);
    poll_at(2000, "");
    stands("metrics-0", 30, 20);
    stands("metrics-1", 15, 15);
    poll_at(3000, "");
    stands("metrics-0", 40, 40);
    stands("metrics-1", 15, 15);
    cr_assert_eq(growth_read(growth, 0, 3000, &r), 0);
    const struct reading_track *t = track(&r, "metrics-0");
    cr_assert(t->rows[0].restarted);
    cr_assert_eq(t->rows[0].completed, 20, "what it shows was counted since");
    cr_assert_not(t->rows[1].restarted);
    cr_assert_eq(sum_completed(t), 40);
    cr_assert_not(track(&r, "metrics-1")->rows[0].restarted);
    cr_assert_eq(sum_completed(track(&r, "metrics-1")), 5);
    reading_free(&r);
    growth_free(&growth);
}

Test(source_growth, another_master_is_a_restart_even_if_it_has_counted_more)
{
    struct reading r = {.n = 0};
    poll_at(1000, "started at noon");
    stands("metrics-0", 10, 10);
    poll_at(2000, "started at one");
    stands("metrics-0", 500, 500);
    cr_assert_eq(growth_read(growth, 0, 2000, &r), 0);
    cr_assert(track(&r, "metrics-0")->rows[0].restarted);
    cr_assert_eq(sum_completed(track(&r, "metrics-0")), 500);
    reading_free(&r);
    growth_free(&growth);
}

Test(source_growth, one_that_was_not_there_has_counted_all_it_shows)
{
    struct reading r = {.n = 0};
    poll_at(1000, "x");
    stands("metrics-0", 10, 10);
    poll_at(2000, "x");
    stands("metrics-0", 12, 12);
    stands("metrics-1", 7, 6);
    cr_assert_eq(growth_read(growth, 0, 2000, &r), 0);
    cr_assert_eq(sum_completed(track(&r, "metrics-1")), 6);
    cr_assert_eq(sum_completed(track(&r, "")), 8);
    reading_free(&r);
    growth_free(&growth);
}

/* --- JSON --- */

Test(source_json, members_are_found_and_walked)
{
    static const char text[] = "{\"a\": [1, 2.5, \"x\"], \"b\": {\"c\": true}}";
    struct json_value root, value;
    cr_assert_eq(source_json_check((struct slice){text, sizeof(text) - 1}, &root, &err), 0);
    struct json_value a = source_json_member(&root, "a");
    struct source_json_walk walk = source_json_walk(&a);
    double number;
    cr_assert(source_json_next(&walk, NULL, &value) && source_json_number(&value, &number));
    cr_assert_eq(number, 1);
    cr_assert(source_json_next(&walk, NULL, &value) && source_json_number(&value, &number));
    cr_assert_eq(number, 2.5);
    cr_assert(source_json_next(&walk, NULL, &value) && !source_json_number(&value, &number));
    cr_assert(source_json_is_text(&value, "x"));
    cr_assert_not(source_json_next(&walk, NULL, &value));
    cr_assert_eq(source_json_check((struct slice){"[1,]", 4}, &root, &err), -1);
}
