/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_position.c - where each partition begins, and where it goes on when that is lost.
 *
 * On assignment the group's committed offsets are asked for in one request, and the partitions
 * start there explicitly; those without one start at the earliest message.  Should a position not
 * exist (any more), librdkafka says so (auto.offset.reset=error) instead of jumping, and the
 * watermarks tell what was missed: that is logged and counted, and all are assigned anew.
 *
 * An offset alone does not say of which topic it is: one that was deleted and made anew soon has a
 * message there, too.  So Kafka's timestamp of the last message that was dealt with goes with the
 * offset (in the commit's metadata, or where the store keeps the offsets), and a partition starts
 * one message early: if that one has another timestamp, the topic was made anew, and all of it is
 * read.  (librdkafka 2.0.2 does not know the ids that topics have since Kafka 2.8.)
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "kafka/consume_priv.h"

/* The partitions to be fetched with their positions, as librdkafka wants it. */
static rd_kafka_topic_partition_list_t *
list_to_fetch(const struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++) {
        const struct partition *p = &c->partitions[i];
        if (p->fatal_end <= p->position && !p->lost_position)
            rd_kafka_topic_partition_list_add(list, c->topic, p->id)->offset =
                p->position - (p->expected_ms >= 0);
    }
    return list;
}

void
position_begin(struct consumer *c, struct partition *p, int32_t id, int64_t start, int64_t last_ms)
{
    *p = (struct partition){.id = id,
                            .start = start,
                            .start_ms = last_ms,
                            .position = start,
                            .expected_ms = start > 0 ? last_ms : -1,
                            .durable = -1,
                            .durable_ms = -1,
                            .sent = -1,
                            .committed = -1,
                            .resume = -1,
                            .fatal_end = -1};
    consume_begin_lag(c, p);
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
    for (size_t i = 0; i < c->n_partitions; i++)
        (void)fatal_find(c, &c->partitions[i]);
    fatal_write_places(c);
    rd_kafka_topic_partition_list_t *list = list_to_fetch(c);
    for (int i = 0; i < list->cnt; i++) {
        forward_queue(c, list->elems[i].partition);
        consume_find_partition(c, list->elems[i].partition)->silent = true;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(c->rk, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        consume_note_error(c, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
}

/*
 * A stop of fetching that ends late clears the forwarding of a partition's queue, while librdkafka
 * (2.0.2) goes on to believe that there is one, and nothing comes any more.
 */
void
position_forward_again(struct consumer *c)
{
    for (size_t i = 0; i < c->n_partitions && c->state == GROUP_RUNNING; i++)
        if (c->partitions[i].silent && !c->partitions[i].lost_position)
            forward_queue(c, c->partitions[i].id);
}

/* --- is the topic still the one that the offsets are of? --- */

static const char metadata_mark[] = "monasca-persister last_ms=";

void
position_write_metadata(int64_t last_ms, rd_kafka_topic_partition_t *element)
{
    char text[sizeof(metadata_mark) + 24];
    int n = snprintf(text, sizeof(text), "%s%lld", metadata_mark, (long long)last_ms);
    element->metadata = strdup(text); /* librdkafka frees it; without memory there is none */
    element->metadata_size = element->metadata != NULL ? (size_t)n : 0;
}

/* Returns: false if it is not ours: somebody else has set the offset. */
static bool
read_metadata(const rd_kafka_topic_partition_t *element, int64_t *last_ms)
{
    char text[sizeof(metadata_mark) + 24];
    const size_t n = sizeof(metadata_mark) - 1;
    *last_ms = -1;
    if (element->metadata == NULL || element->metadata_size >= sizeof(text) ||
        element->metadata_size <= n || memcmp(element->metadata, metadata_mark, n) != 0)
        return false;
    memcpy(text, element->metadata, element->metadata_size);
    text[element->metadata_size] = '\0';
    return num_parse_int(text + n, -1, INT64_MAX, last_ms) == 0;
}

bool
position_check_message(struct consumer *c, struct partition *p, int64_t offset, int64_t time_ms)
{
    if (p->made_anew)
        return false;
    if (p->expected_ms < 0)
        return true;
    int64_t expected_ms = p->expected_ms;
    p->expected_ms = -1;
    if (offset >= p->position)
        return true; /* the one before is there no more, or was no message */
    if (time_ms != expected_ms && time_ms >= 0)
        p->made_anew = p->lost_position = c->lost_some = true;
    return false;
}

/* --- the group's offsets --- */

/* A store that keeps the offsets itself is right, but it has to be said. */
static void
tell_ignored(const struct consumer *c, const struct partition *p, int64_t committed)
{
    log_warning("%s[%d]: the group's offset was set to %lld by somebody else; the store's own, "
                "%lld, is what counts: change next_offset in its table kafka_offsets instead",
                c->topic, (int)p->id, (long long)committed, (long long)p->position);
}

static void
take_committed(struct consumer *c, struct partition *p, const rd_kafka_topic_partition_t *element)
{
    int64_t last_ms;
    bool ours = read_metadata(element, &last_ms);
    if (p->position >= 0) {
        if (element->offset >= 0 && element->offset != p->position && !ours)
            tell_ignored(c, p, element->offset);
        return;
    }
    if (element->offset < 0) {
        p->lost_position = c->lost_some = true; /* never committed: starts at the earliest */
        return;
    }
    p->start = p->position = p->committed = p->sent = element->offset;
    p->start_ms = last_ms;
    p->expected_ms = p->position > 0 ? last_ms : -1;
}

static void
ask_committed(struct question *q)
{
    q->code = rd_kafka_committed(q->rk, q->list, q->timeout_ms);
}

void
position_ask_committed(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++)
        rd_kafka_topic_partition_list_add(list, c->topic, c->partitions[i].id);
    (void)ask_start(c, ASK_POSITIONS, ask_new(c, ask_committed, list));
}

bool
position_take_committed(struct consumer *c, const struct question *q)
{
    for (int i = 0; q->code == RD_KAFKA_RESP_ERR_NO_ERROR && i < q->list->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &q->list->elems[i];
        struct partition *p = consume_find_partition(c, answer->partition);
        if (p != NULL && answer->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_committed(c, p, answer);
    }
    bool all = true;
    for (size_t i = 0; i < c->n_partitions; i++)
        all = all && (c->partitions[i].position >= 0 || c->partitions[i].lost_position);
    if (!all) {
        struct errbuf text;
        errbuf_set(&text, "cannot read the committed offsets of %s: %s", c->topic,
                   rd_kafka_err2str(q->code));
        consume_note_error(c, text.text);
    }
    return all;
}

/* --- lost positions --- */

static void
tell_reset(struct consumer *c, const struct partition *p, int64_t low, int64_t high)
{
    if (p->position < 0) {
        log_notice("%s[%d]: no committed offset; starting at the earliest message, %lld", c->topic,
                   (int)p->id, (long long)low);
        return;
    }
    recorder_add(c->recorder, STAT_OFFSET_RESETS, 1);
    if (p->made_anew) {
        log_warning("%s[%d]: offset reset: the message before %lld is not the one that was dealt "
                    "with: the topic was made anew; starting at the earliest message, %lld",
                    c->topic, (int)p->id, (long long)p->position, (long long)low);
    } else if (p->position < low) {
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

/*
 * Goes on where a partition's position is, or where it begins if that is not there: then where it
 * begins is committed soon, so that whoever has it next does not tell and count it again. (Where
 * the store keeps the offsets, the first batch does that.)
 */
static void
take_watermarks(struct consumer *c, struct partition *p, int64_t low, int64_t high)
{
    p->lost_position = false;
    if (p->position <= low)
        p->expected_ms = -1; /* there is no message before it */
    if (p->position >= low && p->position <= high && !p->made_anew)
        return;
    tell_reset(c, p, low, high);
    if (p->made_anew || p->position > high)
        fatal_forget(c, p);
    p->durable = p->position >= 0 && !c->options.claims ? low : -1;
    p->start = p->position = low;
    p->sent = p->committed = -1;
    p->start_ms = p->durable_ms = p->expected_ms = -1;
    p->made_anew = false;
    consume_begin_lag(c, p);
    if (p->durable >= 0)
        consume_commit_soon(c);
}

/* One after the other, until one is not answered. */
static void
ask_watermarks(struct question *q)
{
    while (q->n < q->list->cnt && !atomic_load(&q->left)) {
        q->code = rd_kafka_query_watermark_offsets(q->rk, q->topic, q->list->elems[q->n].partition,
                                                   &q->lows[q->n], &q->highs[q->n], q->timeout_ms);
        if (q->code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        q->n++;
    }
}

void
position_ask_lost(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++)
        if (c->partitions[i].lost_position)
            rd_kafka_topic_partition_list_add(list, c->topic, c->partitions[i].id);
    (void)ask_start(c, ASK_POSITIONS, ask_new(c, ask_watermarks, list));
}

bool
position_take_lost(struct consumer *c, const struct question *q)
{
    for (int i = 0; i < q->n; i++) {
        struct partition *p = consume_find_partition(c, q->list->elems[i].partition);
        if (p != NULL)
            take_watermarks(c, p, q->lows[i], q->highs[i]);
    }
    if (q->n < q->list->cnt)
        consume_note_error(c, rd_kafka_err2str(q->code));
    c->lost_some = q->n < q->list->cnt;
    return !c->lost_some;
}

void
position_rewind(struct consumer *c)
{
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        p->position = p->durable >= 0 ? p->durable : p->start;
        p->expected_ms = p->position <= 0 ? -1 : p->durable >= 0 ? p->durable_ms : p->start_ms;
        p->resume = -1;
        p->sent = p->committed; /* what is still under way counts for nothing */
        p->unreadable.held = false; /* what cannot be read comes again, and is counted on */
        lag_rewind(&p->lag);
    }
}

void
position_fetch_nothing(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_assign(c->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
}
