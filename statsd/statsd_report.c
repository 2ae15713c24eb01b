/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_report.c - see statsd_report.h. */
#include "statsd/statsd_report.h"

#include <stdlib.h>

#include "lib/array.h"

enum {
    LINE_BYTES = 65536, /* of one line, at most: over the largest datagram there is */
    SERIES_MAX = 65536, /* of names, at most */
    INSTANCE = 0        /* its series */
};

/* One name's account. */
struct series {
    char name[SHM_PROCESS_BYTES], topic[SHM_TOPIC_BYTES]; /* "" for the instance */
    uint64_t waiting[STAT_VALUES];                        /* counters: seen, not told */
    bool present;                                         /* in the snapshot */
};

/* What was seen of the process in one slot. */
struct seen {
    size_t series; /* INSTANCE: nobody */
    uint64_t values[STAT_VALUES];
};

struct statsd_report {
    struct series *series; /* n of them */
    size_t n, capacity;
    struct seen *slots; /* n_slots of them, by slot */
    size_t n_slots;
    uint64_t seen[STAT_VALUES]; /* of the instance */
    struct buf line;
};

/* --- life --- */

struct statsd_report *
statsd_report_new(void)
{
    struct statsd_report *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    buf_init(&r->line, LINE_BYTES);
    r->series = calloc(1, sizeof(*r->series));
    r->n = r->capacity = 1;
    if (r->series == NULL)
        statsd_report_free(&r);
    return r;
}

void
statsd_report_free(struct statsd_report **report)
{
    struct statsd_report *r = *report;
    if (r != NULL) {
        buf_free(&r->line);
        free(r->series);
        free(r->slots);
        free(r);
    }
    *report = NULL;
}

/* --- taking up --- */

static bool
is_counter(unsigned value)
{
    return stat_values[value].nature == STAT_COUNTER;
}

/* A counter or level of a process; two that the master keeps for all are known for each, too. */
static uint64_t
process_value(const struct snapshot_process *p, unsigned value)
{
    switch (value) {
    case STAT_RESTARTS:
        return p->restarts;
    case STAT_WORKERS_RUNNING:
        return p->pid != 0;
    default:
        return is_counter(value) ? p->lifetime.values[value] : p->totals.values[value];
    }
}

/* Moves what is new from `now` to `waiting`. Totals do not go back; one that did is waited for. */
static void
take_value(uint64_t *waiting, uint64_t *seen, uint64_t now)
{
    if (now <= *seen)
        return;
    *waiting += now - *seen;
    *seen = now;
}

static bool
has_name(const struct series *s, const struct snapshot_process *p)
{
    return strcmp(s->name, p->name) == 0;
}

/* Returns: the number of the process's series, made if need be; INSTANCE if memory is out. */
static size_t
find_series(struct statsd_report *r, const struct snapshot_process *p)
{
    for (size_t i = 1; i < r->n; i++)
        if (has_name(&r->series[i], p))
            return i;
    if (r->n >= SERIES_MAX ||
        array_reserve(&r->series, &r->capacity, r->n + 1, sizeof(*r->series)) == -1)
        return INSTANCE;
    struct series *s = &r->series[r->n];
    *s = (struct series){.present = false};
    memcpy(s->name, p->name, sizeof(s->name));
    memcpy(s->topic, p->topic, sizeof(s->topic));
    return r->n++;
}

static int
make_room(struct statsd_report *r, unsigned slot)
{
    if (slot < r->n_slots)
        return 0;
    size_t n = (size_t)slot + 1;
    struct seen *bigger = realloc(r->slots, n * sizeof(*bigger));
    if (bigger == NULL)
        return -1;
    memset(bigger + r->n_slots, 0, (n - r->n_slots) * sizeof(*bigger));
    r->slots = bigger;
    r->n_slots = n;
    return 0;
}

static int
take_process(struct statsd_report *r, const struct snapshot_process *p)
{
    if (make_room(r, p->slot) == -1)
        return -1;
    struct seen *seen = &r->slots[p->slot];
    if (seen->series != INSTANCE && !has_name(&r->series[seen->series], p))
        statsd_report_forget(r, p->slot); /* somebody else lives there now */
    if (seen->series == INSTANCE)
        seen->series = find_series(r, p);
    if (seen->series == INSTANCE)
        return -1;
    struct series *s = &r->series[seen->series];
    s->present = true;
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (is_counter(v))
            take_value(&s->waiting[v], &seen->values[v], process_value(p, v));
    return 0;
}

