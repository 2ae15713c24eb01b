/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic.h - the messages, and what is true of each: how often it is stored, and in the letters.
 *
 * Process: tests/sim/sim.  Owner: topic.c.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_TOPIC_H
#define TESTS_SIM_TOPIC_H

#include "conf/reject.h"
#include "tests/sim/world.h"

enum { MESSAGES_MAX = 512 };

enum message_kind {
    MESSAGE_GOOD,
    MESSAGE_BAD_ROW, /* the store refuses it in its answer */
    MESSAGE_BAD_ADD, /* the store refuses it as it is added */
    MESSAGE_NOT_JSON,
    MESSAGE_TOO_LARGE,
    MESSAGE_TOMBSTONE,
    MESSAGE_UNREADABLE, /* for the client library; it stands for several offsets */
    MESSAGE_KILLER      /* whoever reads it dies, until it is known: then it is unreadable */
};

struct topic_message {
    enum message_kind kind;
    int32_t partition;
    int64_t offset, more, time_ms;
    unsigned stored, buried; /* how often: what no crash takes away */
    /* who knows that it is settled, and has let it go */
    const struct life *settled_by;
    unsigned settled_assignment;
};

struct topic_partition {
    size_t messages[MESSAGES_MAX]; /* their numbers */
    size_t n, n_durable;           /* all before n_durable are */
    int64_t end;                   /* the next offset */
    int64_t committed;             /* the group's; -1: none */
};

struct topic {
    struct topic_message messages[MESSAGES_MAX];
    size_t n;
    struct topic_partition partitions[PARTITIONS_MAX];
};

extern struct topic topic;

void topic_begin(void);

/* Puts one more message into some partition. */
void topic_put(void);

/* Returns: the index in its partition of the first message at or after an offset. */
size_t topic_find(int32_t partition, int64_t offset);

/* Returns: the offset of the first message of a partition that is not durable, or its end. */
int64_t topic_durable_end(int32_t partition);

/* Returns: its payload, for life_free, and how long it is; NULL: it has none. */
char *topic_payload(size_t message, size_t *n);

/* A message has become durable: in the store, or in the letters. Checks that it belongs there. */
void topic_note_stored(size_t message);
void topic_note_buried(size_t message);

/* Returns: the first message at or after an offset that kills, among so many; NULL: none does. */
const struct topic_message *topic_killer(int32_t partition, int64_t offset, size_t n);

/* Returns: whether a message is what only the letters are for. */
bool topic_is_bad(size_t message);

#endif
