/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_series.h - the ids of series: a bounded cache in the worker, filled from the table `metrics`.
 *
 * New series are upserted outside the batch's transaction, in the order of their keys, so that
 * workers neither deadlock over them nor hold locks while they write measurements.
 *
 * Process: workers.  Owner: struct pg_series.  Concurrency: one thread.
 */
#ifndef STORE_PG_SERIES_H
#define STORE_PG_SERIES_H

#include "store/pg/pg_conn.h"
#include "store/pg/pg_row.h"

struct pg_series; /* the ids that are remembered */
struct pg_fresh;  /* the series of one batch that had no id when they came */

/* Takes: how many ids to remember at most (1024..). Returns: NULL if memory is out. */
struct pg_series *pg_series_new(size_t max_entries) MUST_CHECK;

void pg_series_free(struct pg_series **series);

/* Forgets all ids, e.g. because another server may have answered. */
void pg_series_forget(struct pg_series *series);

/* Returns: none yet; NULL if memory is out. */
struct pg_fresh *pg_fresh_new(void) MUST_CHECK;

void pg_fresh_free(struct pg_fresh **fresh);

/* Ends the batch: numbers below zero lose their meaning. */
void pg_fresh_clear(struct pg_fresh *fresh);

/* Returns: bytes held for them. */
size_t pg_fresh_bytes(const struct pg_fresh *fresh);

/*
 * Looks a measurement's series up.
 * Takes: *key is filled in, but for 0.
 * Returns: its id (1..); or a number below zero for one that pg_series_resolve has to find, the
 * same for the same series until pg_fresh_clear; or 0 if memory is out.
 */
int64_t pg_series_find(struct pg_series *series, struct pg_fresh *fresh,
                       const struct measurement *m, struct pg_key *key) MUST_CHECK;

/*
 * Finds or makes the ids of all series that were not known.
 * Returns: PG_OK; PG_WORLD or PG_STOPPED with a text.
 */
enum pg_outcome pg_series_resolve(struct pg_series *series, struct pg_fresh *fresh,
                                  struct pg_conn *conn, const char *schema,
                                  struct errbuf *err) MUST_CHECK;

/*
 * Takes: a number below zero from pg_series_find, after pg_series_resolve.
 * Returns: the id, or 0 if the database finds the series wrong in itself; *why is then its reason.
 */
int64_t pg_fresh_id(const struct pg_fresh *fresh, int64_t number, const char **why);

#endif
