/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_monasca.c - the figures as they went through StatsD, the Monasca agent and the API.
 *
 * What is there (doc/STATSD.md): per instance and per process counters of each flush of the agent,
 * and gauges over a window about as long: the averages, minima and maxima of the request time.
 *
 * Without a period, /metrics/measurements gives each flush.  With one, /metrics/statistics gives
 * the sums, minima and maxima of whole periods; averages are weighted by what was completed, and of
 * the lag the last is meant, neither of which it knows, so these come from the measurements all the
 * same.
 *
 * Process: persister-perf.  Owner: struct monasca.  Concurrency: one thread.
 */
#include <math.h>
#include <stdlib.h>

#include "perf/report/source_client.h"
#include "perf/report/source_join.h"
#include "perf/report/source_priv.h"

enum { FLUSH_MS = 20000 /* the agent's own default */, NAME_BYTES = 512 };

static const struct figure {
    enum join_field field;
    const char *name;      /* after the prefix */
    const char *statistic; /* that says the same of a period; NULL: none does */
    bool points;           /* its points are needed, too, where periods are asked for */
    bool seconds;
} figures[] = {
    /* The first makes the grid. */
    {JOIN_COMPLETED, "requests.completed", "sum", true, false},
    {JOIN_RECEIVED, "requests.received", "sum", false, false},
    {JOIN_RESTARTS, "workers.restarts", "sum", false, false},
    {JOIN_AVG, "request_time.avg_sec", NULL, true, true},
    {JOIN_MIN, "request_time.min_sec", "min", false, true},
    {JOIN_MAX, "request_time.max_sec", "max", false, true},
    {JOIN_P99, "request_time.p99_sec", "max", false, true},
    {JOIN_LAG, "lag", NULL, true, false},
};

struct monasca {
    struct client *client;
    const struct source_options *options;
};

/* What is being read. */
struct tracks {
    struct api_series *keys; /* instance, hostname, process; the dimensions are NULL */
    struct join *points, *periods;
    size_t n;
};

static void
close_monasca(void *state)
{
    struct monasca *m = state;
    client_free(&m->client);
    free(m);
}

static void *
open_monasca(const char *place, const struct source_options *options, struct errbuf *err)
{
    struct monasca *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    m->options = options;
    if (strlen(options->prefix) > NAME_BYTES / 2)
        errbuf_set(err, "the prefix of the names is longer than %d bytes", NAME_BYTES / 2);
    else if ((m->client = client_new(place, options, err)) != NULL)
        return m;
    free(m);
    return NULL;
}

/* --- tracks --- */

static void
free_tracks(struct tracks *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->keys[i].instance);
        free(t->keys[i].hostname);
        free(t->keys[i].process);
        join_free(&t->points[i]);
        join_free(&t->periods[i]);
    }
    free(t->keys);
    free(t->points);
    free(t->periods);
}

/* Returns: false if memory is out. */
static bool
make_room(struct tracks *t)
{
    struct api_series *keys = reallocarray(t->keys, t->n + 1, sizeof(*keys));
    if (keys != NULL)
        t->keys = keys;
    struct join *points = reallocarray(t->points, t->n + 1, sizeof(*points));
    if (points != NULL)
        t->points = points;
    struct join *periods = reallocarray(t->periods, t->n + 1, sizeof(*periods));
    if (periods != NULL)
        t->periods = periods;
    return keys != NULL && points != NULL && periods != NULL;
}

/* Returns: the number of the track a series belongs to, made if need be; SIZE_MAX: memory is out.
 */
static size_t
find_track(struct tracks *t, const struct api_series *s)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->keys[i].instance, s->instance) == 0 &&
            strcmp(t->keys[i].hostname, s->hostname) == 0 &&
            strcmp(t->keys[i].process, s->process) == 0)
            return i;
    if (!make_room(t))
        return SIZE_MAX;
    struct api_series *key = &t->keys[t->n];
    *key = (struct api_series){.instance = strdup(s->instance),
                               .hostname = strdup(s->hostname),
                               .process = strdup(s->process)};
    t->points[t->n] = t->periods[t->n] = (struct join){.n = 0};
    t->n++; /* free_tracks frees what there is of it */
    return key->instance != NULL && key->hostname != NULL && key->process != NULL ? t->n - 1
                                                                                  : SIZE_MAX;
}

