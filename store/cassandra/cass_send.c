/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_send.c - see cass_send.h.
 *
 * Items are sorted by the node that their partition belongs to; each node's are a lane, from whose
 * head batches are cut. What has to be sent again waits in a list of ranges of the same order.
 */
#include "store/cassandra/cass_send.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"

enum {
    /* A server writes a line into its log for each batch of more than 5 KiB, as it comes, and refuses
     * 50. It counts some 60 bytes a row besides its values (5.0.4: 6277 for 46 rows with 3500). */
    BATCH_BYTES = 4800,
    ROW_BYTES = 64,
    SLOTS = 1024,           /* requests in flight, at most */
    MAX_TROUBLES = 6        /* faults in a row before it is given up for now */
};

/* A run of `order`. */
struct range {
    uint32_t from, to;
};

struct slot {
    bool busy;
    int node;
    unsigned epoch;
    struct range range;
};

struct cass_sender {
    struct cass_sender_options options;
    uint32_t attempt; /* answers to former ones are nobody's any more */
    /* Of the present job. */
    const struct cass_job *job;
    uint32_t *order;
    size_t capacity_order;
    uint64_t *keys; /* owner and number, to sort by */
    size_t capacity_keys;
    struct range *lanes;
    size_t n_lanes, capacity_lanes, next_lane;
    struct range *again;
    size_t n_again, capacity_again;
    uint32_t *suspects; /* items refused alone */
    size_t n_suspects, capacity_suspects;
    char *why; /* the server's word on the first of them */
    struct slot slots[SLOTS];
    unsigned in_flight, next_slot;
    unsigned troubles; /* in a row */
    struct errbuf trouble;
    bool given_up, no_memory;
};

struct cass_sender *
cass_sender_new(const struct cass_sender_options *options)
{
    struct cass_sender *s = calloc(1, sizeof(*s));
    if (s != NULL)
        s->options = *options;
    return s;
}

void
cass_sender_free(struct cass_sender **sender)
{
    struct cass_sender *s = *sender;
    if (s == NULL)
        return;
    free(s->order);
    free(s->keys);
    free(s->lanes);
    free(s->again);
    free(s->suspects);
    free(s->why);
    free(s);
    *sender = NULL;
}

/* --- waiting --- */

/* Waits for whatever the cluster waits for, and gives it its turn. */
static bool
wait_turn(struct cass_sender *s, int64_t until_ms)
{
    struct pollfd fds[CQL_CLUSTER_FDS];
    int64_t due_ms;
    size_t n = cql_cluster_poll(s->options.cluster, fds, &due_ms);
    if (!s->options.hooks->wait(s->options.hooks->arg, fds, n,
                                due_ms < until_ms ? due_ms : until_ms))
        return false;
    cql_cluster_turn(s->options.cluster, clock_mono_ms());
    return true;
}

static enum store_status
sick(const struct errbuf *why, struct errbuf *err)
{
    errbuf_set(err, "Cassandra: %s", why->text);
    return STORE_SICK;
}

/* Answers that nobody waits for any more, and the cluster's own. */
static void
drain(struct cass_sender *s)
{
    struct cql_answer answer;
    uint64_t tag;
    int node;
    while (cql_cluster_take(s->options.cluster, clock_mono_ms(), &node, &tag, &answer))
        ;
}

enum store_status
cass_await(struct cass_sender *s, bool prepared, struct errbuf *err)
{
    struct errbuf why = {.text = ""};
    cql_cluster_turn(s->options.cluster, clock_mono_ms());
    for (;;) {
        drain(s);
        int64_t now_ms = clock_mono_ms();
        enum cql_state state = prepared
                                   ? cql_cluster_ready(s->options.cluster, now_ms, &why)
                                   : cql_cluster_connected(s->options.cluster, now_ms, &why);
        if (state == CQL_USABLE)
            return STORE_DONE;
        if (state == CQL_FAILED)
            return sick(&why, err);
        if (!wait_turn(s, INT64_MAX))
            return STORE_STOPPED;
    }
}

