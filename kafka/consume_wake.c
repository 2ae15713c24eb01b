/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_wake.c - librdkafka's fetchers go on in time.
 *
 * A thread of librdkafka before 2.2 that finds its queue full sleeps for a second, or until it is
 * given something to do; that the queue has become empty does not wake it. So at each time that half
 * of a queue that was full has been taken, the leaders are asked for something small, and nobody
 * waits for the answer. From 2.2 on fetch.queue.backoff.ms says how long it sleeps (kafka_conf.c).
 *
 * Process: workers.  Owner: the consumer.  Concurrency: one thread.
 */
#include "kafka/consume_priv.h"

#include "kafka/kafka_conf.h"

enum { HAS_BACKOFF = 0x02020000 };

/* About: how large a message is, what came out of it says. */
static bool
was_full(const struct consumer *c)
{
    size_t bytes = kafka_conf_queue_bytes(c->cfg), messages = kafka_conf_queue_messages(c->cfg);
    return c->wake.most >= messages / 2 || c->wake.most * (c->wake.bytes / c->wake.n) >= bytes / 2;
}

static void
wake(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++)
        rd_kafka_topic_partition_list_add(list, c->topic, c->partitions[i].id)->offset =
            RD_KAFKA_OFFSET_END;
    /* "Timed out": sent to all whose leader is known. */
    (void)rd_kafka_offsets_for_times(c->rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}

void
consume_wake_fetchers(struct consumer *c, size_t n, size_t bytes)
{
    if (n == 0 || rd_kafka_version() >= HAS_BACKOFF)
        return;
    size_t queued = rd_kafka_queue_length(c->messages);
    c->wake.n += n;
    c->wake.bytes += bytes;
    if (queued + n > c->wake.most)
        c->wake.most = queued + n;
    if (queued > c->wake.most / 2)
        return;
    if (was_full(c))
        wake(c);
    c->wake = (struct wake){.most = queued};
}
