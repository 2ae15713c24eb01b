/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.h - the series that a worker has seen of late: what was made of the bytes of a message
 * that are the same in every message of a series.
 *
 * A metric's message repeats every half minute but for its time, value, value_meta and creation
 * time: the holes.  The other bytes, compared in full, are the key here; the decoder finds what it
 * read from them (decode_known.c), and the store what it made of that: the beginning of a line, an
 * id.  One store makes use of a decoder's records, so there is room for one such note in each.
 *
 * Series come in much the same order each time, as their senders send them, so the one that is to
 * come next is known before the message was looked at.
 *
 * Bounded in bytes, and in the work for any one message: a hash decides which 8 places are looked
 * at, so that whoever knows collisions only drives out series that share these.  When it is full,
 * one of eight newcomers takes the place of a series that was not met for a while: a stream of
 * nothing but new series costs little, and one that is a little too large for the cache still finds
 * most of it there.
 *
 * Process: workers.  Owner: the decoder.  Concurrency: one thread.
 */
#ifndef RECORD_SERIES_H
#define RECORD_SERIES_H

#include "lib/base.h"

/* What differs from message to message, in the order of the members' names. */
enum series_hole { HOLE_TIMESTAMP, HOLE_VALUE, HOLE_VALUE_META, HOLE_CREATION_TIME, SERIES_HOLES };

enum {
    SERIES_NO_HOLE = -1,     /* a member that is not there */
    SERIES_BYTES_MAX = 4096, /* messages with more bytes that do not change are not remembered */
    SERIES_TEXTS_MAX = 256   /* nor ones with more dimensions than half of that */
};

struct series_cache;

/* A text in the series' bytes. */
struct series_text {
    uint32_t at, n;
};

struct series {
    struct series_cache *cache;
    void *note; /* what the store has made of it; NULL: nothing yet */
    uint32_t note_n;
    uint32_t size; /* of this structure with what follows it */
    uint32_t n_key;
    int32_t holes[SERIES_HOLES]; /* where in the key each was cut out */
    uint8_t order[SERIES_HOLES]; /* the first n_holes of them, as they come in the message */
    uint8_t n_holes;
    uint32_t place, next; /* in the cache: its own, and that of the series that came after it */
    struct series_text name, tenant_id, region;
    uint32_t n_texts;
    bool used; /* since the last look for a place */
    /* Dimensions, sorted: name, value, name, value ...; behind them the key, and behind that what
     * the message has in another form (escapes, numbers). */
    struct series_text texts[];
};

/* The bytes that do not change, without holes, and what is read from them. */
struct series_key {
    const char *bytes;
    uint32_t n;
    int32_t holes[SERIES_HOLES];
    uint64_t hash;
};

/* What a decoder has read: slices in the key, or anywhere else. */
struct series_made {
    struct slice name, tenant_id, region;
    const struct slice *texts;
    size_t n_texts;
};

/* Takes: the bytes it may take. Returns: NULL if memory is out. */
struct series_cache *series_cache_new(size_t max_bytes) MUST_CHECK;

/* Frees it, all series with it, and nulls the pointer. */
void series_cache_free(struct series_cache **cache);

/* Sets the hash of a key. */
void series_hash(struct series_key *key);

/*
 * Returns: the series with that key, or NULL. It is there until the next series_cache_add, and so is
 * whatever else is returned here.
 */
struct series *series_cache_find(struct series_cache *cache, const struct series_key *key);

/* Returns: the series that came after the one that was met last; NULL: none is known. */
struct series *series_cache_expect(struct series_cache *cache);

/* Notes which one came. */
void series_cache_meet(struct series_cache *cache, struct series *series);

/* Returns: whether a newcomer is let in. */
bool series_cache_admits(struct series_cache *cache);

/*
 * Takes: a key that is not there; what was read from it.
 * Returns: the series; NULL if it is not to be remembered.
 */
struct series *series_cache_add(struct series_cache *cache, const struct series_key *key,
                                const struct series_made *made);

/*
 * Makes room for a store's note in place of the one before; it is all zero.
 * Takes: how many bytes, aligned as malloc's. Returns: NULL if there is none.
 */
void *series_note_new(struct series *series, size_t n);

/* Returns: bytes taken. */
size_t series_cache_bytes(const struct series_cache *cache);

static inline const char *
series_bytes(const struct series *series)
{
    return (const char *)(series->texts + series->n_texts);
}

static inline struct slice
series_slice(const struct series *series, struct series_text text)
{
    return (struct slice){series_bytes(series) + text.at, text.n};
}

#endif