enum store_status
cass_ask(struct cass_sender *s, struct slice statement, struct cql_answer *answer,
         struct errbuf *err)
{
    struct cql_cluster *cluster = s->options.cluster;
    struct errbuf why = {.text = "no node takes a question"};
    uint64_t wanted = (uint64_t)++s->attempt << 32, tag;
    int node = cql_cluster_any(cluster), from;
    struct buf *out;
    int stream = node == -1 ? -1 : cql_cluster_begin(cluster, node, wanted, clock_mono_ms(), &out);
    if (stream == -1)
        return sick(&why, err);
    cql_put_query(out, (int16_t)stream, s->options.consistency, statement);
    unsigned epoch = cql_cluster_epoch(cluster, node);
    if (cql_cluster_sent(cluster, node, stream) == -1)
        return sick(&why, err);
    cql_cluster_turn(cluster, clock_mono_ms());
    for (;;) {
        while (cql_cluster_take(cluster, clock_mono_ms(), &from, &tag, answer))
            if (tag == wanted)
                return STORE_DONE;
        if (cql_cluster_epoch(cluster, node) != epoch) {
            errbuf_set(&why, "%s: the connection was lost", cql_cluster_name(cluster, node));
            return sick(&why, err);
        }
        if (!wait_turn(s, INT64_MAX))
            return STORE_STOPPED;
    }
}

/* --- the order of things --- */

static int
compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Begins a lane at order[from]. */
static int
add_lane(struct cass_sender *s, size_t from)
{
    if (array_reserve(&s->lanes, &s->capacity_lanes, s->n_lanes + 1, sizeof(*s->lanes)) == -1)
        return -1;
    s->lanes[s->n_lanes++] = (struct range){(uint32_t)from, (uint32_t)from};
    return 0;
}

/* Puts what is pending in order, by the owner of its partition. */
static int
sort_items(struct cass_sender *s)
{
    const struct cass_job *job = s->job;
    size_t n = 0;
    if (array_reserve(&s->order, &s->capacity_order, job->n, sizeof(*s->order)) == -1 ||
        array_reserve(&s->keys, &s->capacity_keys, job->n, sizeof(*s->keys)) == -1)
        return -1;
    for (size_t i = 0; i < job->n; i++)
        if (job->items[i].outcome == CASS_PENDING)
            s->keys[n++] = (uint64_t)cql_cluster_owner(s->options.cluster, job->items[i].token)
                               << 32 |
                           i;
    if (n > 0)
        qsort(s->keys, n, sizeof(*s->keys), compare_keys);
    s->n_lanes = s->next_lane = 0;
    for (size_t i = 0; i < n; i++) {
        s->order[i] = (uint32_t)s->keys[i];
        if ((i == 0 || s->keys[i] >> 32 != s->keys[i - 1] >> 32) && add_lane(s, i) == -1)
            return -1;
        s->lanes[s->n_lanes - 1].to++;
    }
    return 0;
}

static struct cass_item *
item_at(const struct cass_sender *s, uint32_t i)
{
    return &s->job->items[s->order[i]];
}

/* Returns: the end of the batch that begins at r.from. What is asked for rows is alone. */
static uint32_t
cut(const struct cass_sender *s, struct range r)
{
    size_t bytes = 0;
    uint32_t i = r.from;
    for (; i < r.to && i - r.from < s->options.max_batch; i++) {
        const struct cass_item *item = item_at(s, i);
        bytes += item->n + ROW_BYTES;
        if (i > r.from && (bytes > BATCH_BYTES || item->statement == CASS_IS_CREATED))
            break;
        if (item->statement == CASS_IS_CREATED)
            return i + 1;
    }
    return i;
}

static void
send_again(struct cass_sender *s, struct range r)
{
    if (array_reserve(&s->again, &s->capacity_again, s->n_again + 1, sizeof(*s->again)) == -1) {
        s->no_memory = true; /* it stays pending */
        return;
    }
    s->again[s->n_again++] = r;
}

/* --- sending --- */

static struct slice
values_of(const struct cass_sender *s, const struct cass_item *item)
{
    return (struct slice){s->job->values + item->at, item->n};
}

/* Reading wants a level of its own where that of writing means nothing. */
static enum cql_consistency
consistency_for(const struct cass_sender *s, enum cass_statement statement)
{
    enum cql_consistency c = s->options.consistency;
    if (statement != CASS_IS_CREATED)
        return c;
    return c == CQL_ANY ? CQL_ONE : c == CQL_EACH_QUORUM ? CQL_LOCAL_QUORUM : c;
}

static void
put_range(const struct cass_sender *s, struct buf *out, int node, int stream, struct range r)
{
    const struct cql_cluster *cluster = s->options.cluster;
    const struct cass_item *item = item_at(s, r.from);
    struct cql_batch batch;
    if (r.to - r.from == 1) {
        cql_put_execute(out, (int16_t)stream, consistency_for(s, item->statement),
                        cql_cluster_id(cluster, node, item->statement),
                        cass_row_values(item->statement), values_of(s, item));
        return;
    }
    cql_batch_begin(&batch, out, (int16_t)stream);
    for (uint32_t i = r.from; i < r.to; i++) {
        item = item_at(s, i);
        cql_batch_add(&batch, cql_cluster_id(cluster, node, item->statement),
                      cass_row_values(item->statement), values_of(s, item));
    }
    cql_batch_end(&batch, s->options.consistency);
}

