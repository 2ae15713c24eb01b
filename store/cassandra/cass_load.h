/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_load.h - a batch's rows as statements, and the series among them that may have to be described
 * before (pure).
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_CASSANDRA_CASS_LOAD_H
#define STORE_CASSANDRA_CASS_LOAD_H

#include "batch/batch.h"
#include "record/decode.h"
#include "store/cassandra/cass_cache.h"
#include "store/cassandra/cass_row.h"
#include "store/cassandra/cass_send.h"

/* What is known of a row beside its statement. */
struct cass_line {
    uint32_t row;   /* in the batch */
    uint32_t fresh; /* number of its series among the fresh ones, from 1; 0: it is described */
    int64_t time_ms;
};

/* A series of which something may have to be written. */
struct cass_fresh {
    struct cass_key key;
    uint32_t region_n, tenant_n, name_n; /* of its texts, which lie one behind the other at `at` */
    uint32_t n_dimensions;
    size_t at, lengths_at; /* in texts; in lengths: name and value of each dimension */
    bool seen;             /* a pending row is of it */
    bool described;        /* all of it is written */
    char *refused;         /* the server's word; NULL: it is not */
    /* Of its pending rows. */
    int64_t least_ms, updated_us, updated_ms;
};

struct cass_load {
    struct cass_item *items; /* items[i].number is i */
    struct cass_line *lines;
    size_t n, capacity_items, capacity_lines;
    struct buf values;
    struct cass_fresh *fresh;
    size_t n_fresh, capacity_fresh;
    struct buf texts;
    uint32_t *lengths;
    size_t n_lengths, capacity_lengths;
    uint32_t *places; /* number of a fresh series by its key; open addressing, at most half full */
    size_t n_places;  /* a power of two, or 0 */
    unsigned epoch; /* of what was known when its rows were added; the caller's to set */
    struct buf work;
};

struct cass_load *cass_load_new(void) MUST_CHECK;
void cass_load_free(struct cass_load **load);
void cass_load_reset(struct cass_load *load);
size_t cass_load_bytes(const struct cass_load *load);

/*
 * Adds a record.
 * Takes: what is known of series; now in s of the monotonic clock.
 * Returns: as store_ops.add.
 */
enum store_added cass_load_add(struct cass_load *load, struct cass_cache *cache, uint32_t now_s,
                               const struct record *record, uint32_t row,
                               struct reject *why) MUST_CHECK;

/*
 * What was known of the series is void: all of the pending rows' become fresh.
 * Takes: the batch, and a decoder for its messages. Returns: 0, or -1 if memory is out.
 */
int cass_load_forget(struct cass_load *load, const struct batch *batch,
                     struct decoder *decoder) MUST_CHECK;

/*
 * Takes the batch's word on what is pending, and what Kafka says of the messages: sets the write
 * timestamps, and what the fresh series' rows are together.
 */
void cass_load_stamp(struct cass_load *load, const struct batch *batch);

/* Returns: a fresh series' texts. Takes: room for its dimensions. */
struct cass_series cass_load_series(const struct cass_load *load, const struct cass_fresh *fresh,
                                    struct dimension *dimensions);

#endif
