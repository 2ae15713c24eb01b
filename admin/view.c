/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - see view.h: from the segment to a view.
 *
 * Process: admin.  Owner: struct view_source.  Concurrency: one thread; the segment is only read.
 */
#include "admin/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/num.h"

struct view_source {
    struct view view;
    struct shm_reader *reader;
    const char *path; /* the caller's */
    struct view_names names;
    size_t capacity; /* of view.workers */
    struct {
        uint64_t counts[HISTOGRAM_BUCKETS];
        struct stat_times times;
    } kinds[VIEW_KINDS]; /* while they are summed */
};

/* --- what the machine gives --- */

/* Returns: the number in a file of one line, or UINT64_MAX if there is none ("max"). */
static uint64_t
read_number(const char *path)
{
    char text[40] = "";
    int64_t number;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return UINT64_MAX;
    const char *line = fgets(text, sizeof(text), f);
    fclose(f);
    text[strcspn(text, "\n")] = '\0';
    return line != NULL && num_parse_int(text, 1, INT64_MAX, &number) == 0 ? (uint64_t)number
                                                                           : UINT64_MAX;
}

/* What a container has is its cgroup's; outside of one these files are not there, or say "max". */
static uint64_t
memory_limit(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t limit = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        uint64_t bytes = read_number(files[i]);
        limit = bytes < limit ? bytes : limit;
    }
    return limit;
}

/* --- workers --- */

static enum view_kind
kind_of(const struct view_names *names, const char *topic)
{
    enum view_kind kind = 0;
    while (kind < VIEW_KINDS && strcmp(names->kinds[kind].topic, topic) != 0)
        kind++;
    return kind;
}

static void
add_times(struct stat_times *into, const struct stat_times *times)
{
    if (times->count == 0)
        return;
    if (into->count == 0 || times->min_ns < into->min_ns)
        into->min_ns = times->min_ns;
    if (into->count == 0 || times->max_ns > into->max_ns)
        into->max_ns = times->max_ns;
    into->count += times->count;
    into->sum_ns += times->sum_ns;
}

static void
add_counts(uint64_t *into, const uint64_t *counts)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into[i] += counts[i];
}

static void
add_counters(struct view_worker *w, const struct snapshot_process *p)
{
    const uint64_t *v = p->lifetime.values;
    w->received += v[STAT_RECEIVED];
    w->completed += v[STAT_COMPLETED];
    w->rejected += v[STAT_REJECTED];
    w->returned += v[STAT_RETURNED];
    w->writes.count += p->lifetime.times[STAT_WRITE].count;
}

/* Sums up the processes from..to, which have one name. */
static void
fill_worker(struct view_source *s, struct view_worker *w, size_t from, size_t to)
{
    const struct snapshot_process *all = s->view.now.processes;
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};
    struct stat_times times = {.count = 0};
    *w = (struct view_worker){.kind = kind_of(&s->names, all[from].topic),
                              .number = all[from].number};
    memcpy(w->name, all[from].name, sizeof(w->name));
    for (size_t i = from; i < to; i++) {
        const uint64_t *buckets = snapshot_process_buckets(s->reader, all[i].slot, STAT_WRITE);
        add_counters(w, &all[i]);
        if (buckets == NULL)
            continue;
        add_times(&times, &all[i].totals.times[STAT_WRITE]);
        add_counts(counts, buckets);
    }
    w->writes.spread = spread_of(&times, counts);
    if (w->kind == VIEW_KINDS)
        return;
    add_times(&s->kinds[w->kind].times, &times);
    add_counts(s->kinds[w->kind].counts, counts);
    s->view.kind_writes[w->kind].count += w->writes.count;
    s->view.kind_completed[w->kind] += w->completed;
}

static int
fill_workers(struct view_source *s, struct errbuf *err)
{
    struct view *v = &s->view;
    const struct snapshot_process *all = v->now.processes;
    if (array_reserve(&v->workers, &s->capacity, v->now.n_processes, sizeof(*v->workers)) == -1)
        return errbuf_set(err, "out of memory");
    memset(s->kinds, 0, sizeof(s->kinds));
    memset(v->kind_writes, 0, sizeof(v->kind_writes));
    memset(v->kind_completed, 0, sizeof(v->kind_completed));
    v->n_workers = 0;
    for (size_t from = 0, to; from < v->now.n_processes; from = to) {
        for (to = from + 1; to < v->now.n_processes && strcmp(all[to].name, all[from].name) == 0;)
            to++;
        if (all[from].topic[0] != '\0')
            fill_worker(s, &v->workers[v->n_workers++], from, to);
    }
    for (unsigned kind = 0; kind < VIEW_KINDS; kind++)
        v->kind_writes[kind].spread = spread_of(&s->kinds[kind].times, s->kinds[kind].counts);
    return 0;
}

/* --- the instance --- */

