/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_watch.c - see pstats_watch.h. */
#include "pstats/pstats_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "pstats/pstats_format.h"
#include "pstats/pstats_rates.h"
#include "pstats/pstats_text.h"

enum { NEWS_MS = 500, HEADER_EVERY = 20, LINE_BYTES = 65536, DURATION_COLUMNS = 6, OF_TIMING = 4 };

static const char *const default_globs[] = {"received",  "completed", "rejected",
                                            "in_flight", "lag",       "request"};
static const struct figures_choice default_choice = {default_globs, COUNT_OF(default_globs)};

struct watch {
    struct source *source;
    const struct figures_choice *choice;
    struct rates rates;
    /* of the snapshot before */
    struct stat_times times[STAT_TIMINGS];
    uint64_t buckets[STAT_HISTOGRAMS][HISTOGRAM_BUCKETS];
    unsigned attached;
    unsigned lines; /* since the last header */
    struct buf line;
};

/* --- the header --- */

static int
width_of(const struct stat_descriptor *d)
{
    return strlen(d->name) > 7 ? (int)strlen(d->name) : 7;
}

static void
add_header(struct watch *w)
{
    struct buf *out = &w->line;
    static const char *const of_timing[OF_TIMING] = {"avg", "min", "max", "p99"};
    int group = OF_TIMING * (DURATION_COLUMNS + 1) - 2;
    buf_printf(out, "%-8s", "");
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (figures_is_chosen(w->choice, stat_values[v].name))
            buf_printf(out, " %*s", width_of(&stat_values[v]),
                       stat_values[v].nature == STAT_COUNTER ? "/s" : "");
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        if (figures_is_chosen(w->choice, stat_timings[t].name))
            buf_printf(out, "  %-*.*s", group, group, stat_timings[t].name);
    buf_printf(out, "\n%-8s", "TIME");
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (figures_is_chosen(w->choice, stat_values[v].name))
            buf_printf(out, " %*s", width_of(&stat_values[v]), stat_values[v].name);
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        for (unsigned i = 0; i < OF_TIMING; i++)
            if (figures_is_chosen(w->choice, stat_timings[t].name))
                buf_printf(out, " %*s", DURATION_COLUMNS, of_timing[i]);
    buf_add_char(out, '\n');
}

/* --- a line --- */

static void
add_values(struct watch *w)
{
    char text[PSTATS_TEXT_BYTES];
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        uint64_t level = w->source->snapshot.totals.values[v];
        double rate = w->rates.per_second[v];
        if (!figures_is_chosen(w->choice, stat_values[v].name))
            continue;
        if (stat_values[v].nature == STAT_COUNTER)
            snprintf(text, sizeof(text), rate < 0 ? "-" : "%.1f", rate);
        else
            snprintf(text, sizeof(text), level == STAT_UNKNOWN ? "?" : "%llu",
                     (unsigned long long)level);
        buf_printf(&w->line, " %*s", width_of(&stat_values[v]), text);
    }
}

/* What was timed since the snapshot before. Takes: room for what percentiles need. */
static void
difference(const struct watch *w, enum stat_timing t, uint64_t *since, struct stat_times *times)
{
    const struct stat_times *now = &w->source->snapshot.totals.times[t], *before = &w->times[t];
    *times = (struct stat_times){.min_ns = STAT_UNKNOWN,
                                 .max_ns = STAT_UNKNOWN,
                                 .p50_ns = STAT_UNKNOWN,
                                 .p95_ns = STAT_UNKNOWN,
                                 .p99_ns = STAT_UNKNOWN};
    if (now->count <= before->count || now->sum_ns < before->sum_ns)
        return;
    times->count = now->count - before->count;
    times->sum_ns = now->sum_ns - before->sum_ns;
    if (t >= STAT_HISTOGRAMS)
        return;
    const uint64_t *buckets = snapshot_buckets(w->source->reader, t);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        since[i] = buckets[i] > w->buckets[t][i] ? buckets[i] - w->buckets[t][i] : 0;
    unsigned last = HISTOGRAM_BUCKETS - 1;
    while (last > 0 && since[last] == 0)
        last--;
    /* The extremes that are known exactly are those since the start; these are as near as buckets
     * tell. */
    uint64_t max_ns = histogram_middle(last) < now->max_ns ? histogram_middle(last) : now->max_ns;
    max_ns = max_ns < now->min_ns ? now->min_ns : max_ns;
    times->min_ns = histogram_quantile(since, 0, now->min_ns, max_ns);
    times->max_ns = max_ns;
    times->p99_ns = histogram_quantile(since, 0.99, now->min_ns, max_ns);
}