/* --- points --- */

/* Where the points of a series go. */
struct sink {
    const struct figure *figure;
    struct join *join;
    int64_t tolerance_ms;
};

static int
take_point(void *arg, int64_t at_ms, double value, struct errbuf *err)
{
    const struct sink *sink = arg;
    if (value < 0)
        return errbuf_set(err, "%s is below 0: %g", sink->figure->name, value);
    if (sink->figure->seconds)
        value = round(value * 1e9) / 1e6; /* whole ns: the double that a segment's ns give */
    if (join_put(sink->join, at_ms, sink->tolerance_ms, sink->figure->field, value, 1) == -1)
        return errbuf_set(err, "out of memory");
    return 0;
}

/* The span that is asked for. */
struct span {
    int64_t since_ms, until_ms;
    int64_t period_s; /* 0: none */
};

/* A row ends at its point, so points at since_ms belong to the span before. */
static int
read_points(struct monasca *m, struct client_query *query, const struct span *span,
            struct sink *sink, struct errbuf *err)
{
    query->since_ms = span->since_ms + (span->period_s == 0);
    query->until_ms = span->until_ms + (span->period_s == 0);
    query->statistic = NULL;
    query->arg = sink;
    return client_read(m->client, query, err);
}

static int
read_statistic(struct monasca *m, struct client_query *query, const struct span *span,
               struct sink *sink, struct errbuf *err)
{
    query->since_ms = span->since_ms;
    query->until_ms = span->until_ms;
    query->statistic = sink->figure->statistic;
    query->period_s = span->period_s;
    query->arg = sink;
    return client_read(m->client, query, err);
}

/* Takes: the interval of the grid, 0 as long as there is none. */
static int
read_series(struct monasca *m, const char *name, const struct figure *figure,
            const struct span *span, int64_t interval_ms, struct tracks *tracks,
            const struct api_series *series, struct errbuf *err)
{
    struct client_query query = {
        .name = name, .dimensions = series->dimensions, .take = take_point};
    size_t i = find_track(tracks, series);
    if (i == SIZE_MAX)
        return errbuf_set(err, "out of memory");
    if (span->period_s == 0 || figure->points) {
        /* A second series of the same figure: its host, or its other dimensions, were changed. */
        int64_t tolerance_ms =
            interval_ms > 0 ? interval_ms : join_interval(&tracks->points[i], 1, 0) / 2;
        struct sink sink = {figure, &tracks->points[i], tolerance_ms};
        if (tolerance_ms < 0)
            return errbuf_set(err, "out of memory");
        if (read_points(m, &query, span, &sink, err) == -1)
            return -1;
    }
    if (span->period_s > 0 && figure->statistic != NULL) {
        struct sink sink = {figure, &tracks->periods[i], 0};
        return read_statistic(m, &query, span, &sink, err);
    }
    return 0;
}

static void
write_name(const struct monasca *m, const struct figure *figure, struct buf *name)
{
    buf_clear(name);
    buf_add_text(name, m->options->prefix);
    buf_add(name, figure->name, strlen(figure->name) + 1);
    assert(!name->failed);
}

/* Returns: how many series there are, or -1 with a text. */
static int64_t
read_figure(struct monasca *m, const struct figure *figure, const struct span *span,
            int64_t interval_ms, struct tracks *tracks, struct errbuf *err)
{
    struct api_list list = {.n = 0};
    struct buf name;
    buf_init(&name, NAME_BYTES);
    write_name(m, figure, &name);
    int64_t result = client_list(m->client, name.data, &list, err);
    for (size_t i = 0; i < list.n && result == 0; i++)
        result = read_series(m, name.data, figure, span, interval_ms, tracks, &list.series[i], err);
    if (result == 0)
        result = (int64_t)list.n;
    api_list_free(&list);
    buf_free(&name);
    return result;
}

