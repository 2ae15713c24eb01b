/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_lag.c - where the ends of the owned partitions are, and what follows from it (lag.h).
 *
 * librdkafka keeps the end that came with the last fetch of each partition.  That costs nothing,
 * but freezes when fetching does: while the store is sick, while a broker is silent, and also when
 * there is nothing to fetch.  So an end that has not moved for a while is asked for, all in one
 * request to each leader, as seldom as can be, by a thread beside (consume_ask.c).  A broker
 * answers what comes through one connection in order, so an idle one keeps the answer back for up
 * to fetch.wait.max.ms, though not longer than until there is something to fetch.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include "lib/clock.h"
#include "kafka/consume_priv.h"

enum {
    LOOK_MS = 1000, /* between two looks at what is known */
    ASK_APART_MS = 5000,
    ANSWER_MS = 300,      /* for the answer, once the broker comes to the question */
    ANSWER_CAP_MS = 2000, /* in all */
    ASK_SELDOM = 10       /* at most that part of the time is spent with asking */
};

static int64_t
cached_end(struct consumer *c, int32_t id)
{
    int64_t low = -1, high = -1;
    if (rd_kafka_get_watermark_offsets(c->rk, c->topic, id, &low, &high) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return -1;
    return high;
}

void
consume_begin_lag(struct consumer *c, struct partition *p)
{
    lag_begin(&p->lag, cached_end(c, p->id), clock_mono_ms());
    c->look_at_lag_ms = 0;
}

static void
show(struct consumer *c, const struct lag_levels *levels)
{
    recorder_set(c->recorder, STAT_LAG, levels->taken);
    recorder_set(c->recorder, STAT_LAG_SECONDS, levels->taken_seconds);
    recorder_set(c->recorder, STAT_LAG_COMMITTED, levels->committed);
    recorder_set(c->recorder, STAT_LAG_COMMITTED_SECONDS, levels->committed_seconds);
}

void
consume_show_lag(struct consumer *c, int64_t now_ms)
{
    struct lag_levels levels;
    int64_t wall_ms = clock_wall_ms();
    lag_levels_clear(&levels);
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        lag_add(&p->lag, p->position, consume_committed(p), now_ms, wall_ms, &levels);
    }
    show(c, &levels);
}

/* Returns: how long an answer may take, ms. */
static int
answer_ms(const struct consumer *c)
{
    int64_t fetch_ms = consume_setting(c, "fetch.wait.max.ms", ANSWER_CAP_MS);
    return fetch_ms < ANSWER_CAP_MS - ANSWER_MS ? (int)fetch_ms + ANSWER_MS : ANSWER_CAP_MS;
}

/* Asks for the ends of all partitions; what is not answered is left as it is. */
static void
ask_ends(struct question *q)
{
    /* Where no answer came, the offset is still the negative one of the question. */
    q->code = rd_kafka_offsets_for_times(q->rk, q->list, q->timeout_ms);
}

rd_kafka_topic_partition_list_t *
consume_list_ends(const struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++)
        rd_kafka_topic_partition_list_add(list, c->topic, c->partitions[i].id)->offset =
            RD_KAFKA_OFFSET_END;
    return list;
}

static void
start_asking(struct consumer *c)
{
    struct question *q = ask_new(c, ask_ends, consume_list_ends(c));
    if (q != NULL)
        q->timeout_ms = answer_ms(c);
    (void)ask_start(c, ASK_ENDS, q);
}

void
consume_take_ends(struct consumer *c)
{
    struct question *q = ask_answered(c, ASK_ENDS);
    if (q == NULL || q->run != ask_ends)
        return;
    for (int i = 0; i < q->list->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &q->list->elems[i];
        struct partition *p = consume_find_partition(c, answer->partition);
        if (p != NULL && answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && answer->offset >= 0)
            lag_hear(&p->lag, answer->offset, q->asked_ms); /* what is answered is no older */
    }
    int64_t apart_ms = q->took_ms * ASK_SELDOM;
    c->ask_again_ms = q->asked_ms + (apart_ms > ASK_APART_MS ? apart_ms : ASK_APART_MS);
    ask_end(c, ASK_ENDS);
    consume_show_lag(c, clock_mono_ms());
}

static bool
some_is_stale(const struct consumer *c, int64_t now_ms, bool holding_back)
{
    for (size_t i = 0; i < c->n_partitions; i++)
        if (lag_is_stale(&c->partitions[i].lag, now_ms, holding_back))
            return true;
    return false;
}

/* Not in the middle of a rebalance, which should end soon, nor of a client that leaves. */
static void
ask_if_due(struct consumer *c, int64_t now_ms, bool holding_back)
{
    bool ends = c->state == GROUP_DRAINING || c->state == GROUP_SETTLING;
    if (c->leaving || (ends && c->drains_for_revoke) || now_ms < c->ask_again_ms ||
        ask_is_busy(c, ASK_ENDS) || !some_is_stale(c, now_ms, holding_back))
        return;
    c->ask_again_ms = now_ms + ASK_APART_MS;
    start_asking(c);
}

void
consumer_update_lag(struct consumer *consumer, int64_t now_ms, bool holding_back)
{
    if (now_ms < consumer->look_at_lag_ms)
        return;
    consumer->look_at_lag_ms = now_ms + LOOK_MS;
    for (size_t i = 0; i < consumer->n_partitions; i++) {
        struct partition *p = &consumer->partitions[i];
        lag_look(&p->lag, cached_end(consumer, p->id), now_ms);
    }
    position_forward_again(consumer);
    ask_if_due(consumer, now_ms, holding_back);
    consume_show_lag(consumer, now_ms);
}