/* Without a histogram nothing is known of the extremes. */
static uint64_t
average(const struct stat_times *times)
{
    struct stat_times of = *times;
    if (of.count == 0)
        return STAT_UNKNOWN;
    if (of.min_ns == STAT_UNKNOWN)
        of.min_ns = 0;
    return stat_average(&of);
}

static void
add_timings(struct watch *w)
{
    uint64_t since[HISTOGRAM_BUCKETS];
    struct stat_times times;
    char text[PSTATS_TEXT_BYTES];
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (!figures_is_chosen(w->choice, stat_timings[t].name))
            continue;
        difference(w, t, since, &times);
        const uint64_t ns[OF_TIMING] = {average(&times), times.min_ns, times.max_ns, times.p99_ns};
        for (unsigned i = 0; i < OF_TIMING; i++)
            buf_printf(&w->line, " %*s", DURATION_COLUMNS, pstats_write_duration(text, ns[i]));
    }
}

static void
remember(struct watch *w)
{
    memcpy(w->times, w->source->snapshot.totals.times, sizeof(w->times));
    for (unsigned t = 0; t < STAT_HISTOGRAMS; t++)
        memcpy(w->buckets[t], snapshot_buckets(w->source->reader, t), sizeof(w->buckets[t]));
    w->attached = w->source->attached;
}

static void
add_line(struct watch *w)
{
    const struct source *source = w->source;
    char clock[PSTATS_TEXT_BYTES];
    pstats_write_clock(clock, source->snapshot.taken_ms);
    if (source->origin.stale || source_master_is_silent(source)) {
        buf_printf(&w->line, "%s ", clock);
        pstats_add_state(&w->line, source);
        if (source->trouble.text[0] != '\0' && source->origin.stale)
            buf_printf(&w->line, "; now %s", source->trouble.text);
        buf_add_char(&w->line, '\n');
    } else if (w->attached != source->attached) {
        buf_printf(&w->line, "%s new master: pid %ld\n", clock, (long)source->snapshot.master_pid);
    } else {
        if (w->lines++ % HEADER_EVERY == 0)
            add_header(w);
        buf_add_text(&w->line, clock);
        add_values(w);
        add_timings(w);
        buf_add_char(&w->line, '\n');
    }
}

/* --- the loop --- */

/* Sleeps until then, or until there is news, which is looked for twice a second. Returns: true if
 * so. */
static bool
sleep_until(const struct watch *w, int64_t until_ms)
{
    int64_t now_ms;
    while ((now_ms = clock_mono_ms()) < until_ms) {
        int64_t ms = now_ms + NEWS_MS < until_ms ? now_ms + NEWS_MS : until_ms;
        struct timespec until = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (ms < until_ms && source_has_news(w->source))
            return true;
    }
    return false;
}

/* Takes: whether to print anything, or only to take the snapshot that is the first line's start. */
static int
step(struct watch *w, bool print, struct errbuf *err)
{
    buf_clear(&w->line);
    if (source_refresh(w->source, err) == -1)
        return -1;
    if (rates_update(&w->rates, &w->source->snapshot) == -1)
        return errbuf_set(err, "out of memory");
    if (print)
        add_line(w);
    remember(w);
    if (w->line.failed)
        return errbuf_set(err, "out of memory");
    if (w->line.size > 0 &&
        (fwrite(w->line.data, 1, w->line.size, stdout) != w->line.size || fflush(stdout) != 0))
        return errbuf_set(err, "cannot write: %s", strerror(errno));
    return 0;
}

enum pstats_exit
pstats_watch(struct source *source, int64_t seconds, int64_t lines,
             const struct figures_choice *choice, struct errbuf *err)
{
    struct watch *w = calloc(1, sizeof(*w));
    int64_t next_ms = clock_mono_ms();
    if (w == NULL) {
        errbuf_set(err, "out of memory");
        return PSTATS_FAILED;
    }
    w->source = source;
    w->choice = choice == NULL || choice->n_globs == 0 ? &default_choice : choice;
    buf_init(&w->line, LINE_BYTES);
    int result = step(w, false, err);
    for (int64_t i = 0; result == 0 && (lines == 0 || i < lines); i++) {
        /* What happened to the master is said at once, in a line more. */
        if (!sleep_until(w, next_ms + seconds * 1000))
            next_ms += seconds * 1000;
        result = step(w, true, err);
    }
    rates_free(&w->rates);
    buf_free(&w->line);
    free(w);
    return result == -1 ? PSTATS_FAILED : source->origin.stale ? PSTATS_STALE : PSTATS_LIVE;
}