int
statsd_report_take(struct statsd_report *report, const struct snapshot *snapshot)
{
    struct statsd_report *r = report;
    int result = 0;
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (is_counter(v))
            take_value(&r->series[INSTANCE].waiting[v], &r->seen[v], snapshot->totals.values[v]);
    for (size_t i = 1; i < r->n; i++)
        r->series[i].present = false;
    for (size_t i = 0; i < snapshot->n_processes; i++)
        if (snapshot->processes[i].topic[0] != '\0' &&
            take_process(r, &snapshot->processes[i]) == -1)
            result = -1;
    return result;
}

void
statsd_report_forget(struct statsd_report *report, unsigned slot)
{
    if (slot < report->n_slots)
        report->slots[slot] = (struct seen){.series = INSTANCE};
}

/* --- telling --- */

/* What one series is told with. */
struct writer {
    struct statsd_report *report;
    size_t series;
    struct statsd_series_text text;
    struct statsd_packets *packets;
};

/* Puts the line in r->line into the packets. Returns: false if it does not fit. */
static bool
put_line(const struct writer *w, const struct statsd_claim *claim)
{
    struct buf *line = &w->report->line;
    if (line->failed || w->text.tail.n == 0) { /* memory is out */
        w->packets->n_refused++;
        return false;
    }
    return statsd_packets_add(w->packets, (struct slice){line->data, line->size}, claim) == 0;
}

static void
write_counters(const struct writer *w)
{
    uint64_t *waiting = w->report->series[w->series].waiting;
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (!is_counter(v) || stat_values[v].statsd[0] == '\0')
            continue;
        struct statsd_claim claim = {.series = w->series, .value = v, .count = waiting[v]};
        buf_clear(&w->report->line);
        statsd_add_counter(&w->report->line, &w->text, stat_values[v].statsd, waiting[v]);
        if (put_line(w, &claim))
            waiting[v] = 0;
    }
}

static const struct statsd_claim no_claim = {.count = 0};

static void
write_levels(const struct writer *w, const uint64_t *levels)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (is_counter(v) || stat_values[v].statsd[0] == '\0' || levels[v] == STAT_UNKNOWN)
            continue;
        buf_clear(&w->report->line);
        statsd_add_gauge(&w->report->line, &w->text, stat_values[v].statsd, levels[v]);
        (void)put_line(w, &no_claim);
    }
}

static void
write_seconds(const struct writer *w, const char *name, const char *what, uint64_t ns)
{
    if (ns == STAT_UNKNOWN)
        return;
    buf_clear(&w->report->line);
    statsd_add_seconds(&w->report->line, &w->text, name, what, ns);
    (void)put_line(w, &no_claim);
}

static void
write_times(const struct writer *w, const struct statsd_window *window)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        const char *name = stat_timings[t].statsd;
        const struct stat_times *times = &window->times[t];
        if (name[0] == '\0' || !window->fresh[t] || times->count == 0)
            continue;
        write_seconds(w, name, ".avg_sec", stat_average(times));
        write_seconds(w, name, ".min_sec", times->min_ns);
        write_seconds(w, name, ".max_sec", times->max_ns);
        write_seconds(w, name, ".p50_sec", times->p50_ns);
        write_seconds(w, name, ".p99_sec", times->p99_ns);
    }
}

/* --- dimensions --- */

enum { OURS_MAX = 7, DIMENSIONS_MAX = OURS_MAX + STATSD_DIMENSIONS_MAX };

/* Returns: the operator's value for a key of ours, or ours. */
static const char *
find_value(const struct statsd_style *style, const char *key, const char *ours)
{
    for (size_t i = 0; i < style->n_dimensions; i++)
        if (strcmp(style->dimensions[i].key, key) == 0)
            return style->dimensions[i].value;
    return ours;
}

/* The order is part of a series' identity at the agent. */
static size_t
list_dimensions(const struct statsd_style *style, const struct series *s,
                struct statsd_dimension *out)
{
    const struct statsd_dimension ours[OURS_MAX] = {
        {"hostname", find_value(style, "hostname", style->hostname)},
        {"service", find_value(style, "service", "monitoring")},
        {"component", find_value(style, "component", "monasca-persister")},
        {"instance", style->instance},
        {"scope", s->name[0] == '\0' ? "instance" : "process"},
        {"topic", s->topic},
        {"process", s->name},
    };
    size_t n_ours = s->name[0] == '\0' ? OURS_MAX - 2 : OURS_MAX, n = n_ours;
    memcpy(out, ours, n_ours * sizeof(*out));
    for (size_t i = 0; i < style->n_dimensions; i++) {
        bool is_ours = false;
        for (size_t k = 0; k < OURS_MAX; k++)
            is_ours |= strcmp(style->dimensions[i].key, ours[k].key) == 0;
        if (!is_ours)
            out[n++] = style->dimensions[i];
    }
    return n;
}

/* --- an interval --- */

