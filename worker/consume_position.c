/*
 * consume_position.c - where each partition begins, and where it goes on when that is lost.
 *
 * On assignment the group's committed offsets are asked for in one request, and the partitions
 * start there explicitly; those without one start at the earliest message.  Should a position not
 * exist (any more), librdkafka says so (auto.offset.reset=error) instead of jumping, and the
 * watermarks tell what was missed: that is logged and counted, and all are assigned anew.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "worker/consume_priv.h"

/* The present assignment with positions, as librdkafka wants it. */
static rd_kafka_topic_partition_list_t *
list_partitions(const struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++) {
        const struct partition *p = &c->partitions[i];
        rd_kafka_topic_partition_list_add(list, c->topic, p->id)->offset =
            p->position >= 0 ? p->position : RD_KAFKA_OFFSET_STORED;
    }
    return list;
}

/* Has the partition's messages come through our own queue; must precede the assignment. */
static void
forward_queue(struct consumer *c, int32_t id)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(c->rk, c->topic, id);
    if (queue == NULL)
        return; /* then its messages come through consumer_serve, which hands them back: see there
                 */
    rd_kafka_queue_forward(queue, c->messages);
    rd_kafka_queue_destroy(queue);
}

void
position_assign_all(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = list_partitions(c);
    for (size_t i = 0; i < c->n_partitions; i++)
        forward_queue(c, c->partitions[i].id);
    rd_kafka_resp_err_t code = rd_kafka_assign(c->rk, list);
    c->halted = false;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        consume_note_error(c, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
}

bool
position_ask_committed(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = list_partitions(c);
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, list, ASK_MS);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        struct partition *p = consume_find_partition(c, list->elems[i].partition);
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR || p->position >= 0)
            continue;
        if (list->elems[i].offset >= 0)
            p->start = p->position = p->committed = p->sent = list->elems[i].offset;
        else
            p->lost_position = c->lost_some = true; /* never committed: starts at the earliest */
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warning("cannot read the committed offsets of %s: %s; the client will", c->topic,
                    rd_kafka_err2str(code));
    return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
tell_reset(struct consumer *c, const struct partition *p, int64_t low, int64_t high)
{
    if (p->position < 0) {
        log_notice("%s[%d]: no committed offset; starting at the earliest message, %lld", c->topic,
                   (int)p->id, (long long)low);
        return;
    }
    recorder_add(c->recorder, STAT_OFFSET_RESETS, 1);
    if (p->position < low) {
        recorder_add(c->recorder, STAT_OFFSET_SKIPPED, (uint64_t)(low - p->position));
        log_warning(
            "%s[%d]: offset reset: %lld is gone, the earliest message is %lld: %lld messages "
            "were deleted before they were read",
            c->topic, (int)p->id, (long long)p->position, (long long)low,
            (long long)(low - p->position));
    } else {
        log_warning(
            "%s[%d]: offset reset: %lld is beyond the end (%lld): the topic was made anew or "
            "lost messages; starting at the earliest message, %lld",
            c->topic, (int)p->id, (long long)p->position, (long long)high, (long long)low);
    }
}

/* Finds where a partition goes on whose position is not there. False: ask again later. */
static bool
find_position(struct consumer *c, struct partition *p)
{
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(c->rk, c->topic, p->id, &low, &high, ASK_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        consume_note_error(c, rd_kafka_err2str(code));
        return false;
    }
    p->lost_position = false;
    if (p->position >= low && p->position <= high)
        return true;
    tell_reset(c, p, low, high);
    p->start = p->position = low;
    p->durable = p->sent = p->committed = -1;
    consume_begin_lag(c, p);
    return true;
}

bool
position_find_lost(struct consumer *c)
{
    bool all = true;
    for (size_t i = 0; i < c->n_partitions && all; i++) {
        if (c->partitions[i].lost_position)
            all = find_position(c, &c->partitions[i]);
        c->hooks.tick(c->hooks.arg);
    }
    c->lost_some = !all;
    c->look_again_ms = clock_mono_ms() + RETRY_MS;
    return all;
}

/* What was given back has to come again. */
static void
rewind_positions(struct consumer *c)
{
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        p->position = p->durable >= 0 ? p->durable : p->start;
        lag_rewind(&p->lag);
    }
}

void
position_fetch_nothing(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_assign(c->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
    c->halted = true;
    c->look_again_ms = clock_mono_ms() + RETRY_MS;
}

/*
 * In two steps, since librdkafka (2.0.2) does not start a partition again that it is still
 * stopping: first nothing is assigned, and a little later all, at their positions.  That drops what
 * it has fetched, so the batch is finished or given back before; it may also hold messages of a
 * topic that is there no more, whose offsets must not outlive the reset.
 */
void
position_restart_lost(struct consumer *c)
{
    if (c->unclaimed || !c->lost_some || clock_mono_ms() < c->look_again_ms)
        return;
    if (!c->halted) {
        (void)c->hooks.revoked(c->hooks.arg, false);
        rewind_positions(c);
        position_fetch_nothing(c);
    } else if (position_find_lost(c)) {
        position_assign_all(c);
    }
}
