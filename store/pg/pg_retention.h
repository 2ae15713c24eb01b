/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_retention.h - deletes measurements and alarm history that are older than retention_days.
 *
 * Process: the retention child.  Owner: the caller.  Concurrency: one thread; several instances may
 * do it at once, each skips the rows another has in hand.
 */
#ifndef STORE_PG_RETENTION_H
#define STORE_PG_RETENTION_H

#include "store/pg/pg_conn.h"

/* Rows deleted in one transaction: short enough that nobody waits for it, or for the vacuum after
 * it. */
enum { PG_RETENTION_STEP = 5000 };

/*
 * Deletes one step of each table.
 * Takes: the schema; days, 1..
 * Returns: PG_OK and the rows deleted (0: nothing is left to delete), else a text.
 */
enum pg_outcome pg_retention_step(struct pg_conn *conn, const char *schema, int64_t days,
                                  int64_t *deleted, struct errbuf *err) MUST_CHECK;

#endif
