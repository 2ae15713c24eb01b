/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_load.c - what persister-load makes up, held against the decoder of the persister; its pace
 * and its progress.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "perf/load/load.h"
#include "record/decode.h"

enum { MESSAGES = 20000 };

static struct payload_options options = {.seed = 7,
                                         .tenants = 3,
                                         .hosts = 40,
                                         .names = 15,
                                         .start_ms = 1790000000000,
                                         .step_us = 10,
                                         .run = ""};

/* Returns: whether the persister takes it. */
static bool
is_taken(struct decoder *decoder, uint64_t number, struct record *record)
{
    static char bytes[PAYLOAD_MAX]; /* the record points into it */
    struct reject why;
    size_t n = payload_format(&options, number, bytes);
    enum topic_kind kind = options.kind == PAYLOAD_METRICS ? TOPIC_METRICS : TOPIC_ALARM_HISTORY;
    return decoder_decode(decoder, kind, (struct slice){bytes, n}, record, &why) == 0;
}

static void
expect_verdicts(void)
{
    struct decoder *decoder = decoder_new(1 << 20);
    struct record record;
    size_t seen[64] = {0};
    for (uint64_t i = 0; i < MESSAGES; i++) {
        bool bad = payload_is_bad(&options, i);
        const char *name = payload_bad_name(options.kind, payload_bad_kind(&options, i));
        cr_assert_eq(is_taken(decoder, i, &record), !bad, "number %llu: %s", (unsigned long long)i,
                     bad ? name : "good");
        seen[payload_bad_kind(&options, i)] += bad;
    }
    for (size_t i = 0; i < payload_bad_kinds(options.kind); i++)
        cr_assert_gt(seen[i], 0u, "%s never came", payload_bad_name(options.kind, i));
    decoder_free(&decoder);
}

Test(load, every_bad_metric_is_rejected_and_every_good_one_taken)
{
    options.bad_percent = 30;
    options.dimensions = 5;
    expect_verdicts();
}

Test(load, every_bad_alarm_is_rejected_and_every_good_one_taken)
{
    options.kind = PAYLOAD_ALARMS;
    options.bad_percent = 30;
    expect_verdicts();
}

Test(load, the_same_seed_gives_the_same_bytes_another_one_others)
{
    char a[PAYLOAD_MAX], b[PAYLOAD_MAX];
    size_t different = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        size_t n = payload_format(&options, i, a);
        cr_assert_eq(payload_format(&options, i, b), n);
        cr_assert_eq(memcmp(a, b, n), 0);
        struct payload_options other = options;
        other.seed = 8;
        different += payload_format(&other, i, b) != n || memcmp(a, b, n) != 0;
    }
    cr_assert_gt(different, 990u);
}

Test(load, distinct_ones_say_their_number_and_are_a_ms_apart)
{
    struct decoder *decoder = decoder_new(1 << 20);
    struct record record;
    options.distinct = true;
    options.bad_percent = 5;
    options.duplicate_percent = 10;
    size_t repeated = 0;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        if (!is_taken(decoder, i, &record))
            continue;
        uint64_t original = payload_original(&options, i);
        cr_assert_leq(original, i);
        cr_assert_eq(payload_original(&options, original), original);
        cr_assert_not(payload_is_bad(&options, original));
        cr_assert_eq(record.measurement.time_ms, options.start_ms + (int64_t)original);
        char number[24];
        int n = snprintf(number, sizeof(number), "%llu", (unsigned long long)original);
        cr_assert_eq(record.measurement.value_text.n, (size_t)n);
        cr_assert_eq(memcmp(record.measurement.value_text.p, number, (size_t)n), 0);
        repeated += original != i;
    }
    cr_assert_gt(repeated, MESSAGES / 100 * 8u);
    cr_assert_lt(repeated, MESSAGES / 100 * 12u);
    decoder_free(&decoder);
}

Test(load, series_are_as_many_as_it_says)
{
    options.hosts = 7;
    options.names = 33;
    cr_assert_eq(payload_series(&options), 231u);
    uint8_t seen[231] = {0};
    for (uint64_t i = 0; i < 231; i++)
        seen[payload_series_of(&options, i)]++;
    for (size_t i = 0; i < 231; i++)
        cr_assert_eq(seen[i], 1);
    options.kind = PAYLOAD_ALARMS;
    cr_assert_eq(payload_series(&options), 0u);
}

Test(load, what_the_store_would_call_a_series_is_one)
{
    struct decoder *decoder = decoder_new(1 << 20);
    options.hosts = 3;
    options.names = 20;
    char *texts[60];
    char bytes[PAYLOAD_MAX];
    for (uint64_t i = 0; i < 60; i++) {
        struct record record;
        cr_assert(is_taken(decoder, i, &record));
        /* The bytes from the name up to the value, and the tenant. */
        size_t n = payload_format(&options, i, bytes);
        bytes[n] = '\0';
        char *name = strstr(bytes, "\"name\""), *value = strstr(bytes, ", \"value\": ");
        *value = '\0';
        char *tenant = strstr(value + 1, "\"tenantId\"");
        tenant[50] = '\0';
        cr_assert_neq(asprintf(&texts[i], "%s%s", name, tenant), -1);
        for (uint64_t k = 0; k < i; k++)
            cr_assert_str_neq(texts[k], texts[i]);
    }
    for (uint64_t i = 60; i < 120; i++) {
        size_t n = payload_format(&options, i, bytes);
        bytes[n] = '\0';
        *strstr(bytes, ", \"value\": ") = '\0';
        char *name = strstr(bytes, "\"name\"");
        cr_assert_eq(strncmp(texts[i - 60], name, strlen(name)), 0, "they come again");
    }
    decoder_free(&decoder);
}

Test(load, the_pace_is_exact_however_long_it_goes_on)
{
    const int64_t second = 1000000000;
    cr_assert_eq(load_due(1, 0), 1u);
    cr_assert_eq(load_due(1, second - 1), 1u);
    cr_assert_eq(load_due(1, second), 2u);
    cr_assert_eq(load_due(3, second), 4u);
    cr_assert_eq(load_due(200000, second / 100), 2001u);
    int64_t year = 365LL * 86400;
    cr_assert_eq(load_due(100000000, year * second), (uint64_t)year * 100000000u + 1);
    for (int64_t ns = 0; ns < second; ns += 999983)
        cr_assert_eq(load_due(777, ns), (uint64_t)((__int128)ns * 777 / second) + 1);
}

static void
expect_line(const char *line, uint64_t done, uint64_t all, int64_t ms, int64_t seconds, bool bar)
{
    char text[160];
    load_describe(text, sizeof(text), done, all, ms, seconds, bar);
    cr_assert_str_eq(text, line);
}

Test(load, progress_says_how_far_and_how_long)
{
    expect_line(" 25 %  250 of 1000 delivered, 100/s, 8 s left", 250, 1000, 2500, -1, false);
    expect_line("[###############---------------]  50 %  500 of 1000 delivered, 500/s, 1 s left",
                500, 1000, 1000, -1, true);
    expect_line("100 %  1000 of 1000 delivered, 1000/s, 0 s left", 1000, 1000, 1000, -1, false);
    expect_line(" 30 %  30 delivered, 10/s, 7 s left", 30, 0, 3000, 10, false);
    expect_line("5 delivered, 5/s", 5, 0, 1000, -1, false);
    expect_line("  0 %  0 of 10 delivered, 0/s, 0 s left", 0, 10, 0, -1, false);
    /* Whichever of the two comes first. */
    expect_line(" 50 %  10 of 1000 delivered, 2/s, 5 s left", 10, 1000, 5000, 10, false);
}
