/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_offsets.h - Kafka's offsets in PostgreSQL, with an epoch that fences former owners.
 *
 * A row of kafka_offsets per (cluster id, group, topic, partition).  Whoever is assigned a
 * partition raises its epoch and starts at its next_offset; every batch moves next_offset in its
 * own transaction, and only where epoch and next_offset are still the ones it knows.
 *
 * Process: workers.  Owner: struct pg_offsets.  Concurrency: one thread; processes by row locks.
 */
#ifndef STORE_PG_OFFSETS_H
#define STORE_PG_OFFSETS_H

#include "store/pg/pg_conn.h"

struct pg_offsets;

/* What became of a COMMIT whose answer was lost. */
enum pg_fate { PG_COMMITTED, PG_NOT_COMMITTED, PG_FENCED };

/* Takes: the configuration's schema, group and topic, which outlive it. NULL if memory is out. */
struct pg_offsets *pg_offsets_new(const char *schema, const char *group,
                                  const char *topic) MUST_CHECK;

void pg_offsets_free(struct pg_offsets **offsets);

/* Says whether the table has last_ms and last_ms_of (pg_schema_prepare); until then it has not. */
void pg_offsets_keep_times(struct pg_offsets *offsets, bool kept);

/*
 * Takes partitions over: raises their epochs and reads where to go on, in one transaction.
 * Takes: the cluster's id; the positions, whose `next` and `last_ms` are filled in (-1: unknown).
 */
enum pg_outcome pg_offsets_claim(struct pg_offsets *offsets, struct pg_conn *conn,
                                 const char *cluster_id, struct store_position *positions, size_t n,
                                 struct errbuf *err) MUST_CHECK;

/*
 * Within a transaction: moves the offsets.
 * Takes: the new positions.
 * Returns: PG_OK; PG_UNIQUE if somebody else owns a partition now; else as pg_conn_run.
 */
enum pg_outcome pg_offsets_move(struct pg_offsets *offsets, struct pg_conn *conn,
                                const struct store_position *positions, size_t n,
                                struct pg_error *error) MUST_CHECK;

/* The transaction was committed: the moved offsets are the ones to expect from now on. */
void pg_offsets_moved(struct pg_offsets *offsets, const struct store_position *positions, size_t n);

/*
 * Looks up whether the transaction with these positions was committed, waiting for its end if it
 * has not ended yet. Returns: PG_OK and *fate, or as pg_conn_run.
 */
enum pg_outcome pg_offsets_look_up(struct pg_offsets *offsets, struct pg_conn *conn,
                                   const struct store_position *positions, size_t n,
                                   enum pg_fate *fate, struct pg_error *error) MUST_CHECK;

#endif