/* Returns: false if no node takes it just now. */
static bool
send_range(struct cass_sender *s, struct range r)
{
    struct cql_cluster *cluster = s->options.cluster;
    struct buf *out;
    int64_t now_ms = clock_mono_ms();
    int node = cql_cluster_pick(cluster, item_at(s, r.from)->token);
    if (node == -1 || s->in_flight == SLOTS)
        return false;
    while (s->slots[s->next_slot].busy)
        s->next_slot = (s->next_slot + 1) % SLOTS;
    uint64_t tag = (uint64_t)s->attempt << 32 | s->next_slot;
    int stream = cql_cluster_begin(cluster, node, tag, now_ms, &out);
    if (stream == -1)
        return false;
    put_range(s, out, node, stream, r);
    if (cql_cluster_sent(cluster, node, stream) == -1)
        return false;
    s->slots[s->next_slot] = (struct slot){.busy = true,
                                           .node = node,
                                           .epoch = cql_cluster_epoch(cluster, node),
                                           .range = r};
    s->in_flight++;
    return true;
}

/* Takes a batch from the next lane that has one and whose node takes it. */
static bool
send_from_lanes(struct cass_sender *s)
{
    for (size_t i = 0; i < s->n_lanes; i++) {
        struct range *lane = &s->lanes[(s->next_lane + i) % s->n_lanes];
        if (lane->from == lane->to)
            continue;
        struct range r = {lane->from, cut(s, *lane)};
        if (!send_range(s, r))
            continue;
        lane->from = r.to;
        s->next_lane = (s->next_lane + i + 1) % s->n_lanes;
        return true;
    }
    return false;
}

static void
fill(struct cass_sender *s)
{
    bool sent = true;
    while (!s->given_up && sent) {
        sent = false;
        for (size_t i = s->n_again; i > 0; i--)
            if (send_range(s, s->again[i - 1])) {
                s->again[i - 1] = s->again[--s->n_again];
                sent = true;
            }
        sent |= send_from_lanes(s);
    }
}

static bool
is_left(const struct cass_sender *s)
{
    for (size_t i = 0; i < s->n_lanes; i++)
        if (s->lanes[i].from < s->lanes[i].to)
            return true;
    return s->n_again > 0;
}

/* --- answers --- */

static void
settle(struct cass_sender *s, struct cass_item *item, const struct slice *why)
{
    item->outcome = why == NULL ? CASS_DONE : CASS_REFUSED;
    s->job->settled(s->job->arg, item, why);
}

static void
settle_done(struct cass_sender *s, struct range r, struct cql_answer *answer)
{
    struct cass_item *item = item_at(s, r.from);
    struct slice value;
    int64_t created_ms;
    if (item->statement == CASS_IS_CREATED && answer->kind == CQL_IS_ROWS &&
        cql_rows_next(&answer->rows, &value, 1) && cql_get_bigint(value, &created_ms))
        s->job->found(s->job->arg, item, created_ms);
    for (uint32_t i = r.from; i < r.to; i++)
        settle(s, item_at(s, i), NULL);
}

static void
note_trouble(struct cass_sender *s, int node, const struct cql_answer *answer, bool final)
{
    errbuf_set(&s->trouble, "%s: %.*s", cql_cluster_name(s->options.cluster, node),
               (int)answer->message.n, answer->message.p);
    s->given_up |= final || ++s->troubles >= MAX_TROUBLES;
}

static void
suspect(struct cass_sender *s, uint32_t i, const struct cql_answer *answer)
{
    if (array_reserve(&s->suspects, &s->capacity_suspects, s->n_suspects + 1,
                      sizeof(*s->suspects)) == -1) {
        s->no_memory = true;
        return;
    }
    if (s->n_suspects == 0) {
        free(s->why);
        s->why = strndup(answer->message.p, answer->message.n);
    }
    s->suspects[s->n_suspects++] = s->order[i];
}

/* After a refusal as invalid. */
static void
sift(struct cass_sender *s, struct range r, const struct cql_answer *answer)
{
    uint32_t middle = r.from + (r.to - r.from) / 2;
    if (r.to - r.from == 1) {
        suspect(s, r.from, answer);
        return;
    }
    send_again(s, (struct range){r.from, middle});
    send_again(s, (struct range){middle, r.to});
}

