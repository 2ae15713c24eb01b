/* SPDX-License-Identifier: Apache-2.0 */
/* topic.c - see topic.h. */
#include "tests/sim/topic.h"

#include <stdio.h>

#include "tests/sim/life.h"

enum { MORE_MAX = 5, GAP_MAX = 3, LARGE_BYTES = 1100, KILLERS_MAX = 2 };

struct topic topic;

static unsigned n_killers;

void
topic_begin(void)
{
    memset(&topic, 0, sizeof(topic));
    n_killers = 0;
    for (unsigned p = 0; p < world.plan.partitions; p++) {
        topic.partitions[p].end = world_one_in(2) ? 0 : world_between(0, 1000);
        topic.partitions[p].committed = -1;
    }
}

static enum message_kind
draw_kind(void)
{
    if (world_chance(CHANCE_KILLER) && n_killers++ < KILLERS_MAX)
        return MESSAGE_KILLER;
    if (world_chance(CHANCE_HOSTILE))
        return (enum message_kind)world_between(MESSAGE_NOT_JSON, MESSAGE_TOMBSTONE);
    return world_chance(CHANCE_UNREADABLE) ? MESSAGE_UNREADABLE
           : world_chance(CHANCE_BAD_ADD)  ? MESSAGE_BAD_ADD
           : world_chance(CHANCE_BAD_ROW)  ? MESSAGE_BAD_ROW
                                           : MESSAGE_GOOD;
}

void
topic_put(void)
{
    if (topic.n == MESSAGES_MAX)
        return;
    int32_t at = (int32_t)world_between(0, world.plan.partitions - 1);
    struct topic_partition *p = &topic.partitions[at];
    struct topic_message *m = &topic.messages[topic.n];
    if (world_chance(CHANCE_GAP))
        p->end += world_between(1, GAP_MAX);
    *m = (struct topic_message){.kind = draw_kind(),
                                .partition = at,
                                .offset = p->end,
                                .time_ms = world_one_in(10) ? -1 : world_now_ms()};
    if (m->kind == MESSAGE_UNREADABLE)
        m->more = world_between(0, MORE_MAX);
    p->end += 1 + m->more;
    p->messages[p->n++] = topic.n++;
}

size_t
topic_find(int32_t partition, int64_t offset)
{
    const struct topic_partition *p = &topic.partitions[partition];
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (topic.messages[p->messages[middle]].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t
topic_durable_end(int32_t partition)
{
    struct topic_partition *p = &topic.partitions[partition];
    for (; p->n_durable < p->n; p->n_durable++) {
        const struct topic_message *m = &topic.messages[p->messages[p->n_durable]];
        if (m->stored + m->buried == 0)
            return m->offset;
    }
    return p->end;
}

const struct topic_message *
topic_killer(int32_t partition, int64_t offset, size_t n)
{
    const struct topic_partition *p = &topic.partitions[partition];
    size_t i = topic_find(partition, offset);
    for (; i < p->n && n > 0; i++, n--)
        if (topic.messages[p->messages[i]].kind == MESSAGE_KILLER)
            return &topic.messages[p->messages[i]];
    return NULL;
}

char *
topic_payload(size_t message, size_t *n)
{
    const struct topic_message *m = &topic.messages[message];
    *n = 0;
    if (m->kind == MESSAGE_TOMBSTONE || m->kind >= MESSAGE_UNREADABLE)
        return NULL;
    if (m->kind == MESSAGE_TOO_LARGE) {
        *n = LARGE_BYTES;
        return life_alloc(LARGE_BYTES);
    }
    char *text = life_alloc(256);
    int size = snprintf(text, 256,
                        m->kind == MESSAGE_NOT_JSON
                            ? "{\"metric\":%zu"
                            : "{\"metric\":{\"name\":\"m\",\"timestamp\":1790000000000,"
                              "\"dimensions\":{},\"value\":%zu},\"meta\":{\"tenantId\":\"t\","
                              "\"region\":\"r\"},\"creation_time\":1790000000}",
                        message);
    *n = (size_t)size;
    return text;
}

bool
topic_is_bad(size_t message)
{
    return topic.messages[message].kind != MESSAGE_GOOD;
}

void
topic_note_stored(size_t message)
{
    struct topic_message *m = &topic.messages[message];
    m->stored++;
    PROMISE(!topic_is_bad(message), "%d@%lld is stored, and is bad", (int)m->partition,
            (long long)m->offset);
    PROMISE(!world.plan.transactional || m->stored == 1, "%d@%lld is stored twice",
            (int)m->partition, (long long)m->offset);
}

void
topic_note_buried(size_t message)
{
    struct topic_message *m = &topic.messages[message];
    m->buried++;
    PROMISE(topic_is_bad(message), "%d@%lld is in the dead letters, and is good",
            (int)m->partition, (long long)m->offset);
}
