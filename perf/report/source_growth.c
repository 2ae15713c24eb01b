/* SPDX-License-Identifier: Apache-2.0 */
/* source_growth.c - see source_growth.h. */
#include "perf/report/source_growth.h"

#include <math.h>
#include <stdlib.h>

#include "perf/report/source_priv.h"

struct poll {
    int64_t at_ms;
    char *identity;
};

/* A track's counters as of a poll. */
struct point {
    size_t poll;
    struct growth_figures figures;
};

struct track {
    char *instance, *process;
    unsigned slot;
    struct point *points;
    size_t n, capacity;
};

struct growth {
    struct poll *polls;
    size_t n_polls, polls_capacity;
    struct track *tracks;
    size_t n_tracks, tracks_capacity;
};

/* --- life --- */

struct growth *
growth_new(void)
{
    return calloc(1, sizeof(struct growth));
}

void
growth_free(struct growth **growth)
{
    struct growth *g = *growth;
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->n_polls; i++)
        free(g->polls[i].identity);
    for (size_t i = 0; i < g->n_tracks; i++) {
        free(g->tracks[i].instance);
        free(g->tracks[i].process);
        free(g->tracks[i].points);
    }
    free(g->polls);
    free(g->tracks);
    free(g);
    *growth = NULL;
}

/* Makes room for one more. Returns: the array, moved perhaps; NULL if memory is out. */
static void *
make_room(void *array, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return array;
    size_t more = *capacity == 0 ? 8 : 2 * *capacity;
    void *bigger = reallocarray(array, more, size);
    if (bigger != NULL)
        *capacity = more;
    return bigger;
}

