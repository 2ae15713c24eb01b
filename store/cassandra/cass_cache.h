/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_cache.h - what is known to be written of series and their dimensions: bounded, in memory.
 *
 * What is not in it is written again, which does no harm. Two halves: what is used goes into the
 * young one; when that is full, the old one is dropped and the young one becomes old. So it stays
 * within its bound and keeps what is in use.
 *
 * Process: workers.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef STORE_CASSANDRA_CASS_CACHE_H
#define STORE_CASSANDRA_CASS_CACHE_H

#include "lib/base.h"
#include "store/cassandra/cass_row.h"

struct cass_cache;

struct cass_known {
    struct cass_key key;
    uint32_t until_s;   /* to be written again then, by clock_mono_ms / 1000; 0: the place is free */
    int64_t updated_us; /* the write timestamp of what describes the series */
    int64_t created_ms; /* the earliest time written as created_at */
};

enum { CASS_CACHE_ENTRY_BYTES = 4 * sizeof(struct cass_known) /* at its emptiest */ };

/* Takes: how many to remember at most, 2.. Returns: NULL if memory is out. */
struct cass_cache *cass_cache_new(size_t max_entries) MUST_CHECK;
void cass_cache_free(struct cass_cache **cache);

/* Forgets all: the tables may be others now. */
void cass_cache_forget(struct cass_cache *cache);

/* Returns: what is known, or NULL; until the next call. */
const struct cass_known *cass_cache_find(struct cass_cache *cache, const struct cass_key *key);

/* Remembers it, in the place of what was known. Without memory it does not. */
void cass_cache_put(struct cass_cache *cache, const struct cass_known *known);

#endif
