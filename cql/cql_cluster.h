/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_cluster.h - the nodes of a cluster: found, connected to, and each told the statements to
 * prepare; by turns, nothing in it waits.
 *
 * Nodes are the contact points and what these say of the others (system.local, system.peers_v2, or
 * system.peers before 4.0), of the local data centre; they are asked again every minute, and when
 * the node that was asked is lost. One connection a node; a lost one is made anew, with growing
 * delays. Contact points that are names are resolved anew when no node is left.
 *
 * Process: workers, made after the fork.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef CQL_CQL_CLUSTER_H
#define CQL_CQL_CLUSTER_H

#include <poll.h>

#include "cql/cql_conn.h"
#include "cql/cql_frame.h"
#include "lib/base.h"
#include "lib/errbuf.h"

enum {
    CQL_NODES = 48,                /* connected to, at most */
    CQL_STATEMENTS = 16,           /* prepared, at most */
    CQL_CLUSTER_FDS = CQL_NODES + 1,
    CQL_WINDOW_MAX = 64            /* requests in flight on a node, at most */
};

struct cql_cluster;

struct cql_cluster_options {
    const char *contact_points; /* separated by commas */
    int port;
    const char *data_center; /* "": that of the first node that answers */
    struct cql_login login;
    const struct slice *statements; /* to be prepared on each node; n of them */
    unsigned n_statements;
};

/* Takes: the options; what they point to outlives the cluster. Returns: NULL if memory is out. */
struct cql_cluster *cql_cluster_new(const struct cql_cluster_options *options) MUST_CHECK;
void cql_cluster_free(struct cql_cluster **cluster);

/*
 * Fills in what to wait for, room for CQL_CLUSTER_FDS. Returns: their number; *until_ms the latest
 * time for the next turn.
 */
size_t cql_cluster_poll(struct cql_cluster *cluster, struct pollfd *fds, int64_t *until_ms);

/* Connects, reads and writes as far as it goes without waiting. */
void cql_cluster_turn(struct cql_cluster *cluster, int64_t now_ms);

enum cql_state {
    CQL_TRYING, /* something is under way: wait */
    CQL_FAILED, /* no node can be used just now; the text says why */
    CQL_USABLE  /* at least one node takes requests */
};

/* Nodes that are connected: takes queries, which need nothing prepared. */
enum cql_state cql_cluster_connected(const struct cql_cluster *cluster, int64_t now_ms,
                                     struct errbuf *err);

/* Nodes that have prepared all statements. */
enum cql_state cql_cluster_ready(const struct cql_cluster *cluster, int64_t now_ms,
                                 struct errbuf *err);

/* From now on (or not any more) statements are prepared on each node: the tables are there. */
void cql_cluster_prepare(struct cql_cluster *cluster, bool wanted);

/*
 * Returns: true if a node refused to prepare a statement since cql_cluster_prepare, and none has
 * prepared them: the tables may be gone. *why says what it said.
 */
bool cql_cluster_refuses(const struct cql_cluster *cluster, struct errbuf *why);

/* --- requests --- */

/*
 * Returns: the node for a row's token that takes a request now, a replica if one is ready, or -1:
 * all have as much in flight as they take.
 */
int cql_cluster_pick(const struct cql_cluster *cluster, int64_t token);

/* Returns: any node that is connected and takes a query, or -1. */
int cql_cluster_any(const struct cql_cluster *cluster);

/* Returns: the node that a token belongs to, for grouping: 0.. ; the same for the same owner. */
uint32_t cql_cluster_owner(const struct cql_cluster *cluster, int64_t token);

/* A connection's number, which changes with each: what was in flight on another one is unknown. */
unsigned cql_cluster_epoch(const struct cql_cluster *cluster, int node);

/* The id of a statement on a node that is ready. */
struct slice cql_cluster_id(const struct cql_cluster *cluster, int node, unsigned statement);

/* As cql_conn_begin, cql_conn_sent. Takes: a tag below 2^63. */
int cql_cluster_begin(struct cql_cluster *cluster, int node, uint64_t tag, int64_t now_ms,
                      struct buf **out) MUST_CHECK;
int cql_cluster_sent(struct cql_cluster *cluster, int node, int stream) MUST_CHECK;

/*
 * Takes the next answer to the owner's requests; holds until the next call.
 * Returns: true, and the node and the tag.
 */
bool cql_cluster_take(struct cql_cluster *cluster, int64_t now_ms, int *node, uint64_t *tag,
                      struct cql_answer *answer) MUST_CHECK;

/* A node has too much to do: fewer at once, and a pause. Or it took one: one more at once. */
void cql_cluster_note_busy(struct cql_cluster *cluster, int node, int64_t now_ms);
void cql_cluster_note_done(struct cql_cluster *cluster, int node);

/* A node does not know a statement any more: it prepares all of them again. */
void cql_cluster_note_unprepared(struct cql_cluster *cluster, int node, int64_t now_ms);

/* How a node is called in texts: HOST:PORT. */
const char *cql_cluster_name(const struct cql_cluster *cluster, int node);

/* What the servers have warned of so far. */
uint64_t cql_cluster_warnings(const struct cql_cluster *cluster);

/*
 * Describes the data centres that are known, for a keyspace that is to be made.
 * Takes: called for each with its name and its number of nodes.
 */
void cql_cluster_centers(const struct cql_cluster *cluster,
                         void (*tell)(void *arg, const char *name, unsigned nodes), void *arg);

#endif
