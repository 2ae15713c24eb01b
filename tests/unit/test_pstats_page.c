/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pstats_page.c - what the live view shows, without a terminal: for screens of every size,
 * with filters, orders and scrolling.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/ledger.h"
#include "pstats/pstats_page.h"

enum { WORKERS = 30 };

static struct segment segment;
static struct ledger *ledger;
static struct source source;
static struct rates rates;
static struct page page;
static struct page_view view;
static struct snapshot_period periods[SHM_PERIODS];
static uint64_t buckets[HISTOGRAM_BUCKETS];
static struct recorder *recorders[WORKERS + 1];

static void
look(void)
{
    struct errbuf err;
    cr_assert_eq(snapshot_take(source.reader, &source.snapshot, &err), 0, "%s", err.text);
    cr_assert_eq(rates_update(&rates, &source.snapshot), 0);
}

static void
prepare(void)
{
    struct errbuf err;
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    cr_assert_eq(segment_create_private(&segment, "unit", WORKERS, 1000, &err), 0, "%s", err.text);
    ledger = ledger_new(&segment);
    for (unsigned i = 1; i <= WORKERS; i++) {
        char name[64];
        bool alarms = i > 20;
        snprintf(name, sizeof(name), "%s-%u", alarms ? "alarms" : "metrics",
                 alarms ? i - 21 : i - 1);
        ledger_assign(ledger, i, name, alarms ? "alarms" : "metrics", alarms ? i - 21 : i - 1);
        ledger_start(ledger, i);
        ledger_started(ledger, i, 1000000 + (int)i);
        recorders[i] = recorder_new(&segment, i);
        recorder_set_state(recorders[i], SLOT_CONSUMING);
        recorder_set(recorders[i], STAT_LAG, i == 7 ? STAT_UNKNOWN : i * 100);
        recorder_add(recorders[i], STAT_RECEIVED, 1000 * i);
        recorder_add(recorders[i], STAT_COMPLETED, 1000 * i);
        recorder_time(recorders[i], STAT_REQUEST, (int64_t)i * 1000000, 1000 * i);
        recorder_publish(recorders[i]);
    }
    ledger_set_master(ledger, MASTER_RUNNING);
    ledger_turn(ledger);
    ledger_close_period(ledger, segment.header->started_mono_ms + 1000);
    source_init(&source, "/run/unit.shm", segment_reader(&segment), 0);
    look();
    page_init(&page);
    view = (struct page_view){.columns = 80, .lines = 24, .utf8 = true, .interval_ms = 1000};
}

static void
clean_up(void)
{
    page_free(&page);
    rates_free(&rates);
    source_free(&source);
    for (unsigned i = 1; i <= WORKERS; i++)
        recorder_free(&recorders[i]);
    ledger_free(&ledger);
    segment_close(&segment);
}

TestSuite(pstats_page, .init = prepare, .fini = clean_up);

static void
draw(void)
{
    struct page_data data = {.source = &source,
                             .rates = &rates,
                             .periods = periods,
                             .n_periods = snapshot_periods(source.reader, periods, SHM_PERIODS),
                             .buckets = buckets};
    memcpy(buckets, snapshot_buckets(source.reader, view.timing), sizeof(buckets));
    page_draw(&page, &view, &data);
}

/* A line of the page; "" where there is none. Lasts until the next call. */
static const char *
line(unsigned i)
{
    static char text[4 * PAGE_COLUMNS_MAX + 1];
    size_t n = i < page.n ? page.rows[i].size : 0;
    if (n > 0)
        memcpy(text, page.text.data + page.rows[i].at, n);
    text[n] = '\0';
    return text;
}

/* Returns: the first line with the text, or -1. */
static int
find(const char *what)
{
    for (unsigned i = 0; i < page.n; i++)
        if (strstr(line(i), what) != NULL)
            return (int)i;
    return -1;
}

