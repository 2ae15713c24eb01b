/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_unreadable.c - batches that librdkafka cannot read: how often they are tried, where they
 * end, and how a partition gets past them.
 *
 * A batch that cannot be decompressed (kafka_conf.c says how large it may become) or checked (its
 * CRC) makes librdkafka send an error with the batch's first offset in the place of messages. After
 * a failed decompression it fetches the same batch for ever; after a failed CRC it may go on behind
 * it without another word, or (2.0.2) at an offset that it read from the middle of a record, find
 * that out of range, and stop.  So the partition is held at the first such error: what comes after
 * is dropped, and it is fetched anew from the position, after a seek, or where that may not reach
 * librdkafka as all partitions are whose position was lost.  After TRIES of them a second client,
 * which belongs to no group and has a thread of its own (consume_ask.c), asks for one offset after
 * the other: as long as librdkafka's error names the same first offset, that one is in the batch;
 * the first that is not is found by doubling and halving, 2 log2(n) questions for a batch of n, and
 * both sides of it are asked for once more.  A message without payload stands for all of it
 * (message.more); it becomes a dead letter and is committed as any other.
 *
 * What is not the bytes' fault never gets here: a compression that librdkafka was built without
 * (NOT_IMPLEMENTED), or want of memory (CRIT_SYS_RESOURCE), is waited for.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "kafka/consume_priv.h"
#include "kafka/kafka_conf.h"

enum {
    TRIES = 3,
    TRY_AGAIN_MS = 100,
    ANSWER_MS = 10000, /* for the answer to a question of one offset */
    SEARCH_MS = 60000  /* for all questions about one batch */
};

enum answer { ANSWER_SAME_BATCH, ANSWER_ANOTHER, ANSWER_NONE };

/* The second client reads one batch at a time, whatever it is told to read. */
static const struct kafka_setting probe_settings[] = {
    {"enable.partition.eof", "true"},
    {"queued.min.messages", "1"},
    {"fetch.message.max.bytes", "1"}, /* the first batch comes whole all the same (KIP-74) */
    {"fetch.error.backoff.ms", "10"},
};

bool
unreadable_is(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION || code == RD_KAFKA_RESP_ERR__BAD_MSG ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG || code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
}

void
unreadable_note(struct consumer *c, rd_kafka_resp_err_t code, int32_t partition, int64_t offset,
                const char *text)
{
    struct partition *p = consume_find_partition(c, partition);
    if (p == NULL || p->unreadable.held || offset < 0)
        return;
    struct unreadable *u = &p->unreadable;
    u->tries = u->base == offset ? u->tries + 1 : 1;
    u->base = offset;
    u->held = c->held_some = true;
    u->astray = code != RD_KAFKA_RESP_ERR__BAD_COMPRESSION;
    u->due_ms = clock_mono_ms() + (u->tries < TRIES ? TRY_AGAIN_MS : 0);
    snprintf(u->text, sizeof(u->text), "%s", text);
}

/* --- where it ends --- */

/* The second client. It lasts as long as the process; the asking thread's, once it is made. */
struct probe {
    rd_kafka_conf_t *conf; /* copied for the client */
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
};

static struct probe *
make_probe(struct consumer *c, struct errbuf *err)
{
    rd_kafka_conf_t *conf = kafka_conf_new(c->cfg, c->kind, KAFKA_CONSUMER, err);
    struct probe *probe = conf != NULL ? calloc(1, sizeof(*probe)) : NULL;
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_log_cb(conf, consume_log);
    if (probe != NULL &&
        kafka_conf_set_all(conf, probe_settings, COUNT_OF(probe_settings), err) == 0) {
        probe->conf = conf;
        return probe;
    }
    if (probe == NULL)
        errbuf_set(err, "out of memory");
    free(probe);
    rd_kafka_conf_destroy(conf);
    return NULL;
}

