/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_fatal.c - offsets that no worker survives: what is written down beforehand, and how a
 * partition gets past them.
 *
 * Wherever a partition would be read on from is written down as it moves (hands.h).  One whose
 * position is within the offsets of a verdict is not given to librdkafka: a message without payload
 * stands for them (message.more), and once that is durable the partition starts behind it, as one
 * that has lost its position does.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include "kafka/consume_priv.h"

void
fatal_write_places(struct consumer *c)
{
    if (c->options.hands == NULL)
        return;
    for (size_t i = 0; i < c->n_partitions; i++) {
        const struct partition *p = &c->partitions[i];
        hands_set_place(c->options.hands, c->options.slot, i, p->id,
                        p->durable >= 0 ? p->durable : p->start);
    }
    hands_set_count(c->options.hands, c->options.slot, c->options.key, c->n_partitions);
}

bool
fatal_find(struct consumer *c, struct partition *p)
{
    struct hands_verdict verdict;
    p->fatal_end = -1;
    if (c->options.hands == NULL || p->position < 0 || p->lost_position)
        return false;
    hands_note_passed(c->options.hands, c->options.key, p->id, p->position); /* by others */
    if (!hands_find_verdict(c->options.hands, c->options.key, p->id, p->position, &verdict) ||
        p->position < verdict.first)
        return false;
    p->fatal_end = verdict.end;
    return true;
}

void
fatal_forget(struct consumer *c, const struct partition *p)
{
    if (c->options.hands != NULL)
        hands_note_passed(c->options.hands, c->options.key, p->id, INT64_MAX);
}

bool
fatal_take(struct consumer *c, struct message *out)
{
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        if (p->fatal_end <= p->position || p->lost_position)
            continue;
        reject_set(&c->fault, REJECT_UNREADABLE,
                   "%lld messages at most, offsets %lld to %lld: no worker survives reading them",
                   (long long)(p->fatal_end - p->position), (long long)p->position,
                   (long long)p->fatal_end - 1);
        unreadable_pass(c, p, p->fatal_end, out);
        p->resume = p->fatal_end;
        p->fatal_end = -1;
        return true;
    }
    return false;
}

void
fatal_note_durable(struct consumer *c, const struct partition *p)
{
    if (c->options.hands == NULL)
        return;
    hands_set_place(c->options.hands, c->options.slot, (size_t)(p - c->partitions), p->id,
                    p->durable);
    hands_note_passed(c->options.hands, c->options.key, p->id, p->durable);
}
