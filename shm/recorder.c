/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.c - see recorder.h. */
#include "shm/recorder.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "shm/barrier.h"
#include "shm/segment.h"

static void
clear_chunk(struct recorder *r)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        r->chunk_min[t] = UINT64_MAX;
        r->chunk_max[t] = 0;
    }
}

struct recorder *
recorder_new(struct segment *segment, unsigned slot)
{
    struct recorder *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->slot = segment_slot(segment, slot);
    /* Both copies are the same at first, whichever is the current one. */
    shm_copy_out(r->words, r->slot->copies[0], SHM_COPY_WORDS);
    r->fence = segment->header->fence != 0 || !barrier_register();
    clear_chunk(r);
    return r;
}

void
recorder_free(struct recorder **recorder)
{
    free(*recorder);
    *recorder = NULL;
}

/* --- publishing --- */

/* The chunk's extremes become part of the totals' and of the epoch's. */
static void
merge_chunk(struct recorder *r)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (r->chunk_min[t] > r->chunk_max[t])
            continue;
        unsigned at = SHM_WORD_TIMES(t);
        uint64_t *w = &r->words[at];
        uint64_t min = r->chunk_min[t], max = r->chunk_max[t];
        w[SHM_TIME_MIN] = min < w[SHM_TIME_MIN] ? min : w[SHM_TIME_MIN];
        w[SHM_TIME_MAX] = max > w[SHM_TIME_MAX] ? max : w[SHM_TIME_MAX];
        w[SHM_TIME_PERIOD_MIN] = min < w[SHM_TIME_PERIOD_MIN] ? min : w[SHM_TIME_PERIOD_MIN];
        w[SHM_TIME_PERIOD_MAX] = max > w[SHM_TIME_PERIOD_MAX] ? max : w[SHM_TIME_PERIOD_MAX];
        for (unsigned i = SHM_TIME_MIN; i <= SHM_TIME_PERIOD_MAX; i++)
            recorder_mark(r, at + i);
        r->chunk_min[t] = UINT64_MAX;
        r->chunk_max[t] = 0;
    }
}

/* What was published last is how the epoch ended; keeps it for the master. */
static void
keep_edge(struct shm_slot *slot, const _Atomic uint64_t *copy)
{
    for (unsigned i = 0; i < SHM_SCALAR_WORDS; i++)
        shm_store(&slot->edge.scalars[i], shm_load(&copy[i]));
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        shm_store(&slot->edge.buckets[i], (uint32_t)shm_load(&copy[SHM_SCALAR_WORDS + i]));
}

static void
enter_epoch(struct recorder *r, uint64_t epoch)
{
    r->words[SHM_WORD_EPOCH] = epoch;
    recorder_mark(r, SHM_WORD_EPOCH);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        unsigned at = SHM_WORD_TIMES(t);
        r->words[at + SHM_TIME_PERIOD_MIN] = UINT64_MAX;
        r->words[at + SHM_TIME_PERIOD_MAX] = 0;
        recorder_mark(r, at + SHM_TIME_PERIOD_MIN);
        recorder_mark(r, at + SHM_TIME_PERIOD_MAX);
    }
}

/* The other copy lacks what this publish and the one before changed. */
static void
write_changes(struct recorder *r, _Atomic uint64_t *copy)
{
    for (unsigned i = 0; i < COUNT_OF(r->dirty.bits); i++) {
        uint64_t bits = r->dirty.bits[i] | r->dirty_before.bits[i];
        r->dirty_before.bits[i] = r->dirty.bits[i];
        r->dirty.bits[i] = 0;
        for (; bits != 0; bits &= bits - 1) {
            unsigned word = i * 64 + (unsigned)__builtin_ctzll(bits);
            shm_store(&copy[word], r->words[word]);
        }
    }
}

/*
 * The order matters three times.  "In a publish" must be seen before the epoch is read: by the
 * master's membarrier, or by the full fence here.  It must also be seen before any word of the copy
 * changes, for a reader that is still at that copy: release fence.  And the words before the new
 * number of publishes: release store.
 */
void
recorder_publish(struct recorder *r)
{
    struct shm_slot *slot = r->slot;
    if (!r->changed)
        return;
    uint64_t seq = shm_load(&slot->seq);
    shm_store(&slot->seq, seq | 1);
    if (r->fence)
        atomic_thread_fence(memory_order_seq_cst);
    atomic_signal_fence(memory_order_seq_cst); /* nor may the compiler turn them round */
    atomic_thread_fence(memory_order_release);
    uint64_t epoch = shm_load(&slot->epoch);
    if (epoch != r->words[SHM_WORD_EPOCH]) {
        keep_edge(slot, slot->copies[seq >> 1 & 1]);
        enter_epoch(r, epoch);
    }
    merge_chunk(r);
    write_changes(r, slot->copies[(seq >> 1 & 1) ^ 1]);
    r->changed = false;
    atomic_store_explicit(&slot->seq, (seq | 1) + 1, memory_order_release);
}

/* --- what it is doing --- */

static void
set_word(struct recorder *r, unsigned word, uint64_t value)
{
    if (r->words[word] == value)
        return;
    r->words[word] = value;
    recorder_mark(r, word);
}

/* A worker turns from consuming to writing and back with every batch: that is one thing it does. */
static bool
works(uint64_t state)
{
    return state == SLOT_CONSUMING || state == SLOT_WRITING;
}

void
recorder_set_state(struct recorder *r, enum slot_state state)
{
    uint64_t before = r->words[SHM_WORD_STATE];
    if (before == (uint64_t)state)
        return;
    set_word(r, SHM_WORD_STATE, (uint64_t)state);
    if (!works(before) || !works((uint64_t)state))
        set_word(r, SHM_WORD_SINCE, (uint64_t)clock_wall_ms());
    recorder_publish(r);
}

static void
set_text(struct recorder *r, unsigned word, unsigned n_words, const char *text)
{
    uint64_t words[SHM_WAIT_TEXT_WORDS] = {0};
    size_t n = strnlen(text, n_words * 8 - 1);
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--; /* cut, but not within a UTF-8 sequence */
    memcpy(words, text, n);
    for (unsigned i = 0; i < n_words; i++)
        set_word(r, word + i, words[i]);
}

void
recorder_set_wait(struct recorder *r, const char *whose, const char *text)
{
    bool waits = text != NULL;
    set_text(r, SHM_WORD_WAIT_CLASS, SHM_WAIT_CLASS_WORDS, waits ? whose : "");
    set_text(r, SHM_WORD_WAIT_TEXT, SHM_WAIT_TEXT_WORDS, waits ? text : "");
    if (waits != (r->words[SHM_WORD_WAIT_SINCE] != 0))
        set_word(r, SHM_WORD_WAIT_SINCE, waits ? (uint64_t)clock_wall_ms() : 0);
}

void
recorder_beat(struct recorder *r)
{
    shm_store(&r->slot->heartbeat_ms, clock_mono_ms());
}
