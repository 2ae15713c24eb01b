/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openmetrics.c - see openmetrics.h. The format: OpenMetrics 1.0.0 and, for the older one,
 * Prometheus' "Exposition formats".  All samples of a family come together, one after the other.
 */
#include "figures/openmetrics.h"

#include <stdio.h>

#include "lib/json_text.h"

static const char prefix[] = "monasca_persister_";

enum { NAME_BYTES = 96 };

/* What is being written, and of what. */
struct page {
    struct buf *out;
    enum openmetrics_format format;
    const struct snapshot *snapshot;
    const struct shm_reader *reader;
    const struct figures_origin *origin;
    const struct figures_choice *choice;
};

/* --- the format --- */

static const char *
escape(unsigned char c)
{
    switch (c) {
    case '\\':
        return "\\\\";
    case '"':
        return "\\\"";
    case '\n':
        return "\\n";
    default:
        return c < 0x20 || c == 0x7f ? "?" : NULL;
    }
}

/* In the older format a quote in a help text is not escaped. */
static const char *
escape_help_0(unsigned char c)
{
    return c == '"' ? NULL : escape(c);
}

/* A family's head. Takes: its name without the prefix; unit NULL: its name does not end in one. */
static void
add_family(const struct page *page, const char *family, const char *type, const char *unit,
           const char *help)
{
    bool new = page->format == OPENMETRICS_1;
    const char *suffix = !new &&strcmp(type, "counter") == 0 ? "_total" : "";
    buf_printf(page->out, "# TYPE %s%s%s %s\n", prefix, family, suffix, type);
    if (new &&unit != NULL)
        buf_printf(page->out, "# UNIT %s%s %s\n", prefix, family, unit);
    buf_printf(page->out, "# HELP %s%s%s ", prefix, family, suffix);
    json_add_utf8(page->out, (struct slice){help, strlen(help)}, new ? escape : escape_help_0);
    buf_add_char(page->out, '\n');
}

static void
add_label(struct buf *out, const char *separator, const char *name, const char *value)
{
    buf_printf(out, "%s%s=\"", separator, name);
    json_add_utf8(out, (struct slice){value, strlen(value)}, escape);
    buf_add_char(out, '"');
}

/*
 * A sample up to its value, as in `monasca_persister_lag{instance="a"} `.
 * Takes: a process, or NULL for the instance; one more label, or NULL.
 */
static void
add_sample(const struct page *page, const char *family, const char *suffix,
           const struct snapshot_process *process, const char *label, const char *value)
{
    buf_printf(page->out, "%s%s%s", prefix, family, suffix);
    add_label(page->out, "{", "instance", page->snapshot->instance);
    if (process != NULL) {
        add_label(page->out, ",", "topic", process->topic);
        add_label(page->out, ",", "process", process->name);
    }
    if (label != NULL)
        add_label(page->out, ",", label, value);
    buf_add_text(page->out, "} ");
}

static void
add_count(const struct page *page, const char *family, const char *suffix,
          const struct snapshot_process *process, uint64_t count)
{
    add_sample(page, family, suffix, process, NULL, NULL);
    buf_printf(page->out, "%llu\n", (unsigned long long)count);
}

/* Takes: nanoseconds. */
static void
add_seconds(const struct page *page, const char *family, const char *suffix,
            const struct snapshot_process *process, uint64_t ns)
{
    add_sample(page, family, suffix, process, NULL, NULL);
    figures_add_seconds(page->out, ns);
    buf_add_char(page->out, '\n');
}

/* Since when an instance's counter counts; only OpenMetrics has it. */
static void
add_created(const struct page *page, const char *family)
{
    if (page->format != OPENMETRICS_1 || page->snapshot->started_ms <= 0)
        return;
    add_sample(page, family, "_created", NULL, NULL, NULL);
    buf_printf(page->out, "%lld.%03lld\n", (long long)(page->snapshot->started_ms / 1000),
               (long long)(page->snapshot->started_ms % 1000));
}

/* --- one figure of the instance, or of all workers --- */

/*
 * The next worker. During a reload two may have one name, which a series can have but once: they
 * are told as one, and since the lifetime of the one that ends passes to the other, nothing jumps.
 * Takes: where to go on, 0 at first; room for such a one.
 * Returns: the worker, or NULL if there is no more.
 */
static const struct snapshot_process *
next_process(const struct page *page, size_t *i, struct snapshot_process *both)
{
    const struct snapshot *s = page->snapshot;
    while (*i < s->n_processes && !figures_is_worker(&s->processes[*i]))
        ++*i;
    if (*i == s->n_processes)
        return NULL;
    const struct snapshot_process *p = &s->processes[(*i)++];
    while (*i < s->n_processes && strcmp(s->processes[*i].name, p->name) == 0) {
        const struct stat_figures older = p->lifetime, older_period = p->last_period;
        *both = s->processes[(*i)++]; /* the newer */
        stat_add(&both->lifetime, &older);
        stat_add(&both->last_period, &older_period);
        p = both;
    }
    return p;
}

