/* SPDX-License-Identifier: Apache-2.0 */
/* cql_cluster.c - see cql_cluster.h. */
#include "cql/cql_cluster_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

enum {
    KNOWN_NODES = 1024, /* that are known, at most; most of them elsewhere */
    RETRY_FIRST_MS = 200,
    RETRY_CAP_MS = 10000,
    IDLE_MS = 1000, /* a connection that was up for so long and is cut may be idle too long */
    WINDOW_FIRST = 16,
    BUSY_MS = 100,   /* a pause for a node that is overloaded */
    NAMES_MS = 10000 /* names are not resolved more often than that */
};

/* --- life --- */

struct cql_cluster *
cql_cluster_new(const struct cql_cluster_options *options)
{
    struct cql_cluster *c = calloc(1, sizeof(*c));
    assert(options->n_statements <= CQL_STATEMENTS);
    if (c == NULL)
        return NULL;
    c->options = *options;
    c->ring_node = -1;
    snprintf(c->center, sizeof(c->center), "%s", options->data_center);
    c->nodes = calloc(KNOWN_NODES, sizeof(*c->nodes));
    c->names = cql_names_new(options->contact_points, options->port);
    if (c->nodes == NULL || c->names == NULL)
        cql_cluster_free(&c);
    return c;
}

void
cql_cluster_free(struct cql_cluster **cluster)
{
    struct cql_cluster *c = *cluster;
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->n_nodes; i++)
        cql_conn_free(&c->nodes[i].conn);
    cql_names_free(&c->names);
    cql_ring_free(&c->ring);
    free(c->nodes);
    free(c);
    *cluster = NULL;
}

/* --- nodes --- */

static struct node *
find_node(struct cql_cluster *c, const struct cql_address *address)
{
    for (uint32_t i = 0; i < c->n_nodes; i++)
        if (cql_address_equal(&c->nodes[i].address, address))
            return &c->nodes[i];
    return NULL;
}

/* Returns: the node with that address, made if it is new; NULL if there are too many. */
struct node *
cluster_add_node(struct cql_cluster *c, const struct cql_address *address)
{
    struct node *node = find_node(c, address);
    if (node != NULL)
        return node;
    /* The place of one that is no part of the cluster any more. */
    for (uint32_t i = 0; i < c->n_nodes && node == NULL; i++)
        if (!c->nodes[i].contact && !c->nodes[i].seen && c->nodes[i].conn == NULL)
            node = &c->nodes[i];
    if (node == NULL && c->n_nodes == KNOWN_NODES)
        return NULL;
    if (node == NULL)
        node = &c->nodes[c->n_nodes++];
    unsigned epoch = node->epoch;
    *node = (struct node){.address = *address, .epoch = epoch, .window = WINDOW_FIRST};
    int port = ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port
                                                       : address->v6.sin6_port);
    bool v6 = strchr(address->host, ':') != NULL;
    snprintf(node->name, sizeof(node->name), "%s%s%s:%d", v6 ? "[" : "", address->host,
             v6 ? "]" : "", port);
    backoff_init(&node->backoff, RETRY_FIRST_MS, RETRY_CAP_MS,
                 (uint64_t)clock_mono_ns() ^ (uint64_t)getpid() << 32 ^ (uintptr_t)node);
    return node;
}

bool
cluster_is_local(const struct cql_cluster *c, const struct node *node)
{
    return node->center[0] == '\0' || c->center[0] == '\0' || strcmp(node->center, c->center) == 0;
}

bool
cluster_is_wanted(const struct cql_cluster *c, const struct node *node)
{
    return (node->contact || node->seen) && cluster_is_local(c, node);
}

void
cluster_close_node(struct cql_cluster *c, struct node *node)
{
    if (node->conn == NULL)
        return;
    c->lost_warnings += cql_conn_warnings(node->conn);
    cql_conn_free(&node->conn);
    c->n_conns--;
    node->epoch++;
    node->up_ms = 0;
    node->prepared = 0;
    node->preparing = false;
    if (c->ring_node == (int)(node - c->nodes)) {
        c->ring_node = -1;
        c->ring_ms = 0; /* another one is asked at once */
    }
}