/* Returns: the interval of the flushes, or -1 with a text. */
static int64_t
read_figures(struct monasca *m, const struct span *span, struct tracks *tracks, struct errbuf *err)
{
    int64_t interval_ms = 0;
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        int64_t n = read_figure(m, &figures[i], span, interval_ms, tracks, err);
        if (n == -1)
            return -1;
        if (i == 0 && n == 0)
            return errbuf_set(
                err,
                "no metric %s%s yet: nothing was stored for this project, or the "
                "prefix is another, or the persister's StatsD is off or its agent down",
                m->options->prefix, figures[i].name);
        if (i == 0 && (interval_ms = join_interval(tracks->points, tracks->n, FLUSH_MS)) == -1)
            return errbuf_set(err, "out of memory");
    }
    return interval_ms;
}

/* --- rows --- */

/* Returns: true if instances of that name are on several hosts. */
static bool
is_ambiguous(const struct tracks *t, size_t i)
{
    for (size_t k = 0; k < t->n; k++)
        if (strcmp(t->keys[k].instance, t->keys[i].instance) == 0 &&
            strcmp(t->keys[k].hostname, t->keys[i].hostname) != 0)
            return true;
    return false;
}

/* Returns: the track of a reading, or NULL if memory is out. */
static struct reading_track *
add_track(const struct tracks *t, size_t i, struct reading *reading)
{
    const struct api_series *key = &t->keys[i];
    struct reading_track *track = NULL;
    struct buf name;
    buf_init(&name, NAME_BYTES * 2);
    buf_add_text(&name, key->instance);
    if (is_ambiguous(t, i))
        buf_printf(&name, "@%s", key->hostname);
    buf_add_char(&name, '\0');
    if (!name.failed)
        track = reading_track(reading, name.data, key->process);
    buf_free(&name);
    return track;
}

static int
add_rows(struct tracks *t, size_t i, const struct span *span, int64_t interval_ms,
         struct reading *reading)
{
    static const unsigned folded = 1u << JOIN_AVG | 1u << JOIN_LAG;
    if (span->period_s > 0 &&
        join_fold(&t->points[i], span->period_s * 1000, folded, &t->periods[i]) == -1)
        return -1;
    if ((span->period_s > 0 ? t->periods[i].n : t->points[i].n) == 0)
        return 0; /* it was, once */
    struct reading_track *track = add_track(t, i, reading);
    if (track == NULL)
        return -1;
    return span->period_s > 0
               ? join_add_periods(&t->periods[i], span->period_s * 1000, span->since_ms,
                                  span->until_ms, track)
               : join_add_rows(&t->points[i], interval_ms, span->since_ms, span->until_ms, track);
}

static int
read_monasca(void *state, int64_t since_ms, int64_t until_ms, struct reading *reading,
             struct errbuf *err)
{
    struct monasca *m = state;
    struct tracks tracks = {.n = 0};
    const struct span span = {since_ms, until_ms, (m->options->period_ms + 999) / 1000};
    if (since_ms >= until_ms)
        return errbuf_set(err, "the time asked for ends before it begins");
    int64_t interval_ms = read_figures(m, &span, &tracks, err);
    int result = interval_ms == -1 ? -1 : 0;
    for (size_t i = 0; i < tracks.n && result == 0; i++)
        if (add_rows(&tracks, i, &span, interval_ms, reading) == -1)
            result = errbuf_set(err, "out of memory");
    free_tracks(&tracks);
    return result;
}

/* Whether there is anything yet does not matter: only that one may ask. */
static int
poll_monasca(void *state, struct errbuf *err)
{
    struct monasca *m = state;
    struct api_list list = {.n = 0};
    struct buf name;
    buf_init(&name, NAME_BYTES);
    write_name(m, &figures[0], &name);
    int result = client_list(m->client, name.data, &list, err);
    api_list_free(&list);
    buf_free(&name);
    return result;
}

const struct source_ops source_monasca_ops = {.kind = "monasca",
                                              .place = NULL,
                                              .remembers = true,
                                              .open = open_monasca,
                                              .poll = poll_monasca,
                                              .read = read_monasca,
                                              .close = close_monasca};
