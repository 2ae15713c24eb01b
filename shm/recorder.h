/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - how a process records its figures: privately at first, then published in one step.
 *
 * recorder_add, _set and _time work on private memory: a few instructions, no atomics, no system
 * call.  recorder_publish copies what changed into that one of the slot's two copies which readers
 * do not look at, and makes it the current one with a single store.  So a reader sees all of a
 * chunk or nothing of it, and a KILL at any instruction leaves the last published state whole.
 * doc/SHM.md says why that is right.
 *
 * Process: workers; the master for its own figures.  Owner: the process that made it.
 * Concurrency: one thread; one recorder per slot and generation.
 */
#ifndef SHM_RECORDER_H
#define SHM_RECORDER_H

#include "shm/layout.h"

struct segment;

/* What has changed since the last publish, a bit a word. */
struct recorder_dirty {
    uint64_t bits[(SHM_COPY_WORDS + 63) / 64];
};

struct recorder {
    struct shm_slot *slot;
    uint64_t words[SHM_COPY_WORDS]; /* the latest, whether published or not */
    uint64_t chunk_min[STAT_TIMINGS], chunk_max[STAT_TIMINGS]; /* since the last publish */
    struct recorder_dirty dirty, dirty_before; /* since the last publish; in the one before */
    bool changed;
    bool fence; /* no membarrier here: a full fence at each publish in its place */
};

/*
 * Takes a slot over for the process that calls; the slot has been prepared by ledger_start.
 * Takes: the segment, which the process has mapped; the slot's number.
 * Returns: a recorder, or NULL if memory is out. recorder_free frees it; the figures stay.
 */
struct recorder *recorder_new(struct segment *segment, unsigned slot) MUST_CHECK;
void recorder_free(struct recorder **recorder);

static inline void
recorder_mark(struct recorder *r, unsigned word)
{
    r->dirty.bits[word / 64] |= (uint64_t)1 << (word % 64);
    r->changed = true;
}

/* Adds to a counter. */
static inline void
recorder_add(struct recorder *r, enum stat_value value, uint64_t n)
{
#ifndef PERSISTER_NO_RECORDING
    r->words[SHM_WORD_VALUES + value] += n;
    recorder_mark(r, SHM_WORD_VALUES + value);
#else
    (void)r, (void)value, (void)n;
#endif
}

/* Sets a gauge. */
static inline void
recorder_set(struct recorder *r, enum stat_value value, uint64_t level)
{
#ifndef PERSISTER_NO_RECORDING
    if (r->words[SHM_WORD_VALUES + value] == level)
        return;
    r->words[SHM_WORD_VALUES + value] = level;
    recorder_mark(r, SHM_WORD_VALUES + value);
#else
    (void)r, (void)value, (void)level;
#endif
}

/*
 * Records a duration that `weight` messages share (1..).
 * Takes: ns; a negative one (a clock that was set back) counts as 0.
 */
static inline void
recorder_time(struct recorder *r, enum stat_timing timing, int64_t ns, uint64_t weight)
{
#ifndef PERSISTER_NO_RECORDING
    uint64_t t = ns < 0 ? 0 : (uint64_t)ns;
    unsigned at = SHM_WORD_TIMES(timing);
    r->words[at + SHM_TIME_COUNT] += weight;
    r->words[at + SHM_TIME_SUM] += t * weight;
    r->chunk_min[timing] = t < r->chunk_min[timing] ? t : r->chunk_min[timing];
    r->chunk_max[timing] = t > r->chunk_max[timing] ? t : r->chunk_max[timing];
    recorder_mark(r, at + SHM_TIME_COUNT);
    recorder_mark(r, at + SHM_TIME_SUM);
    if (timing < STAT_HISTOGRAMS) {
        unsigned bucket = SHM_WORD_BUCKETS(timing) + histogram_bucket(t);
        r->words[bucket] += weight;
        recorder_mark(r, bucket);
    }
#else
    (void)r, (void)timing, (void)ns, (void)weight;
#endif
}

/*
 * Says what the process is doing, since now if that is news; consuming and writing, which
 * alternate, are one thing. Published at once.
 */
void recorder_set_state(struct recorder *r, enum slot_state state);

/*
 * Says why the process waits; published with the next publish.
 * Takes: whose trouble ("influxdb") and the text, both cut to fit; NULL, NULL: it does not wait.
 * Since when is kept while it goes on waiting.
 */
void recorder_set_wait(struct recorder *r, const char *whose, const char *text);

/* Publishes what was recorded since the last time, in one step. Wait-free. */
void recorder_publish(struct recorder *r);

/* A sign of life; published at once, by a single store. */
void recorder_beat(struct recorder *r);

#endif