/* On the asking thread: making a client waits for its threads. */
static int
open_probe(struct probe *probe, const char *topic, struct errbuf *err)
{
    char text[512];
    if (probe->rk == NULL) {
        rd_kafka_conf_t *conf = rd_kafka_conf_dup(probe->conf);
        probe->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
        if (probe->rk == NULL) {
            rd_kafka_conf_destroy(conf);
            return errbuf_set(err, "Kafka client: %s", text);
        }
    }
    if (probe->topic == NULL)
        probe->topic = rd_kafka_topic_new(probe->rk, topic, NULL);
    return probe->topic != NULL ? 0 : errbuf_set(err, "Kafka client: no topic");
}

static enum answer
judge_answer(const rd_kafka_message_t *message, int64_t base)
{
    if (unreadable_is(message->err) && message->offset == base)
        return ANSWER_SAME_BATCH;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || unreadable_is(message->err) ||
        message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
        message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return ANSWER_ANOTHER;
    return ANSWER_NONE; /* the connection's, or the broker's */
}

/* Asks what comes from an offset on. */
static enum answer
ask(const struct question *q, int64_t offset)
{
    enum answer answer = ANSWER_NONE;
    int64_t until = clock_mono_ms() + ANSWER_MS;
    if (rd_kafka_consume_start(q->probe->topic, q->partition, offset) == -1)
        return ANSWER_NONE;
    while (answer == ANSWER_NONE && clock_mono_ms() < until && !atomic_load(&q->left)) {
        rd_kafka_message_t *message = rd_kafka_consume(q->probe->topic, q->partition, 100);
        if (message != NULL) {
            answer = judge_answer(message, q->base);
            rd_kafka_message_destroy(message);
        }
        rd_kafka_poll(q->probe->rk, 0);
    }
    rd_kafka_consume_stop(q->probe->topic, q->partition);
    return answer;
}

/* Asks again on both sides of what was found: messages hang on it, and a late answer was seen. */
static bool
is_the_end(const struct question *q, int64_t end)
{
    return ask(q, end) == ANSWER_ANOTHER &&
           (end == q->first || ask(q, end - 1) == ANSWER_SAME_BATCH);
}

/*
 * Finds the first offset from q->first on that is not of the batch; q->end stays -1 if the brokers
 * did not answer, or not twice the same: ask again later.
 */
static void
find_end(struct question *q)
{
    int64_t low = q->first - 1, high = q->first, step = 1; /* low is in it, or before first */
    int64_t until = clock_mono_ms() + SEARCH_MS;
    bool found = false; /* high is known not to be in the batch */
    if (open_probe(q->probe, q->topic, &q->err) == -1)
        return;
    while (!found || high - low > 1) {
        int64_t at = found ? low + (high - low) / 2 : high;
        enum answer answer = ask(q, at);
        if (answer == ANSWER_NONE || clock_mono_ms() >= until)
            return;
        if (answer == ANSWER_ANOTHER) {
            found = true;
            high = at;
        } else {
            low = at;
            high = found ? high : at + step;
            step *= 2;
        }
    }
    if (is_the_end(q, high))
        q->end = high;
}

/* Returns: false if it could not be asked. */
static bool
look_for_end(struct consumer *c, const struct partition *p, int64_t first)
{
    struct errbuf err;
    if (c->probe == NULL && (c->probe = make_probe(c, &err)) == NULL) {
        consume_note_error(c, err.text);
        return false;
    }
    struct question *q = ask_new(c, find_end, NULL);
    if (q != NULL) {
        q->probe = c->probe;
        q->partition = p->id;
        q->base = p->unreadable.base;
        q->first = first;
        q->end = -1;
    }
    return ask_start(c, ASK_PROBE, q);
}

/* --- trying again, and passing --- */

/* Has librdkafka fetch a partition anew from an offset on; what it has fetched is dropped. */
static void
go_on(struct consumer *c, struct partition *p, int64_t offset)
{
    if (p->unreadable.astray) {
        p->lost_position = c->lost_some = true; /* held until all start anew */
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, c->topic, p->id)->offset = offset;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(c->rk, list, 0);
    if (error != NULL)
        rd_kafka_error_destroy(error); /* then it goes on by itself, and the error comes again */
    rd_kafka_topic_partition_list_destroy(list);
    p->unreadable.held = false;
}

