/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_statsd_report.c - what is told of given snapshots: differences, levels, windows; that what
 * is told adds up over deaths, removals and losses.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/num.h"
#include "statsd/statsd_report.h"
#include "statsd/statsd_window.h"

enum { SLOTS = 4, PACKET = 1400, MS = 1000000 };

static struct snapshot_process processes[SLOTS];
static struct snapshot snapshot;
static struct statsd_window instance, windows[SLOTS];
static struct statsd_report *report;
static struct statsd_packets packets;
static struct statsd_style style;
static struct buf told; /* all lines of the last interval, each ended by a newline */

static void
set_up(void)
{
    snapshot = (struct snapshot){.processes = processes};
    memset(processes, 0, sizeof(processes));
    memset(&instance, 0, sizeof(instance));
    memset(windows, 0, sizeof(windows));
    style = (struct statsd_style){
        .prefix = "m.", .hostname = "host", .instance = "inst", .per_process = true};
    report = statsd_report_new();
    cr_assert_not_null(report);
    statsd_packets_init(&packets, PACKET);
    buf_init(&told, 1 << 22);
}

static void
tear_down(void)
{
    statsd_report_free(&report);
    statsd_packets_free(&packets);
    buf_free(&told);
}

TestSuite(statsd_report, .init = set_up, .fini = tear_down);

/* Puts a process at the snapshot's end; topics come in order in these tests. */
static struct snapshot_process *
add_process(unsigned slot, const char *topic, unsigned number)
{
    struct snapshot_process *p = &processes[snapshot.n_processes++];
    *p = (struct snapshot_process){.slot = slot, .number = number, .pid = 1000 + (int)slot};
    snprintf(p->topic, sizeof(p->topic), "%s", topic);
    if (topic[0] != '\0')
        snprintf(p->name, sizeof(p->name), "%s-%u", topic, number);
    else
        snprintf(p->name, sizeof(p->name), "retention");
    return p;
}

static void
count_messages(struct snapshot_process *p, uint64_t received, uint64_t completed)
{
    p->lifetime.values[STAT_RECEIVED] += received;
    p->lifetime.values[STAT_COMPLETED] += completed;
    snapshot.totals.values[STAT_RECEIVED] += received;
    snapshot.totals.values[STAT_COMPLETED] += completed;
    p->totals.values[STAT_IN_FLIGHT] = received - completed;
}

static void
write_interval(bool counters_only)
{
    struct statsd_content content = {.snapshot = &snapshot,
                                     .instance = counters_only ? NULL : &instance,
                                     .processes = counters_only ? NULL : windows};
    statsd_packets_clear(&packets, PACKET);
    buf_clear(&told);
    (void)statsd_report_write(report, &style, &content, &packets);
    for (size_t i = 0; i < packets.n; i++) {
        buf_add_slice(&told, statsd_packets_get(&packets, i));
        buf_add_char(&told, '\n');
    }
    buf_add_char(&told, '\0');
}

static void
tell(void)
{
    cr_assert_eq(statsd_report_take(report, &snapshot), 0);
    write_interval(false);
}

#define OF_INSTANCE                                                                                \
    "#{'hostname': 'host', 'service': 'monitoring', 'component': 'monasca-persister', "            \
    "'instance': 'inst', 'scope': 'instance'}"
#define OF_PROCESS(topic, name)                                                                    \
    "#{'hostname': 'host', 'service': 'monitoring', 'component': 'monasca-persister', "            \
    "'instance': 'inst', 'scope': 'process', 'topic': '" topic "', 'process': '" name "'}"

static bool
says(const char *line)
{
    size_t n = strlen(line);
    for (const char *at = told.data; (at = strstr(at, line)) != NULL; at++)
        if ((at == told.data || at[-1] == '\n') && at[n] == '\n')
            return true;
    return false;
}

#define assert_says(line) cr_assert(says(line), "%s is not in\n%s", (line), told.data)

