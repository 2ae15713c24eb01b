/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_ring.h - which node has which part of the ring (pure).
 *
 * A row belongs to the first node clockwise from its token; with SimpleStrategy and
 * NetworkTopologyStrategy that node, of those of a data centre, always holds a replica there.
 *
 * Process: workers.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef CQL_CQL_RING_H
#define CQL_CQL_RING_H

#include "cql/cql_frame.h"
#include "lib/base.h"

enum { CQL_RING_TOKENS = 1 << 16 /* at most; of what is beyond no owner is known */ };

struct cql_ring {
    struct cql_place {
        int64_t token;
        uint32_t node;
    } * places;
    size_t n, capacity;
};

/* Frees what it holds; it is empty then. */
void cql_ring_free(struct cql_ring *ring);

/* Takes a node's places away. */
void cql_ring_remove(struct cql_ring *ring, uint32_t node);

/*
 * Sets a node's places.
 * Takes: a set<text> of decimal tokens, as system.local and system.peers have it; what is no token is
 * left out. Returns: 0, or -1 if memory is out.
 */
int cql_ring_set(struct cql_ring *ring, uint32_t node, struct slice tokens) MUST_CHECK;

/* Returns: the index of the place that a token belongs to; its ring must not be empty. */
size_t cql_ring_find(const struct cql_ring *ring, int64_t token);

#endif
