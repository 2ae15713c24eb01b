/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h - the brokers' side of a consumer group with the eager protocol: who is a member, who has
 * which partition, what is committed.
 *
 * All are revoked, and when each has given up (or after a time, without those who have not) the
 * partitions are dealt out anew under the next generation.  Who is not a member any more, or of a
 * former generation, commits nothing.
 *
 * Process: tests/sim/sim.  Owner: group.c.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_GROUP_H
#define TESTS_SIM_GROUP_H

#include "tests/sim/life.h"

struct member;

/* What a consumer is told, in this order; consumer.c takes it. */
enum note_kind {
    NOTE_ASSIGNED,
    NOTE_REVOKED,
    NOTE_LOST,
    NOTE_ANEW,
    NOTE_COMMITTED,
    NOTE_POSITIONS
};
enum answer_code { ANSWER_DONE, ANSWER_FAILED, ANSWER_NO_MEMBER };

struct note {
    enum note_kind kind;
    const struct member *member; /* whom it is for */
    unsigned assignment;         /* what the consumer had asked with */
    enum answer_code code;
    size_t n; /* partitions */
    int32_t ids[PARTITIONS_MAX];
    int64_t offsets[PARTITIONS_MAX]; /* committed */
};

void group_begin(void);

/* Returns: a new member; all are revoked for it. */
struct member *group_join(struct life *life);
void group_leave(struct member *member);

/* It has given its partitions up. */
void group_give_up(struct member *member);

/* Returns: whether the group still has it. */
bool group_has(const struct member *member);

/* Asks for the committed offsets of some partitions, or has some committed. What is asked first is
 * done and answered first. */
void group_ask_positions(struct member *member, const struct note *question);
void group_commit(struct member *member, const struct note *request);

/* Everybody is revoked; or a member that seems dead is thrown out. */
void group_rebalance(void);
void group_evict(struct member *member);

/* Its process is gone, or stands still: it is thrown out when its session is over. */
void group_note_silence(struct life *life);

/* Returns: the member of a process, or NULL. */
struct member *group_member_of(const struct life *life);

#endif