Test(statsd_report, the_start_tells_a_0_of_every_counter_and_no_more)
{
    add_process(1, "metrics", 0);
    cr_assert_eq(statsd_report_take(report, &snapshot), 0);
    write_interval(true);
    size_t counters = 0, lines = 0;
    for (unsigned v = 0; v < STAT_VALUES; v++)
        counters += stat_values[v].nature == STAT_COUNTER && stat_values[v].statsd[0] != '\0';
    for (const char *p = told.data; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    cr_assert_eq(lines, 2 * counters);
    assert_says("m.requests.received:0|c|" OF_INSTANCE);
    assert_says("m.requests.rejected:0|c|" OF_INSTANCE);
    assert_says("m.requests.completed:0|c|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.workers.restarts:0|c|" OF_PROCESS("metrics", "metrics-0"));
    cr_assert_null(strstr(told.data, "|g|"));
}

Test(statsd_report, counters_are_differences_and_gauges_levels)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    count_messages(p, 10, 7);
    snapshot.totals.values[STAT_IN_FLIGHT] = 3;
    snapshot.totals.values[STAT_WORKERS_RUNNING] = 1;
    tell();
    assert_says("m.requests.received:10|c|" OF_INSTANCE);
    assert_says("m.requests.completed:7|c|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.in_flight:3|g|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.workers.running:1|g|" OF_INSTANCE);
    assert_says("m.workers.running:1|g|" OF_PROCESS("metrics", "metrics-0"));
    count_messages(p, 5, 5);
    tell();
    assert_says("m.requests.received:5|c|" OF_INSTANCE);
    assert_says("m.requests.completed:5|c|" OF_PROCESS("metrics", "metrics-0"));
    tell();
    assert_says("m.requests.received:0|c|" OF_INSTANCE);
}

Test(statsd_report, what_is_unknown_is_not_told)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    p->totals.values[STAT_LAG] = STAT_UNKNOWN;
    snapshot.totals.values[STAT_LAG] = 0;
    tell();
    assert_says("m.lag:0|g|" OF_INSTANCE);
    cr_assert_null(strstr(told.data, "m.lag:18"));
    cr_assert(!says("m.lag:0|g|" OF_PROCESS("metrics", "metrics-0")));
}

Test(statsd_report, a_dead_worker_is_told_under_its_name)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    count_messages(p, 10, 10);
    tell();
    count_messages(p, 4, 4); /* since then; then it dies and another takes over */
    p->generation = 2;
    p->restarts = 1;
    snapshot.totals.values[STAT_RESTARTS] = 1;
    count_messages(p, 2, 2);
    tell();
    assert_says("m.requests.received:6|c|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.workers.restarts:1|c|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.workers.restarts:1|c|" OF_INSTANCE);
}

Test(statsd_report, a_removed_worker_is_told_under_its_name_once_more)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    count_messages(p, 10, 10);
    tell();
    count_messages(p, 4, 3);
    cr_assert_eq(statsd_report_take(report, &snapshot), 0);
    statsd_report_forget(report, 1);
    snapshot.n_processes = 0;
    p = add_process(1, "alarms", 0); /* the slot has a new owner */
    count_messages(p, 1, 1);
    tell();
    assert_says("m.requests.completed:3|c|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.requests.completed:1|c|" OF_PROCESS("alarms", "alarms-0"));
    assert_says("m.requests.completed:4|c|" OF_INSTANCE);
    tell();
    cr_assert_null(strstr(told.data, "metrics-0"), "it is told for ever");
}

Test(statsd_report, the_same_name_in_another_slot_begins_at_0)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    count_messages(p, 10, 10);
    tell();
    statsd_report_forget(report, 1);
    snapshot.n_processes = 0;
    p = add_process(2, "metrics", 0);
    count_messages(p, 3, 3);
    tell();
    assert_says("m.requests.completed:3|c|" OF_PROCESS("metrics", "metrics-0"));
}

Test(statsd_report, two_processes_of_one_name_are_one_series)
{
    struct snapshot_process *a = add_process(1, "metrics", 0), *b = add_process(3, "metrics", 0);
    count_messages(a, 10, 9);
    count_messages(b, 5, 3);
    windows[0].times[STAT_REQUEST] =
        (struct stat_times){.count = 1, .sum_ns = 8 * MS, .min_ns = 8 * MS, .max_ns = 8 * MS};
    windows[1].times[STAT_REQUEST] =
        (struct stat_times){.count = 1, .sum_ns = 4 * MS, .min_ns = 4 * MS, .max_ns = 4 * MS};
    windows[1].fresh[STAT_REQUEST] = true;
    tell();
    assert_says("m.requests.received:15|c|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.in_flight:3|g|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.request_time.avg_sec:0.006000000|g|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.request_time.min_sec:0.004000000|g|" OF_PROCESS("metrics", "metrics-0"));
    assert_says("m.request_time.max_sec:0.008000000|g|" OF_PROCESS("metrics", "metrics-0"));
    const char *first = strstr(told.data, "'process': 'metrics-0'");
    cr_assert_not_null(first);
    size_t levels = 0;
    for (const char *p = told.data; (p = strstr(p, "\nm.in_flight:")) != NULL; p++)
        levels++;
    cr_assert_eq(levels, 2u, "one of the instance, one of the name");
}

