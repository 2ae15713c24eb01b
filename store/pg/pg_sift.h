/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_sift.h - has the database look at each of some rows alone: it stores those that it takes and
 * lists the others.
 *
 * For spells of many bad rows.  A COPY ends at its first bad row, so that each costs a few round
 * trips (pg_plan.h).  Here the server first applies those of the table's rules to all rows that it
 * can apply beforehand: CHECK constraints, NOT NULL, and the partitions' bounds of a table that is
 * partitioned by its time.  The rows that break none are stored at once.  If one of them is refused
 * after all, by a trigger say, each of them costs a subtransaction within the server.  That wants
 * the right to make temporary tables, and the language plpgsql.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_PG_SIFT_H
#define STORE_PG_SIFT_H

#include "lib/buf.h"
#include "conf/cfg.h"
#include "store/pg/pg_conn.h"

/* One of the rows that were refused: alone, or for a rule. Texts are the result's. */
struct pg_sift_refusal {
    int64_t row;
    const char *sqlstate, *message, *table, *column, *constraint;
};

/*
 * Stores those of some rows that the table takes. To be called within a transaction.
 * Takes: the table's schema and kind; of metrics, whether they are to replace rows with their key;
 * room for SQL; COPY's stream, in whose rows a number that the caller knows the row by (int8) comes
 * before the table's fields; ascending; whether it was called before in this transaction.
 * Returns: PG_OK and in *refusals a result for pg_sift_refusal, to be cleared by the caller; or
 * anything else with *error (PG_UNIQUE: rows with their key are there, and were not to be
 * replaced): then nothing is stored, and the transaction can only be rolled back.
 */
enum pg_outcome pg_sift_rows(struct pg_conn *conn, const char *schema, enum topic_kind kind,
                             bool upsert, struct buf *sql, const struct buf *stream, bool again,
                             PGresult **refusals, struct pg_error *error) MUST_CHECK;

/* Takes: 0 to PQntuples(result) - 1. Returns: 0, or -1 if that is no such row: a strange server. */
int pg_sift_refusal(const PGresult *result, int i, struct pg_sift_refusal *refusal) MUST_CHECK;

#endif