/* The levels and times of all processes of one name, which are neighbours in the snapshot. */
struct group {
    uint64_t levels[STAT_VALUES];
    struct statsd_window window;
};

/* Returns: where the processes end that have the name of the one at `first`. */
static size_t
find_group_end(const struct snapshot *snapshot, size_t first)
{
    const struct snapshot_process *p = snapshot->processes;
    size_t end = first + 1;
    while (end < snapshot->n_processes && strcmp(p[end].name, p[first].name) == 0)
        end++;
    return end;
}

static void
collect_group(const struct statsd_content *c, size_t first, size_t end, struct group *group)
{
    memset(group, 0, sizeof(*group));
    for (size_t i = first; i < end; i++) {
        for (unsigned v = 0; v < STAT_VALUES; v++)
            if (!is_counter(v))
                group->levels[v] = stat_fold(stat_values[v].nature, group->levels[v],
                                             process_value(&c->snapshot->processes[i], v));
        statsd_window_merge(&group->window, &c->processes[i]);
    }
}

struct lines {
    struct statsd_report *report;
    const struct statsd_style *style;
    struct statsd_packets *packets;
    struct buf texts; /* prefix and tail of the series at hand */
    bool whole;       /* nothing was replaced */
};

/* Returns: what is needed to write lines of a series; valid until the next call. */
static struct writer
begin_series(struct lines *l, size_t series)
{
    struct statsd_dimension dimensions[DIMENSIONS_MAX];
    struct buf *b = &l->texts;
    size_t n = list_dimensions(l->style, &l->report->series[series], dimensions);
    buf_clear(b);
    l->whole &= statsd_add_name(b, l->style->dialect, l->style->prefix);
    size_t prefix = b->size;
    l->whole &= statsd_add_dimensions(b, l->style->dialect, dimensions, n);
    if (b->failed) { /* memory is out: put_line sees that there is no tail */
        buf_clear(b);
        prefix = 0;
    }
    return (struct writer){.report = l->report,
                           .series = series,
                           .text = {{b->data, prefix}, {b->data + prefix, b->size - prefix}},
                           .packets = l->packets};
}

static void
write_instance(struct lines *l, const struct statsd_content *c)
{
    struct writer w = begin_series(l, INSTANCE);
    write_counters(&w);
    if (c->instance != NULL) {
        write_levels(&w, c->snapshot->totals.values);
        write_times(&w, c->instance);
    }
}

static void
write_process(struct lines *l, const struct statsd_content *c, size_t first, size_t end)
{
    struct group group;
    unsigned slot = c->snapshot->processes[first].slot;
    size_t series = slot < l->report->n_slots ? l->report->slots[slot].series : INSTANCE;
    if (series == INSTANCE)
        return; /* a helper, or there was no memory for it */
    struct writer w = begin_series(l, series);
    write_counters(&w);
    if (c->processes != NULL) {
        collect_group(c, first, end, &group);
        write_levels(&w, group.levels);
        write_times(&w, &group.window);
    }
}

static void
write_processes(struct lines *l, const struct statsd_content *c)
{
    for (size_t first = 0, end; first < c->snapshot->n_processes; first = end) {
        end = find_group_end(c->snapshot, first);
        write_process(l, c, first, end);
    }
}

static bool
has_waiting(const struct series *s)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (s->waiting[v] != 0 && stat_values[v].statsd[0] != '\0')
            return true;
    return false;
}

/* Those whose process is gone, if anything of theirs waits. */
static void
write_gone(struct lines *l)
{
    for (size_t i = 1; i < l->report->n; i++)
        if (!l->report->series[i].present && has_waiting(&l->report->series[i])) {
            struct writer w = begin_series(l, i);
            write_counters(&w);
        }
}

bool
statsd_report_write(struct statsd_report *report, const struct statsd_style *style,
                    const struct statsd_content *content, struct statsd_packets *packets)
{
    struct lines l = {.report = report, .style = style, .packets = packets, .whole = true};
    assert(style->n_dimensions <= STATSD_DIMENSIONS_MAX);
    buf_init(&l.texts, LINE_BYTES);
    write_instance(&l, content);
    if (style->per_process) {
        write_processes(&l, content);
        write_gone(&l);
    }
    buf_free(&l.texts);
    return l.whole;
}

void
statsd_report_return(struct statsd_report *report, const struct statsd_packets *packets,
                     size_t packet)
{
    const struct statsd_packet *p = &packets->packets[packet];
    for (size_t i = p->first_line; i < p->first_line + p->n_lines; i++) {
        const struct statsd_claim *claim = &packets->claims[i];
        if (claim->count != 0)
            report->series[claim->series].waiting[claim->value] += claim->count;
    }
}
