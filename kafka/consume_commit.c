/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_commit.c - telling the brokers what is durable.
 *
 * Each partition remembers the next offset that is durable and the one that is committed; a commit
 * sends the difference, so that a failed one is made up for by the next.
 *
 * Where the partition's end was reached, and only offsets without a message lie between it and what
 * is durable (a transaction's marker, an aborted batch), the end is committed: then other programs
 * that look at the group see no lag, either.  With a store that keeps the offsets the group's never
 * pass the store's, which move with rows only; there such a gap is no lag in our figures alone.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "kafka/consume_priv.h"

void
consumer_note_durable(struct consumer *consumer, unsigned assignment, int32_t partition,
                      int64_t next, int64_t last_ms)
{
    struct partition *p = consume_find_partition(consumer, partition);
    if (p == NULL || assignment != consumer->assignment || next <= p->durable)
        return;
    p->durable = next;
    p->durable_ms = last_ms;
    lag_note_durable(&p->lag, next, last_ms);
    fatal_note_durable(consumer, p);
    if (p->resume >= 0 && next >= p->resume) {
        p->resume = -1;
        p->lost_position = consumer->lost_some = true;
    }
    consume_commit_gap(consumer, p);
}

void
consume_commit_soon(struct consumer *c)
{
    if (c->commit_again_ms == 0)
        c->commit_again_ms = clock_mono_ms() + RETRY_MS;
}

void
consume_commit_gap(struct consumer *c, struct partition *p)
{
    int64_t at = p->durable >= 0 ? p->durable : p->start;
    int64_t past = lag_pass_gap(&p->lag, at);
    if (c->options.claims || at < 0 || past == at)
        return;
    p->durable = past;
    consume_commit_soon(c);
}

bool
consumer_has_commits_under_way(const struct consumer *consumer)
{
    return consumer->commits_under_way > 0;
}

/* A commit that was sent. */
struct sent {
    int64_t ns; /* when, clock_mono_ns */
    unsigned assignment;
};

/* One partition's part of an answer. False if it was refused. */
static bool
take_answer(struct consumer *c, const rd_kafka_topic_partition_t *answer, bool failed)
{
    struct partition *p = consume_find_partition(c, answer->partition);
    failed = failed || answer->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (p != NULL && !failed && answer->offset > p->committed) {
        p->committed = answer->offset;
        lag_note_committed(&p->lag, answer->offset);
    }
    if (p != NULL && failed && p->sent == answer->offset)
        p->sent = p->committed;
    return !failed;
}

static void
note_answer(struct consumer *c, rd_kafka_resp_err_t code)
{
    recorder_add(c->recorder, STAT_COMMITS, 1);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    recorder_add(c->recorder, STAT_COMMITS_FAILED, 1);
    c->commit_again_ms = clock_mono_ms() + RETRY_MS;
    consume_note_error(c, rd_kafka_err2str(code));
}

static void
take_answers(struct consumer *c, rd_kafka_resp_err_t code,
             const rd_kafka_topic_partition_list_t *list)
{
    bool failed = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    c->commits_under_way--;
    for (int i = 0; list != NULL && i < list->cnt; i++)
        if (!take_answer(c, &list->elems[i], failed) && code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = list->elems[i].err;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
        group_note_lost(c);
    note_answer(c, code);
}

static void
on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
          void *opaque)
{
    struct consumer *c = rd_kafka_opaque(rk);
    struct sent *sent = opaque;
    recorder_time(c->recorder, STAT_COMMIT, clock_mono_ns() - sent->ns, 1);
    if (sent->assignment == c->assignment)
        take_answers(c, code, list);
    else
        note_answer(c, code);
    free(sent);
}

/* Sends a commit. Several may be under way. */
static void
send_commit(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    struct sent *sent = malloc(sizeof(*sent));
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    c->commits_under_way++;
    if (sent != NULL) {
        *sent = (struct sent){.ns = clock_mono_ns(), .assignment = c->assignment};
        code = rd_kafka_commit_queue(c->rk, list, c->answers, on_commit, sent);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    free(sent);
    take_answers(c, code, list); /* it was not sent: nothing to time */
}

static rd_kafka_topic_partition_list_t *
list_uncommitted(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        if (p->durable <= p->sent)
            continue;
        rd_kafka_topic_partition_t *element =
            rd_kafka_topic_partition_list_add(list, c->topic, p->id);
        element->offset = p->durable;
        position_write_metadata(p->durable_ms, element);
        p->sent = p->durable;
    }
    return list;
}

void
consumer_commit(struct consumer *consumer)
{
    consumer->commit_again_ms = 0;
    if (consumer->lost || consumer->closing)
        return;
    rd_kafka_topic_partition_list_t *list = list_uncommitted(consumer);
    if (list->cnt > 0)
        send_commit(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}
