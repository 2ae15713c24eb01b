/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admin_rates.c - moving averages, meters, spreads and the choice of a form.
 *
 * The expected averages are those of DropWizard Metrics' own test (EWMATest): three events, one
 * tick, then nothing; they are exp(-t / window) of the first rate, 0.6 a second.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <math.h>

#include "admin/accept.h"
#include "admin/meters.h"
#include "admin/spread.h"

enum { TICKS_A_MINUTE = 12 };

static void
expect_near(double got, double wanted, double tolerance)
{
    cr_assert(fabs(got - wanted) <= tolerance, "%.10g instead of %.10g", got, wanted);
}

Test(admin_ewma, is_what_dropwizards_own_test_expects)
{
    static const struct {
        unsigned minutes;
        double m1, m5, m15;
    } wanted[] = {{0, 0.6, 0.6, 0.6},
                  {1, 0.22072766, 0.49123845, 0.56130419},
                  {2, 0.08120117, 0.40219203, 0.52510399},
                  {3, 0.02987224, 0.32928698, 0.49123845},
                  {5, 0.00404277, 0.22072766, 0.42991879},
                  {15, 0.00000018, 0.02987224, 0.22072766}};
    struct ewma e = {.m1 = 0};
    unsigned minute = 0;
    ewma_tick(&e, 3);
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        for (; minute < wanted[i].minutes; minute++)
            for (unsigned k = 0; k < TICKS_A_MINUTE; k++)
                ewma_tick(&e, 0);
        expect_near(e.m1, wanted[i].m1, 1e-6);
        expect_near(e.m5, wanted[i].m5, 1e-6);
        expect_near(e.m15, wanted[i].m15, 1e-6);
    }
}

/* The formula, applied by hand to a schedule that goes up and down. */
Test(admin_ewma, follows_the_formula_on_a_known_schedule)
{
    static const uint64_t events[] = {0, 500, 500, 20, 0, 0, 7, 100000, 1, 250};
    const double alpha[] = {1 - exp(-5.0 / 60), 1 - exp(-5.0 / 300), 1 - exp(-5.0 / 900)};
    double wanted[3] = {0, 0, 0};
    struct ewma e = {.m1 = 0};
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        double rate = (double)events[i] / 5;
        for (size_t k = 0; k < 3; k++)
            wanted[k] = i == 0 ? rate : wanted[k] + alpha[k] * (rate - wanted[k]);
        ewma_tick(&e, events[i]);
    }
    expect_near(e.m1, wanted[0], 1e-9);
    expect_near(e.m5, wanted[1], 1e-9);
    expect_near(e.m15, wanted[2], 1e-9);
    cr_assert(e.m1 > e.m15, "the last minute was busier than the last fifteen: m1 is not m15");
}

/* --- meters --- */

static struct meters_sample
sample(const char *name, uint64_t count)
{
    struct meters_sample s = {.count = count};
    memcpy(s.name, name, strlen(name) + 1);
    return s;
}

Test(admin_meters, what_was_counted_before_they_began_is_not_theirs)
{
    struct meters *m = meters_new();
    struct meters_sample all[] = {sample("b", 1000), sample("a", 7)};
    cr_assert_eq(meters_tick(m, all, 2, 1), 0);
    expect_near(meters_find(m, "b").m1, 0, 0);
    struct meters_sample next[] = {sample("b", 1050), sample("c", 20), sample("a", 7)};
    cr_assert_eq(meters_tick(m, next, 3, 1), 0);
    expect_near(meters_find(m, "b").m1, 10, 1e-12);
    expect_near(meters_find(m, "c").m1, 4, 1e-12); /* it began in between, at 0 */
    expect_near(meters_find(m, "a").m15, 0, 0);
    expect_near(meters_find(m, "none").m1, 0, 0);
    meters_free(&m);
    cr_assert_null(m);
}

Test(admin_meters, ticks_that_were_missed_are_made_up_for)
{
    struct meters *m = meters_new();
    struct meters_sample all[] = {sample("a", 0)};
    struct ewma wanted = {.m1 = 0};
    cr_assert_eq(meters_tick(m, all, 1, 1), 0);
    all[0].count = 300;
    cr_assert_eq(meters_tick(m, all, 1, 4), 0);
    ewma_tick(&wanted, 300);
    for (int i = 0; i < 3; i++)
        ewma_tick(&wanted, 0);
    expect_near(meters_find(m, "a").m5, wanted.m5, 1e-12);
    meters_free(&m);
}

