/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_window.c - see statsd_window.h. */
#include "statsd/statsd_window.h"

void
statsd_window_clear(struct statsd_window *window)
{
    memset(window, 0, sizeof(*window));
}

uint64_t
statsd_window_first(const struct snapshot_period *periods, size_t n, int64_t span_ms)
{
    int64_t covered_ms = 0;
    size_t first = n;
    while (first > 0 && covered_ms < span_ms)
        covered_ms += periods[--first].length_ms;
    return first < n ? periods[first].number : 1;
}

void
statsd_window_fill(struct statsd_window *window, const struct stat_figures *figures,
                   const struct snapshot_period *periods, size_t n, uint64_t told)
{
    statsd_window_clear(window);
    memcpy(window->times, figures->times, sizeof(window->times));
    for (size_t i = 0; i < n; i++)
        for (unsigned t = 0; t < STAT_TIMINGS; t++)
            window->fresh[t] |= periods[i].number > told && periods[i].figures.times[t].count > 0;
}

/* Folds times into times; nothing of them may be shared. */
static void
fold_times(struct stat_times *into, const struct stat_times *times)
{
    if (times->count == 0)
        return;
    if (into->count == 0) {
        *into = *times;
    } else {
        into->count += times->count;
        into->sum_ns += times->sum_ns;
        into->min_ns = times->min_ns < into->min_ns ? times->min_ns : into->min_ns;
        into->max_ns = times->max_ns > into->max_ns ? times->max_ns : into->max_ns;
    }
    into->p50_ns = into->p95_ns = into->p99_ns = STAT_UNKNOWN;
}

void
statsd_window_add(struct statsd_window *window, const struct snapshot_process_period *periods,
                  size_t n, uint64_t first, uint64_t told)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned t = 0; t < STAT_TIMINGS && periods[i].number >= first; t++) {
            fold_times(&window->times[t], &periods[i].times[t]);
            window->fresh[t] |= periods[i].number > told && periods[i].times[t].count > 0;
        }
}

void
statsd_window_merge(struct statsd_window *window, const struct statsd_window *other)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        fold_times(&window->times[t], &other->times[t]);
        window->fresh[t] |= other->fresh[t];
    }
}
