/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pstats_format.c - numbers, durations, names and bars as pstats shows them; rates; the list.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "pstats/pstats_format.h"
#include "pstats/pstats_list.h"
#include "pstats/pstats_rates.h"
#include "tests/unit/man_page.h"

static char text[PSTATS_TEXT_BYTES];
static struct buf out;

static void
prepare(void)
{
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    buf_init(&out, 1 << 20);
}

static void
clean_up(void)
{
    buf_free(&out);
}

TestSuite(pstats_format, .init = prepare, .fini = clean_up);
TestSuite(pstats_rates, .init = prepare, .fini = clean_up);

static const char *
written(void)
{
    buf_add_char(&out, '\0');
    out.size = 0;
    return out.data;
}

Test(pstats_format, counts_have_at_most_four_characters)
{
    cr_assert_str_eq(pstats_write_count(text, 0), "0");
    cr_assert_str_eq(pstats_write_count(text, 9999), "9999");
    cr_assert_str_eq(pstats_write_count(text, 10000), "10k");
    cr_assert_str_eq(pstats_write_count(text, 999999), "999k");
    cr_assert_str_eq(pstats_write_count(text, 1000000), "1.0M");
    cr_assert_str_eq(pstats_write_count(text, 9999999), "9.9M");
    cr_assert_str_eq(pstats_write_count(text, UINT64_MAX), "?");
    for (uint64_t n = 1; n < UINT64_MAX / 3; n = n * 3 + 1)
        cr_assert_leq(strlen(pstats_write_count(text, n)), 4u, "%s", text);
}

Test(pstats_format, rates_tell_a_little_from_nothing)
{
    cr_assert_str_eq(pstats_write_rate(text, -1), "-");
    cr_assert_str_eq(pstats_write_rate(text, 0), "0");
    cr_assert_str_eq(pstats_write_rate(text, 0.004), "0.1");
    cr_assert_str_eq(pstats_write_rate(text, 9.9), "9.9");
    cr_assert_str_eq(pstats_write_rate(text, 9.96), "10");
    cr_assert_str_eq(pstats_write_rate(text, 12345.6), "12k");
}

Test(pstats_format, durations_have_at_most_five_characters)
{
    cr_assert_str_eq(pstats_write_duration(text, 0), "0.0us");
    cr_assert_str_eq(pstats_write_duration(text, 999), "0.9us");
    cr_assert_str_eq(pstats_write_duration(text, 999999), "999us");
    cr_assert_str_eq(pstats_write_duration(text, 1250000), "1.2ms");
    cr_assert_str_eq(pstats_write_duration(text, 119999999999), "119s");
    cr_assert_str_eq(pstats_write_duration(text, 120000000000), "2.0m");
    cr_assert_str_eq(pstats_write_duration(text, UINT64_MAX), "-");
    for (uint64_t ns = 1; ns < UINT64_C(8000000000000000000) / 3; ns = ns * 3 + 1)
        cr_assert_leq(strlen(pstats_write_duration(text, ns)), ns < 1000000000000000 ? 5u : 7u,
                      "%s", text);
}

/* What a text says, in ns. */
static double
meaning(const char *of)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
    char *end;
    double value = strtod(of, &end);
    end += *end == ' ';
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (strcmp(end, units[i].name) == 0)
            return value * units[i].ns;
    cr_assert_fail("%s", of);
    return 0;
}

Test(pstats_format, a_longer_duration_never_looks_shorter)
{
    double before = 0, before_long = 0;
    for (uint64_t ns = 1; ns < UINT64_C(1000000000000000); ns += 1 + ns / 997) {
        double now = meaning(pstats_write_duration(text, ns));
        cr_assert(now >= before && now <= (double)ns && now > (double)ns * 0.89 - 100,
                  "%llu ns: %s", (unsigned long long)ns, text);
        before = now;
        now = meaning(pstats_write_duration_long(text, ns));
        cr_assert(now >= before_long * 0.9999999 && now <= (double)ns * 1.0000001, "%llu ns: %s",
                  (unsigned long long)ns, text);
        before_long = now;
    }
}

Test(pstats_format, ages_and_uptimes)
{
    cr_assert_str_eq(pstats_write_age(text, -5), "0s");
    cr_assert_str_eq(pstats_write_age(text, 119999), "119s");
    cr_assert_str_eq(pstats_write_age(text, 120000), "2m");
    cr_assert_str_eq(pstats_write_age(text, 7200000), "2h");
    cr_assert_str_eq(pstats_write_age(text, INT64_C(864000000)), "10d");
    cr_assert_str_eq(pstats_write_uptime(text, 7000), "00:00:07");
    cr_assert_str_eq(pstats_write_uptime(text, (86400 + 7384) * INT64_C(1000)), "1d 02:03:04");
}

