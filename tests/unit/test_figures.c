/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_figures.c - the figures as JSON and as OpenMetrics, from a segment with known figures.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/json.h"
#include "figures/figures_json.h"
#include "shm/ledger.h"
#include "figures/openmetrics.h"

static struct segment segment;
static struct ledger *ledger;
static struct shm_reader *reader;
static struct recorder *recorder;
static struct snapshot snapshot;
static struct figures_origin origin;
static struct buf out;

static const uint64_t ms = 1000000;

/* 10 received, 6 completed in 3, 5 and 5 ms, 1 rejected, 3 in hand; then a closed period. */
static void
prepare(void)
{
    struct errbuf err;
    cr_assert_eq(segment_create_private(&segment, "unit \"x\"", 3, 1000, &err), 0, "%s", err.text);
    ledger = ledger_new(&segment);
    reader = segment_reader(&segment);
    ledger_assign(ledger, 1, "metrics-0", "metrics", 0);
    ledger_assign(ledger, 2, "metrics-1", "metrics", 1);
    ledger_assign(ledger, 3, "retention", "", 0);
    ledger_start(ledger, 1);
    ledger_started(ledger, 1, 4711);
    recorder = recorder_new(&segment, 1);
    recorder_set_state(recorder, SLOT_WRITING);
    recorder_add(recorder, STAT_RECEIVED, 10);
    recorder_add(recorder, STAT_COMPLETED, 6);
    recorder_add(recorder, STAT_REJECTED, 1);
    recorder_set(recorder, STAT_IN_FLIGHT, 3);
    recorder_set(recorder, STAT_LAG, STAT_UNKNOWN);
    recorder_set(recorder, STAT_BATCH_AGE_MS, 1500);
    recorder_time(recorder, STAT_REQUEST, 3 * (int64_t)ms, 4);
    recorder_time(recorder, STAT_REQUEST, 5 * (int64_t)ms + 1, 2);
    recorder_time(recorder, STAT_DECODE, 700, 1);
    recorder_publish(recorder);
    ledger_turn(ledger);
    ledger_close_period(ledger, segment.header->started_mono_ms + 1000);
    origin = (struct figures_origin){.path = "/run/x.shm"};
    buf_init(&out, 1 << 20);
}

static void
clean_up(void)
{
    buf_free(&out);
    snapshot_free(&snapshot);
    recorder_free(&recorder);
    shm_reader_close(&reader);
    ledger_free(&ledger);
    segment_close(&segment);
}

TestSuite(figures, .init = prepare, .fini = clean_up);

static void
look(void)
{
    struct errbuf err;
    cr_assert_eq(snapshot_take(reader, &snapshot, &err), 0, "%s", err.text);
}

static cJSON *
json(const struct figures_window *window, const struct figures_choice *choice)
{
    look();
    buf_clear(&out);
    figures_write_json(&out, &snapshot, &origin, window, choice);
    cr_assert(!out.failed);
    struct json_scanner s;
    struct json_value value;
    json_scanner_init(&s, (struct slice){out.data, out.size});
    cr_assert(json_scan_value(&s, &value) == 0 && json_scan_end(&s) == 0, "%s", s.fault_text);
    buf_add_char(&out, '\0');
    cJSON *parsed = cJSON_Parse(out.data);
    cr_assert_not_null(parsed);
    return parsed;
}

/* A member by its path. */
static const cJSON *
at(const cJSON *json, const char *a, const char *b, const char *c)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, a);
    if (b != NULL)
        item = cJSON_GetObjectItemCaseSensitive(item, b);
    if (c != NULL)
        item = cJSON_GetObjectItemCaseSensitive(item, c);
    cr_assert_not_null(item, "%s %s %s", a, b, c);
    return item;
}

static double
number(const cJSON *json, const char *a, const char *b, const char *c)
{
    const cJSON *item = at(json, a, b, c);
    cr_assert(cJSON_IsNumber(item), "%s %s %s", a, b, c);
    return item->valuedouble;
}

static const char *
text(const cJSON *json, const char *a, const char *b, const char *c)
{
    const cJSON *item = at(json, a, b, c);
    cr_assert(cJSON_IsString(item), "%s %s %s", a, b, c);
    return item->valuestring;
}

