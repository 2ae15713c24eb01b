/* SPDX-License-Identifier: Apache-2.0 */
/* from_topic.c - see from_topic.h. */
#include "dead/from_topic.h"

#include <stdlib.h>

#include "lib/clock.h"

enum { WATERMARK_MS = 10000, SILENCE_MS = 30000, POLL_MS = 100 };

struct from_topic {
    struct kafka_client *client;
    const char *name;
    const volatile sig_atomic_t *stop;
    int n;
    struct partition {
        int64_t low, high; /* high: the first that is not read */
        bool done;
    } * partitions;
};

void
from_topic_free(struct from_topic **topic)
{
    if (*topic == NULL)
        return;
    kafka_client_free(&(*topic)->client);
    free((*topic)->partitions);
    free(*topic);
    *topic = NULL;
}

static int
find_ends(struct from_topic *t, struct errbuf *err)
{
    t->n = kafka_client_count_partitions(t->client, t->name, err);
    if (t->n == -1)
        return -1;
    if (t->n == 0)
        return errbuf_set(err, "no topic %s at %s", t->name, t->client->brokers);
    t->partitions = calloc((size_t)t->n, sizeof(*t->partitions));
    if (t->partitions == NULL)
        return errbuf_set(err, "out of memory");
    for (int i = 0; i < t->n; i++) {
        struct partition *p = &t->partitions[i];
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
            t->client->rk, t->name, i, &p->low, &p->high, WATERMARK_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return errbuf_set(err, "topic %s, partition %d: %s", t->name, i,
                              rd_kafka_err2str(code));
    }
    return 0;
}

struct from_topic *
from_topic_open(const struct kafka_client_options *options, const char *topic,
                const volatile sig_atomic_t *stop, struct errbuf *err)
{
    struct from_topic *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    t->name = topic;
    t->stop = stop;
    t->client = kafka_client_new(options, CLIENT_READS, NULL, NULL, err);
    if (t->client == NULL || find_ends(t, err) == -1)
        from_topic_free(&t);
    return t;
}

/* Returns: how many partitions are to be read; -1 with a text. */
static int
assign(struct from_topic *t, struct errbuf *err)
{
    int n = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(t->n);
    for (int i = 0; i < t->n; i++) {
        struct partition *p = &t->partitions[i];
        p->done = p->low >= p->high;
        if (p->done)
            continue;
        rd_kafka_topic_partition_list_add(list, t->name, i)->offset = p->low;
        n++;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(t->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return errbuf_set(err, "topic %s: %s", t->name, rd_kafka_err2str(code));
    return n;
}

static int
pass_on(const struct from_topic *t, const rd_kafka_message_t *m, line_taker take, void *arg,
        struct errbuf *err)
{
    struct line line = {.where = t->name,
                        .partition = m->partition,
                        .number = m->offset,
                        .text = {m->payload, m->len},
                        .key = {m->key, m->key_len},
                        .marker = m->payload == NULL};
    return take(arg, &line, err);
}

/* Takes what a poll brought. Returns: 1 if a partition is done, 0, or -1 with a text. */
static int
take_message(struct from_topic *t, const rd_kafka_message_t *m, line_taker take, void *arg,
             struct errbuf *err)
{
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return errbuf_set(err, "topic %s: %s", t->name, rd_kafka_message_errstr(m));
    struct partition *p = &t->partitions[m->partition];
    if (p->done)
        return 0;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && m->offset < p->high &&
        pass_on(t, m, take, arg, err) == -1)
        return -1;
    p->done = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || m->offset >= p->high - 1;
    return p->done;
}

int
from_topic_each(struct from_topic *topic, line_taker take, void *arg, struct errbuf *err)
{
    int left = assign(topic, err);
    int64_t heard_ms = clock_mono_ms();
    while (left > 0) {
        if (*topic->stop)
            return errbuf_set(err, "interrupted");
        rd_kafka_message_t *m = rd_kafka_consumer_poll(topic->client->rk, POLL_MS);
        if (m == NULL && clock_mono_ms() - heard_ms > SILENCE_MS)
            return errbuf_set(err, "topic %s: nothing came for %d s: %s", topic->name,
                              SILENCE_MS / 1000, topic->client->trouble.text);
        if (m == NULL)
            continue;
        heard_ms = clock_mono_ms();
        int ended = take_message(topic, m, take, arg, err);
        rd_kafka_message_destroy(m);
        if (ended == -1)
            return -1;
        left -= ended;
    }
    return left == -1 ? -1 : 0;
}
