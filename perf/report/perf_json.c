/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_json.c - the report as JSON and as CSV. See perf_print.h.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: one thread.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "lib/timestamp.h"
#include "perf/report/perf_print.h"
#include "perf/report/perf_sum.h"
#include "figures/figures.h"

/* cJSON writes a number that is none as null, and others so that they read back the same. */
static void
add_number(cJSON *to, const char *name, double value)
{
    cJSON_AddNumberToObject(to, name, value);
}

static void
add_time(cJSON *to, const char *name, int64_t ms)
{
    char text[TIMESTAMP_BYTES];
    cJSON_AddStringToObject(to, name, timestamp_format(text, ms));
}

static cJSON *
row_to_json(const struct reading_row *row)
{
    cJSON *j = cJSON_CreateObject();
    double seconds = (double)(row->to_ms - row->from_ms) / 1000;
    add_time(j, "from", row->from_ms);
    add_time(j, "to", row->to_ms);
    add_number(j, "received", row->received);
    add_number(j, "completed", row->completed);
    add_number(j, "received_per_second", row->received / seconds);
    add_number(j, "completed_per_second", row->completed / seconds);
    add_number(j, "request_avg_ms", row->time_avg_ms);
    add_number(j, "request_min_ms", row->time_min_ms);
    add_number(j, "request_max_ms", row->time_max_ms);
    add_number(j, "request_p99_ms", row->time_p99_ms);
    add_number(j, "lag", row->lag);
    cJSON_AddBoolToObject(j, "restarted", row->restarted);
    return j;
}

static cJSON *
totals_to_json(const struct perf_totals *t)
{
    cJSON *j = cJSON_CreateObject();
    add_number(j, "received", t->received);
    add_number(j, "completed", t->completed);
    add_number(j, "received_start", t->received_start);
    add_number(j, "received_end", t->received_end);
    add_number(j, "completed_start", t->completed_start);
    add_number(j, "completed_end", t->completed_end);
    add_number(j, "elapsed_seconds", t->elapsed_s);
    add_number(j, "received_per_second", t->elapsed_s > 0 ? t->received / t->elapsed_s : NAN);
    add_number(j, "completed_per_second", t->elapsed_s > 0 ? t->completed / t->elapsed_s : NAN);
    add_number(j, "request_avg_ms", t->time_avg_ms);
    add_number(j, "request_min_ms", t->time_min_ms);
    add_number(j, "request_max_ms", t->time_max_ms);
    add_number(j, "lag", t->lag);
    add_number(j, "restarts", (double)t->restarts);
    return j;
}

static void
add_track(cJSON *to, const struct reading_track *t)
{
    struct perf_totals totals;
    perf_sum(t, &totals);
    cJSON_AddItemToObject(to, "totals", totals_to_json(&totals));
    cJSON *periods = cJSON_AddArrayToObject(to, "periods");
    for (size_t i = 0; i < t->n; i++)
        cJSON_AddItemToArray(periods, row_to_json(&t->rows[i]));
}

/* Returns: the object of that instance in an array, made if need be. */
static cJSON *
instance_in(cJSON *instances, const char *name)
{
    cJSON *found;
    cJSON_ArrayForEach(found, instances)
    {
        const cJSON *is = cJSON_GetObjectItemCaseSensitive(found, "instance");
        if (cJSON_IsString(is) && strcmp(is->valuestring, name) == 0)
            return found;
    }
    found = cJSON_CreateObject();
    cJSON_AddStringToObject(found, "instance", name);
    cJSON_AddItemToArray(instances, found);
    return found;
}

static cJSON *
reading_to_json(const struct reading *r)
{
    cJSON *j = cJSON_CreateObject(), *instance;
    cJSON_AddStringToObject(j, "source", r->source);
    cJSON *instances = cJSON_AddArrayToObject(j, "instances");
    for (size_t i = 0; i < r->n; i++) {
        const struct reading_track *t = &r->tracks[i];
        instance = instance_in(instances, t->instance);
        if (t->process[0] == '\0') {
            add_track(instance, t);
            continue;
        }
        cJSON *processes = cJSON_GetObjectItemCaseSensitive(instance, "processes");
        if (processes == NULL)
            processes = cJSON_AddArrayToObject(instance, "processes");
        cJSON *process = cJSON_CreateObject();
        cJSON_AddStringToObject(process, "process", t->process);
        add_track(process, t);
        cJSON_AddItemToArray(processes, process);
    }
    cJSON_ArrayForEach(instance, instances)
    {
        struct perf_totals sum;
        const char *name = cJSON_GetObjectItemCaseSensitive(instance, "instance")->valuestring;
        if (perf_sum_processes(r, name, &sum) > 0)
            cJSON_AddItemToObject(instance, "processes_sum", totals_to_json(&sum));
    }
    return j;
}

