/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_conn.h - one connection to a node, by turns: nothing in it waits.
 *
 * It connects (TCP, TLS if wanted, STARTUP, SASL PLAIN), then takes requests on as many streams as
 * the owner likes, up to CQL_STREAMS, and hands their answers out in the order they come.  Its owner
 * waits for cql_conn_poll's descriptor, or the time that a request has to be answered by, and then
 * gives it a turn.  What goes wrong on the wire, an answer that is too large or not to be
 * understood, and a request that is not answered in time end the connection.
 *
 * Process: workers, made after the fork.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef CQL_CQL_CONN_H
#define CQL_CQL_CONN_H

#include <poll.h>
#include <sys/socket.h>

#include "cql/cql_frame.h"
#include "cql/cql_tls.h"
#include "lib/base.h"
#include "lib/errbuf.h"

enum {
    CQL_STREAMS = 256,            /* requests in flight on a connection, at most */
    CQL_ANSWER_BYTES = 8 << 20,   /* of an answer, at most */
    CQL_REQUEST_BYTES = 256 << 20 /* not yet sent, at most */
};

struct cql_conn;

struct cql_login {
    const char *user, *password; /* user "": none */
    const struct cql_tls *tls;   /* NULL: none */
    int connect_ms;              /* until it is up */
    int answer_ms;               /* until a request is answered */
};

/*
 * Begins to connect.
 * Takes: what to log in with, which outlives the connection; the address; the host's name or
 * address as it was given, for TLS; now by clock_mono_ms.
 * Returns: the connection, or NULL with a text.
 */
struct cql_conn *cql_conn_new(const struct cql_login *login, const struct sockaddr *address,
                              socklen_t address_n, const char *host, int64_t now_ms,
                              struct errbuf *err) MUST_CHECK;
void cql_conn_free(struct cql_conn **conn);

/* Fills in what to wait for. Returns: the latest time for the next turn, INT64_MAX for none. */
int64_t cql_conn_poll(const struct cql_conn *conn, struct pollfd *fd);

/*
 * Goes on as far as it goes without waiting.
 * Returns: 0, or -1 with a text: it is at its end, and what is in flight unknown.
 */
int cql_conn_turn(struct cql_conn *conn, int64_t now_ms, struct errbuf *err) MUST_CHECK;

/* Returns: true once requests can be sent. */
bool cql_conn_is_up(const struct cql_conn *conn);

/* Returns: requests in flight. */
unsigned cql_conn_in_flight(const struct cql_conn *conn);

/* Returns: what the server has warned of so far. */
uint64_t cql_conn_warnings(const struct cql_conn *conn);

/*
 * Begins a request.
 * Takes: what its answer is to be known by.
 * Returns: the stream to write the frame for, into *out, and then cql_conn_sent; or -1 if all are in
 * flight.
 */
int cql_conn_begin(struct cql_conn *conn, uint64_t tag, int64_t now_ms, struct buf **out) MUST_CHECK;

/* The frame is written. Returns: 0, or -1 if it did not fit (nothing is in flight for it then). */
int cql_conn_sent(struct cql_conn *conn, int stream) MUST_CHECK;

/*
 * Takes the next answer.
 * Returns: 1, and the tag of its request and the answer, which holds until the next call; 0 if there
 * is none yet; -1 with a text: as cql_conn_turn.
 */
int cql_conn_take(struct cql_conn *conn, uint64_t *tag, struct cql_answer *answer,
                  struct errbuf *err) MUST_CHECK;

#endif
