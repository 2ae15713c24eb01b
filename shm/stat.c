/* SPDX-License-Identifier: Apache-2.0 */
/* stat.c - see stat.h. */
#include "shm/stat.h"

#include "shm/state.h"

#define COUNTER STAT_COUNTER
#define GAUGE_SUM STAT_GAUGE_SUM
#define GAUGE_MAX STAT_GAUGE_MAX
#define STAT_HISTOGRAMS_END

const struct stat_descriptor stat_values[STAT_VALUES] = {
#define STAT_VALUE(NAME, name, nature, unit, statsd, help) {name, nature, unit, statsd, help},
#define STAT_TIMING(NAME, name, statsd, help)
#include "shm/stat.def"
#undef STAT_VALUE
#undef STAT_TIMING
};

const struct stat_descriptor stat_timings[STAT_TIMINGS] = {
#define STAT_VALUE(NAME, name, nature, unit, statsd, help)
#define STAT_TIMING(NAME, name, statsd, help) {name, STAT_NATURE_TIMING, "seconds", statsd, help},
#include "shm/stat.def"
#undef STAT_VALUE
#undef STAT_TIMING
};

static void
clear_times(struct stat_times *times)
{
    *times = (struct stat_times){.min_ns = UINT64_MAX,
                                 .p50_ns = STAT_UNKNOWN,
                                 .p95_ns = STAT_UNKNOWN,
                                 .p99_ns = STAT_UNKNOWN};
}

void
stat_clear(struct stat_figures *figures)
{
    memset(figures->values, 0, sizeof(figures->values));
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        clear_times(&figures->times[t]);
}

uint64_t
stat_fold(enum stat_nature nature, uint64_t into, uint64_t value)
{
    if (nature == STAT_COUNTER)
        return into + value;
    if (into == STAT_UNKNOWN || value == STAT_UNKNOWN)
        return STAT_UNKNOWN;
    if (nature == STAT_GAUGE_SUM)
        return into + value;
    return into > value ? into : value;
}

static void
add_times(struct stat_figures *into, const struct stat_figures *figures)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        struct stat_times *a = &into->times[t];
        const struct stat_times *b = &figures->times[t];
        if (b->count == 0)
            continue;
        a->min_ns = a->count == 0 || b->min_ns < a->min_ns ? b->min_ns : a->min_ns;
        a->max_ns = a->count == 0 || b->max_ns > a->max_ns ? b->max_ns : a->max_ns;
        a->count += b->count;
        a->sum_ns += b->sum_ns;
        a->p50_ns = a->p95_ns = a->p99_ns = STAT_UNKNOWN;
    }
}

void
stat_add(struct stat_figures *into, const struct stat_figures *figures)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        into->values[v] = stat_fold(stat_values[v].nature, into->values[v], figures->values[v]);
    add_times(into, figures);
}

void
stat_add_span(struct stat_figures *into, const struct stat_figures *figures)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature == STAT_COUNTER)
            into->values[v] += figures->values[v];
    add_times(into, figures);
}

uint64_t
stat_average(const struct stat_times *times)
{
    assert(times->count > 0);
    uint64_t average = times->sum_ns / times->count;
    average += times->sum_ns % times->count > (times->count - 1) / 2;
    if (average < times->min_ns)
        return times->min_ns;
    return average > times->max_ns ? times->max_ns : average;
}

static uint64_t
hash_text(uint64_t hash, const char *text)
{
    for (size_t i = 0; i == 0 || text[i - 1] != '\0'; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t
hash_descriptor(uint64_t hash, const struct stat_descriptor *d)
{
    hash = hash_text(hash_text(hash, d->name), d->unit);
    return (hash ^ d->nature) * UINT64_C(0x100000001b3);
}

uint64_t
stat_table_hash(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (unsigned v = 0; v < STAT_VALUES; v++)
        hash = hash_descriptor(hash, &stat_values[v]);
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        hash = hash_descriptor(hash, &stat_timings[t]);
    return (hash ^ STAT_HISTOGRAMS) * UINT64_C(0x100000001b3);
}

const char *
slot_state_name(enum slot_state state)
{
    static const char *const names[SLOT_STATES] = {"free",      "starting", "joining",  "idle",
                                                   "consuming", "writing",  "retrying", "draining",
                                                   "dead",      "backoff"};
    return (unsigned)state < SLOT_STATES ? names[state] : "?";
}

const char *
master_state_name(enum master_state state)
{
    static const char *const names[MASTER_STATES] = {"starting", "running", "stopping", "stopped"};
    return (unsigned)state < MASTER_STATES ? names[state] : "?";
}