static void
add_disagreements(cJSON *to, const struct perf_report *report)
{
    struct buf lines;
    cJSON *array = cJSON_AddArrayToObject(to, "disagreements");
    buf_init(&lines, 1 << 20);
    if (perf_disagreements(report->readings, report->n, &lines) > 0) {
        buf_add_char(&lines, '\0');
        char *rest = NULL;
        for (char *line = strtok_r(lines.data, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest))
            cJSON_AddItemToArray(array, cJSON_CreateString(line));
    }
    buf_free(&lines);
}

static void
add_restarts(cJSON *array, const struct reading *r)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->tracks[i].n; k++) {
            if (!r->tracks[i].rows[k].restarted)
                continue;
            cJSON *one = cJSON_CreateObject();
            cJSON_AddStringToObject(one, "source", r->source);
            cJSON_AddStringToObject(one, "instance", r->tracks[i].instance);
            cJSON_AddStringToObject(one, "process", r->tracks[i].process);
            add_time(one, "before", r->tracks[i].rows[k].to_ms);
            cJSON_AddItemToArray(array, one);
        }
}

void
perf_print_json(const struct perf_report *report, struct buf *out)
{
    cJSON *j = cJSON_CreateObject();
    add_time(j, "since", report->since_ms);
    add_time(j, "until", report->until_ms);
    cJSON_AddBoolToObject(j, "complete", report->finished);
    cJSON *sources = cJSON_AddArrayToObject(j, "sources");
    for (size_t i = 0; i < report->n; i++)
        cJSON_AddItemToArray(sources, reading_to_json(&report->readings[i]));
    add_disagreements(j, report);
    cJSON *restarts = cJSON_AddArrayToObject(j, "restarts");
    for (size_t i = 0; i < report->n; i++)
        add_restarts(restarts, &report->readings[i]);
    cJSON *errors = cJSON_AddArrayToObject(j, "errors");
    for (size_t i = 0; i < report->n_errors; i++)
        cJSON_AddItemToArray(errors, cJSON_CreateString(report->errors[i]));
    char *text = cJSON_Print(j);
    if (text != NULL)
        buf_add_text(out, text);
    buf_add_char(out, '\n');
    free(text);
    cJSON_Delete(j);
}

/* --- CSV (RFC 4180, but lines end with a newline) --- */

static void
add_field(struct buf *out, const char *text)
{
    buf_add_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    buf_add_text(out, "\",");
}

static void
add_value(struct buf *out, double value, char end)
{
    if (!isnan(value))
        buf_printf(out, "%.15g", value);
    buf_add_char(out, end);
}

static void
add_csv_row(struct buf *out, const struct reading *r, const struct reading_track *t,
            const struct reading_row *row)
{
    char from[TIMESTAMP_BYTES], to[TIMESTAMP_BYTES];
    add_field(out, r->source);
    add_field(out, t->instance);
    add_field(out, t->process);
    buf_printf(out, "%s,%s,", timestamp_format(from, row->from_ms),
               timestamp_format(to, row->to_ms));
    const double values[] = {row->received,    row->completed,   row->time_avg_ms, row->time_min_ms,
                             row->time_max_ms, row->time_p99_ms, row->lag};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        add_value(out, values[i], ',');
    buf_printf(out, "%d\n", row->restarted);
}

void
perf_print_csv(const struct perf_report *report, struct buf *out)
{
    buf_add_text(out, "source,instance,process,from,to,received,completed,request_avg_ms,"
                      "request_min_ms,request_max_ms,request_p99_ms,lag,restarted\n");
    for (size_t i = 0; i < report->n; i++)
        for (size_t k = 0; k < report->readings[i].n; k++) {
            const struct reading_track *t = &report->readings[i].tracks[k];
            for (size_t row = 0; row < t->n; row++)
                add_csv_row(out, &report->readings[i], t, &t->rows[row]);
        }
}

void
perf_print(const struct perf_report *report, enum perf_format format, struct buf *out)
{
    switch (format) {
    case PERF_TEXT:
        perf_print_text(report, out);
        break;
    case PERF_JSON:
        perf_print_json(report, out);
        break;
    case PERF_CSV:
        perf_print_csv(report, out);
        break;
    }
}
