/* SPDX-License-Identifier: Apache-2.0 */
/* dropwizard.c - see dropwizard.h. */
#include "admin/dropwizard.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/json_out.h"

enum { NAME_BYTES = 200, PER_WORKER = 4, PER_KIND = 2 };

enum section { GAUGES, COUNTERS, HISTOGRAMS, METERS, TIMERS, SECTIONS };

static const char *const section_names[SECTIONS] = {"gauges", "counters", "histograms", "meters",
                                                    "timers"};

struct entry {
    enum section section;
    char name[NAME_BYTES];
    uint64_t count; /* or a gauge's level, STAT_UNKNOWN if nobody knows it */
    struct ewma rates;
    struct spread spread;
};

struct document {
    const struct view *view;
    struct entry *entries;
    size_t n, room;
};

/* What the Java persister calls the handler of a topic, its threads and its repository. */
static const struct {
    const char *handler, *thread, *counter;
    const char *influx_repository, *repository, *meter;
} kinds[VIEW_KINDS] = {
    [VIEW_METRICS] = {"MetricHandler", "metric", "metrics-added-to-batch-counter",
                      "InfluxV9MetricRepo", "MetricRepo", NULL},
    [VIEW_ALARMS] = {"AlarmStateTransitionHandler", "alarm-state-transition",
                     "alarm-state-transitions-added-to-batch-counter", "InfluxV9AlarmRepo",
                     "AlarmRepo", "alarm_state_history-meter"},
};

/* --- entries --- */

static struct entry *
add_entry(struct document *d, enum section section, const char *prefix, const char *name)
{
    assert(d->n < d->room);
    struct entry *e = &d->entries[d->n++];
    *e = (struct entry){.section = section};
    snprintf(e->name, sizeof(e->name), "%s%s", prefix, name);
    return e;
}

static void
add_level(struct document *d, const char *prefix, const char *name, uint64_t level)
{
    add_entry(d, GAUGES, prefix, name)->count = level;
}

static void
add_counter(struct document *d, const char *prefix, const char *name, uint64_t count)
{
    add_entry(d, COUNTERS, prefix, name)->count = count;
}

static void
add_meter(struct document *d, const char *prefix, const char *name, uint64_t count,
          struct ewma rates)
{
    struct entry *e = add_entry(d, METERS, prefix, name);
    e->count = count;
    e->rates = rates;
}

static void
add_timer(struct document *d, const char *prefix, const char *name, uint64_t count,
          struct ewma rates, const struct spread *spread)
{
    struct entry *e = add_entry(d, TIMERS, prefix, name);
    e->count = count;
    e->rates = rates;
    e->spread = *spread;
}

/* --- what is in it --- */

static void
add_worker(struct document *d, const struct view_worker *w)
{
    const struct view *v = d->view;
    char prefix[NAME_BYTES];
    if (w->kind == VIEW_KINDS)
        return;
    snprintf(prefix, sizeof(prefix), "monasca.persister.pipeline.event.%s[%s-%u].",
             kinds[w->kind].handler, kinds[w->kind].thread, w->number);
    add_counter(d, prefix, kinds[w->kind].counter, w->completed + w->returned);
    add_meter(d, prefix, "events-processed-meter", w->received,
              view_worker_rates(v, w, "received"));
    add_meter(d, prefix, "flush-meter", w->completed, view_worker_rates(v, w, "completed"));
    add_timer(d, prefix, "flush-timer", w->writes.count, view_worker_rates(v, w, "writes"),
              &w->writes.spread);
}

static void
add_kind(struct document *d, enum view_kind kind, const char *store)
{
    const struct view *v = d->view;
    char prefix[NAME_BYTES];
    bool influx = strcmp(store, "influxdb") == 0;
    snprintf(prefix, sizeof(prefix), "monasca.persister.repository.%s.%s.", store,
             influx ? kinds[kind].influx_repository : kinds[kind].repository);
    add_timer(d, prefix, "flush-timer", v->kind_writes[kind].count,
              view_kind_rates(v, kind, "writes"), &v->kind_writes[kind].spread);
    if (kinds[kind].meter != NULL)
        add_meter(d, prefix, kinds[kind].meter, v->kind_completed[kind],
                  view_kind_rates(v, kind, "completed"));
}

static void
add_kinds(struct document *d, const struct view_names *names)
{
    for (unsigned kind = 0; kind < VIEW_KINDS; kind++) {
        bool used = false;
        for (size_t i = 0; i < d->view->n_workers; i++)
            used = used || d->view->workers[i].kind == kind;
        if (used)
            add_kind(d, kind, names->kinds[kind].store);
    }
}

static void
add_memory(struct document *d)
{
    static const char prefix[] = "jvm.memory.total.";
    add_level(d, prefix, "committed", d->view->instance_memory);
    add_level(d, prefix, "init", (uint64_t)-1);
    add_level(d, prefix, "max", d->view->machine_memory);
    add_level(d, prefix, "used", d->view->instance_memory);
}

