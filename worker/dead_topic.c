/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_topic.c - see dead_topic.h.
 *
 * A broker that finds a batch larger than its topic may take refuses all letters in it for their
 * size: they are sent once more by a client that makes no batches, and what is refused then is too
 * large.
 *
 * Whatever fails leaves letters of a round with the client. They are purged, but nothing waits for
 * their reports: a round's memory stays until the last has come, or the client goes.
 */
#include "worker/dead_topic.h"

#include <assert.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "kafka/kafka_conf.h"

enum { LOOK_MS = 1000 }; /* the longest wait for a report */

struct letter {
    struct round *round;
    bool too_large; /* refused for its size */
};

/* Letters that are sent together. */
struct round {
    struct round *next;
    size_t unreported; /* with a client */
    struct letter letters[];
};

struct dead_topic {
    const struct config *cfg;
    enum topic_kind kind;
    const struct store_hooks *hooks;
    rd_kafka_t *rk;     /* NULL until the first letter */
    rd_kafka_t *single; /* one letter a batch; NULL until a batch was refused */
    int fd;             /* readable when there may be reports */
    bool has_threads;   /* a client was made */
    struct round *rounds; /* the one under way first, if under_way; the others wait for reports */
    bool under_way;
    bool failed;        /* a letter of this round was not delivered */
    bool crippled;      /* a client could not make one of its threads, and will not try again */
    struct errbuf why;
    struct errbuf trouble; /* what the client said of its connections since the last success */
};

static bool send_singly(struct dead_topic *t, const rd_kafka_message_t *message);

static bool
is_under_way(const struct dead_topic *t, const struct round *round)
{
    return t->under_way && t->rounds == round;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct dead_topic *t = opaque;
    struct letter *letter = message->_private;
    letter->round->unreported--;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        t->trouble.text[0] = '\0';
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || !is_under_way(t, letter->round))
        return;
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        letter->too_large = rk == t->single || !send_singly(t, message);
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
purge(rd_kafka_t *rk)
{
    if (rk != NULL && rd_kafka_outq_len(rk) > 0)
        rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

/* Frees rounds that no report can come for any more. Takes: whether none can come for any. */
static void
free_rounds(struct dead_topic *t, bool all)
{
    struct round **at = &t->rounds;
    while (*at != NULL) {
        struct round *round = *at;
        if (is_under_way(t, round) || (!all && round->unreported > 0)) {
            at = &round->next;
            continue;
        }
        *at = round->next;
        free(round);
    }
}

static void
destroy_client(void *arg)
{
    rd_kafka_destroy(arg);
}

/* It was left behind: the thread destroys it, or the process ends. */
static void
leave_client(void *arg)
{
    (void)arg;
}

/* Waits for a client's threads, which may be looking up a name. */
static void
drop_client(const struct dead_topic *t, rd_kafka_t **client)
{
    const struct store_hooks *hooks = t->hooks;
    rd_kafka_t *rk = *client;
    *client = NULL;
    if (rk == NULL)
        return;
    if (hooks->offload != NULL)
        (void)hooks->offload(hooks->arg, destroy_client, leave_client, rk);
    else
        destroy_client(rk);
}

static void
drop_clients(struct dead_topic *t)
{
    purge(t->rk);
    purge(t->single);
    drop_client(t, &t->rk);
    drop_client(t, &t->single);
    free_rounds(t, true);
    t->crippled = false;
}

/* Clients are not waited for: their threads end with the process, and until then have the rest. */
void
dead_topic_free(struct dead_topic **topic)
{
    struct dead_topic *t = *topic;
    if (t == NULL)
        return;
    *topic = NULL;
    purge(t->rk);
    purge(t->single);
    if (t->has_threads)
        return;
    t->under_way = false;
    free_rounds(t, true);
    close(t->fd);
    free(t);
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
            t->has_threads = true;
            return 0;
        }
        errbuf_set(err, "dead letters: Kafka client: %s", text);
    }
    rd_kafka_conf_destroy(conf);
    return -1;
}

static rd_kafka_resp_err_t
produce(struct dead_topic *t, rd_kafka_t *client, struct slice text, struct letter *letter)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(t->cfg->dead_letter.topic),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)text.p, text.n),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(letter), RD_KAFKA_V_END);
    letter->round->unreported += code == RD_KAFKA_RESP_ERR_NO_ERROR;
    return code;
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

/* Serves the reports that are there. */
static void
serve(struct dead_topic *t)
{
    uint64_t count;
    if (t->rk == NULL)
        return;
    if (read(t->fd, &count, sizeof(count)) == -1)
        (void)errno; /* none has come since */
    rd_kafka_poll(t->rk, 0);
    if (t->single != NULL)
        rd_kafka_poll(t->single, 0);
    free_rounds(t, false);
}

/* Until there may be a report. Returns: false to give up. */
static bool
wait_for_report(struct dead_topic *t)
{
    struct pollfd fd = {.fd = t->fd, .events = POLLIN};
    return t->hooks->wait(t->hooks->arg, &fd, 1, clock_mono_ms() + LOOK_MS);
}

static enum store_status
sick(const struct dead_topic *t, struct errbuf *err)
{
    *err = t->why;
    return STORE_SICK;
}

int
dead_topic_begin(struct dead_topic *topic, size_t n)
{
    assert(!topic->under_way);
    struct round *round = calloc(1, sizeof(*round) + n * sizeof(round->letters[0]));
    if (round == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        round->letters[i].round = round;
    round->next = topic->rounds;
    topic->rounds = round;
    topic->under_way = true;
    topic->failed = false;
    return 0;
}

void
dead_topic_end(struct dead_topic *topic)
{
    bool left = topic->rounds->unreported > 0;
    topic->under_way = false;
    if (topic->crippled) {
        drop_clients(topic); /* the next round makes others */
    } else if (left) {
        purge(topic->rk);
        purge(topic->single);
    }
    free_rounds(topic, false);
}

bool
dead_topic_is_too_large(const struct dead_topic *topic, size_t i)
{
    return topic->rounds->letters[i].too_large;
}

enum store_status
dead_topic_send(struct dead_topic *topic, size_t i, struct slice text, struct errbuf *err)
{
    struct letter *letter = &topic->rounds->letters[i];
    if (make_client(topic, &topic->rk, false, err) == -1)
        return STORE_SICK;
    for (;;) {
        rd_kafka_resp_err_t code = produce(topic, topic->rk, text, letter);
        serve(topic);
        if (topic->failed)
            return sick(topic, err);
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            letter->too_large = true;
        else if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL && code != RD_KAFKA_RESP_ERR_NO_ERROR)
            errbuf_set(&topic->why, "dead letters: topic %s: %s", topic->cfg->dead_letter.topic,
                       rd_kafka_err2str(code));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return STORE_DONE;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return sick(topic, err);
        if (!wait_for_report(topic))
            return STORE_STOPPED;
    }
}

enum store_status
dead_topic_flush(struct dead_topic *topic, struct errbuf *err)
{
    for (;;) {
        serve(topic);
        if (topic->failed)
            return sick(topic, err);
        if (topic->rounds->unreported == 0)
            return STORE_DONE;
        if (!wait_for_report(topic))
            return STORE_STOPPED;
    }
}
