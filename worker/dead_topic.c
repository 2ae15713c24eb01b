/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_topic.c - see dead_topic.h.
 *
 * A broker that finds a batch larger than its topic may take refuses all letters in it for their
 * size: they are sent once more by a client that makes no batches, and what is refused then is too
 * large.
 *
 * Whatever fails leaves letters of this round with the client; they are purged before the next
 * round, so that a report never refers to a flag of a round that is over.
 */
#include "worker/dead_topic.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "kafka/kafka_conf.h"

enum { LOOK_MS = 1000 }; /* the longest wait for a report */

struct dead_topic {
    const struct config *cfg;
    enum topic_kind kind;
    const struct store_hooks *hooks;
    rd_kafka_t *rk;     /* NULL until the first letter */
    rd_kafka_t *single; /* one letter a batch; NULL until a batch was refused */
    int fd;             /* readable when there may be reports */
    bool failed;        /* a letter of this round was not delivered */
    bool crippled;      /* a client could not make one of its threads, and will not try again */
    struct errbuf why;
    struct errbuf trouble; /* what the client said of its connections since the last success */
};

static bool send_singly(struct dead_topic *t, const rd_kafka_message_t *message);

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct dead_topic *t = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        t->trouble.text[0] = '\0';
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        if (rk == t->single || !send_singly(t, message))
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
    if (t == NULL)
        return NULL;
    *t = (struct dead_topic){.cfg = cfg, .kind = kind, .hooks = hooks};
    t->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->fd != -1)
        return t;
    free(t);
    return NULL;
}

static void
purge_client(rd_kafka_t *rk)
{
    if (rk == NULL || rd_kafka_outq_len(rk) == 0)
        return;
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(rk) > 0)
        rd_kafka_poll(rk, 100);
}

static void
purge(struct dead_topic *t)
{
    purge_client(t->rk); /* this one may hand letters to the other meanwhile */
    purge_client(t->single);
}

static void
drop_clients(struct dead_topic *t)
{
    purge(t);
    if (t->rk != NULL)
        rd_kafka_destroy(t->rk);
    if (t->single != NULL)
        rd_kafka_destroy(t->single);
    t->rk = t->single = NULL;
    t->crippled = false;
}

void
dead_topic_free(struct dead_topic **topic)
{
    if (*topic == NULL)
        return;
    drop_clients(*topic);
    close((*topic)->fd);
    free(*topic);
    *topic = NULL;
}

/* Has librdkafka write to the descriptor whenever there are reports where there were none. */
static void
watch_reports(struct dead_topic *t, rd_kafka_t *client)
{
    static const uint64_t one = 1;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client);
    rd_kafka_queue_io_event_enable(queue, t->fd, &one, sizeof(one));
    rd_kafka_queue_destroy(queue);
}

/* Takes: where it is to be, if it is not there yet; whether it sends one letter a batch. */
static int
make_client(struct dead_topic *t, rd_kafka_t **client, bool singly, struct errbuf *err)
{
    char text[512];
    if (*client != NULL)
        return 0;
    rd_kafka_conf_t *conf = kafka_conf_new(t->cfg, t->kind, KAFKA_PRODUCER, err);
    if (conf == NULL)
        return -1;
    rd_kafka_conf_set_opaque(conf, t);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (!singly || kafka_conf_set(conf, "batch.num.messages", "1", err) == 0) {
        *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
        if (*client != NULL) {
            watch_reports(t, *client);
            return 0;
        }
        errbuf_set(err, "dead letters: Kafka client: %s", text);
    }
    rd_kafka_conf_destroy(conf);
    return -1;
}

static rd_kafka_resp_err_t
produce(struct dead_topic *t, rd_kafka_t *client, struct slice letter, void *too_large)
{
    return rd_kafka_producev(client, RD_KAFKA_V_TOPIC(t->cfg->dead_letter.topic),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)letter.p, letter.n),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_OPAQUE(too_large), RD_KAFKA_V_END);
}

/* False: it counts as too large; that it was refused with others is no reason to wait. */
static bool
send_singly(struct dead_topic *t, const rd_kafka_message_t *message)
{
    struct errbuf err;
    if (make_client(t, &t->single, true, &err) == -1)
        return false;
    return produce(t, t->single, (struct slice){message->payload, message->len},
                   message->_private) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Serves the reports that are there. Returns: letters without one. */
static int
serve(struct dead_topic *t)
{
    uint64_t count;
    if (t->rk == NULL)
        return 0;
    if (read(t->fd, &count, sizeof(count)) == -1)
        (void)errno; /* none has come since */
    rd_kafka_poll(t->rk, 0);
    if (t->single != NULL)
        rd_kafka_poll(t->single, 0);
    return rd_kafka_outq_len(t->rk) + (t->single != NULL ? rd_kafka_outq_len(t->single) : 0);
}

/* Until there may be a report. Returns: false to give up. */
static bool
wait_for_report(struct dead_topic *t)
{
    struct pollfd fd = {.fd = t->fd, .events = POLLIN};
    return t->hooks->wait(t->hooks->arg, &fd, 1, clock_mono_ms() + LOOK_MS);
}

/* Ends the round, after which every report is in. */
static enum store_status
end_round(struct dead_topic *t, enum store_status status)
{
    if (t->crippled)
        drop_clients(t); /* the next round makes others */
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
    if (make_client(topic, &topic->rk, false, err) == -1)
        return STORE_SICK;
    for (;;) {
        rd_kafka_resp_err_t code = produce(topic, topic->rk, letter, too_large);
        serve(topic);
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
        if (!wait_for_report(topic))
            return end_round(topic, STORE_STOPPED);
    }
}

enum store_status
dead_topic_flush(struct dead_topic *topic, struct errbuf *err)
{
    while (serve(topic) > 0) {
        if (topic->failed)
            return sick(topic, err);
        if (!wait_for_report(topic))
            return end_round(topic, STORE_STOPPED);
    }
    return topic->failed ? sick(topic, err) : STORE_DONE;
}