Test(admin_meters, a_count_that_went_back_gives_no_negative_rate)
{
    struct meters *m = meters_new();
    struct meters_sample all[] = {sample("a", 1000)};
    cr_assert_eq(meters_tick(m, all, 1, 1), 0);
    all[0].count = 10;
    cr_assert_eq(meters_tick(m, all, 1, 1), 0);
    expect_near(meters_find(m, "a").m1, 2, 1e-12);
    meters_free(&m);
}

/* --- spreads --- */

Test(admin_spread, of_nothing_is_all_zero)
{
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    struct stat_times none = {.min_ns = UINT64_MAX};
    struct spread s = spread_of(&none, counts);
    cr_assert(s.percentiles && s.min == 0 && s.max == 0 && s.mean == 0 && s.p999 == 0);
    cr_assert_not(spread_of(&none, NULL).percentiles);
}

Test(admin_spread, is_within_two_percent_of_the_samples_own)
{
    enum { N = 1000 };
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    struct stat_times t = {.count = N, .min_ns = UINT64_MAX};
    double mean = 0, squares = 0;
    for (uint64_t i = 1; i <= N; i++) { /* 1 ms, 2 ms .. 1 s */
        uint64_t ns = i * 1000000;
        counts[histogram_bucket(ns)]++;
        t.sum_ns += ns;
        t.min_ns = ns < t.min_ns ? ns : t.min_ns;
        t.max_ns = ns > t.max_ns ? ns : t.max_ns;
        mean += (double)i / 1000 / N;
    }
    for (uint64_t i = 1; i <= N; i++)
        squares += ((double)i / 1000 - mean) * ((double)i / 1000 - mean);
    struct spread s = spread_of(&t, counts);
    expect_near(s.min, 0.001, 1e-12);
    expect_near(s.max, 1, 1e-12);
    expect_near(s.mean, mean, 1e-9);
    expect_near(s.p50, 0.5, 0.01);
    expect_near(s.p75, 0.75, 0.015);
    expect_near(s.p95, 0.95, 0.019);
    expect_near(s.p98, 0.98, 0.0196);
    expect_near(s.p99, 0.99, 0.0198);
    expect_near(s.p999, 0.999, 0.02);
    expect_near(s.stddev, sqrt(squares / (N - 1)), 0.006);
    cr_assert(s.min <= s.p50 && s.p50 <= s.p99 && s.p99 <= s.max);
}

/* --- Accept --- */

Test(admin_accept, any_or_none_is_json)
{
    static const char *const json[] = {
        "*/*",
        "",
        "application/json",
        "application/*",
        "image/png",
        "text/plain;q=0",
        "  */* ",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
        "application/json, text/plain",
        "application/json;q=0.5, text/plain;q=0.4",
        "text/plain;q=0.1, application/json;q=0.11",
        "text",
        "/",
        ";;;,,,",
        "*/*;q=0.5,text/html"};
    cr_assert_eq(accept_choose(NULL), ACCEPT_JSON);
    for (size_t i = 0; i < COUNT_OF(json); i++)
        cr_assert_eq(accept_choose(json[i]), ACCEPT_JSON, "%s", json[i]);
}

Test(admin_accept, text_is_prometheus_unless_openmetrics_is_wanted_more)
{
    static const char scraper[] =
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q="
        "0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    cr_assert_eq(accept_choose(scraper), ACCEPT_OPENMETRICS);
    cr_assert_eq(accept_choose_text(scraper), ACCEPT_OPENMETRICS);
    cr_assert_eq(accept_choose("text/plain"), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose("TEXT/Plain; version=0.0.4"), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose("text/*"), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose("*/*;q=0.2, text/plain;q=0.3"), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose("application/json;q=0.999,text/plain;q=1.000"), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose_text(NULL), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose_text("*/*"), ACCEPT_PROMETHEUS);
    cr_assert_eq(accept_choose_text("application/openmetrics-text"), ACCEPT_OPENMETRICS);
}
