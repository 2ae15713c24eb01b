/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_wake.c - librdkafka's fetchers go on in time.
 *
 * A thread of librdkafka before 2.2 that finds its queue full sleeps for a second, or until it is
 * given something to do; that the queue has become empty does not wake it. So each time that half
 * of a queue that was full has been taken, the leaders are asked for something small, and nobody
 * waits for the answer. From 2.2 on fetch.queue.backoff.ms says how long it sleeps (kafka_conf.c).
 *
 * Process: workers.  Owner: the consumer.  Concurrency: one thread.
 */
#include "kafka/consume_priv.h"

enum { HAS_BACKOFF = 0x02020000 };

void
wake_begin(struct consumer *c)
{
    if (rd_kafka_version() >= HAS_BACKOFF)
        return;
    c->wake.full_n = (size_t)consume_setting(c, "queued.min.messages", 1);
    c->wake.full_bytes = (size_t)consume_setting(c, "queued.max.messages.kbytes", 1) * 1024;
}

bool
wake_is_due(struct wake *wake, size_t n, size_t bytes, size_t queued)
{
    wake->n += n;
    wake->bytes += bytes;
    if (queued + n > wake->most)
        wake->most = queued + n;
    if (n == 0 || queued > wake->most / 2)
        return false;
    /* About: how large a message is, what came out of the queue says. */
    bool was_full = wake->most >= wake->full_n / 2 ||
                    wake->most * (wake->bytes / wake->n) >= wake->full_bytes / 2;
    wake->n = wake->bytes = 0;
    wake->most = queued;
    return was_full;
}

void
wake_fetchers(struct consumer *c, size_t n, size_t bytes)
{
    if (c->wake.full_n == 0 ||
        !wake_is_due(&c->wake, n, bytes, rd_kafka_queue_length(c->messages)))
        return;
    rd_kafka_topic_partition_list_t *list = consume_list_ends(c);
    (void)rd_kafka_offsets_for_times(c->rk, list, 0); /* "timed out": it was sent */
    rd_kafka_topic_partition_list_destroy(list);
}
