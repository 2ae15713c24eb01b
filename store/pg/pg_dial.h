/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_dial.h - a new connection to PostgreSQL. libpq looks names up while it connects, and waits for
 * the answer: so all of it is done on a thread beside, where the owner has one.
 *
 * Process: workers and the retention child, after the fork.  Owner: the caller.  Concurrency: one
 * thread, and the one beside.
 */
#ifndef STORE_PG_DIAL_H
#define STORE_PG_DIAL_H

#include <libpq-fe.h>

#include "lib/errbuf.h"
#include "store/pg/pg_fault.h"
#include "store/store.h"

/*
 * Connects, within 10 s.
 * Takes: the connection string (copied); how to wait.
 * Returns: PG_OK, and *pg is open and the caller's to PQfinish; else NULL, and PG_WORLD or
 * PG_STOPPED with the reason, one line.
 */
enum pg_outcome pg_dial(const char *conninfo, const struct store_hooks *hooks, PGconn **pg,
                        struct errbuf *why) MUST_CHECK;

/* Returns: bytes that have come on an open connection and were not read: libpq keeps any number. */
int64_t pg_dial_readable(const PGconn *pg);

#endif