Test(statsd_report, helpers_are_in_the_instance_only)
{
    count_messages(add_process(1, "", 0), 2, 2);
    tell();
    assert_says("m.requests.received:2|c|" OF_INSTANCE);
    cr_assert_null(strstr(told.data, "'scope': 'process'"));
}

Test(statsd_report, per_process_can_be_left_out_and_taken_in_again)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    style.per_process = false;
    count_messages(p, 2, 2);
    tell();
    assert_says("m.requests.received:2|c|" OF_INSTANCE);
    cr_assert_null(strstr(told.data, "'scope': 'process'"));
    style.per_process = true;
    count_messages(p, 1, 1);
    tell();
    assert_says("m.requests.received:1|c|" OF_INSTANCE);
    assert_says("m.requests.received:3|c|" OF_PROCESS("metrics", "metrics-0"));
}

Test(statsd_report, timings_are_told_if_fresh_and_percentiles_of_the_instance)
{
    instance.times[STAT_REQUEST] = (struct stat_times){
        .count = 3, .sum_ns = 10, .min_ns = 1, .max_ns = 6, .p50_ns = 3, .p95_ns = 6, .p99_ns = 5};
    instance.fresh[STAT_REQUEST] = true;
    instance.times[STAT_WRITE] = instance.times[STAT_REQUEST]; /* in the window, but not fresh */
    tell();
    assert_says("m.request_time.avg_sec:0.000000003|g|" OF_INSTANCE);
    assert_says("m.request_time.min_sec:0.000000001|g|" OF_INSTANCE);
    assert_says("m.request_time.max_sec:0.000000006|g|" OF_INSTANCE);
    assert_says("m.request_time.p50_sec:0.000000003|g|" OF_INSTANCE);
    assert_says("m.request_time.p99_sec:0.000000005|g|" OF_INSTANCE);
    cr_assert_null(strstr(told.data, "store_write_time"));
    cr_assert_null(strstr(told.data, "p95"));
}

Test(statsd_report, the_operators_dimensions_come_last_or_replace_ours)
{
    static const struct statsd_dimension extra[] = {{"region", "east"}, {"hostname", "other"}};
    style.dimensions = extra;
    style.n_dimensions = 2;
    style.dialect = STATSD_DOGSTATSD;
    add_process(1, "metrics", 0);
    tell();
    assert_says("m.in_flight:0|g|#hostname:other,service:monitoring,component:monasca-persister,"
                "instance:inst,scope:instance,region:east");
    assert_says("m.in_flight:0|g|#hostname:other,service:monitoring,component:monasca-persister,"
                "instance:inst,scope:process,topic:metrics,process:metrics-0,region:east");
}

Test(statsd_report, a_lost_packet_is_told_again)
{
    struct snapshot_process *p = add_process(1, "metrics", 0);
    count_messages(p, 10, 8);
    tell();
    for (size_t i = 0; i < packets.n; i++)
        statsd_report_return(report, &packets, i);
    count_messages(p, 1, 1);
    tell();
    assert_says("m.requests.received:11|c|" OF_INSTANCE);
    assert_says("m.requests.completed:9|c|" OF_PROCESS("metrics", "metrics-0"));
}

Test(statsd_report, a_line_too_long_waits_for_a_larger_packet)
{
    count_messages(add_process(1, "metrics", 0), 10, 8);
    cr_assert_eq(statsd_report_take(report, &snapshot), 0);
    struct statsd_content content = {.snapshot = &snapshot};
    statsd_packets_clear(&packets, 100);
    (void)statsd_report_write(report, &style, &content, &packets);
    cr_assert_eq(packets.n, 0u);
    cr_assert_gt(packets.n_refused, 0u);
    tell();
    assert_says("m.requests.received:10|c|" OF_INSTANCE);
}

/* --- over a long run --- */

/* Sums a counter's lines of one series in the packets that were not lost. */
static uint64_t
sum(const char *name, const char *tail)
{
    uint64_t all = 0;
    char start[64];
    snprintf(start, sizeof(start), "m.%s:", name);
    for (const char *line = told.data; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t n = strcspn(line, "\n"), tail_n = strlen(tail);
        if (strncmp(line, start, strlen(start)) != 0 || n < tail_n ||
            strncmp(line + n - tail_n, tail, tail_n) != 0)
            continue;
        char number[24];
        int64_t value;
        const char *digits = line + strlen(start);
        snprintf(number, sizeof(number), "%.*s", (int)strcspn(digits, "|"), digits);
        cr_assert_eq(num_parse_int(number, 0, INT64_MAX, &value), 0, "%s", number);
        all += (uint64_t)value;
    }
    return all;
}

