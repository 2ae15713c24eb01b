/*
 * sender.c - see sender.h.
 *
 * Process: persister-dead.  Owner: struct sender.  Concurrency: one thread.
 */
#include "dead/sender.h"

#include <stdlib.h>

enum { FULL_WAIT_MS = 50 };

struct known_topic {
    enum topic_kind kind;
    char *name;
};

struct sender {
    const struct kafka_client_options *options;
    struct kafka_client *clients[TOPIC_KINDS]; /* made when needed; with --brokers only the first */
    sender_report report;
    void *arg;
    struct known_topic *known;
    size_t n_known;
};

struct sender *
sender_new(const struct kafka_client_options *options, sender_report report, void *arg)
{
    struct sender *s = calloc(1, sizeof(*s));
    if (s != NULL)
        *s = (struct sender){.options = options, .report = report, .arg = arg};
    return s;
}

static void
on_report(void *arg, const rd_kafka_message_t *message)
{
    struct sender *s = arg;
    enum sender_end end = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? SENDER_DELIVERED
                          : message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                              ? SENDER_TOO_LARGE
                              : SENDER_UNDELIVERED;
    s->report(s->arg, message->_private, end, rd_kafka_err2str(message->err));
}

/* One client for all kinds whose brokers are the same. */
static struct kafka_client *
find_client(struct sender *s, enum topic_kind kind, struct errbuf *err)
{
    struct kafka_client_options options = *s->options;
    if (options.brokers != NULL || options.cfg == NULL ||
        strcmp(options.cfg->topic[kind].uri, options.cfg->topic[TOPIC_METRICS].uri) == 0)
        kind = TOPIC_METRICS;
    options.kind = kind;
    if (s->clients[kind] == NULL)
        s->clients[kind] = kafka_client_new(&options, CLIENT_WRITES, on_report, s, err);
    return s->clients[kind];
}

void
sender_free(struct sender **sender)
{
    struct sender *s = *sender;
    if (s == NULL)
        return;
    for (size_t i = 0; i < TOPIC_KINDS; i++) {
        if (s->clients[i] == NULL)
            continue;
        rd_kafka_purge(s->clients[i]->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        while (rd_kafka_outq_len(s->clients[i]->rk) > 0)
            rd_kafka_poll(s->clients[i]->rk, 100);
        kafka_client_free(&s->clients[i]);
    }
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
    struct known_topic *known = realloc(s->known, (s->n_known + 1) * sizeof(*known));
    if (known == NULL)
        return errbuf_set(err, "out of memory");
    s->known = known;
    known[s->n_known] = (struct known_topic){kind, strdup(topic)};
    if (known[s->n_known].name == NULL)
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
    struct kafka_client *client = find_client(sender, kind, err);
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
    struct kafka_client *client = find_client(sender, m->kind, err);
    if (client == NULL)
        return -1;
    for (;;) {
        /* Without a key any partition is as good; a letter does not tell its message's. */
        rd_kafka_resp_err_t code = rd_kafka_producev(
            client->rk, RD_KAFKA_V_TOPIC(m->topic), RD_KAFKA_V_PARTITION(m->partition),
            RD_KAFKA_V_KEY((void *)(uintptr_t)m->key.p, m->key.n),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)m->value.p, m->value.n),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(m->message),
            RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return 0;
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
            sender->report(sender->arg, m->message, SENDER_TOO_LARGE, rd_kafka_err2str(code));
            return 0;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return errbuf_set(err, "topic %s: %s", m->topic, rd_kafka_err2str(code));
        rd_kafka_poll(client->rk, FULL_WAIT_MS);
    }
}

void
sender_poll(struct sender *sender, int wait_ms)
{
    for (size_t i = 0; i < TOPIC_KINDS; i++)
        if (sender->clients[i] != NULL)
            rd_kafka_poll(sender->clients[i]->rk, wait_ms);
}

int
sender_count_open(const struct sender *sender)
{
    int n = 0;
    for (size_t i = 0; i < TOPIC_KINDS; i++)
        if (sender->clients[i] != NULL)
            n += rd_kafka_outq_len(sender->clients[i]->rk);
    return n;
}
