/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_cluster_priv.h - what the cluster's files share: its structure, and its nodes.
 *
 *   cql_cluster.c      nodes and their connections, turns, the owner's requests
 *   cql_cluster_own.c  what the cluster asks for itself: the ring, statements to be prepared
 *
 * Process: workers, made after the fork.  Owner: the cluster's.  Concurrency: one thread.
 */
#ifndef CQL_CQL_CLUSTER_PRIV_H
#define CQL_CQL_CLUSTER_PRIV_H

#include "cql/cql_cluster.h"
#include "cql/cql_names.h"
#include "cql/cql_ring.h"
#include "lib/backoff.h"

/* Tags of the cluster's own requests. */
#define OWN UINT64_C(0x8000000000000000)
enum own { ASK_LOCAL = CQL_STATEMENTS, ASK_PEERS };

struct node {
    struct cql_address address;
    char name[CQL_HOST_BYTES + 8];
    char center[128];   /* "": not known */
    bool contact, seen; /* a contact point; in what the ring said last */
    struct cql_conn *conn;
    unsigned epoch;
    uint32_t prepared; /* statements that it knows, a bit each */
    bool preparing;
    int64_t up_ms;      /* since when; 0: it is not up */
    int64_t prepare_ms; /* refused to prepare: not asked again before then */
    char ids[CQL_STATEMENTS][CQL_ID_BYTES];
    size_t ids_n[CQL_STATEMENTS];
    struct backoff backoff;
    int64_t retry_ms, busy_ms; /* not connected to, not sent to, before then */
    unsigned window;
};

struct cql_cluster {
    struct cql_cluster_options options;
    struct cql_names *names;
    bool names_asked;
    int64_t names_ms; /* asked again not before then */
    struct node *nodes;
    uint32_t n_nodes, n_conns;
    struct cql_ring ring;
    char center[128];
    bool prepare, refused, old_peers;
    struct errbuf why_refused, why_down;
    int64_t ring_ms; /* when the ring is asked about next */
    int ring_node;   /* that is being asked; -1: none */
    unsigned ring_answers;
    bool ring_whole; /* the peers have been told */
    bool ring_known; /* it has been asked about, with whatever answer */
    uint64_t lost_warnings; /* of connections that are gone */
    int next_taken;         /* whose answer was taken last */
};

/* Returns: the node with that address, made if it is new; NULL if there are too many. */
struct node *cluster_add_node(struct cql_cluster *c, const struct cql_address *address);

/* Returns: true unless it is known to be in another data centre than the local one. */
bool cluster_is_local(const struct cql_cluster *c, const struct node *node);

/* Returns: true if it is to be connected to. */
bool cluster_is_wanted(const struct cql_cluster *c, const struct node *node);

/* Ends its connection, if there is one: what is in flight is unknown. */
void cluster_close_node(struct cql_cluster *c, struct node *node);

/* Asks a node that is up for all nodes there are. */
void cluster_ask_ring(struct cql_cluster *c, struct node *node, int64_t now_ms);

/* Has a node that is up prepare all statements. */
void cluster_prepare_node(struct cql_cluster *c, struct node *node, int64_t now_ms);

/* Takes the answer to one of the cluster's own requests. Takes: its tag without OWN. */
void cluster_take_own(struct cql_cluster *c, struct node *node, uint64_t what,
                      struct cql_answer *answer, int64_t now_ms);

#endif