static void
add_own(struct document *d)
{
    static const char prefix[] = "monasca.persister.";
    const struct view *v = d->view;
    const struct stat_figures *f = &v->now.totals;
    for (unsigned i = 0; i < STAT_VALUES; i++) {
        const struct stat_descriptor *s = &stat_values[i];
        char meter[64];
        if (s->nature != STAT_COUNTER) {
            add_level(d, prefix, s->name, f->values[i]);
            continue;
        }
        add_counter(d, prefix, s->name, f->values[i]);
        snprintf(meter, sizeof(meter), "%s-meter", s->name);
        if (strcmp(s->unit, "messages") == 0)
            add_meter(d, prefix, meter, f->values[i], view_instance_rates(v, s->name));
    }
    for (unsigned i = 0; i < STAT_TIMINGS; i++)
        add_timer(d, prefix, stat_timings[i].name, f->times[i].count,
                  view_instance_rates(v, stat_timings[i].name), &v->instance[i]);
}

/* --- writing --- */

static double
mean_rate(const struct view *v, uint64_t count)
{
    double seconds = (double)(v->now.taken_ms - v->now.started_ms) / 1000;
    return count > 0 && seconds > 0 ? (double)count / seconds : 0;
}

static void
write_rates(struct json_out *j, const struct view *v, const struct entry *e)
{
    json_out_double(j, "m15_rate", e->rates.m15);
    json_out_double(j, "m1_rate", e->rates.m1);
    json_out_double(j, "m5_rate", e->rates.m5);
    json_out_double(j, "mean_rate", mean_rate(v, e->count));
}

static void
write_spread(struct json_out *j, const struct spread *s)
{
    const struct {
        const char *name;
        double value;
    } rest[] = {{"p50", s->p50}, {"p75", s->p75},   {"p95", s->p95},      {"p98", s->p98},
                {"p99", s->p99}, {"p999", s->p999}, {"stddev", s->stddev}};
    json_out_double(j, "max", s->max);
    json_out_double(j, "mean", s->mean);
    json_out_double(j, "min", s->min);
    for (size_t i = 0; i < COUNT_OF(rest); i++)
        if (s->percentiles)
            json_out_double(j, rest[i].name, rest[i].value);
        else
            json_out_null(j, rest[i].name);
}

/* Java's undefined memory, and where nobody knows what the machine has, is -1. */
static void
write_gauge(struct json_out *j, const struct entry *e)
{
    if (e->count != STAT_UNKNOWN)
        json_out_u64(j, "value", e->count);
    else if (strncmp(e->name, "jvm.", 4) == 0)
        json_out_i64(j, "value", -1);
    else
        json_out_null(j, "value");
}

static void
write_entry(struct json_out *j, const struct view *v, const struct entry *e)
{
    json_out_open(j, e->name);
    if (e->section == GAUGES)
        write_gauge(j, e);
    else
        json_out_u64(j, "count", e->count);
    if (e->section == TIMERS)
        write_spread(j, &e->spread);
    if (e->section == METERS || e->section == TIMERS)
        write_rates(j, v, e);
    if (e->section == METERS)
        json_out_text(j, "units", "events/second");
    if (e->section == TIMERS) {
        json_out_text(j, "duration_units", "seconds");
        json_out_text(j, "rate_units", "calls/second");
    }
    json_out_close(j);
}

static int
compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->section != y->section)
        return x->section < y->section ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void
write_document(struct json_out *j, const struct document *d)
{
    size_t i = 0;
    json_out_open(j, NULL);
    json_out_text(j, "version", "3.0.0"); /* of the format: that of the Java persister's library */
    for (unsigned section = 0; section < SECTIONS; section++) {
        json_out_open(j, section_names[section]);
        for (; i < d->n && d->entries[i].section == section; i++)
            write_entry(j, d->view, &d->entries[i]);
        json_out_close(j);
    }
    json_out_close(j);
}

int
dropwizard_write(struct buf *b, const struct view *v, const struct view_names *names, bool pretty)
{
    struct document d = {.view = v};
    struct json_out j;
    d.room = 4 + PER_WORKER * v->n_workers + PER_KIND * VIEW_KINDS + 2 * STAT_VALUES + STAT_TIMINGS;
    d.entries = calloc(d.room, sizeof(*d.entries));
    if (d.entries == NULL)
        return -1;
    add_memory(&d);
    for (size_t i = 0; i < v->n_workers; i++)
        add_worker(&d, &v->workers[i]);
    add_kinds(&d, names);
    add_own(&d);
    qsort(d.entries, d.n, sizeof(*d.entries), compare_entries);
    json_out_init(&j, b, pretty);
    write_document(&j, &d);
    free(d.entries);
    return b->failed ? -1 : 0;
}