Test(pstats_page, has_instance_processes_and_keys_in_80_by_24)
{
    draw();
    cr_assert_eq(page.n, 24u);
    cr_assert_not_null(strstr(line(0), "unit  running  pid "));
    cr_assert_not_null(strstr(line(1), "received "));
    cr_assert_not_null(strstr(line(2), "request  avg 20ms  min 1.0ms  max 30ms  p50 "));
    cr_assert_not_null(strstr(line(3), "completed/s "));
    cr_assert_not_null(strstr(line(23), "q quit"));
    int head = find("PROCESS");
    cr_assert(head > 0);
    cr_assert_eq(page.rows[head].style, PAGE_HEAD);
    cr_assert_eq(page.rows[head].size, 80u, "the whole width");
    cr_assert_not_null(strstr(line((unsigned)head + 1), "21 alarms-0"));
    cr_assert_not_null(strstr(line((unsigned)head + 1), " consuming "));
    cr_assert_not_null(strstr(line((unsigned)head + 1), " 2100  21ms  21ms  21ms   0"));
}

Test(pstats_page, keeps_every_column_within_80)
{
    draw();
    int row = find("21 alarms-0");
    cr_assert(row > 0);
    cr_assert_leq(page.rows[row].size, 80u);
    cr_assert_str_eq(line((unsigned)row) + page.rows[row].size - 3, "  0", "restarts come last");
}

Test(pstats_page, fits_screens_of_any_size)
{
    static const unsigned sizes[] = {1, 2, 3, 5, 8, 11, 24, 40, 79, 80, 81, 132, 300, 512, 4000};
    for (size_t c = 0; c < COUNT_OF(sizes); c++)
        for (size_t l = 0; l < COUNT_OF(sizes); l++)
            for (unsigned kind = PAGE_PROCESSES; kind <= PAGE_HELP; kind++)
                for (unsigned utf8 = 0; utf8 < 2; utf8++) {
                    view.columns = sizes[c];
                    view.lines = sizes[l];
                    view.kind = (enum page_kind)kind;
                    view.utf8 = utf8 != 0;
                    draw();
                    cr_assert_leq(page.n, sizes[l]);
                    for (unsigned i = 0; i < page.n; i++)
                        cr_assert_leq(page.rows[i].size, sizes[c] * (utf8 != 0 ? 3 : 1));
                }
}

Test(pstats_page, filters_by_topic)
{
    snprintf(view.filter, sizeof(view.filter), "etric");
    view.lines = 60;
    draw();
    cr_assert_eq(find("alarms-"), -1);
    for (unsigned i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof(name), " metrics-%u ", i);
        cr_assert(find(name) > 0, "%s", name);
    }
    cr_assert_not_null(strstr(line((unsigned)find("PROCESS")), "PROCESS"));
    snprintf(view.filter, sizeof(view.filter), "nothing");
    draw();
    cr_assert_eq(find("metrics-"), -1);
}

Test(pstats_page, sorts_by_any_column_and_reversed)
{
    view.lines = 60;
    view.sort = PAGE_BY_LAG;
    draw();
    unsigned first = (unsigned)find("PROCESS") + 1;
    cr_assert_not_null(strstr(line(first), "30 alarms-9"));
    cr_assert_not_null(strstr(line(first + 29), " 7 metrics-6"), "unknown comes last: %s",
                       line(first + 29));
    view.reverse = true;
    draw();
    cr_assert_not_null(strstr(line(first), " 7 metrics-6"));
    cr_assert_not_null(strstr(line(first + 29), "30 alarms-9"));
    view.reverse = false;
    view.sort = PAGE_BY_SLOT;
    draw();
    cr_assert_not_null(strstr(line(first), " 1 metrics-0"));
    view.sort = PAGE_BY_MAX;
    draw();
    cr_assert_not_null(strstr(line(first), "30 alarms-9"));
    for (unsigned sort = 0; sort < PAGE_SORTS; sort++) {
        view.sort = (enum page_sort)sort;
        draw();
        cr_assert_eq(page.n, 60u);
    }
}