/* "batch_age_ms" becomes "batch_age_seconds": Prometheus wants base units. Returns: true if so. */
static bool
name_value(char name[NAME_BYTES], const char *of, const struct stat_descriptor *d)
{
    size_t n = strlen(d->name);
    bool ms = strcmp(d->unit, "ms") == 0 && n > 3 && strcmp(d->name + n - 3, "_ms") == 0;
    snprintf(name, NAME_BYTES, "%s%.*s%s", of, (int)(ms ? n - 3 : n), d->name,
             ms ? "_seconds" : "");
    return ms;
}

/* Returns: the unit if the name ends in it, as OpenMetrics demands of a unit, or NULL. */
static const char *
unit_of(const char *name)
{
    static const char *const units[] = {"seconds", "bytes"};
    size_t n = strlen(name);
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        size_t k = strlen(units[i]);
        if (n > k && name[n - k - 1] == '_' && strcmp(name + n - k, units[i]) == 0)
            return units[i];
    }
    return NULL;
}

static void
add_value(const struct page *page, const char *family, unsigned v, bool ms,
          const struct snapshot_process *process, const struct stat_figures *figures)
{
    uint64_t value = figures->values[v];
    if (stat_values[v].nature == STAT_COUNTER)
        add_count(page, family, "_total", process, value);
    else if (value == STAT_UNKNOWN)
        return;
    else if (ms)
        add_seconds(page, family, "", process, value * 1000000);
    else
        add_count(page, family, "", process, value);
}

static void
add_value_family(const struct page *page, unsigned v, bool of_processes)
{
    const struct stat_descriptor *d = &stat_values[v];
    const struct snapshot_process *p;
    struct snapshot_process both;
    char name[NAME_BYTES];
    bool ms = name_value(name, of_processes ? "process_" : "", d);
    bool counts = d->nature == STAT_COUNTER;
    add_family(page, name, counts ? "counter" : "gauge", unit_of(name), d->help);
    if (!of_processes) {
        add_value(page, name, v, ms, NULL, &page->snapshot->totals);
        if (counts)
            add_created(page, name);
        return;
    }
    for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;)
        add_value(page, name, v, ms, p, &p->lifetime);
}

/* --- timings --- */

uint64_t
openmetrics_bucket_bound(unsigned bucket)
{
    /* Each is moved up to the end of the bucket of ours that it is in, at most 4 %. */
    static const uint64_t us = 1000, ms = 1000000, s = 1000000000;
    const uint64_t wanted[OPENMETRICS_BUCKETS] = {
        100 * us, 250 * us, 500 * us, 1 * ms,   2500 * us, 5 * ms,  10 * ms,
        25 * ms,  50 * ms,  100 * ms, 250 * ms, 500 * ms,  1 * s,   2500 * ms,
        5 * s,    10 * s,   30 * s,   60 * s,   300 * s,   900 * s, 3600 * s};
    assert(bucket < OPENMETRICS_BUCKETS);
    return histogram_lower(histogram_bucket(wanted[bucket]) + 1) - 1;
}

/* Seconds, as short as they are exact: 0.00010158. */
static void
write_bound(char text[32], uint64_t ns)
{
    int n = snprintf(text, 32, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
                     (unsigned long long)(ns % 1000000000));
    while (text[n - 1] == '0' && text[n - 2] != '.')
        text[--n] = '\0';
}

static void
add_buckets(const struct page *page, const char *family, enum stat_timing timing)
{
    const uint64_t *counts = snapshot_buckets(page->reader, timing);
    uint64_t sum = 0, count = page->snapshot->totals.times[timing].count;
    unsigned next = 0;
    for (unsigned i = 0; i < OPENMETRICS_BUCKETS; i++) {
        uint64_t bound = openmetrics_bucket_bound(i);
        char text[32];
        while (next < HISTOGRAM_BUCKETS && histogram_lower(next + 1) - 1 <= bound)
            sum += counts[next++];
        write_bound(text, bound);
        add_sample(page, family, "_bucket", NULL, "le", text);
        buf_printf(page->out, "%llu\n", (unsigned long long)sum);
    }
    /* Late figures have no buckets, so these may be of fewer. */
    add_sample(page, family, "_bucket", NULL, "le", "+Inf");
    buf_printf(page->out, "%llu\n", (unsigned long long)(count > sum ? count : sum));
}

/* The instance's: a histogram if there is one. */
static void
add_timing_family(const struct page *page, enum stat_timing t)
{
    const struct stat_times *times = &page->snapshot->totals.times[t];
    char name[NAME_BYTES];
    bool buckets = t < STAT_HISTOGRAMS;
    snprintf(name, sizeof(name), "%s_seconds", stat_timings[t].name);
    add_family(page, name, buckets ? "histogram" : "summary", "seconds", stat_timings[t].help);
    if (buckets)
        add_buckets(page, name, t);
    add_count(page, name, "_count", NULL, times->count);
    add_seconds(page, name, "_sum", NULL, times->sum_ns);
    add_created(page, name);
}