struct growth_figures
growth_figures(void)
{
    return (struct growth_figures){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

/* --- taking up --- */

int
growth_begin(struct growth *growth, int64_t now_ms, const char *identity)
{
    struct growth *g = growth;
    struct poll *polls = make_room(g->polls, g->n_polls, &g->polls_capacity, sizeof(*polls));
    if (polls == NULL)
        return -1;
    g->polls = polls;
    struct poll poll = {.at_ms = now_ms, .identity = strdup(identity)};
    if (poll.identity == NULL)
        return -1;
    if (g->n_polls > 0 && now_ms <= polls[g->n_polls - 1].at_ms)
        poll.at_ms = polls[g->n_polls - 1].at_ms + 1;
    polls[g->n_polls++] = poll;
    return 0;
}

static struct track *
find_track(struct growth *g, const char *instance, const char *process, unsigned slot)
{
    for (size_t i = 0; i < g->n_tracks; i++)
        if (g->tracks[i].slot == slot && strcmp(g->tracks[i].instance, instance) == 0 &&
            strcmp(g->tracks[i].process, process) == 0)
            return &g->tracks[i];
    void *bigger = make_room(g->tracks, g->n_tracks, &g->tracks_capacity, sizeof(*g->tracks));
    if (bigger == NULL)
        return NULL;
    g->tracks = bigger;
    struct track *t = &g->tracks[g->n_tracks];
    *t = (struct track){.instance = strdup(instance), .process = strdup(process), .slot = slot};
    if (t->instance == NULL || t->process == NULL) {
        free(t->instance);
        free(t->process);
        return NULL;
    }
    g->n_tracks++;
    return t;
}

int
growth_add(struct growth *growth, const char *instance, const char *process, unsigned slot,
           const struct growth_figures *figures)
{
    assert(growth->n_polls > 0);
    size_t poll = growth->n_polls - 1;
    struct track *t = find_track(growth, instance, process, slot);
    if (t == NULL)
        return -1;
    if (t->n > 0 && t->points[t->n - 1].poll == poll)
        return 0; /* told twice by whoever makes such answers */
    struct point *points = make_room(t->points, t->n, &t->capacity, sizeof(*points));
    if (points == NULL)
        return -1;
    t->points = points;
    points[t->n++] = (struct point){.poll = poll, .figures = *figures};
    return 0;
}

/* --- what was counted between two polls --- */

/* Of a process, or several that are one for the reader. */
struct step {
    bool there, restarted;
    double received_before, completed_before, received_after, completed_after;
    struct growth_figures gain; /* lag: at the end */
};

static const struct growth_figures nothing = {.received = 0};

/* Returns: true if any counter fell. */
static bool
fell(const struct growth_figures *before, const struct growth_figures *now)
{
    return now->received < before->received || now->completed < before->completed ||
           now->time_count < before->time_count;
}

/*
 * What the figures of a point, which is not of the first poll, are to be compared with: those of
 * the poll before, or nothing.
 */
static const struct growth_figures *
find_base(const struct growth *g, const struct track *t, size_t i, bool *restarted)
{
    const struct point *p = &t->points[i];
    if (i == 0 || t->points[i - 1].poll != p->poll - 1) {
        *restarted = i > 0;
        return &nothing;
    }
    const struct growth_figures *before = &t->points[i - 1].figures;
    *restarted = strcmp(g->polls[p->poll].identity, g->polls[p->poll - 1].identity) != 0 ||
                 fell(before, &p->figures);
    if (*restarted)
        return &nothing;
    *restarted = p->figures.restarts > before->restarts;
    return before;
}

/* An extreme since the beginning says something of the step only if it is a new one. */
static void
gain_times(struct growth_figures *gain, const struct growth_figures *base,
           const struct growth_figures *now)
{
    bool first = base->time_count == 0;
    gain->time_count = now->time_count - base->time_count;
    if (!(gain->time_count > 0))
        return;
    gain->time_sum_ms = now->time_sum_ms - base->time_sum_ms;
    if (first || now->time_min_ms < base->time_min_ms)
        gain->time_min_ms = now->time_min_ms;
    if (first || now->time_max_ms > base->time_max_ms)
        gain->time_max_ms = now->time_max_ms;
    if (first)
        gain->time_p99_ms = now->time_p99_ms;
}

static struct step
make_step(const struct growth *g, const struct track *t, size_t i)
{
    const struct growth_figures *now = &t->points[i].figures;
    struct step step = {.there = true, .gain = growth_figures()};
    const struct growth_figures *base = find_base(g, t, i, &step.restarted);
    /* Before a restart it stood where it stood. */
    bool known = i > 0 && t->points[i - 1].poll == t->points[i].poll - 1;
    const struct growth_figures *before = known ? &t->points[i - 1].figures : &nothing;
    step.received_before = before->received;
    step.completed_before = before->completed;
    step.received_after = now->received;
    step.completed_after = now->completed;
    step.gain.received = now->received - base->received;
    step.gain.completed = now->completed - base->completed;
    step.gain.lag = now->lag;
    gain_times(&step.gain, base, now);
    return step;
}

/* An extreme of both is known only if it is known of each that was timed at all. */
static void
merge_times(struct growth_figures *into, const struct growth_figures *f)
{
    if (!(f->time_count > 0))
        return;
    if (!(into->time_count > 0)) {
        double received = into->received, completed = into->completed, lag = into->lag;
        *into = *f;
        into->received = received;
        into->completed = completed;
        into->lag = lag;
        return;
    }
    bool min = !isnan(into->time_min_ms) && !isnan(f->time_min_ms);
    bool max = !isnan(into->time_max_ms) && !isnan(f->time_max_ms);
    into->time_count += f->time_count;
    into->time_sum_ms += f->time_sum_ms;
    into->time_min_ms = min ? fmin(into->time_min_ms, f->time_min_ms) : NAN;
    into->time_max_ms = max ? fmax(into->time_max_ms, f->time_max_ms) : NAN;
    into->time_p99_ms = NAN;
}

static void
merge_step(struct step *into, const struct step *step)
{
    if (!into->there) {
        *into = *step;
        return;
    }
    into->restarted |= step->restarted;
    into->received_before += step->received_before;
    into->completed_before += step->completed_before;
    into->received_after += step->received_after;
    into->completed_after += step->completed_after;
    into->gain.received += step->gain.received;
    into->gain.completed += step->gain.completed;
    into->gain.lag += step->gain.lag;
    merge_times(&into->gain, &step->gain);
}

/* --- reading --- */

/* One track of a reading. */
struct wanted {
    const char *instance, *process; /* process NULL: all of the instance's */
    int64_t since_ms, until_ms;
};

static bool
is_wanted(const struct track *t, const struct wanted *w)
{
    return strcmp(t->instance, w->instance) == 0 &&
           (w->process == NULL ? t->process[0] != '\0' : strcmp(t->process, w->process) == 0);
}

static bool
is_told(const struct growth *g, const struct wanted *w, size_t poll)
{
    return poll > 0 && source_is_within(g->polls[poll].at_ms, w->since_ms, w->until_ms);
}

/* Fills steps in, one for each poll. Returns: true if there is any. */
static bool
fill_steps(const struct growth *g, const struct wanted *w, struct step *steps)
{
    bool any = false;
    for (size_t i = 0; i < g->n_tracks; i++) {
        const struct track *t = &g->tracks[i];
        for (size_t k = 0; is_wanted(t, w) && k < t->n; k++) {
            if (!is_told(g, w, t->points[k].poll))
                continue;
            struct step step = make_step(g, t, k);
            merge_step(&steps[t->points[k].poll], &step);
            any = true;
        }
    }
    return any;
}

static int
add_row(const struct growth *g, size_t poll, const struct step *step, struct reading_track *out)
{
    const struct growth_figures *gain = &step->gain;
    struct reading_row row = reading_row(g->polls[poll - 1].at_ms, g->polls[poll].at_ms);
    row.received = gain->received;
    row.completed = gain->completed;
    row.lag = gain->lag;
    row.restarted = step->restarted;
    if (gain->time_count > 0)
        row.time_avg_ms = gain->time_sum_ms / gain->time_count;
    row.time_min_ms = gain->time_min_ms;
    row.time_max_ms = gain->time_max_ms;
    row.time_p99_ms = gain->time_p99_ms;
    if (out->n == 0) {
        out->received_start = step->received_before;
        out->completed_start = step->completed_before;
    }
    out->received_end = step->received_after;
    out->completed_end = step->completed_after;
    return reading_add(out, &row);
}

static int
read_wanted(const struct growth *g, const struct wanted *w, struct reading *reading)
{
    struct step *steps = calloc(g->n_polls, sizeof(*steps));
    if (steps == NULL)
        return -1;
    int result = 0;
    if (fill_steps(g, w, steps)) {
        struct reading_track *out =
            reading_track(reading, w->instance, w->process != NULL ? w->process : "");
        result = out != NULL ? 0 : -1;
        for (size_t i = 1; i < g->n_polls && result == 0; i++)
            if (steps[i].there)
                result = add_row(g, i, &steps[i], out);
    }
    free(steps);
    return result;
}

/* Returns: true if an earlier track is of that process, or, process NULL, of that instance. */
static bool
is_done(const struct growth *g, size_t n, const char *process)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(g->tracks[i].instance, g->tracks[n].instance) == 0 &&
            (process == NULL || strcmp(g->tracks[i].process, process) == 0))
            return true;
    return false;
}

static bool
has_own(const struct growth *g, const char *instance)
{
    for (size_t i = 0; i < g->n_tracks; i++)
        if (g->tracks[i].process[0] == '\0' && strcmp(g->tracks[i].instance, instance) == 0)
            return true;
    return false;
}

int
growth_read(const struct growth *growth, int64_t since_ms, int64_t until_ms,
            struct reading *reading)
{
    for (size_t i = 0; i < growth->n_tracks; i++) {
        const struct track *t = &growth->tracks[i];
        struct wanted w = {t->instance, NULL, since_ms, until_ms};
        if (!is_done(growth, i, NULL) && !has_own(growth, t->instance) &&
            read_wanted(growth, &w, reading) == -1)
            return -1;
        w.process = t->process;
        if (!is_done(growth, i, t->process) && read_wanted(growth, &w, reading) == -1)
            return -1;
    }
    return 0;
}
