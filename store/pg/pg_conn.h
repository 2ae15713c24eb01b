/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_conn.h - one libpq connection that never blocks its worker for long.
 *
 * Every call waits by its owner's hook (store_hooks), and has a deadline. Whatever goes wrong on the wire closes the connection; the next pg_conn_open makes a
 * new one.
 *
 * Process: workers and the retention child, after the fork.  Owner: the caller.  Concurrency: one
 * thread.
 */
#ifndef STORE_PG_CONN_H
#define STORE_PG_CONN_H

#include <libpq-fe.h>

#include "lib/base.h"
#include "lib/errbuf.h"
#include "store/pg/pg_fault.h"
#include "store/store.h"

struct pg_conn {
    PGconn *pg; /* NULL: not connected */
    const char *conninfo;
    const struct store_hooks *hooks;
    unsigned opened;      /* connections made so far: what was learnt on another one is void */
    int64_t answered_ms;  /* when the server last answered; a monotonic time */
    int64_t answer_bytes; /* read of the answer under way */
    bool warned;          /* that it is not encrypted */
};

/* Filled in by a failed statement. */
struct pg_error {
    char sqlstate[6];
    char message[256]; /* the server's, one line */
    size_t copy_line;  /* 1..: the line of COPY's input that it names; 0: none */
};

/*
 * Connects, unless connected, and sets what the program relies on (UTF-8, time limits).  A
 * connection that was cut while nothing was asked of it is made anew without a word.
 * Returns: PG_OK, PG_WORLD or PG_STOPPED; err says why, without the password.
 */
enum pg_outcome pg_conn_open(struct pg_conn *conn, struct errbuf *err) MUST_CHECK;

/* Closes it, if open; an open transaction is rolled back by the server. */
void pg_conn_close(struct pg_conn *conn);

/*
 * Runs one statement (or, without parameters, several).  An answer of more than a few MB is not
 * read to its end: PG_WORLD.
 * Takes: parameters in text form, NULL for SQL's NULL; result may be NULL, else *result is the
 * caller's to PQclear after PG_OK (and NULL after anything else).
 */
enum pg_outcome pg_conn_run(struct pg_conn *conn, const char *sql, int n, const char *const *values,
                            PGresult **result, struct pg_error *error) MUST_CHECK;

/*
 * Returns: a value of a result, "" for NULL and where the result has no such row or column: what a
 * server answers is its own affair.
 */
const char *pg_conn_value(const PGresult *result, int row, int column);

/* Begins a COPY ... FROM STDIN, which is the last of one or more statements; to be followed by
 * sends and an end. */
enum pg_outcome pg_conn_copy_begin(struct pg_conn *conn, const char *sql,
                                   struct pg_error *error) MUST_CHECK;

/* Sends bytes. PG_OK also if the server has refused them already: pg_conn_copy_end tells. */
enum pg_outcome pg_conn_copy_send(struct pg_conn *conn, const char *bytes, size_t n,
                                  struct pg_error *error) MUST_CHECK;

/* Ends the COPY and says how it went. */
enum pg_outcome pg_conn_copy_end(struct pg_conn *conn, struct pg_error *error) MUST_CHECK;

/* Takes: a SQLSTATE, "" if it is not the server's; a message, of which the first line is kept. */
void pg_error_set(struct pg_error *error, const char *sqlstate, const char *message);

/* Puts what a failed statement left in `error` into words. */
void pg_conn_explain(const struct pg_error *error, const char *doing, struct errbuf *err);

/* Checks a connection string without connecting. 0, or -1 with a text. */
int pg_conninfo_check(const char *conninfo, struct errbuf *err) MUST_CHECK;

#endif
