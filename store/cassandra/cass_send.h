/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_send.h - statements with their values, made durable: in batches by the node they belong to,
 * many in flight, and those found that the server refuses.
 *
 * A batch that is refused as invalid is halved, until a statement is refused alone. That is its own
 * fault only if the tables take anything at all just then, which a harmless statement is sent for;
 * else all stays as it is, to be tried again. What times out, is overloaded or unavailable is sent
 * again, fewer at once, and given up after a few times in a row.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_CASSANDRA_CASS_SEND_H
#define STORE_CASSANDRA_CASS_SEND_H

#include "cql/cql_cluster.h"
#include "store/cassandra/cass_row.h"
#include "store/store.h"

enum cass_outcome { CASS_PENDING, CASS_DONE, CASS_REFUSED };

struct cass_item {
    enum cass_statement statement;
    enum cass_outcome outcome;
    uint32_t number; /* the caller's */
    uint32_t n;      /* bytes of values */
    size_t at;       /* where they are */
    int64_t token;   /* of their partition */
};

struct cass_sender; /* what is in flight, and room to work */

struct cass_sender_options {
    struct cql_cluster *cluster;
    const struct store_hooks *hooks;
    const char *keyspace;
    enum cql_consistency consistency;
    unsigned max_batch; /* statements, 1.. */
};

struct cass_sender *cass_sender_new(const struct cass_sender_options *options) MUST_CHECK;
void cass_sender_free(struct cass_sender **sender);

/* What is to be sent, and who is told of it. */
struct cass_job {
    struct cass_item *items; /* those that are pending are sent; their outcome is set */
    size_t n;
    const char *values; /* that the items' `at` is in; must stay */
    /* Told of each that is settled; `why` is the server's word, NULL for done. */
    void (*settled)(void *arg, struct cass_item *item, const struct slice *why);
    /* Told of the row that CASS_IS_CREATED found, if it did; before `settled`. */
    void (*found)(void *arg, struct cass_item *item, int64_t created_ms);
    void *arg;
};

/*
 * Sends them all.
 * Returns: STORE_DONE: each is done or refused; STORE_SICK with a text, or STORE_STOPPED: some are
 * pending still.
 */
enum store_status cass_send(struct cass_sender *sender, const struct cass_job *job,
                            struct errbuf *err) MUST_CHECK;

/*
 * Asks one question of any node and waits for its answer, which holds until the next call.
 * Returns: STORE_DONE and the answer, which may be an error.
 */
enum store_status cass_ask(struct cass_sender *sender, struct slice statement,
                           struct cql_answer *answer, struct errbuf *err) MUST_CHECK;

/* Waits until nodes are connected, or have prepared what they are to. */
enum store_status cass_await(struct cass_sender *sender, bool prepared,
                             struct errbuf *err) MUST_CHECK;

#endif