static void
add_extreme(const struct page *page, const char *family, const struct snapshot_process *process,
            const struct stat_times *times, bool max)
{
    if (times->count > 0)
        add_seconds(page, family, "", process, max ? times->max_ns : times->min_ns);
}

/* Prometheus can make averages of sums and counts, but no extremes of anything. */
static void
add_extremes(const struct page *page, enum stat_timing t, bool of_processes, bool max)
{
    const struct snapshot_process *p;
    struct snapshot_process both;
    char name[NAME_BYTES], help[320];
    snprintf(name, sizeof(name), "%speriod_%s_%s_seconds", of_processes ? "process_" : "",
             stat_timings[t].name, max ? "max" : "min");
    snprintf(help, sizeof(help), "The %s in the last closed period: %s",
             max ? "longest" : "shortest", stat_timings[t].help);
    add_family(page, name, "gauge", "seconds", help);
    if (!of_processes)
        add_extreme(page, name, NULL, &page->snapshot->last_period.times[t], max);
    else
        for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;)
            add_extreme(page, name, p, &p->last_period.times[t], max);
}

static void
add_process_timing(const struct page *page, enum stat_timing t)
{
    const struct snapshot_process *p;
    struct snapshot_process both;
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "process_%s_seconds", stat_timings[t].name);
    add_family(page, name, "summary", "seconds", stat_timings[t].help);
    for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;) {
        add_count(page, name, "_count", p, p->lifetime.times[t].count);
        add_seconds(page, name, "_sum", p, p->lifetime.times[t].sum_ns);
    }
}

/* --- what is no figure --- */

static void
add_master(const struct page *page)
{
    const struct snapshot *s = page->snapshot;
    add_family(page, "stale", "gauge", NULL, "1 if the master that made these figures is dead.");
    add_count(page, "stale", "", NULL, page->origin->stale);
    add_family(page, "start_time_seconds", "gauge", "seconds", "When the master started.");
    add_seconds(page, "start_time_seconds", "", NULL, (uint64_t)s->started_ms * 1000000);
    add_family(page, "configuration_generation", "gauge", NULL,
               "1, and one more for each reload of the configuration.");
    add_count(page, "configuration_generation", "", NULL, s->generation);
    add_family(page, "configuration_refused", "gauge", NULL,
               "1 if the last reload was refused: the file is not what is in effect.");
    add_count(page, "configuration_refused", "", NULL, s->refused_ms != 0);
    add_family(page, "period_number", "gauge", NULL, "Number of the last closed period.");
    add_count(page, "period_number", "", NULL, s->period);
}

static void
add_process_states(const struct page *page)
{
    const struct snapshot_process *p;
    struct snapshot_process both;
    add_family(page, "process_state", "gauge", NULL,
               "1 for the state that the worker is in, 0 for the others.");
    for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;)
        for (unsigned state = SLOT_FREE + 1; state < SLOT_STATES; state++) {
            add_sample(page, "process_state", "", p, "state", slot_state_name(state));
            buf_printf(page->out, "%d\n", p->state == state);
        }
    add_family(page, "process_waiting", "gauge", NULL,
               "1 while the worker waits for a store or a place for dead letters that fails.");
    for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;)
        add_count(page, "process_waiting", "", p, p->wait_since_ms != 0);
    add_family(page, "process_configuration", "gauge", NULL,
               "The generation of the configuration that the worker was forked with.");
    for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;)
        add_count(page, "process_configuration", "", p, p->configuration);
    add_family(page, "process_generation", "gauge", NULL, "How often the worker was forked.");
    for (size_t i = 0; (p = next_process(page, &i, &both)) != NULL;)
        add_count(page, "process_generation", "", p, p->generation);
}

void
openmetrics_write(struct buf *out, enum openmetrics_format format, const struct snapshot *snapshot,
                  const struct shm_reader *reader, const struct figures_origin *origin,
                  const struct figures_choice *choice)
{
    const struct page page = {out, format, snapshot, reader, origin, choice};
    add_master(&page);
    for (unsigned of_processes = 0; of_processes < 2; of_processes++)
        for (unsigned v = 0; v < STAT_VALUES; v++)
            if (figures_is_chosen(choice, stat_values[v].name))
                add_value_family(&page, v, of_processes != 0);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (!figures_is_chosen(choice, stat_timings[t].name))
            continue;
        add_timing_family(&page, t);
        add_extremes(&page, t, false, false);
        add_extremes(&page, t, false, true);
        add_process_timing(&page, t);
        add_extremes(&page, t, true, false);
        add_extremes(&page, t, true, true);
    }
    add_process_states(&page);
    if (format == OPENMETRICS_1)
        buf_add_text(out, "# EOF\n");
}
