/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag.h - how far a partition's consumer is behind, in messages and in time, from what little is
 * heard.
 *
 * The end of a partition is heard of now and then: with what is fetched, or from the brokers.  How
 * long the oldest waiting message has been waiting nobody says, but there are upper bounds, and the
 * least of them counts: it came after the last message that was taken (or committed), whose
 * timestamp is known; it came after the last time when nothing waited; and of what is taken but not
 * committed the oldest may be known itself.  So a burst after an idle hour shows a second, a
 * standing backlog its age, and both go on growing while nothing is fetched.
 *
 * Offsets have gaps: markers of transactions, aborted batches, what compaction has removed.  One in
 * front of a message counts like messages until that message is taken.  One at the end would count
 * for ever, so the client library is believed when it says that it stands at the end, wherever that
 * is (lag_reach): what lies between the last message and there is no lag, neither of what is taken
 * nor of what is committed.  From then on until a message comes only the brokers' own word tells of
 * a new end: what the library has cached counts the messages of open transactions, too, which
 * nobody may read yet.
 *
 * Pure: no clock and no Kafka in here.  now_ms is always the monotonic clock's, *time_ms and
 * wall_ms the wall clock's; timestamps are Kafka's and as true as its clients' clocks.
 *
 * Process: workers.  Owner: struct partition.  Concurrency: one thread.
 */
#ifndef WORKER_LAG_H
#define WORKER_LAG_H

#include "lib/base.h"

enum {
    LAG_STALE_MS = 5000,      /* an end heard of longer ago is asked for */
    LAG_STALE_HELD_MS = 2000, /* the same where it is sure or likely to be wrong */
    LAG_FORGET_MS = 15000,    /* one heard of longer ago counts as unknown */
    LAG_MARKS = 8             /* commits under way whose time is remembered */
};

/* One of the two positions, taken and committed. */
struct lag_side {
    int64_t time_ms;  /* timestamp of the last message before it; -1 unknown */
    int64_t level_ms; /* nothing was behind it then; -1 never */
};

/* The timestamp of the last message before an offset that is durable. */
struct lag_mark {
    int64_t next, time_ms;
};

/* What is known of one partition. */
struct lag {
    int64_t end;       /* after the last message; -1 unknown */
    int64_t heard_ms;  /* when that was true; before the first time: since when it is asked for */
    int64_t cached;    /* the end as the client library had it when it was looked at */
    int64_t looked_ms; /* and when that was */
    int64_t next;      /* after the last message taken; -1 none yet */
    int64_t gap, gap_end; /* no message is from the one to before the other; the same: no gap */
    int64_t reached_ms;   /* since when it is reached and no message taken; or -1 */
    struct lag_side taken, committed;
    struct lag_mark marks[LAG_MARKS];
    unsigned n_marks;                  /* so far */
    int64_t oldest_at, oldest_time_ms; /* the oldest message not committed; -1 unknown */
};

/* All partitions of a worker together; UINT64_MAX for what is unknown of any. */
struct lag_levels {
    uint64_t taken, taken_seconds;
    uint64_t committed, committed_seconds;
};

/*
 * A partition begins, or begins anew: nothing is known of it.
 * Takes: what the client library has for its end, which may be of long ago.
 */
void lag_begin(struct lag *lag, int64_t cached, int64_t now_ms);

/*
 * A message was taken.
 * Takes: its offset and timestamp (-1: none); whether all before it is committed.
 */
void lag_take(struct lag *lag, int64_t offset, int64_t time_ms, bool first);

/*
 * Everything before `next` is durable and will be committed.
 * Takes: the timestamp of the last message before it; -1: unknown.
 */
void lag_note_durable(struct lag *lag, int64_t next, int64_t time_ms);

/* Everything before `next` is committed. */
void lag_note_committed(struct lag *lag, int64_t next);

/*
 * The client library stands at the end of what may be read.
 * Takes: where the consumer stood, and where the library says that this end is, 0..: no message
 * comes from between the two; the time since when it may have said so.
 */
void lag_reach(struct lag *lag, int64_t position, int64_t end, int64_t since_ms);

/* Returns: `next`, or where the gap ends that begins there: as good a place to go on from. */
int64_t lag_pass_gap(const struct lag *lag, int64_t next);

/* What was taken and is not committed is given back, and will be taken again. */
void lag_rewind(struct lag *lag);

/*
 * Looks at what the client library has for the end (negative: nothing). It is news only if it has
 * changed (an old value tells nothing of whether fetching works), and not while the end is reached.
 */
void lag_look(struct lag *lag, int64_t cached, int64_t now_ms);

/* The brokers said where the end is now. */
void lag_hear(struct lag *lag, int64_t end, int64_t now_ms);

/*
 * Takes: whether nothing is fetched, since the worker holds back.
 * Returns: whether the brokers should be asked.
 */
bool lag_is_stale(const struct lag *lag, int64_t now_ms, bool holding_back);

/* The levels of a worker that owns nothing: all 0. */
void lag_levels_clear(struct lag_levels *levels);

/*
 * Adds a partition to the levels: messages are added, of seconds the most count.
 * Takes: where it is: the next offset to be taken, and the committed one (-1: unknown).
 */
void lag_add(struct lag *lag, int64_t position, int64_t committed, int64_t now_ms, int64_t wall_ms,
             struct lag_levels *levels);

#endif
