/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat.h - the figures of stat.def as C: their numbers, their descriptors, and how they add up.
 *
 * Process: all.  Owner: tables are constant, figures are the caller's.  Concurrency: none needed.
 */
#ifndef SHM_STAT_H
#define SHM_STAT_H

#include "lib/base.h"

/* Counters and gauges, by number. */
enum stat_value {
#define STAT_VALUE(NAME, name, nature, unit, statsd, help) STAT_##NAME,
#define STAT_TIMING(NAME, name, statsd, help)
#define STAT_HISTOGRAMS_END
#include "shm/stat.def"
#undef STAT_VALUE
#undef STAT_TIMING
#undef STAT_HISTOGRAMS_END
    STAT_VALUES
};

/* Timings, by number; those below STAT_HISTOGRAMS have a histogram. */
enum stat_timing {
#define STAT_VALUE(NAME, name, nature, unit, statsd, help)
#define STAT_TIMING(NAME, name, statsd, help) STAT_##NAME,
#define STAT_HISTOGRAMS_END STAT_HISTOGRAMS, STAT_HISTOGRAMS_LESS_ONE = STAT_HISTOGRAMS - 1,
#include "shm/stat.def"
#undef STAT_VALUE
#undef STAT_TIMING
#undef STAT_HISTOGRAMS_END
    STAT_TIMINGS
};

enum stat_nature { STAT_COUNTER, STAT_GAUGE_SUM, STAT_GAUGE_MAX, STAT_NATURE_TIMING };

struct stat_descriptor {
    const char *name; /* "received", "request" */
    enum stat_nature nature;
    const char *unit;   /* "messages"; "seconds" for a timing */
    const char *statsd; /* after the prefix, "" if it is not sent */
    const char *help;   /* one sentence */
};

extern const struct stat_descriptor stat_values[STAT_VALUES];
extern const struct stat_descriptor stat_timings[STAT_TIMINGS];

/* A level nobody knows: not 0. Counters are always known. */
#define STAT_UNKNOWN UINT64_MAX

/*
 * One timing over some span. Nothing was timed if count is 0: then the rest means nothing, and is
 * shown as missing, not as 0.
 */
struct stat_times {
    uint64_t count, sum_ns, min_ns, max_ns;
    uint64_t p50_ns, p95_ns, p99_ns; /* STAT_UNKNOWN without a histogram */
};

/*
 * All figures of a process or an instance, over some span: a counter is what was counted in the
 * span, a gauge the level at its end.
 */
struct stat_figures {
    uint64_t values[STAT_VALUES];
    struct stat_times times[STAT_TIMINGS];
};

/* Nothing counted and nothing timed; every level 0. */
void stat_clear(struct stat_figures *figures);

/*
 * Folds one value into another by its nature. A gauge is unknown if a part of it is.
 * Returns: the folded value.
 */
uint64_t stat_fold(enum stat_nature nature, uint64_t into, uint64_t value);

/*
 * Folds figures of another process into these: counters and levels by their nature, count and sum
 * added, the smaller min, the larger max. Percentiles become unknown: those do not add up,
 * histograms do.
 */
void stat_add(struct stat_figures *into, const struct stat_figures *figures);

/* Folds figures of an earlier span of the same process into these: levels stay as they are. */
void stat_add_span(struct stat_figures *into, const struct stat_figures *figures);

/* Returns: sum / count in ns, rounded and kept within min..max. count must not be 0. */
uint64_t stat_average(const struct stat_times *times);

/* Returns: a figure that was reckoned as a double, cut to a whole number and to what fits. */
static inline uint64_t
stat_from_double(double value)
{
    return value >= 0x1p63 ? (uint64_t)1 << 63 : value > 0 ? (uint64_t)value : 0;
}

/* Returns: FNV-1a over names, natures and order: two programs with the same hash mean the same. */
uint64_t stat_table_hash(void);

#endif