static void
lose_some_packets(void)
{
    for (size_t i = 0; i < packets.n; i++) {
        if (rand() % 4 == 0) {
            statsd_report_return(report, &packets, i);
            continue;
        }
        buf_add_slice(&told, statsd_packets_get(&packets, i));
        buf_add_char(&told, '\n');
    }
}

Test(statsd_report, differences_add_up_to_the_totals_whatever_is_lost)
{
    uint64_t received = 0, of_1 = 0;
    struct statsd_content content = {.snapshot = &snapshot};
    add_process(1, "metrics", 0);
    add_process(2, "metrics", 1);
    srand(6);
    for (unsigned round = 0; round < 400; round++) {
        bool last = round == 399;
        for (unsigned i = 0; i < 2 && !last; i++) {
            uint64_t n = (uint64_t)(rand() % 3) * (uint64_t)rand();
            count_messages(&processes[i], n, n);
            received += n;
            of_1 += i == 1 ? n : 0;
        }
        cr_assert_eq(statsd_report_take(report, &snapshot), 0);
        statsd_packets_clear(&packets, PACKET);
        (void)statsd_report_write(report, &style, &content, &packets);
        if (!last)
            lose_some_packets();
        for (size_t i = 0; last && i < packets.n; i++) {
            buf_add_slice(&told, statsd_packets_get(&packets, i));
            buf_add_char(&told, '\n');
        }
    }
    buf_add_char(&told, '\0');
    cr_assert(!told.failed);
    cr_assert_eq(sum("requests.received", "'scope': 'instance'}"), received);
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-1'}"), of_1);
    cr_assert_eq(sum("requests.received", "'process': 'metrics-0'}"), received - of_1);
}

/* --- the document --- */

static void
assert_in_document(const char *document, const char *name)
{
    char text[64];
    snprintf(text, sizeof(text), "`%s`", name);
    cr_assert(name[0] == '\0' || strstr(document, text) != NULL, "%s is not in doc/STATSD.md",
              text);
}

Test(statsd_report, the_document_has_every_name)
{
    static char document[1 << 16];
    FILE *f = fopen(SRCDIR "/doc/STATSD.md", "r");
    cr_assert_not_null(f);
    document[fread(document, 1, sizeof(document) - 1, f)] = '\0';
    fclose(f);
    for (unsigned v = 0; v < STAT_VALUES; v++)
        assert_in_document(document, stat_values[v].statsd);
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        assert_in_document(document, stat_timings[t].statsd);
}

/* --- windows --- */

Test(statsd_window, whole_periods_until_it_is_covered)
{
    struct snapshot_period p[4];
    memset(p, 0, sizeof(p));
    for (size_t i = 0; i < 4; i++)
        p[i] = (struct snapshot_period){.number = 7 + i, .length_ms = 10000};
    cr_assert_eq(statsd_window_first(p, 4, 20000), 9u);
    cr_assert_eq(statsd_window_first(p, 4, 20001), 8u);
    cr_assert_eq(statsd_window_first(p, 4, 1), 10u);
    cr_assert_eq(statsd_window_first(p, 4, 999999), 7u);
    cr_assert_eq(statsd_window_first(p, 0, 1), 1u);
}

Test(statsd_window, periods_of_a_process_fold_and_are_fresh_only_once)
{
    struct snapshot_process_period p[3];
    struct statsd_window w;
    memset(p, 0, sizeof(p));
    for (size_t i = 0; i < 3; i++) {
        p[i].number = 5 + i;
        p[i].times[STAT_WRITE] =
            (struct stat_times){.count = i, .sum_ns = 10 * i, .min_ns = 10 - i, .max_ns = 10 + i};
    }
    statsd_window_clear(&w);
    statsd_window_add(&w, p, 3, 6, 6);
    cr_assert_eq(w.times[STAT_WRITE].count, 3u);
    cr_assert_eq(w.times[STAT_WRITE].min_ns, 8u);
    cr_assert_eq(w.times[STAT_WRITE].max_ns, 12u);
    cr_assert_eq(w.times[STAT_WRITE].p50_ns, STAT_UNKNOWN);
    cr_assert(w.fresh[STAT_WRITE] && !w.fresh[STAT_REQUEST]);
    statsd_window_clear(&w);
    statsd_window_add(&w, p, 3, 6, 7);
    cr_assert(!w.fresh[STAT_WRITE]);
}