Test(pstats_page, scrolls_no_further_than_the_last_screen)
{
    view.sort = PAGE_BY_SLOT;
    view.scroll = 3;
    draw();
    unsigned first = (unsigned)find("PROCESS") + 1;
    cr_assert_not_null(strstr(line(first), " 4 metrics-3"));
    view.scroll = SIZE_MAX;
    draw();
    cr_assert_not_null(strstr(line(22), "30 alarms-9"));
    cr_assert_not_null(strstr(line(23), "q quit"));
    cr_assert_eq(view.scroll, WORKERS - (23 - first));
    /* One that waits takes two lines; the last is still within reach. */
    recorder_set_wait(recorders[30], "influxdb", "refused");
    recorder_publish(recorders[30]);
    look();
    view.scroll = SIZE_MAX;
    draw();
    cr_assert_not_null(strstr(line(22), "influxdb: refused"));
    cr_assert_not_null(strstr(line(21), "30 alarms-9"));
}

Test(pstats_page, says_why_a_process_waits)
{
    recorder_set_state(recorders[1], SLOT_RETRYING);
    recorder_set(recorders[1], STAT_STORE_TRIES, 3);
    recorder_set_wait(recorders[1], "influxdb", "HTTP 503\x1b[2J");
    recorder_publish(recorders[1]);
    look();
    view.sort = PAGE_BY_SLOT;
    draw();
    int row = find(" retrying ");
    cr_assert(row > 0);
    cr_assert_eq(page.rows[row].style, PAGE_WARN);
    cr_assert_not_null(strstr(line((unsigned)row + 1), "waits 0s, 3 tries"));
    cr_assert_not_null(strstr(line((unsigned)row + 1), ": influxdb: HTTP 503?[2J"));
}

Test(pstats_page, says_stale_in_words)
{
    source.origin.stale = true;
    source.origin.age_ms = 42000;
    snprintf(source.origin.stale_reason, sizeof(source.origin.stale_reason), "master 1 died");
    errbuf_set(&source.trouble, "of another version");
    draw();
    cr_assert_not_null(strstr(line(0), "STALE for 42s: master 1 died"));
    cr_assert_eq(page.rows[0].style, PAGE_BAD);
    cr_assert(find("what is there now: of another version") > 0);
}

Test(pstats_page, says_paused_and_what_is_typed)
{
    view.paused = true;
    view.typing = true;
    snprintf(view.filter, sizeof(view.filter), "met");
    draw();
    cr_assert_not_null(strstr(line(0), "PAUSED"));
    cr_assert_not_null(strstr(line(23), "topic contains: met_"));
}

Test(pstats_page, histogram_adds_up)
{
    view.kind = PAGE_HISTOGRAM;
    draw();
    cr_assert_not_null(strstr(line(1), "request  avg 20ms"));
    unsigned long long sum = 0;
    unsigned bars = 0;
    for (unsigned i = 4; i + 1 < page.n; i++) {
        const char *to = strstr(line(i), " to ");
        if (to == NULL)
            continue;
        sum += strtoull(to + 10, NULL, 10);
        bars++;
    }
    cr_assert_eq(sum, 465000u, "%llu", sum); /* 1000 * (1 + .. + 30) */
    cr_assert_gt(bars, 10u);
    cr_assert(find(" 100.00% ") > 0);
    view.timing = STAT_WRITE;
    draw();
    cr_assert_not_null(strstr(line(1), "write  none"));
}

Test(pstats_page, ascii_where_the_locale_is_none_of_utf_8)
{
    view.utf8 = false;
    for (unsigned kind = PAGE_PROCESSES; kind <= PAGE_HELP; kind++) {
        view.kind = (enum page_kind)kind;
        draw();
        for (size_t i = 0; i < page.text.size; i++)
            cr_assert(page.text.data[i] >= ' ' && page.text.data[i] <= '~');
    }
}
