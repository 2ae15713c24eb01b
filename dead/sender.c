/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender.c - see sender.h.
 *
 * A broker that finds a batch larger than its topic may take refuses all of its messages for their
 * size, also those that are small enough: what was refused is sent once more, alone, by a client
 * that makes no batches. Only what is refused then is too large.
 */
#include "dead/sender.h"

#include <stdlib.h>

#include "lib/array.h"

enum { FULL_WAIT_MS = 50 };

struct known_topic {
    enum topic_kind kind;
    char *name;
};

/* The clients for some brokers; made when needed. */
struct lane {
    struct sender *sender;
    enum topic_kind kind;
    struct kafka_client *many, *single; /* single: one message a batch */
};

struct sender {
    const struct kafka_client_options *options;
    struct lane lanes[TOPIC_KINDS]; /* with --brokers only the first is used */
    sender_report report;
    void *arg;
    struct known_topic *known;
    size_t n_known;
};

struct sender *
sender_new(const struct kafka_client_options *options, sender_report report, void *arg)
{
    struct sender *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (struct sender){.options = options, .report = report, .arg = arg};
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++)
        s->lanes[kind] = (struct lane){.sender = s, .kind = kind};
    return s;
}

/* One lane for all kinds whose brokers are the same. */
static struct lane *
find_lane(struct sender *s, enum topic_kind kind)
{
    const struct kafka_client_options *o = s->options;
    bool same = o->brokers != NULL || o->cfg == NULL ||
                strcmp(o->cfg->topic[kind].uri, o->cfg->topic[TOPIC_METRICS].uri) == 0;
    return &s->lanes[same ? TOPIC_METRICS : kind];
}

/* Waits while the queue is full. The bytes are copied. */
static rd_kafka_resp_err_t
produce(struct kafka_client *client, const struct sender_message *m)
{
    for (;;) {
        /* Without a key any partition is as good; a letter does not tell its message's. */
        rd_kafka_resp_err_t code = rd_kafka_producev(
            client->rk, RD_KAFKA_V_TOPIC(m->topic), RD_KAFKA_V_PARTITION(m->partition),
            RD_KAFKA_V_KEY((void *)(uintptr_t)m->key.p, m->key.n),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)m->value.p, m->value.n),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(m->message),
            RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return code;
        rd_kafka_poll(client->rk, FULL_WAIT_MS);
    }
}

static void
on_single_report(void *arg, const rd_kafka_message_t *message)
{
    struct sender *s = ((struct lane *)arg)->sender;
    enum sender_end end = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? SENDER_DELIVERED
                          : message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                              ? SENDER_TOO_LARGE
                              : SENDER_UNDELIVERED;
    s->report(s->arg, message->_private, end, rd_kafka_err2str(message->err));
}

static void on_batch_report(void *arg, const rd_kafka_message_t *message);

static struct kafka_client *
find_client(struct lane *lane, enum kafka_client_role role, struct errbuf *err)
{
    struct kafka_client **client = role == CLIENT_WRITES ? &lane->many : &lane->single;
    struct kafka_client_options options = *lane->sender->options;
    options.kind = lane->kind;
    if (*client == NULL)
        *client = kafka_client_new(
            &options, role, role == CLIENT_WRITES ? on_batch_report : on_single_report, lane, err);
    return *client;
}

static void
on_batch_report(void *arg, const rd_kafka_message_t *message)
{
    struct lane *lane = arg;
    struct errbuf err;
    struct kafka_client *single;
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE &&
        (single = find_client(lane, CLIENT_WRITES_SINGLY, &err)) != NULL &&
        produce(single, &(struct sender_message){.topic = rd_kafka_topic_name(message->rkt),
                                                 .partition = message->partition,
                                                 .key = {message->key, message->key_len},
                                                 .value = {message->payload, message->len},
                                                 .message = message->_private}) ==
            RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    on_single_report(arg, message);
}

/* What is under way is reported as undelivered. */
static void
end_client(struct kafka_client **client)
{
    if (*client == NULL)
        return;
    rd_kafka_purge((*client)->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len((*client)->rk) > 0)
        rd_kafka_poll((*client)->rk, 100);
    kafka_client_free(client);
}

void
sender_free(struct sender **sender)
{
    struct sender *s = *sender;
    if (s == NULL)
        return;
    for (size_t i = 0; i < TOPIC_KINDS; i++)
        end_client(&s->lanes[i].many); /* may still hand messages to the other */
    for (size_t i = 0; i < TOPIC_KINDS; i++)
        end_client(&s->lanes[i].single);
    for (size_t i = 0; i < s->n_known; i++)
        free(s->known[i].name);
    free(s->known);
    free(s);
    *sender = NULL;
}

static bool
is_known(const struct sender *s, enum topic_kind kind, const char *topic)
{
    for (size_t i = 0; i < s->n_known; i++)
        if (s->known[i].kind == kind && strcmp(s->known[i].name, topic) == 0)
            return true;
    return false;
}

static int
make_known(struct sender *s, enum topic_kind kind, const char *topic, struct errbuf *err)
{
    if (array_append(&s->known, s->n_known, sizeof(*s->known)) == -1)
        return errbuf_set(err, "out of memory");
    s->known[s->n_known] = (struct known_topic){kind, strdup(topic)};
    if (s->known[s->n_known].name == NULL)
        return errbuf_set(err, "out of memory");
    s->n_known++;
    return 0;
}

int
sender_find_topic(struct sender *sender, enum topic_kind kind, const char *topic,
                  struct errbuf *err)
{
    if (is_known(sender, kind, topic))
        return 0;
    struct kafka_client *client = find_client(find_lane(sender, kind), CLIENT_WRITES, err);
    if (client == NULL)
        return -1;
    int n = kafka_client_count_partitions(client, topic, err);
    if (n == -1)
        return -1;
    if (n == 0)
        return errbuf_set(err, "no topic %s at %s", topic, client->brokers);
    return make_known(sender, kind, topic, err);
}

int
sender_send(struct sender *sender, const struct sender_message *m, struct errbuf *err)
{
    struct kafka_client *client = find_client(find_lane(sender, m->kind), CLIENT_WRITES, err);
    if (client == NULL)
        return -1;
    rd_kafka_resp_err_t code = produce(client, m);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        sender->report(sender->arg, m->message, SENDER_TOO_LARGE, rd_kafka_err2str(code));
        return 0;
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : errbuf_set(err, "topic %s: %s", m->topic, rd_kafka_err2str(code));
}

void
sender_poll(struct sender *sender, int wait_ms)
{
    for (size_t i = 0; i < TOPIC_KINDS; i++) {
        if (sender->lanes[i].single != NULL)
            rd_kafka_poll(sender->lanes[i].single->rk, 0);
        if (sender->lanes[i].many != NULL)
            rd_kafka_poll(sender->lanes[i].many->rk, wait_ms);
    }
}
