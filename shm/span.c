/* SPDX-License-Identifier: Apache-2.0 */
/* span.c - see span.h. */
#include "shm/span.h"

void
span_clear(struct span *span)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature == STAT_COUNTER)
            span->words[SHM_WORD_VALUES + v] = 0; /* a level stays until it is told anew */
    memset(&span->words[SHM_WORD_FIRST_TIME], 0,
           sizeof(span->words) - SHM_WORD_FIRST_TIME * sizeof(span->words[0]));
    memset(span->buckets, 0, sizeof(span->buckets));
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        span->words[SHM_WORD_TIMES(t) + SHM_TIME_MIN] = UINT64_MAX;
}

void
span_clear_levels(struct span *span)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature != STAT_COUNTER)
            span->words[SHM_WORD_VALUES + v] = 0;
}

void
span_widen(uint64_t *times, uint64_t min, uint64_t max)
{
    times[SHM_TIME_MIN] = min < times[SHM_TIME_MIN] ? min : times[SHM_TIME_MIN];
    times[SHM_TIME_MAX] = max > times[SHM_TIME_MAX] ? max : times[SHM_TIME_MAX];
}

void
span_add_words(uint64_t *into, const uint64_t *words, bool levels)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (levels || stat_values[v].nature == STAT_COUNTER)
            into[v] = stat_fold(stat_values[v].nature, into[v], words[v]);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        unsigned at = SHM_WORD_TIMES(t);
        if (words[at + SHM_TIME_COUNT] == 0)
            continue;
        into[at + SHM_TIME_COUNT] += words[at + SHM_TIME_COUNT];
        into[at + SHM_TIME_SUM] += words[at + SHM_TIME_SUM];
        span_widen(&into[at], words[at + SHM_TIME_MIN], words[at + SHM_TIME_MAX]);
    }
}

void
span_add_buckets(uint64_t *into, const uint64_t *buckets)
{
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        into[i] += buckets[i];
}

int64_t
span_settle(uint64_t *words)
{
    uint64_t settled = words[STAT_COMPLETED] + words[STAT_REJECTED] + words[STAT_RETURNED];
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature != STAT_COUNTER)
            words[v] = 0;
    if (settled > words[STAT_RECEIVED])
        return -1;
    uint64_t in_hand = words[STAT_RECEIVED] - settled;
    words[STAT_RETURNED] += in_hand;
    words[STAT_RETURNED_DIED] += in_hand;
    return (int64_t)in_hand;
}

void
span_to_figures(const struct span *span, struct stat_figures *figures)
{
    shm_words_to_figures(span->words, figures);
    shm_fill_percentiles(figures, span->buckets);
}
