/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_schema.h - the tables, made once, with a version.
 *
 * Process: workers (whichever comes first makes them, under an advisory lock; the others find
 * them). Owner: the database.  Concurrency: one thread; processes exclude each other in the server.
 */
#ifndef STORE_PG_SCHEMA_H
#define STORE_PG_SCHEMA_H

#include "lib/buf.h"
#include "store/pg/pg_conn.h"

enum {
    PG_SCHEMA_VERSION = 1,
    /*
     * Of tenant_id and name, or tenant_id and alarm_id, together. A row of a B-tree takes a third
     * of a page, 2,704 bytes of 8,192, with two lengths, the time and its own header in it
     * (BTMaxItemSize in PostgreSQL's nbtree.h).
     */
    PG_INDEXED_BYTES = 2600
};

/*
 * Makes sure that `schema` (any name) holds the tables of this version, and what was added to it
 * since without a new version, as a former program does not mind it.
 * Takes: *additions says whether these are there (series_generation, kafka_offsets.last_ms and
 * last_ms_of); they are not if the tables are another role's, who has not let us make them: that is
 * logged.  NULL: the caller does not go by them.
 * Returns: PG_OK, or PG_WORLD with a line that says why not: a newer version, an encoding other
 * than UTF8, no right to create; or PG_STOPPED.
 */
enum pg_outcome pg_schema_prepare(struct pg_conn *conn, const char *schema, bool *additions,
                                  struct errbuf *err) MUST_CHECK;

/*
 * Writes `sql` to a buffer with each @ replaced by the quoted schema, NUL-terminated.
 * Returns: the text in the buffer, or NULL if memory is out.
 */
const char *pg_schema_fill(struct buf *b, const char *schema, const char *sql);

#endif