static void
lose_node(struct cql_cluster *c, struct node *node, const struct errbuf *err, int64_t now_ms)
{
    /* One that was cut while nothing was asked of it is made anew without a word. */
    bool idle = node->up_ms != 0 && now_ms - node->up_ms > IDLE_MS &&
                cql_conn_in_flight(node->conn) == 0;
    if (node->up_ms != 0)
        c->ring_ms = 0;
    cluster_close_node(c, node);
    node->retry_ms = idle ? now_ms : now_ms + backoff_next(&node->backoff);
    errbuf_set(&c->why_down, "%s: %s", node->name, err->text);
}

static void
open_node(struct cql_cluster *c, struct node *node, int64_t now_ms)
{
    struct errbuf err = {.text = ""};
    node->epoch++;
    node->window = WINDOW_FIRST;
    node->conn = cql_conn_new(&c->options.login, &node->address.any, node->address.n,
                              node->address.host, now_ms, &err);
    if (node->conn != NULL)
        c->n_conns++;
    else
        lose_node(c, node, &err, now_ms);
}

static bool
is_up(const struct node *node)
{
    return node->conn != NULL && cql_conn_is_up(node->conn);
}

/* Where a data centre is named, a node of which it is not known yet takes nothing. */
static bool
is_placed(const struct cql_cluster *c, const struct node *node)
{
    return c->options.data_center[0] == '\0' || node->center[0] != '\0';
}

static bool
is_ready(const struct cql_cluster *c, const struct node *node)
{
    return is_up(node) && is_placed(c, node) &&
           node->prepared == (UINT32_C(1) << c->options.n_statements) - 1;
}

/* --- turns --- */

static void
look_up(struct cql_cluster *c, int64_t now_ms)
{
    const struct cql_address *addresses;
    const char *fault;
    int n = cql_names_take(c->names, &addresses, &fault);
    if (n >= 0) {
        for (uint32_t i = 0; n > 0 && i < c->n_nodes; i++)
            c->nodes[i].contact = false;
        for (int i = 0; i < n; i++) {
            struct node *node = cluster_add_node(c, &addresses[i]);
            if (node != NULL)
                node->contact = true;
        }
        if (fault[0] != '\0')
            errbuf_set(&c->why_down, "cannot resolve %s", fault);
        c->names_asked = true;
    }
    if (c->n_conns == 0 && now_ms >= c->names_ms && cql_names_ask(c->names) == 0)
        c->names_ms = now_ms + NAMES_MS;
}

static void
turn_node(struct cql_cluster *c, struct node *node, int64_t now_ms)
{
    struct errbuf err = {.text = ""};
    if (node->conn == NULL && cluster_is_wanted(c, node) && now_ms >= node->retry_ms &&
        c->n_conns < CQL_NODES)
        open_node(c, node, now_ms);
    if (node->conn == NULL)
        return;
    bool was_up = cql_conn_is_up(node->conn);
    if (cql_conn_turn(node->conn, now_ms, &err) == -1) {
        lose_node(c, node, &err, now_ms);
        return;
    }
    if (!is_up(node))
        return;
    if (!was_up) {
        backoff_reset(&node->backoff);
        node->up_ms = now_ms;
    }
    if (c->ring_node == -1 && now_ms >= c->ring_ms)
        cluster_ask_ring(c, node, now_ms);
    if (c->prepare && now_ms >= node->prepare_ms && !node->preparing && is_placed(c, node) &&
        !is_ready(c, node))
        cluster_prepare_node(c, node, now_ms);
}

void
cql_cluster_turn(struct cql_cluster *cluster, int64_t now_ms)
{
    look_up(cluster, now_ms);
    for (uint32_t i = 0; i < cluster->n_nodes; i++)
        turn_node(cluster, &cluster->nodes[i], now_ms);
}

