/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h - what was counted and timed in some span, and how spans add up. Pure.
 *
 * Words are those of a copy (layout.h) up to the epoch's; a copy can be added as it is.
 *
 * Process: master and readers.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef SHM_SPAN_H
#define SHM_SPAN_H

#include "shm/layout.h"

struct span {
    uint64_t words[SHM_WORD_EPOCH];
    uint64_t buckets[SHM_BUCKET_WORDS];
};

/* Nothing counted and nothing timed; levels stay until they are told anew. */
void span_clear(struct span *span);

/* Levels are 0: nobody is there who has any. */
void span_clear_levels(struct span *span);

/* Widens the extremes of one timing; a min above its max is none. */
void span_widen(uint64_t *times, uint64_t min, uint64_t max);

/* Adds words to words: counters and times, and with `levels` these as well, each by its nature. */
void span_add_words(uint64_t *into, const uint64_t *words, bool levels);

void span_add_buckets(uint64_t *into, const uint64_t *buckets);

/*
 * The last word of a process that has died: what it had in hand will be read again and counts as
 * returned, and it has no levels any more.
 * Returns: how many messages those were; -1 if its counters contradict each other.
 */
int64_t span_settle(uint64_t *words);

/* Returns: the same as figures, with percentiles. */
void span_to_figures(const struct span *span, struct stat_figures *figures);

#endif
