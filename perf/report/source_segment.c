/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_segment.c - the shared memory of an instance on this host: its closed periods as rows.
 *
 * The segment keeps 60 periods. Each poll, and each reading, takes over those that are new, so that
 * a run may last longer than these.  A master that was started anew makes a new segment, whose
 * periods begin at 1; what the old one still had is taken over first, and the rows go on.
 *
 * Process: persister-perf.  Owner: struct segment.  Concurrency: one thread; the master and its
 * workers write meanwhile.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "perf/report/source_priv.h"
#include "figures/figures.h"
#include "shm/pstats_find.h"

/* How often a process was forked again, as of the last look. */
struct forks {
    char name[SHM_PROCESS_BYTES];
    unsigned slot;
    uint32_t restarts;
};

/*
 * What one who writes the segment at will can make us keep: rows faster than time goes by, and ever
 * new names. A period takes a second at least.
 */
enum { TRACKS_MAX = 8192, PERIOD_MIN_MS = 500 };

struct segment_source {
    char *instance;
    const char *directory; /* of the options; NULL: the default ones */
    char path[PSTATS_PATH_BYTES];
    struct shm_reader *reader; /* NULL: none was found yet */
    struct snapshot snapshot;
    struct snapshot_period periods[SHM_PERIODS];
    struct snapshot_process_period process_periods[SHM_PERIODS];
    int64_t attached_ms; /* monotonic clock */
    uint64_t rows_since; /* that many of the instance were taken over since */
    uint64_t taken;      /* the number of the last period that was taken over, of this segment */
    bool anew;           /* the rows to come are the first of another master */
    struct reading rows; /* all that was taken over */
    struct forks *forks; /* as of the snapshot before */
    size_t n_forks;
};

static void
close_segment(void *state)
{
    struct segment_source *s = state;
    shm_reader_close(&s->reader);
    snapshot_free(&s->snapshot);
    reading_free(&s->rows);
    free(s->forks);
    free(s->instance);
    free(s);
}