size_t
cql_cluster_poll(struct cql_cluster *cluster, struct pollfd *fds, int64_t *until_ms)
{
    size_t n = 0;
    int64_t now_ms = clock_mono_ms();
    *until_ms = INT64_MAX;
    fds[n++] = (struct pollfd){.fd = cql_names_fd(cluster->names), .events = POLLIN};
    if (cluster->n_conns == 0 && cluster->names_ms < *until_ms)
        *until_ms = cluster->names_ms;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        const struct node *node = &cluster->nodes[i];
        int64_t due = INT64_MAX;
        if (node->conn != NULL)
            due = cql_conn_poll(node->conn, &fds[n++]);
        else if (cluster_is_wanted(cluster, node) && cluster->n_conns < CQL_NODES)
            due = node->retry_ms;
        if (node->busy_ms > now_ms && node->busy_ms < due)
            due = node->busy_ms;
        if (is_up(node) && cluster->ring_node == -1 && cluster->ring_ms < due)
            due = cluster->ring_ms;
        if (is_up(node) && cluster->prepare && !node->preparing && is_placed(cluster, node) &&
            !is_ready(cluster, node) && node->prepare_ms < due)
            due = node->prepare_ms;
        if (due < *until_ms)
            *until_ms = due;
    }
    return n;
}

/* --- what state it is in --- */

static enum cql_state
state_of(const struct cql_cluster *c, int64_t now_ms, bool ready, struct errbuf *err)
{
    bool trying = !c->names_asked;
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        const struct node *node = &c->nodes[i];
        if (c->ring_known && (ready ? is_ready(c, node) : is_up(node)))
            return CQL_USABLE;
        trying |= node->conn != NULL ? !is_up(node) || !c->ring_known ||
                                           (ready && (node->preparing || !is_placed(c, node)))
                                     : cluster_is_wanted(c, node) && now_ms >= node->retry_ms;
    }
    if (trying)
        return CQL_TRYING;
    *err = c->refused && ready ? c->why_refused : c->why_down;
    if (err->text[0] == '\0')
        errbuf_set(err, "no node of data centre %s is known", c->center);
    return CQL_FAILED;
}

enum cql_state
cql_cluster_connected(const struct cql_cluster *cluster, int64_t now_ms, struct errbuf *err)
{
    return state_of(cluster, now_ms, false, err);
}

enum cql_state
cql_cluster_ready(const struct cql_cluster *cluster, int64_t now_ms, struct errbuf *err)
{
    return state_of(cluster, now_ms, true, err);
}

void
cql_cluster_prepare(struct cql_cluster *cluster, bool wanted)
{
    cluster->prepare = wanted;
    cluster->refused = false;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        cluster->nodes[i].prepare_ms = 0;
        if (!wanted)
            cluster->nodes[i].prepared = 0;
    }
}

bool
cql_cluster_refuses(const struct cql_cluster *cluster, struct errbuf *why)
{
    for (uint32_t i = 0; i < cluster->n_nodes; i++)
        if (is_ready(cluster, &cluster->nodes[i]))
            return false;
    if (cluster->refused)
        *why = cluster->why_refused;
    return cluster->refused;
}

/* --- requests --- */

static bool
takes_one(const struct cql_cluster *c, const struct node *node)
{
    return is_ready(c, node) && cql_conn_in_flight(node->conn) < node->window &&
           clock_mono_ms() >= node->busy_ms;
}

int
cql_cluster_pick(const struct cql_cluster *cluster, int64_t token)
{
    if (cluster->ring.n > 0) {
        uint32_t owner = cql_cluster_owner(cluster, token);
        if (takes_one(cluster, &cluster->nodes[owner]))
            return (int)owner;
        if (is_ready(cluster, &cluster->nodes[owner]))
            return -1; /* its turn comes */
    }
    uint32_t first = (uint32_t)((uint64_t)token % (cluster->n_nodes + 1));
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        uint32_t node = (first + i) % cluster->n_nodes;
        if (takes_one(cluster, &cluster->nodes[node]))
            return (int)node;
    }
    return -1;
}

int
cql_cluster_any(const struct cql_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->n_nodes; i++)
        if (is_up(&cluster->nodes[i]) &&
            cql_conn_in_flight(cluster->nodes[i].conn) < CQL_STREAMS)
            return (int)i;
    return -1;
}

