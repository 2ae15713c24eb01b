/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_join.c - joining the group, and joining it again for a topic that was made anew.
 *
 * If the group's leader shared the partitions out while a topic was not there, there were none, and
 * librdkafka may take no notice of their return: 2.0.2 where it has heard that the topic is gone;
 * from 2.12 on also where it has not, as the topic came back with another id between two of its
 * looks.  Then every member owns nothing for ever.  So a member that owns nothing asks, now and
 * then, the group's coordinator what the others own, and if that is less than there is, it joins
 * again: the leader looks at the topic before it shares out.  It has to leave for that, as a group
 * goes on as it is if one that is known and does not lead joins.  A standby, of which there is one
 * where members are more than partitions, disturbs nobody that way.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "kafka/consume_priv.h"

enum { ASK_GROUP_MS = 1000 };

int
consume_subscribe(struct consumer *c, struct errbuf *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return errbuf_set(err, "cannot subscribe to %s: %s", c->topic, rd_kafka_err2str(code));
    return 0;
}

static void
note_reached(struct consumer *c)
{
    /* The id is part of the first answer that is more than a handshake. */
    char *cluster_id = c->reached_ms == 0 ? rd_kafka_clusterid(c->rk, 0) : NULL;
    if (cluster_id != NULL)
        c->reached_ms = clock_mono_ms();
    rd_kafka_mem_free(c->rk, cluster_id);
}

int
consume_join_when_due(struct consumer *c, struct errbuf *err)
{
    note_reached(c);
    if (c->hold_ms == -1 || c->reached_ms == 0 || clock_mono_ms() < c->reached_ms + c->hold_ms)
        return 0;
    c->hold_ms = -1;
    return consume_subscribe(c, err);
}

/* --- who owns what --- */

/* Returns: how many partitions of the topic there are; -1 if that is not known now. */
static int
count_partitions(const struct question *q)
{
    const struct rd_kafka_metadata *metadata;
    int n = -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(q->rk, q->topic, NULL);
    if (topic == NULL)
        return -1;
    if (rd_kafka_metadata(q->rk, 0, topic, &metadata, ASK_GROUP_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            n = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    return n;
}

/* A big-endian number of n bytes; -1 if there are fewer. */
static int64_t
take_number(struct slice *in, size_t n)
{
    int64_t number = 0;
    if (in->n < n)
        return -1;
    for (size_t i = 0; i < n; i++)
        number = number << 8 | (unsigned char)in->p[i];
    in->p += n;
    in->n -= n;
    return number;
}

/*
 * Returns: how many partitions of the topic a member was assigned; 0 if that cannot be read.
 * (version int16, topics: count int32, each: name int16 + bytes, partitions int32 + that many
 * int32: "ConsumerProtocolAssignment" in Kafka's sources)
 */
static int
count_assigned(struct slice in, const char *name)
{
    int64_t assigned = 0;
    (void)take_number(&in, 2);
    for (int64_t topics = take_number(&in, 4); topics > 0 && in.n > 0; topics--) {
        int64_t name_n = take_number(&in, 2);
        if (name_n < 0 || (size_t)name_n > in.n)
            return 0;
        bool ours =
            slice_equal((struct slice){in.p, (size_t)name_n}, (struct slice){name, strlen(name)});
        in = (struct slice){in.p + name_n, in.n - (size_t)name_n};
        int64_t partitions = take_number(&in, 4);
        if (partitions < 0 || (size_t)partitions > in.n / 4)
            return 0;
        in = (struct slice){in.p + partitions * 4, in.n - (size_t)partitions * 4};
        assigned += ours ? partitions : 0;
    }
    return (int)assigned;
}

/* Returns: how many partitions the members own; -1 if the group is being shared out. */
static int
count_owned(const char *topic, const struct rd_kafka_group_list *groups)
{
    int n = 0;
    if (groups->group_cnt != 1 || groups->groups[0].err != RD_KAFKA_RESP_ERR_NO_ERROR ||
        strcmp(groups->groups[0].state, "Stable") != 0)
        return -1;
    for (int i = 0; i < groups->groups[0].member_cnt; i++) {
        const struct rd_kafka_group_member_info *member = &groups->groups[0].members[i];
        if (member->member_assignment_size > 0)
            n += count_assigned(
                (struct slice){member->member_assignment, (size_t)member->member_assignment_size},
                topic);
    }
    return n;
}

/*
 * Is there a partition that is nobody's?  The question that does not wait (DescribeConsumerGroups)
 * ends the process in librdkafka 2.0.2 if the broker goes away meanwhile (an assertion in
 * rd_kafka_enq_once_del_source_return).
 */
static void
ask_who_owns_what(struct question *q)
{
    const struct rd_kafka_group_list *groups;
    q->code = rd_kafka_list_groups(q->rk, q->group, &groups, ASK_GROUP_MS);
    if (q->code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    int owned = count_owned(q->topic, groups);
    rd_kafka_group_list_destroy(groups);
    q->some_unowned = owned >= 0 && owned < count_partitions(q);
}

/* --- joining again --- */

static bool
owns_nothing(const struct consumer *c)
{
    return c->state == GROUP_NONE && !c->leaving;
}

static void
join_again(struct consumer *c)
{
    struct errbuf err;
    if (consume_subscribe(c, &err) == -1)
        consume_note_error(c, err.text);
}

static void
take_answer(struct consumer *c)
{
    struct question *q = ask_answered(c, ASK_ENDS);
    if (q == NULL || q->run != ask_who_owns_what)
        return;
    bool some = q->some_unowned, known = q->code == RD_KAFKA_RESP_ERR_NO_ERROR;
    ask_end(c, ASK_ENDS);
    if (!owns_nothing(c))
        return;
    if (some) {
        log_notice("%s has partitions that nobody in the group owns; joining again", c->topic);
        rd_kafka_unsubscribe(c->rk);
        join_again(c);
    } else if (known) {
        log_debug("%s: others own what there is, as far as is known", c->topic);
    }
}

void
consume_join_for_topic(struct consumer *c)
{
    take_answer(c);
    int64_t now_ms = clock_mono_ms();
    if (!owns_nothing(c) || now_ms < c->join_again_ms)
        return;
    c->join_again_ms = now_ms + JOIN_AGAIN_MS;
    if (c->topic_gone)
        join_again(c);
    else if (c->joined && !ask_is_busy(c, ASK_ENDS))
        (void)ask_start(c, ASK_ENDS, ask_new(c, ask_who_owns_what, NULL));
}