static void
assert_has(const char *line)
{
    char wanted[512];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    cr_assert_not_null(strstr(out.data, wanted), "%s is not in\n%s", line, out.data);
}

static void
openmetrics(enum openmetrics_format format, const struct figures_choice *choice)
{
    look();
    buf_clear(&out);
    buf_add_char(&out, '\n');
    openmetrics_write(&out, format, &snapshot, reader, &origin, choice);
    buf_add_char(&out, '\0');
    cr_assert(!out.failed);
}

Test(figures, json_has_every_figure_of_instance_and_workers)
{
    cJSON *j = json(NULL, NULL);
    static const char *const spans[] = {"totals", "last_period", "lifetime"};
    const cJSON *process = cJSON_GetArrayItem(at(j, "processes", NULL, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(spans); i++) {
        for (unsigned v = 0; v < STAT_VALUES; v++) {
            at(process, spans[i], stat_values[v].name, NULL);
            if (i < 2)
                at(j, spans[i], stat_values[v].name, NULL);
        }
        for (unsigned t = 0; t < STAT_TIMINGS; t++)
            at(process, spans[i], stat_timings[t].name, NULL);
    }
    cr_assert_eq(number(j, "version", NULL, NULL), 1);
    cr_assert_str_eq(text(j, "instance", NULL, NULL), "unit \"x\"");
    cr_assert_str_eq(text(j, "segment", NULL, NULL), "/run/x.shm");
    cr_assert(cJSON_IsFalse(at(j, "stale", NULL, NULL)));
    cr_assert(cJSON_IsNull(at(j, "stale_reason", NULL, NULL)));
    cr_assert_eq(number(j, "totals", "received", NULL), 10);
    cr_assert_eq(number(j, "last_period", "completed", NULL), 6);
    cr_assert_eq(number(j, "period", "seconds", NULL), 1);
    cr_assert_eq(number(j, "period", "number", NULL), 1);
    cr_assert_eq(number(j, "period", "length_seconds", NULL), 1);
    cJSON_Delete(j);
}

Test(figures, json_lists_workers_only)
{
    cJSON *j = json(NULL, NULL);
    const cJSON *processes = at(j, "processes", NULL, NULL);
    cr_assert_eq(cJSON_GetArraySize(processes), 2);
    const cJSON *first = cJSON_GetArrayItem(processes, 0);
    const cJSON *second = cJSON_GetArrayItem(processes, 1);
    cr_assert_str_eq(text(first, "process", NULL, NULL), "metrics-0");
    cr_assert_str_eq(text(first, "state", NULL, NULL), "writing");
    cr_assert_eq(number(first, "pid", NULL, NULL), 4711);
    cr_assert_eq(number(first, "generation", NULL, NULL), 1);
    cr_assert(cJSON_IsNull(at(second, "pid", NULL, NULL)));
    cr_assert(cJSON_IsNull(at(first, "waiting_for", NULL, NULL)));
    cr_assert(cJSON_IsNull(at(first, "waiting", NULL, NULL)));
    cJSON_Delete(j);
}

Test(figures, json_says_null_for_what_is_not_known_and_not_0)
{
    cJSON *j = json(NULL, NULL);
    cr_assert(cJSON_IsNull(at(j, "totals", "lag", NULL)));
    cr_assert(cJSON_IsNull(at(j, "totals", "commit", NULL)), "nothing was timed");
    cr_assert(cJSON_IsNull(at(j, "totals", "decode", "p50_s")), "no histogram");
    cr_assert_eq(number(j, "totals", "rejected", NULL), 1);
    cr_assert_eq(number(j, "totals", "returned", NULL), 0);
    cJSON_Delete(j);
}

Test(figures, json_has_seconds_with_nine_digits_and_min_avg_max_in_order)
{
    cJSON *j = json(NULL, NULL);
    cr_assert_not_null(strstr(out.data, "\"request\": {\"count\": 6, \"sum_s\": 0.022000002, "
                                        "\"min_s\": 0.003000000, \"max_s\": 0.005000001, "
                                        "\"avg_s\": 0.003666667, \"p50_s\": "));
    cr_assert_not_null(strstr(out.data, "\"decode\": {\"count\": 1, \"sum_s\": 0.000000700, "
                                        "\"min_s\": 0.000000700, \"max_s\": 0.000000700, "
                                        "\"avg_s\": 0.000000700, \"p50_s\": null"));
    double p50 = number(at(j, "totals", NULL, NULL), "request", "p50_s", NULL);
    cr_assert(p50 > 0.00294 && p50 < 0.00306, "%g", p50);
    cJSON_Delete(j);
}

Test(figures, json_tells_why_a_worker_waits_whatever_bytes_the_text_has)
{
    recorder_set_wait(recorder, "influxdb", "no \"route\"\n\\ \xc3\xa4 \xff\xc3");
    recorder_publish(recorder);
    cJSON *j = json(NULL, NULL); /* which checks that it is JSON and UTF-8 */
    const cJSON *p = cJSON_GetArrayItem(at(j, "processes", NULL, NULL), 0);
    cr_assert_str_eq(text(p, "waiting", "whose", NULL), "influxdb");
    cr_assert_str_eq(text(p, "waiting_for", NULL, NULL), "influxdb: no \"route\"?\\ \xc3\xa4 ??");
    cr_assert_eq(strlen(text(p, "waiting", "since", NULL)), strlen("2026-11-23T06:00:00.123Z"));
    cJSON_Delete(j);
}

Test(figures, json_has_the_window_that_was_asked_for)
{
    struct figures_window window;
    window.covered_ms = snapshot_window(reader, 300000, &window.figures);
    cJSON *j = json(&window, NULL);
    cr_assert_eq(number(j, "window", "seconds", NULL), 1);
    cr_assert_eq(number(j, "window", "received", NULL), 10);
    cr_assert_eq(number(j, "window", "request", "count"), 6);
    cJSON_Delete(j);
    j = json(NULL, NULL);
    cr_assert_null(cJSON_GetObjectItemCaseSensitive(j, "window"));
    cJSON_Delete(j);
}

Test(figures, json_tells_that_it_is_stale_and_why)
{
    look();
    ledger_set_master(ledger, MASTER_STOPPED);
    ledger_turn(ledger);
    look();
    figures_tell_origin(&origin, "/run/x.shm", reader, &snapshot); /* nobody holds a lock */
    cJSON *j = json(NULL, NULL);
    cr_assert(cJSON_IsTrue(at(j, "stale", NULL, NULL)));
    cr_assert_not_null(strstr(text(j, "stale_reason", NULL, NULL), " stopped at 2"));
    cJSON_Delete(j);
}

Test(figures, a_choice_is_by_patterns_in_every_form)
{
    static const char *const globs[] = {"rec*", "requ?st"};
    const struct figures_choice choice = {globs, 2};
    cJSON *j = json(NULL, &choice);
    cr_assert_eq(cJSON_GetArraySize(at(j, "totals", NULL, NULL)), 2);
    cr_assert_eq(number(j, "totals", "received", NULL), 10);
    at(j, "totals", "request", "count");
    cJSON_Delete(j);
    openmetrics(OPENMETRICS_1, &choice);
    assert_has("monasca_persister_received_total{instance=\"unit \\\"x\\\"\"} 10");
    cr_assert_null(strstr(out.data, "persister_completed"));
    cr_assert_null(strstr(out.data, "persister_delay"));
}

Test(figures, a_buffer_that_is_too_small_is_told)
{
    struct buf small;
    buf_init(&small, 1000);
    look();
    figures_write_json(&small, &snapshot, &origin, NULL, NULL);
    cr_assert(small.failed);
    buf_free(&small);
    buf_init(&small, 1000);
    openmetrics_write(&small, OPENMETRICS_1, &snapshot, reader, &origin, NULL);
    cr_assert(small.failed);
    buf_free(&small);
}

Test(figures, openmetrics_has_instance_and_workers_in_families_of_their_own)
{
    openmetrics(OPENMETRICS_1, NULL);
    assert_has("# TYPE monasca_persister_received counter");
    assert_has("monasca_persister_received_total{instance=\"unit \\\"x\\\"\"} 10");
    assert_has("monasca_persister_process_received_total{instance=\"unit \\\"x\\\"\","
               "topic=\"metrics\",process=\"metrics-0\"} 10");
    assert_has("monasca_persister_batch_age_seconds{instance=\"unit \\\"x\\\"\"} 1.500000000");
    assert_has("# UNIT monasca_persister_memory_bytes bytes");
    assert_has("monasca_persister_stale{instance=\"unit \\\"x\\\"\"} 0");
    assert_has("monasca_persister_process_state{instance=\"unit \\\"x\\\"\",topic=\"metrics\","
               "process=\"metrics-0\",state=\"writing\"} 1");
    cr_assert_null(strstr(out.data, "\nmonasca_persister_lag{"), "nobody knows it");
    cr_assert_null(strstr(out.data, "retention"), "no worker");
    cr_assert_null(strstr(out.data, "4711"), "no label has a pid");
    cr_assert_str_eq(out.data + out.size - 7, "# EOF\n");
}

Test(figures, openmetrics_has_the_extremes_of_the_last_period)
{
    static const char process[] = "monasca_persister_process_period_request_";
    openmetrics(OPENMETRICS_1, NULL);
    assert_has(
        "monasca_persister_period_request_max_seconds{instance=\"unit \\\"x\\\"\"} 0.005000001");
    assert_has("monasca_persister_process_period_request_max_seconds{instance=\"unit \\\"x\\\"\","
               "topic=\"metrics\",process=\"metrics-0\"} 0.005000001");
    assert_has("monasca_persister_process_period_request_min_seconds{instance=\"unit \\\"x\\\"\","
               "topic=\"metrics\",process=\"metrics-0\"} 0.003000000");
    ledger_close_period(ledger, segment.header->started_mono_ms + 2000);
    openmetrics(OPENMETRICS_1, NULL);
    assert_has("# TYPE monasca_persister_process_period_request_max_seconds gauge");
    char sample[sizeof(process) + 32];
    snprintf(sample, sizeof(sample), "\n%smax_seconds{", process);
    cr_assert_null(strstr(out.data, sample), "nothing was timed");
}

Test(figures, openmetrics_has_exact_buckets)
{
    openmetrics(OPENMETRICS_1, NULL);
    assert_has("# TYPE monasca_persister_request_seconds histogram");
    assert_has("# TYPE monasca_persister_decode_seconds summary");
    assert_has("monasca_persister_request_seconds_count{instance=\"unit \\\"x\\\"\"} 6");
    assert_has("monasca_persister_request_seconds_sum{instance=\"unit \\\"x\\\"\"} 0.022000002");
    assert_has(
        "monasca_persister_request_seconds_bucket{instance=\"unit \\\"x\\\"\",le=\"+Inf\"} 6");
    assert_has("monasca_persister_request_seconds_bucket{instance=\"unit \\\"x\\\"\","
               "le=\"0.002516582\"} 0");
    assert_has("monasca_persister_request_seconds_bucket{instance=\"unit \\\"x\\\"\","
               "le=\"0.005033164\"} 6");
    for (unsigned i = 0; i < OPENMETRICS_BUCKETS; i++) {
        uint64_t bound = openmetrics_bucket_bound(i);
        cr_assert_eq(histogram_bucket(bound) + 1, histogram_bucket(bound + 1), "one of ours");
        cr_assert(i == 0 || bound > openmetrics_bucket_bound(i - 1));
    }
}

Test(figures, the_older_format_is_what_prometheus_wants_of_it)
{
    openmetrics(OPENMETRICS_PROMETHEUS_0, NULL);
    assert_has("# TYPE monasca_persister_received_total counter");
    assert_has("monasca_persister_received_total{instance=\"unit \\\"x\\\"\"} 10");
    cr_assert_null(strstr(out.data, "# EOF"));
    cr_assert_null(strstr(out.data, "# UNIT"));
    cr_assert_null(strstr(out.data, "_created"));
}