Test(pstats_format, text_is_cut_by_columns_and_made_harmless)
{
    cr_assert_eq(pstats_add_cut(&out, "a\x1b[31mb\n", 80, true), 8u);
    cr_assert_str_eq(written(), "a?[31mb?");
    cr_assert_eq(pstats_add_cut(&out, "\xc3\xa4\xe4\xb8\xad\xe4\xb8\xad", 4, true), 3u);
    cr_assert_str_eq(written(), "\xc3\xa4\xe4\xb8\xad");
    pstats_add_cut(&out, "\xc3\xa4z\xff", 80, false);
    cr_assert_str_eq(written(), "??z?");
    pstats_add_cut(&out, "\xff\xc3", 80, true);
    cr_assert_str_eq(written(), "??");
}

Test(pstats_format, names_keep_their_number)
{
    pstats_add_name(&out, "metrics-0", 12);
    cr_assert_str_eq(written(), "metrics-0   ");
    pstats_add_name(&out, "alarm-state-transitions-12", 11);
    cr_assert_str_eq(written(), "alarm-~s-12");
}

Test(pstats_format, bars_tell_nothing_from_a_little_and_from_none)
{
    const double values[] = {-1, 0, 1, 500, 1000};
    pstats_add_sparkline(&out, values, COUNT_OF(values), false);
    cr_assert_str_eq(written(), " _.=#");
    pstats_add_sparkline(&out, values, COUNT_OF(values), true);
    cr_assert_str_eq(written(), " ▁▂▅█");
    const double zeros[] = {0, 0};
    pstats_add_sparkline(&out, zeros, 2, false);
    cr_assert_str_eq(written(), "__");
}

/* --- rates --- */

static struct snapshot
snapshot_at(int64_t taken_ms, uint64_t received, struct snapshot_process *p)
{
    struct snapshot s = {.taken_ms = taken_ms, .started_ms = 1, .master_pid = 7, .n_processes = 1};
    s.totals.values[STAT_RECEIVED] = p->lifetime.values[STAT_RECEIVED] = received;
    s.processes = p;
    return s;
}

Test(pstats_rates, are_per_second_and_never_negative)
{
    static struct snapshot_process p = {.slot = 1, .name = "metrics-0"};
    static struct rates r;
    struct snapshot s = snapshot_at(1000, 100, &p);
    cr_assert_eq(rates_update(&r, &s), 0);
    cr_assert_lt(r.per_second[STAT_RECEIVED], 0, "nothing to compare with, no period");
    s = snapshot_at(1500, 150, &p);
    cr_assert_eq(rates_update(&r, &s), 0);
    cr_assert_eq(r.per_second[STAT_RECEIVED], 100);
    cr_assert_eq(rates_find(&r, &p)->received_per_second, 100);
    cr_assert_lt(r.per_second[STAT_LAG], 0, "no counter");
    s = snapshot_at(2500, 20, &p); /* less than before */
    cr_assert_eq(rates_update(&r, &s), 0);
    cr_assert_lt(r.per_second[STAT_RECEIVED], 0);
    s = snapshot_at(2500, 30, &p); /* no time went by */
    cr_assert_eq(rates_update(&r, &s), 0);
    cr_assert_lt(r.per_second[STAT_RECEIVED], 0);
    rates_free(&r);
}

Test(pstats_rates, begin_anew_with_another_master_and_another_process)
{
    static struct snapshot_process p = {.slot = 1, .name = "metrics-0"};
    static struct rates r;
    struct snapshot s = snapshot_at(1000, 100, &p);
    cr_assert_eq(rates_update(&r, &s), 0);
    snprintf(p.name, sizeof(p.name), "alarms-0");
    s = snapshot_at(2000, 300, &p);
    cr_assert_eq(rates_update(&r, &s), 0);
    cr_assert_eq(r.per_second[STAT_RECEIVED], 200);
    cr_assert_lt(rates_find(&r, &p)->received_per_second, 0, "somebody else was in the slot");
    s = snapshot_at(3000, 5000, &p);
    s.started_ms = 2500;
    s.period = 1;
    s.period_length_ms = 500;
    s.last_period.values[STAT_RECEIVED] = 10;
    cr_assert_eq(rates_update(&r, &s), 0);
    cr_assert_eq(r.per_second[STAT_RECEIVED], 20, "of the last period");
    rates_free(&r);
}

/* --- the list --- */

Test(pstats_format, the_list_has_every_figure)
{
    pstats_write_list(&out, NULL);
    const char *list = written();
    for (unsigned i = 0; i < STAT_VALUES + STAT_TIMINGS; i++) {
        const struct stat_descriptor *d =
            i < STAT_VALUES ? &stat_values[i] : &stat_timings[i - STAT_VALUES];
        char start[64];
        snprintf(start, sizeof(start), "\n%s ", d->name);
        cr_assert_not_null(strstr(list, start), "%s", d->name);
        cr_assert_not_null(strstr(list, d->help), "%s", d->name);
    }
}

Test(pstats_format, the_man_page_has_the_list_of_now)
{
    pstats_write_man(&out);
    cr_assert_str_eq(man_page_find_list("pstats.1", "figures"), written(),
                     "make it anew: doc/make-lists");
}
