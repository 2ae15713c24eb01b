/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_generation.h - are the ids of series that this worker remembers still there?
 *
 * The operator may delete series. Triggers on the table `metrics` (pg_schema.c) then raise the one
 * number in `series_generation`, in the deleting transaction and before it looks at a series; a
 * writing transaction holds that row FOR SHARE from its beginning to its end.  So the two exclude
 * each other, at the price of one row compared in each transaction, and what a batch refers to is
 * looked for only when the number has moved.  A series that has rows is not deleted at all.
 *
 * A series is meant by its key.  An id may be another one's by then, after TRUNCATE .. RESTART
 * IDENTITY, or where a dump was restored, so both are looked for.
 *
 * Process: workers.  Owner: struct pg_generation.  Concurrency: one thread; processes by the row's
 * lock.
 */
#ifndef STORE_PG_GENERATION_H
#define STORE_PG_GENERATION_H

#include "lib/buf.h"
#include "store/pg/pg_copy.h"

struct pg_generation {
    const char *schema; /* outlives it */
    bool kept;          /* the database has the number: pg_schema_prepare */
    int64_t known;      /* the last one seen: every id remembered was there then; -1: none was */
    struct buf sql, ids, keys;
};

/* What a transaction may rely on. */
enum pg_series_state {
    PG_SERIES_SAME,  /* all that is remembered is there */
    PG_SERIES_MOVED, /* those of this batch are; others may be gone: forget them */
    PG_SERIES_GONE   /* one of this batch is gone, or its id is another one's */
};

/* Takes: the configured schema. */
void pg_generation_init(struct pg_generation *generation, const char *schema);

void pg_generation_free(struct pg_generation *generation);

/* Another connection, perhaps to another server: nothing is known. */
void pg_generation_forget(struct pg_generation *generation, bool kept);

/*
 * Within a writing transaction, before its rows: keeps series from being deleted until its end, and
 * says whether those of the batch are there.
 * Takes: what was known when the first of the batch's ids was remembered (-1: nothing, or on
 * another connection); the batch's entries by series; those that are refused are passed over.
 * Returns: PG_OK and *state; else as pg_conn_run.
 */
enum pg_outcome pg_generation_hold(struct pg_generation *generation, int64_t known,
                                   struct pg_conn *conn, const struct pg_entry *entries, size_t n,
                                   enum pg_series_state *state, struct pg_error *error) MUST_CHECK;

#endif
