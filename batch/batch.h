/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - which messages are in hand, what became of each, when to flush, what may be committed.
 *
 * Pure: it is given the time and the verdicts, and touches neither Kafka nor the store.
 *
 * Process: workers.  Owner: the worker's loop; messages belong to whoever filled them in.
 * Concurrency: one thread.
 */
#ifndef WORKER_BATCH_H
#define WORKER_BATCH_H

#include "lib/base.h"
#include "conf/reject.h"
#include "batch/message.h"

enum entry_state {
    ENTRY_PENDING, /* not settled */
    ENTRY_STORED,  /* durable in the store */
    ENTRY_REFUSED, /* wrong in itself; has to go to the dead letters */
    ENTRY_BURIED,  /* durable in the dead letters */
    ENTRY_STATES
};

#define ENTRY_TIME_UNKNOWN INT64_MIN

struct entry {
    struct message message;
    enum entry_state state;
    uint32_t why;       /* index into rejects, if REFUSED or BURIED */
    int64_t created_ns; /* the message's creation_time, wall clock; or ENTRY_TIME_UNKNOWN */
    int64_t stored_ns;  /* when the write that stored it returned, clock_mono_ns; 0: not yet */
};

struct batch_limits {
    uint32_t count; /* messages, 1.. */
    size_t bytes;   /* of payload, 1.. */
    int64_t age_ms; /* from the first message, 0.. */
};

struct batch {
    struct batch_limits limits;
    struct entry *entries;
    uint32_t n, capacity;
    uint32_t in_state[ENTRY_STATES]; /* how many are in each state */
    size_t bytes;
    int64_t first_ms; /* when the oldest came; meaningless while n is 0 */
    struct reject *rejects;
    uint32_t n_rejects, rejects_capacity;
};

/* Takes: the limits. Allocates nothing yet. */
void batch_init(struct batch *batch, const struct batch_limits *limits);

/* Frees all; messages that are still in it are forgotten, not released. */
void batch_free(struct batch *batch);

/*
 * Adds a message, pending.
 * Takes: now on the monotonic clock in ms.
 * Returns: its row (0..), or -1 if memory is out.
 */
int64_t batch_add(struct batch *batch, const struct message *message, int64_t now_ms) MUST_CHECK;

/*
 * Settles a pending row: why == NULL is stored, else refused, and the reason is copied.
 * Returns: 0, or -1 if memory is out (the row stays pending).
 */
int batch_settle(struct batch *batch, uint32_t row, const struct reject *why) MUST_CHECK;

/* Stamps the rows that were stored since the last call. */
void batch_stamp_stored(struct batch *batch, int64_t now_ns);

/* Every refused row has become durable in the dead letters. */
void batch_bury(struct batch *batch);

/* Returns: true if it should be flushed now: it is full by count or bytes, or old enough. */
bool batch_due(const struct batch *batch, int64_t now_ms);

/* Returns: how many ms until age makes it due (0 if due); INT64_MAX if it is empty. */
int64_t batch_wait_ms(const struct batch *batch, int64_t now_ms);

/* Returns: messages that still fit by count. */
uint32_t batch_room(const struct batch *batch);

/* Takes: where a partition stands: the next offset, and the time_ms of the message before it. */
typedef void (*batch_tell_fn)(void *arg, int32_t partition, int64_t next, int64_t last_ms);

/*
 * What may be committed: for each partition, the offset after the last message of the unbroken run
 * of stored and buried ones from the batch's first. Partitions with no such run are left out.
 * Takes: called once per partition.
 * Returns: 0, or -1 if memory is out (nothing was told).
 */
int batch_committable(const struct batch *batch, batch_tell_fn tell, void *arg) MUST_CHECK;

/*
 * Where each partition will stand once the whole batch is settled: the offset after its last
 * message. Takes and returns: as batch_committable.
 */
int batch_ends(const struct batch *batch, batch_tell_fn tell, void *arg) MUST_CHECK;

/* Empties it; memory is kept. */
void batch_reset(struct batch *batch);

#endif