static void
fill_instance(struct view_source *s)
{
    struct view *v = &s->view;
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        v->instance[t] = spread_of(&v->now.totals.times[t],
                                   t < STAT_HISTOGRAMS ? snapshot_buckets(s->reader, t) : NULL);
    v->instance_memory = 0;
    for (size_t i = 0; i < v->now.n_processes; i++) {
        uint64_t bytes = v->now.processes[i].totals.values[STAT_MEMORY_BYTES];
        v->instance_memory += v->now.processes[i].pid != 0 && bytes != STAT_UNKNOWN ? bytes : 0;
    }
    v->n_periods = snapshot_periods(s->reader, v->periods, SHM_PERIODS);
    figures_tell_origin(&v->origin, s->path, s->reader, &v->now);
}

/* --- the source --- */

struct view_source *
view_source_new(const char *path, const struct view_names *names, int64_t stall_ms,
                struct errbuf *err)
{
    const struct shm_trust trust = {.n = 0}; /* root and ourselves: one of them is our master */
    struct view_source *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    s->names = *names;
    s->path = path;
    s->view.stall_ms = stall_ms;
    s->view.machine_memory = memory_limit();
    s->view.meters = meters_new();
    s->view.progress = progress_new();
    if (s->view.meters == NULL || s->view.progress == NULL)
        errbuf_set(err, "out of memory");
    else if (shm_reader_open(path, &trust, &s->reader, err) == SHM_OPENED) {
        s->view.reader = s->reader;
        return s;
    }
    view_source_free(&s);
    return NULL;
}

void
view_source_free(struct view_source **source)
{
    struct view_source *s = *source;
    if (s == NULL)
        return;
    snapshot_free(&s->view.now);
    free(s->view.workers);
    meters_free(&s->view.meters);
    progress_free(&s->view.progress);
    shm_reader_close(&s->reader);
    free(s);
    *source = NULL;
}

static int
look(struct view_source *s, struct errbuf *err)
{
    struct view *v = &s->view;
    if (snapshot_take(s->reader, &v->now, err) == -1)
        return -1;
    v->now_mono_ms = clock_mono_ms();
    v->number++;
    fill_instance(s);
    if (fill_workers(s, err) == -1)
        return -1;
    if (progress_note(v->progress, &v->now, v->now_mono_ms) == -1)
        return errbuf_set(err, "out of memory");
    return 0;
}

const struct view *
view_source_look(struct view_source *s, struct errbuf *err)
{
    if (s->view.number > 0 && clock_mono_ms() - s->view.now_mono_ms < VIEW_FRESH_MS)
        return &s->view;
    return look(s, err) == 0 ? &s->view : NULL;
}

/* --- meters --- */

static void
set_sample(struct meters_sample *sample, uint64_t count, const char *owner, const char *figure)
{
    snprintf(sample->name, sizeof(sample->name), "%s/%s", owner, figure);
    sample->count = count;
}

static size_t
sample_workers(const struct view *v, struct meters_sample *samples)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_workers; i++) {
        const struct view_worker *w = &v->workers[i];
        set_sample(&samples[n++], w->received, w->name, "received");
        set_sample(&samples[n++], w->completed, w->name, "completed");
        set_sample(&samples[n++], w->writes.count, w->name, "writes");
    }
    return n;
}

static size_t
sample_instance(const struct view *v, struct meters_sample *samples)
{
    size_t n = 0;
    for (unsigned i = 0; i < STAT_VALUES; i++)
        if (stat_values[i].nature == STAT_COUNTER)
            set_sample(&samples[n++], v->now.totals.values[i], "", stat_values[i].name);
    for (unsigned i = 0; i < STAT_TIMINGS; i++)
        set_sample(&samples[n++], v->now.totals.times[i].count, "", stat_timings[i].name);
    for (unsigned kind = 0; kind < VIEW_KINDS; kind++) {
        char owner[16];
        snprintf(owner, sizeof(owner), "@%u", kind);
        set_sample(&samples[n++], v->kind_writes[kind].count, owner, "writes");
        set_sample(&samples[n++], v->kind_completed[kind], owner, "completed");
    }
    return n;
}

int
view_source_tick(struct view_source *s, unsigned ticks, struct errbuf *err)
{
    struct view *v = &s->view;
    if (look(s, err) == -1)
        return -1;
    size_t most = 3 * v->n_workers + STAT_VALUES + STAT_TIMINGS + 2 * VIEW_KINDS;
    struct meters_sample *samples = calloc(most, sizeof(*samples));
    if (samples == NULL)
        return errbuf_set(err, "out of memory");
    size_t n = sample_workers(v, samples);
    n += sample_instance(v, &samples[n]);
    int result = meters_tick(v->meters, samples, n, ticks);
    free(samples);
    return result == 0 ? 0 : errbuf_set(err, "out of memory");
}

static struct ewma
find_rates(const struct view *v, const char *owner, const char *figure)
{
    char name[METERS_NAME_BYTES];
    snprintf(name, sizeof(name), "%s/%s", owner, figure);
    return meters_find(v->meters, name);
}

struct ewma
view_worker_rates(const struct view *v, const struct view_worker *w, const char *figure)
{
    return find_rates(v, w->name, figure);
}

struct ewma
view_kind_rates(const struct view *v, enum view_kind kind, const char *figure)
{
    char owner[16];
    snprintf(owner, sizeof(owner), "@%u", (unsigned)kind);
    return find_rates(v, owner, figure);
}

struct ewma
view_instance_rates(const struct view *v, const char *figure)
{
    return find_rates(v, "", figure);
}
