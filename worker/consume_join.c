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
#include "worker/consume_priv.h"

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

/* Asks the coordinator about the group; the answer comes to c->descriptions. */
static void
ask_group(struct consumer *c)
{
    char text[256];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    if (options == NULL)
        return;
    if (rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, text, sizeof(text)) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        c->asked_group = true;
        rd_kafka_DescribeConsumerGroups(c->rk, &c->group, 1, options, c->descriptions);
    }
    rd_kafka_AdminOptions_destroy(options);
}

/* Returns: how many partitions of the topic there are; -1 if that is not known now. */
static int
count_partitions(struct consumer *c)
{
    const struct rd_kafka_metadata *metadata;
    int n = -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(c->rk, c->topic, NULL);
    if (topic == NULL)
        return -1;
    if (rd_kafka_metadata(c->rk, 0, topic, &metadata, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            n = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    return n;
}

/* Returns: how many partitions of the topic the members own; -1 if the group is being shared out,
 * or cannot be described. */
static int
count_owned(const struct consumer *c, const rd_kafka_ConsumerGroupDescription_t *group)
{
    int n = 0;
    if (rd_kafka_ConsumerGroupDescription_error(group) != NULL ||
        rd_kafka_ConsumerGroupDescription_state(group) != RD_KAFKA_CONSUMER_GROUP_STATE_STABLE)
        return -1;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(
            rd_kafka_ConsumerGroupDescription_member(group, i));
        const rd_kafka_topic_partition_list_t *list =
            assignment == NULL ? NULL : rd_kafka_MemberAssignment_partitions(assignment);
        for (int k = 0; list != NULL && k < list->cnt; k++)
            n += strcmp(list->elems[k].topic, c->topic) == 0;
    }
    return n;
}

/* Whether the answer, if it is one, says that a partition which is there is nobody's. */
static bool
leaves_some_over(struct consumer *c, rd_kafka_event_t *event)
{
    size_t n = 0;
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        rd_kafka_event_DescribeConsumerGroups_result(event);
    if (result == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(result, &n);
    int owned = n == 1 ? count_owned(c, groups[0]) : -1;
    return owned >= 0 && owned < count_partitions(c);
}

/* Takes the answer, if it has come. True if this member should join again. */
static bool
take_description(struct consumer *c)
{
    rd_kafka_event_t *event = c->asked_group ? rd_kafka_queue_poll(c->descriptions, 0) : NULL;
    if (event == NULL)
        return false;
    c->asked_group = false;
    bool again = c->n_partitions == 0 && !c->rebalancing && leaves_some_over(c, event);
    rd_kafka_event_destroy(event);
    if (again)
        log_notice("%s has partitions that nobody in the group owns; joining again", c->topic);
    else
        log_debug("%s: others own what there is, as far as is known", c->topic);
    return again;
}

/* --- joining again --- */

void
consume_join_for_topic(struct consumer *c)
{
    struct errbuf err;
    int64_t now_ms = clock_mono_ms();
    bool again = take_description(c);
    if (c->closing || c->n_partitions > 0 || (!again && now_ms < c->join_again_ms))
        return;
    c->join_again_ms = now_ms + JOIN_AGAIN_MS;
    if (!again && !c->topic_gone) {
        if (c->joined && !c->asked_group)
            ask_group(c);
        return;
    }
    if (again)
        rd_kafka_unsubscribe(c->rk);
    if (consume_subscribe(c, &err) == -1)
        consume_note_error(c, err.text);
}
