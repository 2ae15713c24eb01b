/*
 * dead_topic.c - see dead_topic.h.
 *
 * Whatever fails leaves letters of this round with the client; they are purged before the next
 * round, so that a report never refers to a flag of a round that is over.
 *
 * Process: workers.  Owner: struct dead_topic.  Concurrency: one thread; delivery reports are
 * served by this thread's polls.
 */
#include "worker/dead_topic.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "worker/kafka_conf.h"

struct dead_topic {
    const struct config *cfg;
    enum topic_kind kind;
    const struct store_hooks *hooks;
    rd_kafka_t *rk; /* NULL until the first letter */
    bool failed;    /* a letter of this round was not delivered */
    bool crippled;  /* the client could not make one of its threads, and will not try again */
    struct errbuf why;
    struct errbuf trouble; /* what the client said of its connections since the last success */
};

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct dead_topic *t = opaque;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        t->trouble.text[0] = '\0';
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        *(bool *)message->_private = true;
        return;
    }
    t->failed = true;
    errbuf_set(&t->why, "dead letters: topic %s: %s%s%s", t->cfg->dead_letter.topic,
               rd_kafka_err2str(message->err), t->trouble.text[0] != '\0' ? "; " : "",
               t->trouble.text);
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct dead_topic *t = opaque;
    struct errbuf text;
    (void)rk;
    kafka_conf_explain(t->cfg, code, reason, &text);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && t->trouble.text[0] != '\0')
        return;
    t->trouble = text;
    if (code != RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
        return;
    t->crippled = t->failed = true;
    errbuf_set(&t->why, "dead letters: Kafka client: %s", reason);
}

struct dead_topic *
dead_topic_new(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks)
{
    struct dead_topic *t = calloc(1, sizeof(*t));
    if (t != NULL)
        *t = (struct dead_topic){.cfg = cfg, .kind = kind, .hooks = hooks};
    return t;
}

static void
purge(struct dead_topic *t)
{
    if (t->rk == NULL || rd_kafka_outq_len(t->rk) == 0)
        return;
    rd_kafka_purge(t->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(t->rk) > 0)
        rd_kafka_poll(t->rk, 100);
}

static void
drop_client(struct dead_topic *t)
{
    purge(t);
    if (t->rk != NULL)
        rd_kafka_destroy(t->rk);
    t->rk = NULL;
    t->crippled = false;
}

void
dead_topic_free(struct dead_topic **topic)
{
    if (*topic == NULL)
        return;
    drop_client(*topic);
    free(*topic);
    *topic = NULL;
}

static int
make_client(struct dead_topic *t, struct errbuf *err)
{
    if (t->rk != NULL)
        return 0;
    rd_kafka_conf_t *conf = kafka_conf_new(t->cfg, t->kind, KAFKA_PRODUCER, err);
    if (conf == NULL)
        return -1;
    rd_kafka_conf_set_opaque(conf, t);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char text[512];
    t->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (t->rk != NULL)
        return 0;
    rd_kafka_conf_destroy(conf);
    return errbuf_set(err, "dead letters: Kafka client: %s", text);
}

/* Ends the round, after which every report is in. */
static enum store_status
end_round(struct dead_topic *t, enum store_status status)
{
    if (t->crippled)
        drop_client(t); /* the next round makes another */
    purge(t);
    t->failed = false;
    return status;
}

static enum store_status
sick(struct dead_topic *t, struct errbuf *err)
{
    *err = t->why;
    return end_round(t, STORE_SICK);
}

enum store_status
dead_topic_send(struct dead_topic *topic, struct slice letter, bool *too_large, struct errbuf *err)
{
    if (make_client(topic, err) == -1)
        return STORE_SICK;
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            topic->rk, RD_KAFKA_V_TOPIC(topic->cfg->dead_letter.topic),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)letter.p, letter.n),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(too_large), RD_KAFKA_V_END);
        rd_kafka_poll(topic->rk, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
        if (topic->failed)
            return sick(topic, err);
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            *too_large = true;
        else if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL && code != RD_KAFKA_RESP_ERR_NO_ERROR)
            errbuf_set(&topic->why, "dead letters: topic %s: %s", topic->cfg->dead_letter.topic,
                       rd_kafka_err2str(code));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return STORE_DONE;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return sick(topic, err);
        if (!topic->hooks->keep_waiting(topic->hooks->arg))
            return end_round(topic, STORE_STOPPED);
    }
}

enum store_status
dead_topic_flush(struct dead_topic *topic, struct errbuf *err)
{
    while (topic->rk != NULL && rd_kafka_outq_len(topic->rk) > 0) {
        rd_kafka_poll(topic->rk, 100);
        if (topic->failed)
            return sick(topic, err);
        if (!topic->hooks->keep_waiting(topic->hooks->arg))
            return end_round(topic, STORE_STOPPED);
    }
    return topic->failed ? sick(topic, err) : STORE_DONE;
}
