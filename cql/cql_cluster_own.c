/* SPDX-License-Identifier: Apache-2.0 */
/* cql_cluster_own.c - what a cluster asks for itself: which nodes there are, and the statements that
 * each has to prepare. */
#include "cql/cql_cluster_priv.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/log.h"

enum {
    RING_EVERY_MS = 60000,
    PREPARE_AGAIN_MS = 1000 /* it may learn of the tables yet */
};

static int
ask(const struct node *node, uint64_t what, const char *text, int64_t now_ms)
{
    struct buf *out;
    int stream = cql_conn_begin(node->conn, OWN | what, now_ms, &out);
    if (stream == -1)
        return -1;
    cql_put_query(out, (int16_t)stream, CQL_ONE, (struct slice){text, strlen(text)});
    return cql_conn_sent(node->conn, stream);
}

void
cluster_ask_ring(struct cql_cluster *c, struct node *node, int64_t now_ms)
{
    static const char local[] = "SELECT data_center, tokens FROM system.local";
    static const char peers[] =
        "SELECT native_address, data_center, tokens, native_port, peer FROM system.peers_v2";
    static const char old[] = "SELECT rpc_address, data_center, tokens, peer FROM system.peers";
    if (ask(node, ASK_LOCAL, local, now_ms) == 0 &&
        ask(node, ASK_PEERS, c->old_peers ? old : peers, now_ms) == 0) {
        c->ring_node = (int)(node - c->nodes);
        c->ring_answers = 0;
        c->ring_whole = false;
        c->ring_ms = now_ms + RING_EVERY_MS;
    }
}

void
cluster_prepare_node(struct cql_cluster *c, struct node *node, int64_t now_ms)
{
    node->preparing = true;
    for (unsigned i = 0; i < c->options.n_statements; i++) {
        struct buf *out;
        int stream = cql_conn_begin(node->conn, OWN | i, now_ms, &out);
        if (stream != -1)
            cql_put_prepare(out, (int16_t)stream, c->options.statements[i]);
        if (stream == -1 || cql_conn_sent(node->conn, stream) == -1)
            node->preparing = false; /* once more, in its next turn */
    }
}

static void
set_center(char *center, size_t size, struct slice text)
{
    snprintf(center, size, "%.*s", text.n < size ? (int)text.n : 0, text.p != NULL ? text.p : "");
}

static void
take_local(struct cql_cluster *c, struct node *node, struct cql_answer *answer)
{
    struct slice values[2];
    if (answer->kind != CQL_IS_ROWS || !cql_rows_next(&answer->rows, values, 2))
        return;
    set_center(node->center, sizeof(node->center), values[0]);
    if (c->center[0] == '\0') {
        snprintf(c->center, sizeof(c->center), "%s", node->center);
        log_notice("Cassandra: the local data centre is %s, that of %s", c->center, node->name);
    }
    /* Without memory the ring has holes: other nodes serve, too. */
    if (cluster_is_local(c, node))
        (void)!cql_ring_set(&c->ring, (uint32_t)(node - c->nodes), values[1]);
}

static bool
is_any_address(struct slice bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        if (bytes.p[i] != 0)
            return false;
    return true;
}

static void
take_peers(struct cql_cluster *c, struct node *node, struct cql_answer *answer)
{
    struct slice v[5];
    size_t n = c->old_peers ? 4 : 5;
    for (uint32_t i = 0; i < c->n_nodes; i++)
        c->nodes[i].seen = &c->nodes[i] == node;
    while (cql_rows_next(&answer->rows, v, n)) {
        struct cql_address address;
        int port = c->options.port;
        struct slice bytes = is_any_address(v[0]) ? v[n - 1] : v[0];
        if (n == 5 && v[3].n == 4)
            port = (unsigned char)v[3].p[2] << 8 | (unsigned char)v[3].p[3];
        if (bytes.p == NULL || cql_address_set(&address, bytes, port) == -1)
            continue;
        struct node *peer = cluster_add_node(c, &address);
        if (peer == NULL || peer == node)
            continue;
        peer->seen = true;
        set_center(peer->center, sizeof(peer->center), v[1]);
        if (cluster_is_local(c, peer))
            (void)!cql_ring_set(&c->ring, (uint32_t)(peer - c->nodes), v[2]);
        else
            cql_ring_remove(&c->ring, (uint32_t)(peer - c->nodes));
    }
}

/* What is not in the cluster any more is let go. */
static void
drop_strangers(struct cql_cluster *c)
{
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        struct node *node = &c->nodes[i];
        if (!node->seen)
            cql_ring_remove(&c->ring, i);
        if (!cluster_is_wanted(c, node) && (int)i != c->ring_node)
            cluster_close_node(c, node);
    }
}

static void
take_ring(struct cql_cluster *c, struct node *node, enum own what, struct cql_answer *answer,
          int64_t now_ms)
{
    if (c->ring_node != (int)(node - c->nodes))
        return;
    if (what == ASK_LOCAL)
        take_local(c, node, answer);
    if (what == ASK_PEERS && answer->kind == CQL_IS_ERROR &&
        answer->fault == CQL_FAULT_INVALID && !c->old_peers) {
        c->old_peers = true; /* before 4.0 */
        c->ring_ms = now_ms;
    }
    if (what == ASK_PEERS && answer->kind == CQL_IS_ROWS) {
        c->ring_whole = true;
        take_peers(c, node, answer);
    }
    if (++c->ring_answers == 2) {
        c->ring_node = -1;
        c->ring_known |= c->ring_ms > now_ms; /* else it is asked again, as before 4.0 */
    }
    if (c->ring_node == -1 && c->ring_whole)
        drop_strangers(c);
}

static void
take_prepared(struct cql_cluster *c, struct node *node, unsigned i, const struct cql_answer *answer)
{
    if (answer->kind != CQL_IS_PREPARED) {
        node->preparing = false;
        node->prepared = 0;
        node->prepare_ms = clock_mono_ms() + PREPARE_AGAIN_MS;
        c->refused = true;
        errbuf_set(&c->why_refused, "%s: %.*s", node->name, (int)answer->message.n,
                   answer->message.p);
        return;
    }
    if (!node->preparing)
        return;
    memcpy(node->ids[i], answer->id.p, answer->id.n);
    node->ids_n[i] = answer->id.n;
    node->prepared |= UINT32_C(1) << i;
    node->preparing = node->prepared != (UINT32_C(1) << c->options.n_statements) - 1;
}

void
cluster_take_own(struct cql_cluster *c, struct node *node, uint64_t what,
                 struct cql_answer *answer, int64_t now_ms)
{
    if (what == ASK_LOCAL || what == ASK_PEERS)
        take_ring(c, node, (enum own)what, answer, now_ms);
    else if (what < c->options.n_statements)
        take_prepared(c, node, (unsigned)what, answer);
}
