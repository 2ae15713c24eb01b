/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_fault.h - what PostgreSQL's refusal of a statement means (pure).
 *
 * It is read from the fields of the answer that no tenant can write: the SQLSTATE, the names of the
 * table, the column and the constraint, and COPY's own line of the context.  The message is for
 * people: it may quote what was sent.
 *
 * Process: workers, the retention child; the tests.  Owner: none.  Concurrency: any thread.
 */
#ifndef STORE_PG_FAULT_H
#define STORE_PG_FAULT_H

#include "lib/base.h"

/* How a statement ended. */
enum pg_outcome {
    PG_OK,
    PG_DATA,      /* one of the rows sent is wrong: which one is still to be found */
    PG_UNIQUE,    /* 23505: a row with a key that exists already */
    PG_PARTITION, /* the table has no partition for one of the rows */
    PG_RETRY,     /* deadlock or serialization failure: the same again may succeed */
    PG_WORLD,     /* everything else; the connection was closed */
    PG_STOPPED,   /* a wait was given up; the connection was closed */
};

/* The fields of an answer, as PQresultErrorField returns them; each may be NULL. */
struct pg_fault {
    const char *sqlstate, *table, *column, *constraint, *context;
    const char *file; /* of the server's source, that it comes from */
};

/*
 * What is the rows' fault, each by its SQLSTATE, and what is the table's, is listed in pg_fault.c.
 * Whatever is not listed is the world's.
 * Returns: neither PG_OK nor PG_STOPPED.
 */
enum pg_outcome pg_fault_classify(const struct pg_fault *fault) MUST_CHECK;

/* Returns: the line of COPY's input that the answer names, counted from 1; 0 if it names none. */
size_t pg_fault_find_line(const struct pg_fault *fault) MUST_CHECK;

#endif