static void
take_answer(struct cass_sender *s, int node, struct range r, struct cql_answer *answer)
{
    struct cql_cluster *cluster = s->options.cluster;
    int64_t now_ms = clock_mono_ms();
    if (answer->kind == CQL_IS_DONE || answer->kind == CQL_IS_ROWS) {
        s->troubles = 0;
        cql_cluster_note_done(cluster, node);
        settle_done(s, r, answer);
        return;
    }
    if (answer->kind == CQL_IS_ERROR && answer->fault == CQL_FAULT_INVALID) {
        sift(s, r, answer);
        return;
    }
    if (answer->kind == CQL_IS_ERROR && answer->fault == CQL_FAULT_UNPREPARED)
        cql_cluster_note_unprepared(cluster, node, now_ms);
    else
        cql_cluster_note_busy(cluster, node, now_ms);
    send_again(s, r);
    note_trouble(s, node, answer,
                 answer->kind != CQL_IS_ERROR || answer->fault == CQL_FAULT_DENIED);
}

static void
take_answers(struct cass_sender *s)
{
    struct cql_answer answer;
    uint64_t tag;
    int node;
    while (cql_cluster_take(s->options.cluster, clock_mono_ms(), &node, &tag, &answer)) {
        struct slot *slot = &s->slots[tag % SLOTS];
        if (tag >> 32 != s->attempt || !slot->busy)
            continue;
        slot->busy = false;
        s->in_flight--;
        take_answer(s, node, slot->range, &answer);
    }
}

/* What was in flight on a connection that is gone may have reached its node, and is sent again. */
static void
take_losses(struct cass_sender *s)
{
    const struct cql_cluster *cluster = s->options.cluster;
    for (unsigned i = 0; i < SLOTS && s->in_flight > 0; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->busy || slot->epoch == cql_cluster_epoch(cluster, slot->node))
            continue;
        slot->busy = false;
        s->in_flight--;
        send_again(s, slot->range);
    }
}

/* --- a job --- */

/* A statement that changes nothing: does the keyspace take it? */
static enum store_status
probe(struct cass_sender *s, bool *takes, struct errbuf *err)
{
    char text[256];
    struct cql_answer answer;
    int n = snprintf(text, sizeof(text),
                     "DELETE FROM \"%s\".measurements USING TIMESTAMP 1 WHERE metric_id = 0x00",
                     s->options.keyspace);
    enum store_status status = cass_ask(s, (struct slice){text, (size_t)n}, &answer, err);
    *takes = status == STORE_DONE && answer.kind == CQL_IS_DONE;
    return status;
}

static enum store_status
judge_suspects(struct cass_sender *s, struct errbuf *err)
{
    bool takes;
    if (s->n_suspects == 0)
        return STORE_DONE;
    struct slice why = {s->why, s->why != NULL ? strlen(s->why) : 0};
    enum store_status status = probe(s, &takes, err);
    if (status != STORE_DONE)
        return status;
    if (!takes) {
        errbuf_set(err, "Cassandra: %.*s", (int)why.n, why.p != NULL ? why.p : "");
        return STORE_SICK;
    }
    for (size_t i = 0; i < s->n_suspects; i++)
        settle(s, &s->job->items[s->suspects[i]], &why);
    return STORE_DONE;
}

static enum store_status
run(struct cass_sender *s, struct errbuf *err)
{
    for (;;) {
        struct errbuf why = {.text = ""};
        take_losses(s);
        fill(s);
        if (s->in_flight == 0 && (s->given_up || !is_left(s)))
            return s->given_up ? sick(&s->trouble, err) : STORE_DONE;
        if (s->in_flight == 0 &&
            cql_cluster_ready(s->options.cluster, clock_mono_ms(), &why) == CQL_FAILED)
            return sick(&why, err);
        cql_cluster_turn(s->options.cluster, clock_mono_ms()); /* sends on what was put */
        take_answers(s);
        take_losses(s);
        fill(s);
        if (s->in_flight == 0 && !is_left(s))
            continue;
        if (!wait_turn(s, INT64_MAX))
            return STORE_STOPPED;
        take_answers(s);
    }
}

enum store_status
cass_send(struct cass_sender *s, const struct cass_job *job, struct errbuf *err)
{
    static const struct errbuf no_memory = {.text = "out of memory"};
    s->attempt++;
    s->job = job;
    s->n_again = s->n_suspects = 0;
    s->in_flight = s->next_slot = s->troubles = 0;
    s->given_up = s->no_memory = false;
    memset(s->slots, 0, sizeof(s->slots));
    enum store_status status = sort_items(s) == -1 ? sick(&no_memory, err) : run(s, err);
    if (status == STORE_DONE && s->no_memory)
        status = sick(&no_memory, err);
    return status == STORE_DONE ? judge_suspects(s, err) : status;
}
