/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_server.h - one InfluxDB 1.x: writes lines to a database of its own, which it makes where
 * there is none, and says what was answered.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_SERVER_H
#define STORE_INFLUX_SERVER_H

#include "conf/cfg.h"
#include "lib/buf.h"
#include "store/http.h"
#include "store/influx/influx_answer.h"
#include "store/influx/influx_rows.h"

struct influx_server {
    const struct config *cfg;
    struct http *http;
    struct buf base, url, body, text, query; /* base: the URL up to the path */
    size_t max_body_bytes; /* of a chunk; less after one that was too large or got no answer */
    bool name_error_is_tenants; /* a database's invalid name can only be the tenant's fault */
};

/* What the requests of one attempt are for, and what they have met with. */
struct influx_call {
    const struct influx_rows *rows;
    const char *database;
    struct errbuf *err;
    bool unreachable; /* no other database will fare better */
    bool overloaded;  /* the last trouble is the server's own */
    bool no_room;     /* it could not make a database: no more of them now */
};

/*
 * Does not need the server yet.
 * Takes: the configuration and hooks, which outlive it.
 * Returns: 0, or -1 with a text; to be closed in any case.
 */
int influx_server_open(struct influx_server *s, const struct config *cfg,
                       const struct store_hooks *hooks, struct errbuf *err) MUST_CHECK;
void influx_server_close(struct influx_server *s);

/*
 * Writes a list of rows once (making the database on the way).
 * Takes: indexes in c->rows, n >= 1.
 * Returns: STORE_DONE: *answer says how it went (INFLUX_NO_DATABASE: there cannot be one for this
 * tenant; never INFLUX_WORLD), and holds until the next write; STORE_SICK with a text in *c->err,
 * or STORE_STOPPED.
 */
enum store_status influx_server_write(struct influx_server *s, struct influx_call *c,
                                      const uint32_t *list, size_t n,
                                      struct influx_answer *answer) MUST_CHECK;

/* Makes later chunks half as large as the body just sent, or twice as large as they are. */
void influx_server_send_less(struct influx_server *s);
void influx_server_send_more(struct influx_server *s);

#endif