uint32_t
cql_cluster_owner(const struct cql_cluster *cluster, int64_t token)
{
    if (cluster->ring.n == 0)
        return 0;
    return cluster->ring.places[cql_ring_find(&cluster->ring, token)].node;
}

unsigned
cql_cluster_epoch(const struct cql_cluster *cluster, int node)
{
    return cluster->nodes[node].epoch;
}

struct slice
cql_cluster_id(const struct cql_cluster *cluster, int node, unsigned statement)
{
    const struct node *n = &cluster->nodes[node];
    return (struct slice){n->ids[statement], n->ids_n[statement]};
}

int
cql_cluster_begin(struct cql_cluster *cluster, int node, uint64_t tag, int64_t now_ms,
                  struct buf **out)
{
    assert((tag & OWN) == 0);
    struct cql_conn *conn = cluster->nodes[node].conn;
    return conn == NULL ? -1 : cql_conn_begin(conn, tag, now_ms, out);
}

int
cql_cluster_sent(struct cql_cluster *cluster, int node, int stream)
{
    return cql_conn_sent(cluster->nodes[node].conn, stream);
}

/* Returns: true if there is an answer for the owner; the cluster's own are dealt with. */
static bool
take_from(struct cql_cluster *c, struct node *node, int64_t now_ms, uint64_t *tag,
          struct cql_answer *answer)
{
    struct errbuf err = {.text = ""};
    int got;
    while (node->conn != NULL && (got = cql_conn_take(node->conn, tag, answer, &err)) != 0) {
        if (got == -1)
            lose_node(c, node, &err, now_ms);
        else if (*tag & OWN)
            cluster_take_own(c, node, *tag & ~OWN, answer, now_ms);
        else
            return true;
    }
    return false;
}

bool
cql_cluster_take(struct cql_cluster *cluster, int64_t now_ms, int *node, uint64_t *tag,
                 struct cql_answer *answer)
{
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        int at = (int)(((uint32_t)cluster->next_taken + i) % cluster->n_nodes);
        if (take_from(cluster, &cluster->nodes[at], now_ms, tag, answer)) {
            cluster->next_taken = *node = at;
            return true;
        }
    }
    return false;
}

void
cql_cluster_note_busy(struct cql_cluster *cluster, int node, int64_t now_ms)
{
    struct node *n = &cluster->nodes[node];
    n->window = n->window > 1 ? n->window / 2 : 1;
    n->busy_ms = now_ms + BUSY_MS;
}

void
cql_cluster_note_done(struct cql_cluster *cluster, int node)
{
    struct node *n = &cluster->nodes[node];
    n->busy_ms = 0;
    if (n->window < CQL_WINDOW_MAX)
        n->window++;
}

void
cql_cluster_note_unprepared(struct cql_cluster *cluster, int node, int64_t now_ms)
{
    struct node *n = &cluster->nodes[node];
    if (n->preparing || !is_up(n))
        return;
    n->prepared = 0;
    cluster_prepare_node(cluster, n, now_ms);
}

const char *
cql_cluster_name(const struct cql_cluster *cluster, int node)
{
    return cluster->nodes[node].name;
}

uint64_t
cql_cluster_warnings(const struct cql_cluster *cluster)
{
    uint64_t n = cluster->lost_warnings;
    for (uint32_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i].conn != NULL)
            n += cql_conn_warnings(cluster->nodes[i].conn);
    return n;
}

void
cql_cluster_centers(const struct cql_cluster *cluster,
                    void (*tell)(void *arg, const char *name, unsigned nodes), void *arg)
{
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        const struct node *first = &cluster->nodes[i];
        unsigned n = 0;
        bool told = !first->seen || first->center[0] == '\0';
        for (uint32_t k = 0; k < cluster->n_nodes && !told; k++) {
            bool same = cluster->nodes[k].seen &&
                        strcmp(cluster->nodes[k].center, first->center) == 0;
            told = same && k < i;
            n += same;
        }
        if (!told)
            tell(arg, first->center, n);
    }
}