void
unreadable_pass(struct consumer *c, struct partition *p, int64_t end, struct message *out)
{
    int64_t first = p->position;
    *out = (struct message){.offset = first,
                            .more = end - 1 - first,
                            .partition = p->id,
                            .assignment = c->assignment,
                            .time_ms = -1,
                            .unreadable = &c->fault};
    lag_take(&p->lag, end - 1, -1,
             p->position <= lag_pass_gap(&p->lag, consume_committed(p)));
    p->position = end;
    p->expected_ms = -1; /* nobody knows the time of the message before it */
}

/* Where the batch at a partition's position ends is known. As unreadable_take. */
static bool
pass(struct consumer *c, struct partition *p, int64_t first, int64_t end, struct message *out)
{
    struct unreadable *u = &p->unreadable;
    u->tries = 0;
    if (end > first && u->astray)
        p->resume = end; /* held until then */
    else
        go_on(c, p, end);
    if (end == first) {
        /* It can be read now, or the message before the position is in what cannot. */
        p->expected_ms = p->start_ms = p->durable_ms = -1;
        return false;
    }
    p->position = first;
    reject_set(&c->fault, REJECT_UNREADABLE, "%lld messages at most, offsets %lld to %lld: %s",
               (long long)(end - first), (long long)first, (long long)(end - 1), u->text);
    unreadable_pass(c, p, end, out);
    return true;
}

static int64_t
find_first(const struct partition *p)
{
    return p->position >= 0 ? p->position : p->unreadable.base;
}

/* A held partition for which something can be done. */
static bool
is_due(const struct partition *p, int64_t now_ms)
{
    return p->unreadable.held && !p->lost_position && p->resume < 0 &&
           now_ms >= p->unreadable.due_ms;
}

/* As unreadable_take. */
static bool
take_end_of_batch(struct consumer *c, struct message *out)
{
    struct question *q = ask_answered(c, ASK_PROBE);
    if (q == NULL)
        return false;
    struct partition *p = consume_find_partition(c, q->partition);
    int64_t first = q->first, end = q->end;
    bool same = p != NULL && is_due(p, clock_mono_ms()) && p->unreadable.base == q->base &&
                find_first(p) == first;
    if (q->err.text[0] != '\0')
        consume_note_error(c, q->err.text);
    ask_end(c, ASK_PROBE);
    if (same && end >= 0)
        return pass(c, p, first, end, out);
    if (same)
        p->unreadable.due_ms = clock_mono_ms() + RETRY_MS;
    return false;
}

static void
retry_or_ask(struct consumer *c, struct partition *p)
{
    if (p->unreadable.tries < TRIES)
        go_on(c, p, find_first(p));
    else if (!ask_is_busy(c, ASK_PROBE) && !look_for_end(c, p, find_first(p)))
        p->unreadable.due_ms = clock_mono_ms() + RETRY_MS;
}

bool
unreadable_take(struct consumer *c, struct message *out)
{
    bool passed = take_end_of_batch(c, out), held = false;
    if (!c->held_some)
        return passed;
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        if (is_due(p, clock_mono_ms()))
            retry_or_ask(c, p);
        held = held || p->unreadable.held;
    }
    c->held_some = held;
    return passed;
}

int64_t
unreadable_due_ms(const struct consumer *c)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < c->n_partitions && c->held_some; i++) {
        const struct partition *p = &c->partitions[i];
        bool waits = p->unreadable.tries >= TRIES && ask_is_busy(c, ASK_PROBE);
        if (is_due(p, INT64_MAX) && !waits && p->unreadable.due_ms < due_ms)
            due_ms = p->unreadable.due_ms;
    }
    return due_ms;
}