static void *
open_segment(const char *place, const struct source_options *options, struct errbuf *err)
{
    if (strchr(place, '/') != NULL || strlen(place) >= SHM_INSTANCE_BYTES) {
        errbuf_set(err, "an instance's name has at most %d characters and no '/'",
                   SHM_INSTANCE_BYTES - 1);
        return NULL;
    }
    struct segment_source *s = calloc(1, sizeof(*s));
    if (s == NULL || (s->instance = strdup(place)) == NULL) {
        free(s);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    if (options->segment_directory != NULL && options->segment_directory[0] != '\0')
        s->directory = options->segment_directory;
    return s;
}

/* --- rows --- */

/* Nanoseconds as ms, NAN for a time that nobody knows. */
static double
to_ms(uint64_t ns)
{
    return ns == STAT_UNKNOWN ? NAN : (double)ns / 1e6;
}

static void
fill_times(struct reading_row *row, const struct stat_times *times)
{
    if (times->count == 0)
        return;
    row->time_avg_ms = (double)times->sum_ns / (double)times->count / 1e6;
    row->time_min_ms = to_ms(times->min_ns);
    row->time_max_ms = to_ms(times->max_ns);
    row->time_p99_ms = to_ms(times->p99_ns);
}

/*
 * The span of a period, after what the track has. Should the clock have been set back, the rows go
 * on from where they were.
 */
static struct reading_row
make_row(const struct reading_track *t, const struct snapshot_period *p)
{
    int64_t from_ms = p->ended_ms - p->length_ms, to_ms = p->ended_ms;
    int64_t last_ms = t->n > 0 ? t->rows[t->n - 1].to_ms : INT64_MIN;
    if (from_ms < last_ms)
        from_ms = last_ms;
    if (to_ms <= from_ms)
        to_ms = from_ms + (p->length_ms > 0 ? p->length_ms : 1);
    return reading_row(from_ms, to_ms);
}

static int
add_instance_row(struct segment_source *s, const struct snapshot_period *p)
{
    struct reading_track *t = reading_track(&s->rows, s->snapshot.instance, "");
    if (t == NULL)
        return -1;
    struct reading_row row = make_row(t, p);
    uint64_t lag = p->figures.values[STAT_LAG];
    row.received = (double)p->figures.values[STAT_RECEIVED];
    row.completed = (double)p->figures.values[STAT_COMPLETED];
    row.lag = lag == STAT_UNKNOWN ? NAN : (double)lag;
    row.restarted = s->anew;
    fill_times(&row, &p->figures.times[STAT_REQUEST]);
    return reading_add(t, &row);
}

/* Another process of the same name, as there is during a reload. */
static void
merge_row(struct reading_row *into, const struct snapshot_process_period *p)
{
    const struct stat_times *times = &p->times[STAT_REQUEST];
    double before = isnan(into->time_avg_ms) ? 0 : into->completed;
    if (times->count > 0) {
        struct reading_row row = *into;
        fill_times(&row, times);
        double n = (double)times->count;
        into->time_avg_ms = before > 0
                                ? (into->time_avg_ms * before + row.time_avg_ms * n) / (before + n)
                                : row.time_avg_ms;
        into->time_min_ms = fmin(into->time_min_ms, row.time_min_ms);
        into->time_max_ms = fmax(into->time_max_ms, row.time_max_ms);
    }
    into->received += (double)p->received;
    into->completed += (double)p->completed;
}

/* Takes: the process's period, and the instance's of the same number, whose row is there. */
static int
add_process_row(struct segment_source *s, const char *name, const struct snapshot_process_period *p,
                const struct reading_row *of_instance, bool restarted)
{
    struct reading_track *t = reading_track(&s->rows, s->snapshot.instance, name);
    if (t == NULL)
        return -1;
    if (t->n > 0 && t->rows[t->n - 1].to_ms == of_instance->to_ms) {
        t->rows[t->n - 1].restarted |= restarted;
        merge_row(&t->rows[t->n - 1], p);
        return 0;
    }
    struct reading_row row = reading_row(of_instance->from_ms, of_instance->to_ms);
    row.received = (double)p->received;
    row.completed = (double)p->completed;
    row.restarted = restarted;
    fill_times(&row, &p->times[STAT_REQUEST]);
    return reading_add(t, &row);
}

/* --- who was forked again --- */

/* Returns: how often since the look before. */
static uint32_t
new_restarts(const struct segment_source *s, const struct snapshot_process *p)
{
    for (size_t i = 0; i < s->n_forks; i++)
        if (s->forks[i].slot == p->slot && strcmp(s->forks[i].name, p->name) == 0)
            return p->restarts > s->forks[i].restarts ? p->restarts - s->forks[i].restarts : 0;
    return p->restarts;
}

static int
note_forks(struct segment_source *s)
{
    const struct snapshot *now = &s->snapshot;
    void *room = reallocarray(s->forks, now->n_processes + 1, sizeof(*s->forks));
    if (room == NULL)
        return -1;
    s->forks = room;
    s->n_forks = now->n_processes;
    for (size_t i = 0; i < now->n_processes; i++) {
        const struct snapshot_process *p = &now->processes[i];
        s->forks[i] = (struct forks){.slot = p->slot, .restarts = p->restarts};
        memcpy(s->forks[i].name, p->name, sizeof(p->name));
    }
    return 0;
}

/*
 * A period says how many processes were forked again in it, not which.
 * Returns: true if it was this one for certain: no more than that many were since the look before.
 */
static bool
was_restarted(const struct segment_source *s, const struct snapshot_process *p,
              const struct snapshot_period *period)
{
    uint64_t candidates = 0;
    if (new_restarts(s, p) == 0)
        return false;
    for (size_t i = 0; i < s->snapshot.n_processes; i++)
        candidates += new_restarts(s, &s->snapshot.processes[i]) > 0;
    return period->figures.values[STAT_RESTARTS] >= candidates;
}

/* --- taking over --- */

/* Returns: the period of that number, or NULL. */
static const struct snapshot_process_period *
find_period(const struct segment_source *s, size_t n, uint64_t number)
{
    for (size_t i = 0; i < n; i++)
        if (s->process_periods[i].number == number)
            return &s->process_periods[i];
    return NULL;
}

/* Takes: the periods that are new; the instance's rows of them are there, `first` is the first's.
 */
static int
take_process(struct segment_source *s, const struct snapshot_process *p,
             const struct snapshot_period *periods, size_t n, size_t first)
{
    size_t kept = snapshot_process_periods(s->reader, p->slot, s->process_periods, SHM_PERIODS);
    for (size_t i = 0; i < n; i++) {
        const struct snapshot_process_period *period = find_period(s, kept, periods[i].number);
        if (period == NULL)
            continue;
        /* Looked up each time: a new track may move them. */
        const struct reading_track *t = reading_track(&s->rows, s->snapshot.instance, "");
        struct reading_row row;
        if (t == NULL)
            return -1;
        row = t->rows[first + i];
        if (add_process_row(s, p->name, period, &row,
                            row.restarted || was_restarted(s, p, &periods[i])) == -1)
            return -1;
    }
    return 0;
}

static int
take_periods(struct segment_source *s, const struct snapshot_period *periods, size_t n)
{
    struct reading_track *t = reading_track(&s->rows, s->snapshot.instance, "");
    if (t == NULL)
        return -1;
    size_t first = t->n;
    for (size_t i = 0; i < n; i++) {
        if (add_instance_row(s, &periods[i]) == -1)
            return -1;
        s->anew = false;
    }
    for (size_t i = 0; i < s->snapshot.n_processes; i++)
        if (figures_is_worker(&s->snapshot.processes[i]) && s->rows.n < TRACKS_MAX &&
            take_process(s, &s->snapshot.processes[i], periods, n, first) == -1)
            return -1;
    s->taken = periods[n - 1].number;
    return note_forks(s);
}

/* Returns: how many periods a segment can have shown since it was attached to. */
static uint64_t
most_periods(const struct segment_source *s)
{
    return 2 * SHM_PERIODS + (uint64_t)(clock_mono_ms() - s->attached_ms) / PERIOD_MIN_MS;
}

/*
 * Takes over what the segment has closed since the last time.  The periods are read before the
 * snapshot: whoever restarted in one of them is then in the snapshot.
 */
static int
take_over(struct segment_source *s, struct errbuf *err)
{
    size_t n = snapshot_periods(s->reader, s->periods, SHM_PERIODS), skip = 0;
    if (snapshot_take(s->reader, &s->snapshot, err) == -1)
        return -1;
    while (skip < n && s->periods[skip].number <= s->taken)
        skip++;
    s->rows_since += n - skip;
    if (s->rows_since > most_periods(s))
        return errbuf_set(err, "%s: closes periods faster than time goes by", s->path);
    if (skip < n && take_periods(s, &s->periods[skip], n - skip) == -1)
        return errbuf_set(err, "out of memory");
    return 0;
}

/* --- the segment --- */

static int
attach(struct segment_source *s, struct errbuf *err)
{
    char path[PSTATS_PATH_BYTES];
    struct shm_reader *reader;
    if (pstats_find(s->instance, s->directory, path, &reader, err) != PSTATS_LIVE)
        return -1;
    if (s->reader != NULL) {
        s->anew = true;
        shm_reader_close(&s->reader);
    }
    memcpy(s->path, path, sizeof(path));
    s->reader = reader;
    s->attached_ms = clock_mono_ms();
    s->rows_since = 0;
    s->taken = 0;
    s->n_forks = 0;
    return 0;
}

/* Goes over to the segment of a new master, when the old one has no more to say. */
static int
refresh(struct segment_source *s, struct errbuf *err)
{
    if (s->reader == NULL && attach(s, err) == -1)
        return -1;
    if (take_over(s, err) == -1)
        return -1;
    if (!shm_reader_is_replaced(s->reader))
        return 0;
    struct errbuf ignored;
    if (attach(s, &ignored) == -1)
        return 0; /* not there yet; the old one can still be read */
    return take_over(s, err);
}

static int
poll_segment(void *state, struct errbuf *err)
{
    struct segment_source *s = state;
    struct figures_origin origin;
    if (refresh(s, err) == -1)
        return -1;
    figures_tell_origin(&origin, s->path, s->reader, &s->snapshot);
    if (origin.stale)
        return errbuf_set(err, "%s", origin.stale_reason);
    return 0;
}

/* Copies the rows that end in the span. */
static int
copy_track(const struct reading_track *from, int64_t since_ms, int64_t until_ms,
           struct reading *reading)
{
    struct reading_track *to = NULL;
    for (size_t i = 0; i < from->n; i++) {
        if (!source_is_within(from->rows[i].to_ms, since_ms, until_ms))
            continue;
        if (to == NULL && (to = reading_track(reading, from->instance, from->process)) == NULL)
            return -1;
        if (reading_add(to, &from->rows[i]) == -1)
            return -1;
    }
    return 0;
}

static int
read_segment(void *state, int64_t since_ms, int64_t until_ms, struct reading *reading,
             struct errbuf *err)
{
    struct segment_source *s = state;
    struct errbuf why;
    if (refresh(s, &why) == -1 && s->rows.n == 0) {
        *err = why;
        return -1;
    }
    for (size_t i = 0; i < s->rows.n; i++)
        if (copy_track(&s->rows.tracks[i], since_ms, until_ms, reading) == -1)
            return errbuf_set(err, "out of memory");
    return 0;
}

const struct source_ops source_segment_ops = {.kind = "segment",
                                              .place = "INSTANCE",
                                              .remembers = true,
                                              .open = open_segment,
                                              .poll = poll_segment,
                                              .read = read_segment,
                                              .close = close_segment};
